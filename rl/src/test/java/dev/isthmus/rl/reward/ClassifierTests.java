package dev.isthmus.rl.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.model.io.TensorEntry;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

/** Classifiers under transformers' names. */
class ClassifierTests {
    @TempDir
    private Path root;

    private static Decoder decoder(boolean gpt2) {
        DecoderConfig config =
                gpt2 ? DecoderConfig.gpt2(11, 16, 2, 2, 24) : DecoderConfig.llama(11, 16, 24, 2, 2, 2, 24, false);
        return new Decoder(config, DType.FLOAT32).initialize(Rng.of(1));
    }

    @ParameterizedTest
    @CsvSource({
        "true, 1, score, GPT2ForSequenceClassification",
        "true, 2, classifier, GPT2ForTokenClassification",
        "false, 1, score, LlamaForSequenceClassification",
        "false, 2, score, LlamaForTokenClassification"
    })
    void headsHaveTheNamesOfTransformers(boolean gpt2, int labels, String head, String architecture) {
        List<int[]> texts = List.of(new int[] {1, 2, 3}, new int[] {4});
        try (Scope scope = Scope.open();
                Arena arena = Arena.ofConfined()) {
            Classifier made = Classifier.initialize(decoder(gpt2), labels, labels > 1, Rng.of(2));
            made.save(root);
            Set<String> names = SafeTensors.openDirectory(root, arena).tensors().keySet();
            assertThat(names).contains(head + ".weight");
            assertThat(names.contains(head + ".bias")).isEqualTo(labels > 1);
            assertThat(Json.read(root.resolve("config.json"))
                            .path("architectures")
                            .get(0)
                            .asString())
                    .isEqualTo(architecture);
            assertThat(Classifier.load(root, labels, labels > 1).last(texts).toDoubles())
                    .isEqualTo(made.last(texts).toDoubles());
        }
    }

    /** As transformers writes them: of the weights of a reward model none is the head of a language model. */
    @Test
    void aRewardModelNeedsNoHeadThatSaysWords() {
        List<int[]> texts = List.of(new int[] {1, 2, 3}, new int[] {4});
        try (Scope scope = Scope.open();
                Arena arena = Arena.ofConfined()) {
            Classifier made = Classifier.initialize(decoder(false), 1, false, Rng.of(2));
            made.save(root.resolve("with"));
            List<TensorEntry> entries =
                    SafeTensors.openDirectory(root.resolve("with"), arena).tensors().values().stream()
                            .filter(entry -> !entry.name().equals("lm_head.weight"))
                            .toList();
            made.save(root);
            SafeTensors.write(root.resolve("model.safetensors"), entries);
            ObjectNode config = (ObjectNode) Json.read(root.resolve("config.json"));
            assertThat(config.get("tie_word_embeddings").asBoolean()).isFalse();
            Json.write(
                    root.resolve("config.json"), config.put("pad_token_id", 0).put("problem_type", (String) null));
            assertThat(Classifier.load(root, 1, false).last(texts).toDoubles())
                    .isEqualTo(made.last(texts).toDoubles());
            assertThatThrownBy(() -> Pretrained.load(root))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("lm_head.weight");
        }
    }
}
