package dev.isthmus.model.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Generation against recorded tokens, and against the model read all at once. */
class GeneratorTests {
    @Tag("fixture")
    @ParameterizedTest
    @MethodSource("dev.isthmus.model.ReferenceModels#names")
    void greedyTokensAreTheRecordedOnes(String name) {
        Path directory = Fixtures.fixture("models/" + name + "/reference.json").getParent();
        JsonNode cases = JsonMapper.shared()
                .readTree(directory.resolve("reference.json"))
                .get("generation");
        try (Scope scope = Scope.open()) {
            Decoder decoder = Pretrained.load(directory);
            List<int[]> prompts =
                    cases.valueStream().map(c -> ints(c.get("prompt"))).toList();
            List<int[]> recorded = cases.valueStream()
                    .map(c -> ints(c.get("greedy_new_tokens")))
                    .toList();
            int longest = recorded.stream().mapToInt(r -> r.length).max().orElseThrow();
            List<Completion> completions = Generator.generate(decoder, prompts, greedy(longest), Rng.of(0));
            for (int i = 0; i < prompts.size(); i++) {
                assertThat(completions.get(i).tokens()).startsWith(recorded.get(i));
            }
        }
    }

    @Tag("fixture")
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theTrainedStoriesModelTellsTheRecordedStories(boolean llama2c) {
        Path reference = Fixtures.fixture("models/stories260K/reference.json");
        Path data = Fixtures.data("models/stories260K/stories260K.bin");
        Tokenizer tokenizer = Tokenizers.load(data);
        try (Scope scope = Scope.open()) {
            Decoder decoder = Pretrained.load(llama2c ? data : reference.getParent());
            for (JsonNode run : JsonMapper.shared().readTree(reference).get("runs")) {
                int[] ids = ints(run.get("input_ids_seen"));
                int[] text = tokenizer.encode(run.get("prompt").asString());
                int[] prompt = new int[text.length + 1];
                prompt[0] = tokenizer.bosTokenId().orElseThrow();
                System.arraycopy(text, 0, prompt, 1, text.length);
                Completion completion = Generator.generate(
                                decoder, List.of(prompt), greedy(ids.length - prompt.length), Rng.of(0))
                        .getFirst();
                assertThat(prompt).isEqualTo(Arrays.copyOf(ids, prompt.length));
                assertThat(completion.tokens()).isEqualTo(Arrays.copyOfRange(ids, prompt.length, ids.length));
            }
        }
    }

    static Stream<DecoderConfig> architectures() {
        return Stream.of(
                DecoderConfig.llama(29, 36, 52, 2, 6, 3, 90, true),
                DecoderConfig.llama(41, 64, 96, 2, 2, 2, 90, false),
                DecoderConfig.llama(64, 128, 352, 2, 4, 4, 90, true),
                DecoderConfig.gpt2(29, 20, 2, 2, 90));
    }

    @ParameterizedTest
    @MethodSource("architectures")
    void logProbsEqualThoseOfTrainingBitForBit(DecoderConfig config) {
        try (Scope scope = Scope.open()) {
            assertSameLogProbs(new Decoder(config, DType.FLOAT32).initialize(Rng.of(3)));
        }
    }

    @Tag("fixture")
    @ParameterizedTest
    @MethodSource("dev.isthmus.model.ReferenceModels#names")
    void logProbsOfEveryArchitectureEqualThoseOfTrainingBitForBit(String name) {
        Path directory = Fixtures.fixture("models/" + name + "/reference.json").getParent();
        try (Scope scope = Scope.open()) {
            assertSameLogProbs(Pretrained.load(directory));
        }
    }

    /** Decoding, a token at a time, gives the bits of the whole sequences, however the weights are stored. */
    @ParameterizedTest
    @EnumSource
    void logProbsOfStoredWeightsAreThoseOfWholeSequencesBitForBit(WeightFormat format, @TempDir Path temp) {
        List<DecoderConfig> configs =
                List.of(DecoderConfig.llama(29, 64, 96, 2, 4, 2, 90, true), DecoderConfig.gpt2(29, 64, 2, 4, 90));
        for (DecoderConfig config : configs) {
            try (Scope scope = Scope.open()) {
                Path directory = temp.resolve(config.modelType().hfName());
                Pretrained.save(new Decoder(config, DType.FLOAT32).initialize(Rng.of(1)), directory);
                Decoder decoder = Pretrained.loadStored(directory, format);
                assertThat(decoder.stored().values())
                        .allSatisfy(w -> assertThat(w.format()).isEqualTo(format));
                assertSameLogProbs(decoder);
            }
        }
    }

