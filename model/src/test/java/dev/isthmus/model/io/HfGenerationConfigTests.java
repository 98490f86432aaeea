package dev.isthmus.model.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.testing.Mutations;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

class HfGenerationConfigTests {
    private static final String CHAT = """
            {"bos_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643], "pad_token_id": 151643,
             "repetition_penalty": 1.1, "temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.05, "typical_p": 0.9,
             "no_repeat_ngram_size": 3, "max_new_tokens": 2048, "min_new_tokens": 2, "transformers_version": "4.37.0"}
            """;

    @TempDir
    private Path dir;

    @Test
    void everyKeyIsReadAndNoneIsNeeded() throws IOException {
        assertThat(HfGenerationConfig.read(dir)).isEqualTo(HfGenerationConfig.NONE);
        assertThat(parse("{}")).isEqualTo(HfGenerationConfig.NONE);
        assertThat(parse("{\"eos_token_id\": null, \"temperature\": null}")).isEqualTo(HfGenerationConfig.NONE);
        Files.writeString(dir.resolve("generation_config.json"), CHAT);
        assertThat(HfGenerationConfig.read(dir))
                .isEqualTo(new HfGenerationConfig(
                        true, 0.7, 20, 0.8, 0.05, 0.9, 1.1, 3, 2048, 2, List.of(151645, 151643)));
        assertThat(parse("{\"eos_token_id\": 7, \"temperature\": 1}").eosTokenIds())
                .containsExactly(7);
    }

    @Test
    void whatTransformersWritesIsWrittenAndWhatThereIsIsCopied() throws IOException {
        DecoderConfig config = DecoderConfig.llama(10, 8, 16, 1, 2, 2, 32, true);
        HfGenerationConfig.write(dir, config.withTokens(OptionalInt.of(1), List.of(2, 3)));
        JsonNode json = Json.read(dir.resolve("generation_config.json"));
        assertThat(json.path("bos_token_id").asInt()).isEqualTo(1);
        assertThat(HfGenerationConfig.read(dir).eosTokenIds()).containsExactly(2, 3);
        assertThat(HfGenerationConfig.read(dir).doSample()).isNull();
        Path to = Files.createDirectory(dir.resolve("to"));
        HfGenerationConfig.copy(dir, to);
        assertThat(HfGenerationConfig.read(to)).isEqualTo(HfGenerationConfig.read(dir));
        HfGenerationConfig.copy(dir.resolve("nowhere"), to);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"do_sample\": \"yes\"|'do_sample' must be true or false, found '\"yes\"'",
                "\"temperature\": \"hot\"|'temperature' must be a number",
                "\"top_k\": 2.5|'top_k' must be a whole number",
                "\"max_new_tokens\": -1|'max_new_tokens' must be a whole number",
                "\"eos_token_id\": [2, \"x\"]|'eos_token_id' must be a token, or a list of them",
            })
    void aWrongValueIsNamed(String setting, String message) {
        assertThatThrownBy(() -> parse("{" + setting + "}"))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining(message);
    }

    @Test
    void survivesDamage() {
        byte[] good = CHAT.getBytes(StandardCharsets.UTF_8);
        Path file = Path.of("generation_config.json");
        Mutations.assertSurvives(
                "generation_config.json",
                good,
                good.length,
                bytes -> HfGenerationConfig.parse(file, Json.parse(file, bytes)));
    }

    private static HfGenerationConfig parse(String json) {
        Path file = Path.of("generation_config.json");
        return HfGenerationConfig.parse(file, Json.parse(file, json.getBytes(StandardCharsets.UTF_8)));
    }
}
