package dev.isthmus.rl.online;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.data.Row;
import dev.isthmus.train.data.RowEncoder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class PromptTests {
    private static final CharTokenizer TOKENIZER = new CharTokenizer("abcdefgh<>", true);

    @TempDir
    private Path root;

    private static List<Prompt> read(String json, int room) {
        ChatTemplate template = ChatTemplate.of(
                "{% for m in messages %}<{{ m.content }}>{% endfor %}{% if add_generation_prompt %}<{% endif %}",
                Map.of());
        return Prompt.reader(new RowEncoder(TOKENIZER, template), room)
                .apply(new Row("rows.jsonl", 3, (ObjectNode) JsonMapper.shared().readTree(json)));
    }

    @Test
    void aTextWithItsColumns() {
        Prompt prompt = read(
                        "{\"prompt\":\"ab\",\"completion\":\"cd\",\"solution\":7,\"level\":[1,2],\"none\":null}", 9)
                .getFirst();
        assertThat(prompt.tokens()).isEqualTo(TOKENIZER.encode("ab"));
        assertThat(prompt.completion()).hasSize(3).startsWith(TOKENIZER.encode("cd"));
        assertThat(prompt.problem().prompt()).isEqualTo("ab");
        assertThat(prompt.problem().answer()).isEqualTo("7");
        assertThat(prompt.problem().demonstration()).isEqualTo("cd");
        assertThat(prompt.problem().columns())
                .isEqualTo(Map.of("completion", "cd", "solution", 7, "level", List.of(1, 2)));
    }

    @Test
    void aConversationAsTheTemplateWritesIt() {
        Prompt prompt = read(
                        "{\"prompt\":[{\"role\":\"user\",\"content\":\"ab\"}],"
                                + "\"completion\":[{\"role\":\"assistant\",\"content\":\"cd\"}]}",
                        9)
                .getFirst();
        assertThat(prompt.tokens()).isEqualTo(TOKENIZER.encode("<ab><"));
        assertThat(prompt.completion()).isEqualTo(TOKENIZER.encode("cd>"));
        assertThat(prompt.problem().prompt()).isEqualTo("<ab><");
        assertThat(prompt.problem().columns().get("prompt"))
                .isEqualTo(List.of(Map.of("role", "user", "content", "ab")));
    }

    @Test
    void whatIsTooLongIsLeftOutAndCompletionsAreCut() {
        assertThat(read("{\"prompt\":\"abcd\"}", 3)).isEmpty();
        // Of four tokens that the model can read, three are the prompt; the fifth is only learned.
        assertThat(read("{\"prompt\":\"abc\",\"completion\":\"defgh\"}", 3)
                        .getFirst()
                        .completion())
                .isEqualTo(TOKENIZER.encode("de"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '\u0001',
            value = {
                "{\"text\":\"a\"} | has no \"prompt\"",
                "{\"prompt\":7} | \"prompt\" must be a string or a conversation, found 7",
                "{\"prompt\":[]} | \"prompt\" is a conversation without messages",
                "{\"prompt\":[{\"content\":\"a\"}]} | \"prompt[0]\" has no \"role\"",
                "{\"prompt\":\"\"} | \"prompt\" is empty",
                "{\"prompt\":\"a\",\"completion\":[{\"role\":\"user\",\"content\":\"a\"}]} | must both be strings or both be"
            })
    void whatIsWrongIsSaidWithItsPlace(String json, String problem) {
        assertThatThrownBy(() -> read(json, 9))
                .isInstanceOf(IsthmusException.class)
                .hasMessageStartingWith("rows.jsonl, line 3: ")
                .hasMessageContaining(problem.strip());
    }

    @Test
    void anAnswerThatNoRowHasIsMissedBeforeTheFirstStep() throws IOException {
        TinyOnlineRun.world(root);
        Files.writeString(root.resolve("a.jsonl"), "{\"prompt\":\"1\"}\n{\"prompt\":\"2\"}\n", StandardCharsets.UTF_8);
        for (String function : List.of("accuracy_reward", "get_cosine_scaled_reward")) {
            Map<String, ?> settings =
                    Map.of("data", "@a.jsonl", "reward_funcs", List.of("think_format_reward", function));
            assertThatThrownBy(() -> TinyOnlineRun.of(OnlineTrainer.GRPO, root, "run", settings))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageStartingWith(function + " compares with the column \"solution\", which no row of ");
        }
        assertThat(root.resolve("run")).doesNotExist();
    }

    /** As for the trainers on files: several files with commas, in their order if that is asked for. */
    @Test
    void filesAreReadInTheOrderThatIsAskedFor() throws IOException {
        TinyOnlineRun.world(root);
        Files.writeString(root.resolve("a.jsonl"), "{\"prompt\":\"1\"}\n{\"prompt\":\"2\"}\n", StandardCharsets.UTF_8);
        Files.writeString(root.resolve("b.jsonl"), "{\"prompt\":\"3\"}\n", StandardCharsets.UTF_8);
        TinyOnlineRun run = TinyOnlineRun.of(
                OnlineTrainer.RLOO,
                root,
                "run",
                Map.of(
                        "data",
                        root.resolve("a.jsonl") + "," + root.resolve("b.jsonl"),
                        "train_sampling_strategy",
                        "sequential",
                        "reward_funcs",
                        List.of("get_soft_overlong_punishment"),
                        "per_device_train_batch_size",
                        2,
                        "max_completion_length",
                        3,
                        "log_completions",
                        true));
        assertThat(run.text("samples.jsonl")
                        .lines()
                        .map(JsonMapper.shared()::readTree)
                        .filter(line -> line.has("reward"))
                        .map(line -> line.get("prompt").asString()))
                .containsExactly("1", "1", "2", "2", "3", "3", "1", "1", "2", "2", "3", "3");
    }
}
