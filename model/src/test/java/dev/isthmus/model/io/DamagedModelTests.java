package dev.isthmus.model.io;

import static dev.isthmus.testing.Fixtures.fixture;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.io.Gguf.GgufTensor;
import dev.isthmus.model.tokenizer.BpeTrainer;
import dev.isthmus.model.tokenizer.GgufMetadata;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.testing.Mutations;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that fit each other until one of them is damaged. */
class DamagedModelTests {
    @TempDir
    Path dir;

    /** A configuration may ask for anything; its weights say how much there is. */
    @ParameterizedTest
    @ValueSource(strings = {"qwen2_tied", "mixtral", "gemma2"})
    @Tag("fixture")
    void survivesAConfigurationThatTheWeightsDoNotFit(String model) throws IOException {
        copy(fixture("models/" + model));
        byte[] good = Files.readAllBytes(dir.resolve("config.json"));
        Mutations.assertSurvives("config.json beside the weights of " + model, good, good.length, bytes -> {
            Files.write(dir.resolve("config.json"), bytes);
            try (Arena arena = Arena.ofConfined()) {
                Checkpoint.open(dir, arena);
            }
        });
    }

    @Test
    void anIndexThatLeadsBackToItselfOrAwayIsAnError() throws IOException {
        copy(fixture("models/qwen2_tied"));
        for (String shard : List.of(
                "model.safetensors.index.json",
                ".",
                "..",
                "../model-00001-of-00002.safetensors",
                "/etc/passwd",
                "model-00003-of-00002.safetensors",
                "")) {
            Files.writeString(
                    dir.resolve("model.safetensors.index.json"),
                    "{\"weight_map\": {\"model.norm.weight\": \"" + shard + "\"}}");
            assertThatThrownBy(() -> Checkpoint.open(dir, Arena.ofAuto()))
                    .as(shard)
                    .isInstanceOf(IsthmusException.class);
        }
        // A shard that is the index under the name of a shard.
        Path shard = dir.resolve("model-00001-of-00002.safetensors");
        Files.copy(dir.resolve("model.safetensors.index.json"), shard, StandardCopyOption.REPLACE_EXISTING);
        assertThatThrownBy(() -> SafeTensors.open(shard, Arena.ofAuto())).isInstanceOf(ModelFormatException.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "gemma3", "qwen2moe"})
    @Tag("fixture")
    void survivesDamageOfAModelInGguf(String architecture) throws IOException {
        Path path = fixture("gguf/" + architecture + ".gguf");
        Mutations.assertSurvives("GGUF of " + architecture, Files.readAllBytes(path), 4000, bytes -> {
            try (Arena arena = Arena.ofConfined()) {
                GgufModel.parse(Gguf.parse(path, MemorySegment.ofArray(bytes)), arena);
            }
        });
    }

    @Test
    void aScalarOfBlocksIsAnError() {
        Path file = dir.resolve("scalar.gguf");
        GgufTensor scalar = new GgufTensor("x", GgufType.Q8_0, new long[0], MemorySegment.ofArray(new byte[34]));
        Gguf.write(file, Map.of(), List.of(scalar));
        assertThatThrownBy(() -> Gguf.open(file, Arena.ofAuto()))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("'x' of the shape [] has rows that are not a multiple of the 32");
    }

    @Test
    void survivesDamageOfAByteLevelVocabularyInGguf() throws IOException {
        new BpeTrainer(List.of("<s>", "</s>"))
                .add("the cat sat on the mat")
                .train(270)
                .save(dir);
        Map<String, Object> metadata = GgufMetadata.of(dir, 272);
        assertVocabularySurvives("GGUF vocabulary of bytes", metadata);
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "t5", "bert"})
    void survivesDamageOfAVocabularyInGguf(String kind) throws IOException {
        List<String> tokens = new ArrayList<>(
                List.of("<unk>", "<s>", "</s>", "<0x41>", "\u2581", "a", "b", "ab", "\u2581a", "\u2581ab", "<extra>"));
        Map<String, Object> metadata = new LinkedHashMap<>();
        metadata.put("tokenizer.ggml.model", kind);
        metadata.put("tokenizer.ggml.tokens", tokens);
        metadata.put(
                "tokenizer.ggml.scores",
                tokens.stream().map(token -> -1.0 * token.length()).toList());
        metadata.put("tokenizer.ggml.token_type", List.of(2L, 3L, 3L, 6L, 1L, 1L, 1L, 1L, 1L, 1L, 4L));
        metadata.put("tokenizer.ggml.bos_token_id", 1L);
        metadata.put("tokenizer.ggml.eos_token_id", 2L);
        metadata.put("tokenizer.ggml.cls_token_id", 1L);
        metadata.put("tokenizer.ggml.seperator_token_id", 2L);
        metadata.put("tokenizer.ggml.add_space_prefix", true);
        metadata.put("tokenizer.ggml.add_bos_token", true);
        metadata.put("tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}");
        assertVocabularySurvives("GGUF vocabulary of the kind " + kind, metadata);
    }

    private void assertVocabularySurvives(String what, Map<String, Object> metadata) throws IOException {
        Path file = dir.resolve("vocabulary.gguf");
        Gguf.write(file, metadata, List.of());
        byte[] good = Files.readAllBytes(file);
        boolean written = !metadata.get("tokenizer.ggml.model").equals("bert");
        Path json = Files.createDirectory(dir.resolve("json"));
        Mutations.assertSurvives(what, good, good.length, bytes -> {
            Files.write(file, bytes);
            Tokenizer tokenizer = Tokenizers.load(file);
            int[] ids = tokenizer.encode("ab abA the cat\u00e9 \uD83D\uDE00", true);
            tokenizer.decode(Arrays.stream(ids).filter(id -> id >= 0).toArray(), false);
            ChatTemplate.load(file);
            if (written) {
                Tokenizers.copy(file, json);
                Tokenizers.load(json).encode("ab abA the cat\u00e9", true);
            }
        });
    }

    private void copy(Path from) throws IOException {
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, dir.resolve(file.getFileName().toString()));
            }
        }
    }
}
