package dev.isthmus.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What {@code improve} says to what it cannot do: a line or two, an exit code, and nothing left behind. */
class ImproveErrorsTests {
    @TempDir
    private Path place;

    private final StringWriter err = new StringWriter();

    private int improve(String... args) {
        List<String> line = new ArrayList<>(List.of("improve"));
        line.addAll(List.of(args));
        return Main.run(new PrintWriter(new StringWriter()), new PrintWriter(err), line.toArray(String[]::new));
    }

    /** The error as the terminal shows it. */
    private String refused(int code, String... args) {
        assertThat(improve(args)).as(err.toString()).isEqualTo(code);
        assertThat(err.toString().lines()).hasSizeBetween(1, 2).allMatch(line -> line.startsWith("isthmus: "));
        assertThat(err.toString()).doesNotContain("a bug", "Exception", "null", "\tat ", "Feature", "JsonToken");
        return err.toString();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "improve.round=3 | unknown setting 'improve.round'; there are batch_size",
                "pretraining.examples=3 | unknown setting 'pretraining'; there are controls",
                "task.digit=3 | addition has no setting 'digit'. It has digits, working",
                "task.name=subtraction | There is no task 'subtraction'",
                "task.digits=many | digits: 'many' is neither a number nor a range",
                "task.digits=40 | digits must lie in 1..18",
                "task.digits=1 | 17 distinct test problems, but 1000 are asked for",
                "task={name: list_sorting, length: 1, max_value: 0} | has no test problem",
                "improve.rounds=many | improve.rounds must be a whole number, found \"many\"",
                "improve.rounds=1.7 | improve.rounds must be a whole number, found 1.7",
                "improve.rounds=99999999999 | improve.rounds is too large",
                "improve.rounds=[1, 2] | improve.rounds must be a whole number",
                "improve.rounds.first=1 | improve.rounds must be a whole number",
                "improve.rounds= | improve.rounds has no value",
                "improve.rounds=-1 | improve.rounds must be at least 1, found -1",
                "improve.rounds=0 | improve.rounds must be at least 1, found 0",
                "improve.learning_rate=.nan | improve.learning_rate must be 0 or more, found NaN",
                "improve.learning_rate=-1e-3 | improve.learning_rate must be 0 or more, found -0.001",
                "pretrain.learning_rate=.inf | pretrain.learning_rate must be 0 or more, found Infinity",
                "pretrain.learning_rate=fast | pretrain.learning_rate must be a number, found \"fast\"",
                "pretrain.lr_scheduler_type=zigzag | pretrain.lr_scheduler_type 'zigzag' is unknown; there are constant",
                "pretrain.warmup_steps=-1 | pretrain.warmup_steps must be 0 or more",
                "pretrain.max_grad_norm=-1 | pretrain.max_grad_norm must be 0 or more",
                "pretrain.examples=0 | pretrain.examples must be at least 1",
                "pretrain.batch_size=0 | pretrain.batch_size must be at least 1",
                "pretrain.eval_steps=0 | pretrain.eval_steps must be at least 1",
                "pretrain.target_accuracy=-0.5 | pretrain.target_accuracy must be above 0",
                "improve.num_generations=0 | improve.num_generations must be at least 1",
                "improve.batch_size=0 | improve.batch_size must be at least 1",
                "improve.max_selected=0 | improve.max_selected must be at least 1",
                "improve.temperature=0 | improve.temperature must be positive",
                "improve.method=magic | improve.method 'magic'; there are expert_iteration, grpo",
                "improve=4 | improve.method",
                "eval.problems=0 | eval.problems must be at least 1",
                "eval.samples=-1 | eval.samples must be at least 0",
                "eval.data=puzzles.csv | eval.data: only countdown tasks",
                "model.hidden_size=130 | model.hidden_size 130 is not a multiple of num_attention_heads 4",
                "model.hidden_size=0 | model.hidden_size must be positive",
                "model.num_hidden_layers=-2 | model.num_hidden_layers must be positive",
                "model=large | model must be a group of settings",
                "model= | model has no value",
                "controls=maybe | controls must be true or false",
                "seed=soon | seed must be a whole number",
                "name=' ' | name must not be empty",
                "papers=none | papers must be a list",
                "task.digits=[ | task.digits is not valid YAML: line 1",
                ".=1 | unknown setting ''",
            })
    void aSettingThatMakesNoSenseIsNamedBeforeAnythingIsMade(String setting, String problem) {
        Path out = place.resolve("run");
        assertThat(refused(1, "--set", setting, "--out", out.toString())).contains(problem);
        assertThat(out).doesNotExist();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "num_generations=1 | improve.num_generations must be at least 2, found 1",
                "num_iterations=0 | improve.num_iterations must be at least 1",
                "steps_per_round=0 | improve.steps_per_round must be at least 1",
                "beta=-1 | improve.beta must be 0 or more",
                "epsilon=.nan | improve.epsilon must be 0 or more",
                "top_p=0 | improve.top_p must be above 0 and at most 1",
                "loss_type=ppo | improve.loss_type 'ppo' is unknown; there are grpo, bnpo, dr_grpo, dapo",
                "importance_sampling_level=word | improve.importance_sampling_level 'word' is unknown",
                "scale_rewards=all | improve.scale_rewards 'all' is unknown",
                "reward_funcs=[fluency_reward] | improve.reward_funcs 'fluency_reward' is unknown; there are accuracy_reward",
                "reward_weights=[1, 2] | improve.reward_weights must hold one weight for each of improve.reward_funcs",
                "reward_weights=[.nan] | improve.reward_weights must be finite",
                "reward_weights=[] | improve.reward_weights must hold one",
                "reward_weights=1 | improve.reward_weights must be a list",
                "batch_size=8 | unknown setting 'improve.batch_size'",
            })
    void settingsOfGrpoToo(String setting, String problem) {
        Path out = place.resolve("run");
        assertThat(refused(1, "addition-grpo", "--set", "improve." + setting, "--out", out.toString()))
                .contains(problem);
        assertThat(out).doesNotExist();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--rounds 3 | unknown option '--rounds'",
                "addition game24 | unexpected argument 'game24'",
                "--set improve.rounds | should be in KEY=VALUE format but was improve.rounds",
                "--seed soon | Invalid value for option '--seed'",
                "--threads 0 | --threads must be at least 1",
                "--out | Missing required parameter for option '--out'",
                "addition --resume runs/x | --resume goes on with the run as it was begun and takes no other options",
                "--resume runs/x --seed 3 | takes no other options",
            })
    void aWrongCommandLineIsWrongUsage(String args, String problem) {
        assertThat(refused(2, args.split(" "))).contains(problem).contains("--help");
    }

    @Test
    void aRecipeThatIsNotThereIsNamedWithThoseThatAre() {
        assertThat(refused(1, "additoin")).contains("no recipe 'additoin'", "addition", "game24", ".yaml");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "`improve:\n  method: [grpo` | is not valid YAML: line 2",
                "`seed: 1\nseed: 2` | is not valid YAML: line 2: Duplicate Object property \"seed\"",
                "`just a text` | is not a list of keys and values",
                "`` | is not a list of keys and values",
                "`improve: {method: grpo}` | name is missing",
                "`name: x\nimprove: {method: grpo}` | is missing",
                "`name:\nimprove: {method: grpo}` | name has no value",
            })
    void aBrokenRecipeFileSaysWhere(String text, String problem) throws IOException {
        Path file = place.resolve("mine.yaml");
        Files.writeString(file, text, StandardCharsets.UTF_8);
        Path out = place.resolve("run");
        assertThat(refused(1, file.toString(), "--out", out.toString())).contains(problem);
        assertThat(out).doesNotExist();
    }

    @Test
    void aRecipeFileThatCannotBeReadSaysSo() throws IOException {
        assertThat(refused(1, place + "/none.yaml")).contains("no recipe file " + place + "/none.yaml");
        err.getBuffer().setLength(0);
        Path directory = Files.createDirectory(place.resolve("directory.yaml"));
        assertThat(refused(1, directory.toString())).contains("cannot read the recipe " + directory);
        err.getBuffer().setLength(0);
        Path binary = Files.write(place.resolve("binary.yaml"), new byte[] {(byte) 0xff, 1, 2});
        assertThat(refused(1, binary.toString())).contains(binary + " is not a text in UTF-8");
    }

    @Test
    void anOutputDirectoryThatIsAFileOrIsTakenIsLeftAsItIs() throws IOException {
        Path file = Files.writeString(place.resolve("file"), "mine", StandardCharsets.UTF_8);
        assertThat(refused(1, "--out", file.toString())).contains(file.toString(), "--out");
        err.getBuffer().setLength(0);
        assertThat(refused(1, "--out", file.resolve("below").toString())).contains("Not a directory", "--out");
        assertThat(file).content(StandardCharsets.UTF_8).isEqualTo("mine");
        err.getBuffer().setLength(0);
        assertThat(refused(1, "--out", place.toString())).contains("is not empty (it holds file)");
        assertThat(place).isDirectoryContaining(child -> child.equals(file));
    }

    @Test
    void whatIsNotARunCannotBeResumed() throws IOException {
        assertThat(refused(1, "--resume", place + "/nothing")).contains("is not a run: it has no config.yaml");
        err.getBuffer().setLength(0);
        assertThat(refused(1, "--resume", place.toString())).contains("is not a run");
        assertThat(place).isEmptyDirectory();
    }

    @Test
    void aReadOnlyPlaceIsFoundOutAtTheStart() throws Exception {
        try (SmallDisk disk = SmallDisk.mount(place.resolve("disk"), "ro")) {
            Path out = disk.path().resolve("run");
            assertThat(refused(1, "--out", out.toString()))
                    .contains("Cannot write in " + out + ": Read-only file system.", "--out DIR");
        }
    }

    @Test
    void aFullDiskIsFoundOutAtTheStartAndNothingStaysBehind() throws Exception {
        try (SmallDisk disk = SmallDisk.mount(place.resolve("disk"), "size=512k")) {
            assertThat(refused(1, "--out", disk.path().resolve("run").toString()))
                    .contains("No space left on device", "--out DIR");
            assertThat(disk.path()).isEmptyDirectory();
        }
    }
}
