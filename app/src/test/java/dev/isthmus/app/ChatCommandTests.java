package dev.isthmus.app;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands chat and tokenize. */
class ChatCommandTests {
    private final Terminal terminal = new Terminal();
    private final InputStream standardInput = System.in;

    @TempDir
    private Path directory;

    @BeforeEach
    void model() throws IOException {
        CharTokenizer tokenizer = new CharTokenizer("abcdefgh :\n", false);
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(tokenizer.vocabSize(), 16, 24, 1, 2, 2, 200, true);
            Pretrained.save(new Decoder(config, DType.FLOAT32).initialize(Rng.of(1)), directory);
            tokenizer.save(directory);
        }
        Files.writeString(
                directory.resolve("chat_template.jinja"),
                "{% for m in messages %}{{ m.content }}:\n{% endfor %}{% if add_generation_prompt %}a:{% endif %}");
    }

    @AfterEach
    void input() {
        System.setIn(standardInput);
    }

    private void type(String text) {
        System.setIn(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)));
    }

    @Test
    void everyLineIsAnsweredInTheConversation() throws IOException {
        String[] chat = {"chat", "--model", directory.toString(), "--max-new-tokens", "8", "--regex", "[a-h]{5}[a-h ]*"
        };
        type("bad\n\nface\n");
        assertThat(terminal.run(chat)).as(terminal.err()).isZero();
        List<String> answers = terminal.out().lines().toList();
        assertThat(answers).hasSize(2).allSatisfy(answer -> assertThat(answer).matches("[a-h]{5}[a-h ]{3}"));
        // The second turn has what was said before in front of it.
        Files.writeString(
                directory.resolve("chat_template.jinja"),
                "{% if messages|length == 3 %}{{ raise_exception(messages[0].content + messages[1].role) }}{% endif %}a");
        type("bad\n\nface\n");
        assertThat(terminal.run(chat)).isEqualTo(1);
        assertThat(terminal.err()).contains("badassistant");
    }

    @Test
    void aModelWithoutATemplateIsNamed() throws IOException {
        Files.delete(directory.resolve("chat_template.jinja"));
        assertThat(terminal.run("chat", "--model", directory.toString())).isEqualTo(1);
        assertThat(terminal.err()).contains("has no chat template").contains("generate");
    }

    @Test
    void tokensAreShownAndCounted() {
        assertThat(terminal.run("tokenize", "--model", directory.toString(), "ab\nb"))
                .isZero();
        assertThat(terminal.out().lines().skip(1))
                .containsExactly("      3  \"a\"", "      4  \"b\"", "      0  \"\\n\"", "      4  \"b\"", "4 tokens");
        type("h");
        assertThat(terminal.run("tokenize", "--model", directory.toString())).isZero();
        assertThat(terminal.out()).startsWith("10").contains("1 token");
        assertThat(terminal.run("tokenize", "--model", "nowhere", "a")).isEqualTo(1);
        assertThat(terminal.run("tokenize", "--modle", "x")).isEqualTo(2);
    }
}
