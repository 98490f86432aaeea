package dev.isthmus.app;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.IsthmusException;
import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class MainTests {
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int run(String... args) {
        return Main.run(new PrintWriter(out), new PrintWriter(err), args);
    }

    @Test
    void helpListsEveryCommandAndOptionsThatAllCommandsShare() {
        assertThat(run()).isZero();
        assertThat(out.toString()).contains("doctor", "--threads", "--debug", "--help", "--version");
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void everyCommandDescribesItselfAndAllItsOptions() {
        for (CommandLine command : Main.commandLine().getSubcommands().values()) {
            var spec = command.getCommandSpec();
            assertThat(spec.usageMessage().description()).as(spec.name()).isNotEmpty();
            assertThat(spec.args())
                    .allSatisfy(arg -> assertThat(arg.description())
                            .as(spec.name() + " " + arg.paramLabel())
                            .isNotEmpty());
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "doctr | unknown command 'doctr'; did you mean doctor? | isthmus --help",
                "grpo --reward-func x | unknown option '--reward-func'; did you mean --reward-funcs? | isthmus grpo --help",
                "grpo --num_generation 4 | unknown option '--num-generation'; did you mean --num-generations? | isthmus grpo --help",
                "sft --output_dir=x | unknown option '--output-dir=x': it is --out here | isthmus sft --help",
                "dpo --lerning_rate=1 | unknown option '--lerning-rate=1'; did you mean --learning-rate? | isthmus dpo --help",
                "dpo --max_steps=few | Invalid value for option '--max-steps': 'few' is not a long | isthmus dpo --help",
                "doctor --thread 3 | unknown option '--thread'; did you mean --threads? | isthmus doctor --help",
                "doctor now | unexpected argument 'now' | isthmus doctor --help",
                "doctor --threads many | Invalid value for option '--threads': 'many' is not an int | isthmus doctor --help",
                "bench gems | Invalid value for positional parameter at index 0 (WHAT): expected one of [gemm, kernels, step, decode, rollout, rl, tokenize, startup, ladder, jmh] (case-sensitive) but was 'gems' | isthmus bench --help",
                "bench step --config XL | there is no configuration 'XL'; there are S, M, L, baby, gpt2-124m | isthmus bench --help",
                "bench rollout --config baby | there is no configuration 'baby'; there are S, M, L | isthmus bench --help",
                "bench gemm --config S | --config is for step, rollout and rl | isthmus bench --help",
                "bench --config S | --config is for step, rollout and rl | isthmus bench --help",
                "bench tokenize | tokenize, and nothing else, needs --tokenizer DIR and --text FILE | isthmus bench --help",
                "bench gemm --text book.txt | tokenize, and nothing else, needs --tokenizer DIR and --text FILE | isthmus bench --help",
                "doctor --threads 0 | --threads must be at least 1, not 0 | isthmus",
            })
    void wrongUsageIsTwoLinesAndExitCodeTwo(String args, String problem, String help) {
        assertThat(run(args.split(" "))).isEqualTo(2);
        assertThat(out.toString()).isEmpty();
        assertThat(err.toString().lines()).hasSize(2);
        assertThat(err.toString()).startsWith("isthmus: " + problem).contains(help);
    }

    @Test
    void whatWentWrongIsOneLineAndExitCodeOne() {
        assertThat(report(new IsthmusException("no model in a/b: it has no config.json")))
                .isEqualTo("isthmus: no model in a/b: it has no config.json");
        assertThat(report(new UncheckedIOException(new FileSystemException("a/b", null, "No space left on device"))))
                .isEqualTo("isthmus: a/b: No space left on device");
        assertThat(report(new IllegalStateException("seven\neight")))
                .isEqualTo("isthmus: unexpected IllegalStateException: seven (a bug; --debug shows the stack trace)");
    }

    @Test
    void debugAddsTheStackTrace() {
        assertThat(report(new IsthmusException("no model"), "--debug"))
                .startsWith("isthmus: no model")
                .contains("MainTests.debugAddsTheStackTrace");
    }

    private String report(Exception e, String... args) {
        CommandLine command = new CommandLine(new Main());
        StringWriter text = new StringWriter();
        command.setErr(new PrintWriter(text));
        assertThat(new Errors(args).report(e, command)).isEqualTo(1);
        return text.toString().strip();
    }

    /** The other tests run on the class path, which would hide a package that a module forgot to open. */
    @ParameterizedTest
    @CsvSource({"doctor, Vectors", "recipes addition, expert_iteration", "recipes game24, countdown"})
    void runsOnTheModulePath(String command, String expected) throws IOException, InterruptedException {
        List<String> modules = List.of(System.getProperty("java.class.path").split(File.pathSeparator)).stream()
                .filter(entry -> !entry.contains("test-classes") && !entry.endsWith("-tests.jar"))
                .toList();
        List<String> line = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--module-path=" + String.join(File.pathSeparator, modules),
                "--module=dev.isthmus.app/dev.isthmus.app.Main"));
        line.addAll(List.of(command.split(" ")));
        Process java = new ProcessBuilder(line).redirectErrorStream(true).start();
        String output = new String(java.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(java.waitFor()).as(output).isZero();
        assertThat(output).contains(expected);
    }
}