    @Tag("fixture")
    @ParameterizedTest
    @ValueSource(strings = {"qwen3_tied", "gemma2", "mixtral"})
    void logProbsOfStoredWeightsAreThoseOfWholeSequencesInOtherArchitectures(String name) {
        Path directory = Fixtures.fixture("models/" + name + "/reference.json").getParent();
        try (Scope scope = Scope.open()) {
            assertSameLogProbs(Pretrained.loadStored(directory, WeightFormat.BF16));
        }
    }

    private static void assertSameLogProbs(Decoder decoder) {
        DecoderConfig config = decoder.config();
        try (Scope scope = Scope.open()) {
            int longest = config.maxPositionEmbeddings() - 1;
            List<int[]> prompts = prompts(
                    config,
                    IntStream.of(1, 5, 31, 32, 33, 12)
                            .map(n -> Math.min(n, longest))
                            .toArray());
            GenerationConfig sampling = new GenerationConfig(SamplingParams.temperature(0.8), 50, List.of(7), 3);
            List<Completion> completions = Generator.generate(decoder, prompts, sampling, Rng.of(9));
            List<int[]> whole = new ArrayList<>();
            List<Integer> targets = new ArrayList<>();
            for (Completion c : completions) {
                int[] prompt = prompts.get(c.prompt());
                int[] all = Arrays.copyOf(prompt, prompt.length + c.tokens().length);
                System.arraycopy(c.tokens(), 0, all, prompt.length, c.tokens().length);
                whole.add(Arrays.copyOf(all, all.length - 1));
                for (int t = 1; t < all.length; t++) {
                    targets.add(t < prompt.length ? -100 : all[t]);
                }
            }
            int[] target = targets.stream().mapToInt(i -> i).toArray();
            float[] loss = Autograd.noGrad(() -> {
                Tensor logits = decoder.logits(decoder.hidden(TokenBatch.of(whole)));
                return Functional.tokenLoss(logits, Tensor.of(target, target.length), 0.8, false)
                        .loss()
                        .toFloats();
            });
            int at = 0;
            for (int i = 0; i < completions.size(); i++) {
                Completion c = completions.get(i);
                at += whole.get(i).length;
                float[] trained = Arrays.copyOfRange(loss, at - c.tokens().length, at);
                for (int t = 0; t < trained.length; t++) {
                    assertThat(-c.logProbs()[t]).as("token %d of %d", t, i).isEqualTo(trained[t]);
                }
            }
        }
    }

    @Test
    void aSequenceDoesNotDependOnItsBatch() {
        DecoderConfig config = DecoderConfig.llama(29, 36, 52, 2, 6, 3, 90, true);
        try (Scope scope = Scope.open()) {
            Decoder decoder = new Decoder(config, DType.FLOAT32).initialize(Rng.of(3));
            List<int[]> prompts = prompts(config, 4, 9, 2);
            GenerationConfig two = new GenerationConfig(SamplingParams.temperature(1), 30, List.of(7), 2);
            GenerationConfig one = new GenerationConfig(SamplingParams.temperature(1), 30, List.of(7), 1);
            List<Completion> together = Generator.generate(decoder, prompts, two, Rng.of(9));
            List<Completion> alone = Generator.generate(decoder, prompts.subList(0, 1), one, Rng.of(9));
            assertThat(together.getFirst().tokens()).isEqualTo(alone.getFirst().tokens());
            assertThat(together.getFirst().logProbs())
                    .isEqualTo(alone.getFirst().logProbs());
            assertThat(together.get(0).tokens()).isNotEqualTo(together.get(1).tokens());
        }
    }

    @Test
    void generationEndsAtTheLastPositionOfTheModel() {
        DecoderConfig config = DecoderConfig.gpt2(29, 20, 1, 2, 16);
        try (Scope scope = Scope.open()) {
            Decoder decoder = new Decoder(config, DType.FLOAT32).initialize(Rng.of(3));
            GenerationConfig endless = new GenerationConfig(SamplingParams.greedy(), 1000, List.of(), 1);
            Completion completion = Generator.generate(decoder, prompts(config, 10), endless, Rng.of(1))
                    .getFirst();
            assertThat(completion.tokens()).hasSize(6);
            assertThat(completion.finished()).isFalse();
            assertThatThrownBy(() -> Generator.generate(decoder, prompts(config, 16), endless, Rng.of(1)))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("max_position_embeddings");
            assertThatThrownBy(() -> Generator.generate(decoder, List.of(new int[0]), endless, Rng.of(1)))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("empty");
        }
    }

    private static GenerationConfig greedy(int tokens) {
        return new GenerationConfig(SamplingParams.greedy(), tokens, List.of(), 1);
    }

    private static List<int[]> prompts(DecoderConfig config, int... lengths) {
        Rng rng = Rng.of(5);
        return Arrays.stream(lengths)
                .mapToObj(n -> rng.ints(n, 0, config.vocabSize()).toArray())
                .toList();
    }

    private static int[] ints(JsonNode node) {
        return node.valueStream().mapToInt(JsonNode::asInt).toArray();
    }
}
