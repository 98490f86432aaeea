package dev.isthmus.app;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The commands pretrain and sft, on a model of a few thousand weights. */
class SupervisedCommandTests {
    private static final String ALPHABET = "abcdefgh +=.\n";

    private final Terminal terminal = new Terminal();

    @TempDir
    private Path directory;

    @BeforeEach
    void modelAndData() throws IOException {
        CharTokenizer tokenizer = new CharTokenizer(ALPHABET, true);
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(tokenizer.vocabSize(), 16, 24, 1, 2, 2, 24, true);
            Pretrained.save(new Decoder(config, DType.FLOAT32).initialize(Rng.of(1)), directory.resolve("tiny"));
        }
        tokenizer.save(directory.resolve("tiny"));
        write("text.txt", "abc def gh.\n".repeat(60));
        write(
                "rows.jsonl",
                IntStream.range(0, 40)
                        .mapToObj(i -> "{\"prompt\":\"" + "abcd".charAt(i % 4) + "+" + "ef".charAt(i % 2)
                                + "=\",\"completion\":\"" + "gh".charAt(i % 2) + "\",\"id\":" + i + "}")
                        .collect(Collectors.joining("\n")));
        write("text-rows.jsonl", "{\"text\":\"abc\"}\n\n{\"text\":\"abcdefgh\"}\n");
    }

    private Path write(String name, String text) throws IOException {
        return Files.writeString(directory.resolve(name), text, StandardCharsets.UTF_8);
    }

    private String[] words(String line) {
        return Stream.of(line.split(" "))
                .map(w -> w.replace("@", directory + "/"))
                .toArray(String[]::new);
    }

    private int run(String line) {
        return terminal.run(words(line));
    }

    private void succeed(String line) {
        assertThat(run(line)).as(terminal.err()).isZero();
    }

    private List<JsonNode> lines(String file) throws IOException {
        return Files.readAllLines(directory.resolve(file)).stream()
                .map(JsonMapper.shared()::readTree)
                .toList();
    }

    private static List<Double> values(List<JsonNode> lines, String key) {
        return lines.stream()
                .filter(l -> l.has(key))
                .map(l -> l.get(key).asDouble())
                .toList();
    }

    /** All that is the same for every run of the same configuration. */
    private List<Object> outcome(String run) throws IOException {
        List<Object> outcome = new ArrayList<>();
        for (String name : List.of("metrics.jsonl", "samples.jsonl", "model/tokenizer.json", "model/config.json")) {
            outcome.add(Files.readString(directory.resolve(run).resolve(name)));
        }
        outcome.add(new String(
                Files.readAllBytes(directory.resolve(run + "/model/model.safetensors")), StandardCharsets.ISO_8859_1));
        ObjectNode summary = (ObjectNode) JsonMapper.shared()
                .readTree(Files.readString(directory.resolve(run).resolve("summary.json")));
        summary.remove("seconds");
        outcome.add(summary);
        return outcome;
    }

    @Test
    void pretrainLearnsATextAndLeavesARunThatCanBeRunAgain() throws IOException {
        succeed("pretrain --data @text.txt --size S --max-length 12 --max-steps 12 --warmup-steps 2 --eval-steps 4"
                + " --per-device-train-batch-size 2 --gradient-accumulation-steps 2 --logging-steps 5 --save-steps 8"
                + " --learning-rate 0.003 --seed 7 --out @run");
        List<JsonNode> metrics = lines("run/metrics.jsonl");
        assertThat(metrics).extracting(l -> l.get("step").asInt()).containsExactly(0, 4, 5, 8, 10, 12);
        assertThat(metrics.getLast().propertyNames())
                .containsExactly(
                        "step",
                        "loss",
                        "grad_norm",
                        "learning_rate",
                        "mean_token_accuracy",
                        "entropy",
                        "eval_mean_token_accuracy",
                        "eval_entropy",
                        "eval_loss",
                        "num_tokens",
                        "epoch");
        assertThat(metrics.getLast().get("num_tokens").asLong()).isEqualTo(12 * 2 * 2 * 12);
        assertThat(values(metrics, "eval_loss").getFirst()).isBetween(2.0, 3.0);
        assertThat(values(metrics, "eval_loss").getLast()).isLessThan(1.9);
        assertThat(values(metrics, "loss").getLast())
                .isLessThan(values(metrics, "loss").getFirst());
        assertThat(values(metrics, "learning_rate").getFirst()).isBetween(0.002, 0.003);

        Path run = directory.resolve("run");
        assertThat(run.resolve("checkpoints/0001-step-8/tokenizer.json")).exists();
        assertThat(run.resolve("report.html")).content().contains("<svg", "What it writes", "max_steps: 12");
        assertThat(lines("run/samples.jsonl"))
                .hasSize(3)
                .allSatisfy(s -> assertThat(s.get("completion").asString()).isNotEmpty());
        try (Stream<Path> files = Files.list(run)) {
            assertThat(files).anyMatch(f -> f.getFileName().toString().startsWith("events.out.tfevents."));
        }
        succeed("generate --model @run/model --prompt abc --max-new-tokens 5");
        assertThat(terminal.out().stripTrailing()).startsWith("abc").hasSizeGreaterThan(3);

        succeed("pretrain --config @run/config.yaml --out @again");
        assertThat(outcome("again")).isEqualTo(outcome("run"));
        assertThat(directory.resolve("again/config.yaml")).hasSameTextualContentAs(run.resolve("config.yaml"));
        succeed("pretrain --config @run/config.yaml --seed 8 --out @other");
        assertThat(outcome("other")).isNotEqualTo(outcome("run"));
        assertThat(run("pretrain --resume @run")).isEqualTo(1);
        assertThat(terminal.err()).startsWith("isthmus: the run in").contains("has finished");
        assertThat(run("sft --config @run/config.yaml --out @no")).isEqualTo(2);
        assertThat(terminal.err()).contains("is a configuration of pretrain, not of sft");
    }

    @Test
    void killedAtAnyMomentAndResumedARunEndsLikeOneThatWasNot() throws IOException, InterruptedException {
        String options =
                " --model @tiny --data @text.txt --max-length 16 --max-steps 400 --logging-steps 7 --save-steps 20"
                        + " --eval-steps 31 --per-device-train-batch-size 2 --gradient-accumulation-steps 2";
        Process child = child("pretrain --out @killed" + options);
        Path checkpoint = directory.resolve("killed/checkpoints/0003-step-60");
        while (child.isAlive() && !Files.exists(checkpoint)) {
            Thread.sleep(2);
        }
        child.destroyForcibly().waitFor();
        assertThat(directory.resolve("killed/checkpoints"))
                .as("what the killed run saved")
                .isNotEmptyDirectory();
        assertThat(directory.resolve("killed/summary.json"))
                .as("the run was killed")
                .doesNotExist();

        succeed("pretrain --resume @killed");
        succeed("pretrain --out @whole" + options);
        assertThat(outcome("killed")).isEqualTo(outcome("whole"));
        assertThat(lines("killed/metrics.jsonl").getLast().get("step").asInt()).isEqualTo(400);
    }

    @Test
    void aRunThatIsAskedToEndSavesItsStepAndSaysHowToGoOn() throws IOException, InterruptedException {
        String options =
                " --model @tiny --data @text.txt --max-length 16 --max-steps 3000 --logging-steps 1 --save-steps 3000"
                        + " --per-device-train-batch-size 1";
        Process child = child("pretrain --out @asked" + options);
        Path metrics = directory.resolve("asked/metrics.jsonl");
        while (child.isAlive() && (!Files.exists(metrics) || Files.size(metrics) == 0)) {
            Thread.sleep(2);
        }
        child.destroy();
        assertThat(child.waitFor()).as("exit code of SIGTERM").isEqualTo(128 + 15);
        List<Path> saved;
        try (Stream<Path> checkpoints = Files.list(directory.resolve("asked/checkpoints"))) {
            saved = checkpoints.toList();
        }
        assertThat(saved).hasSize(1);
        assertThat(Files.readString(directory.resolve("child.txt"), StandardCharsets.UTF_8))
                .endsWith("isthmus: stopped; the last checkpoint is "
                        + saved.getFirst().getFileName() + ", go on with\nisthmus:   ./isthmus pretrain --resume "
                        + directory.resolve("asked") + "\n");

        succeed("pretrain --resume @asked");
        succeed("pretrain --out @unasked" + options);
        assertThat(outcome("asked")).isEqualTo(outcome("unasked"));
    }

    private Process child(String line) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
        command.addAll(List.of(words(line)));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("child.txt").toFile())
                .start();
    }

    @Test
    void optionsMayBeWrittenAsTransformersReadsThem() throws IOException {
        succeed(
                "sft --model @tiny --data @rows.jsonl --max_steps 10 --warmup_steps 0.35 --learning_rate 0.04 --logging_steps 1"
                        + " --packing --gradient_checkpointing --max_length 12 --out @run");
        assertThat(Files.readString(directory.resolve("run/config.yaml")))
                .contains("packing: true\n", "gradient_checkpointing: true\n");
        assertThat(values(lines("run/metrics.jsonl"), "learning_rate"))
                .as("a third of the steps, rounded up")
                .startsWith(0.0, 0.01, 0.02, 0.03, 0.04);
    }

    @Test
    void sftLearnsTheCompletionsOfPrompts() throws IOException {
        succeed(
                "sft --model @tiny --data @rows.jsonl --eval-data @rows.jsonl --num-train-epochs 30 --learning-rate 0.02"
                        + " --lr-scheduler-type constant --eval-steps 100 --per-device-train-batch-size 10 --out @run");
        List<JsonNode> metrics = lines("run/metrics.jsonl");
        assertThat(metrics.getLast().get("step").asInt()).isEqualTo(120);
        assertThat(metrics.getLast().get("epoch").asDouble()).isEqualTo(30);
        // Before: 14 tokens, all alike. After: what is right, and that the text ends there.
        assertThat(values(metrics, "eval_loss").getFirst()).isBetween(2.5, 2.8);
        assertThat(values(metrics, "eval_loss").getLast()).isLessThan(0.05);
        succeed("generate --greedy --model @run/model --prompt a+e=");
        assertThat(terminal.out()).isEqualToNormalizingNewlines("a+e=g\n");
        succeed("generate --greedy --model @run/model --prompt c+f=");
        assertThat(terminal.out()).isEqualToNormalizingNewlines("c+f=h\n");
    }

    @Test
    void sftOfTextsIsByteForByteTheSameEachTime() throws IOException {
        for (String run : List.of("one", "two")) {
            succeed("sft --model @tiny --data @text-rows.jsonl --max-steps 5 --save-steps 2 --out @" + run);
        }
        assertThat(outcome("one")).isEqualTo(outcome("two"));
        assertThat(values(lines("one/metrics.jsonl"), "eval_loss")).isEmpty();
    }

    @Test
    void aRunWhoseDataHasChangedIsNotResumed() throws IOException {
        succeed("sft --model @tiny --data @text-rows.jsonl --max-steps 5 --save-steps 2 --out @run");
        Files.delete(directory.resolve("run/summary.json"));
        String before = Files.readString(directory.resolve("text-rows.jsonl"));
        write("text-rows.jsonl", before.replace("abc\"", "abd\""));
        assertThat(run("sft --resume @run")).isEqualTo(1);
        assertThat(terminal.err().lines()).hasSize(2);
        assertThat(terminal.err()).contains("is no longer the data that the run in");
        write("text-rows.jsonl", before);
        succeed("sft --resume @run");
    }

    @Test
    void aReplayPassesOnItsOwnLossesAndFailsOnOthers() throws IOException {
        String record =
                "{\"chars\":\"\\n abcdefgh.\",\"T\":8,\"steps\":2,\"train_chars\":600,\"batch_offsets\":[[0,5],[99,3]],"
                        + "\"val_offsets_into_val_split\":[0,20],\"optimizer\":{\"betas\":[0.9,0.95],\"eps\":1e-8,"
                        + "\"weight_decay\":0.1,\"decay\":\"all parameters\",\"clip_grad_norm\":1.0},\"lr_per_step\":[0.1,0.1],"
                        + "\"loss_f64\":[2.64,LOSS],\"grad_norm_f64\":[0,0],\"val_loss_f64\":0}";
        write("record.json", record.replace("LOSS", "9"));
        String replay = "pretrain --model @tiny --data @text.txt --replay @record.json";
        assertThat(run(replay)).isEqualTo(1);
        assertThat(terminal.out()).contains("FAIL: the largest difference over 2 steps is");
        assertThat(terminal.err())
                .isEqualToNormalizingNewlines(
                        "isthmus: the losses are not those of " + directory.resolve("record.json") + "\n");
        List<String> ours = terminal.out()
                .lines()
                .skip(2)
                .limit(3)
                .map(row -> row.strip().split(" +")[1])
                .toList();
        write(
                "record.json",
                record.replace("2.64", ours.get(0))
                        .replace("LOSS", ours.get(1))
                        .replace("\"val_loss_f64\":0", "\"val_loss_f64\":" + ours.get(2)));
        succeed(replay);
        assertThat(terminal.out()).contains("PASS");
        assertThat(run(replay + " --seed 3")).isEqualTo(2);
        assertThat(terminal.err()).contains("--replay takes everything else from the record");
        write("record.json", record.replace("LOSS", "9").replace("[99,3]", "[99,9999]"));
        assertThat(run(replay)).isEqualTo(1);
        assertThat(terminal.err()).contains("has a window of 8 tokens at 9999, outside of the text of 720");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "pretrain | 2 | pretrain: data is missing: the file to learn from",
                "sft --data @rows.jsonl | 2 | sft: model is missing",
                "pretrain --data @text.txt --model @tiny --size M | 2 | pretrain: size is that of a new model",
                "pretrain --data @text.txt --size XL | 2 | Invalid value for option '--size': expected one of [S, M, L]",
                "pretrain --data @text.txt --learning-rat 1 | 2 | unknown option '--learning-rat'; did you mean --learning-rate?",
                "pretrain --data @text.txt --learning-rate -1 | 2 | learning_rate must be 0 or more, found -1.0",
                "pretrain --data @text.txt --max-steps x | 2 | Invalid value for option '--max-steps': 'x' is not a long",
                "pretrain --data @text.txt --warmup-steps NaN | 2 | pretrain: warmup_steps must be 0 or more, found NaN",
                "pretrain --data @text.txt --save-steps 0 | 2 | pretrain: save_steps must be at least 1, found 0",
                "pretrain --data @text.txt --max-steps 0 --num-train-epochs 0 | 2 | pretrain: max_steps or num_train_epochs",
                "pretrain --data @text.txt --optim adamw | 2 | optim 'adamw' is unknown; there are adamw_torch, ",
                "pretrain --data @text.txt --optim sgd --optim-args momentun=1 | 2 | optim_args: sgd has no constant 'momentun'",
                "pretrain --data @text.txt --adam-beta1 1 | 2 | beta1 and beta2 must be in [0, 1), found 1.0, 0.95",
                "pretrain --data @text.txt --lr-scheduler-type up | 2 | lr_scheduler_type 'up' is unknown; there are constant",
                "pretrain --data @text.txt --lr-scheduler-kwargs num_cycles=2 | 2 | Invalid value for option '--lr-scheduler-kwargs': lr_scheduler_kwargs is not a list of keys and values",
                "pretrain --data @text.txt --lr-scheduler-kwargs {\"num_cycle\":2} | 2 | lr_scheduler_kwargs: cosine has no constant 'num_cycle'; it has num_cycles",
                "pretrain --data @text.txt --config @none.yaml | 2 | there is no settings file @none.yaml",
                "pretrain --config @bad.yaml | 2 | the settings @bad.yaml has an unknown setting 'learning'; there are adam_beta1",
                "pretrain --config @worse.yaml | 2 | the settings @worse.yaml: max_steps must be a whole number, found \"many\"",
                "pretrain --resume @run --seed 3 | 2 | --resume goes on with the run as it was begun",
                "pretrain --resume @tiny | 1 | @tiny is not a run: it has no config.yaml",
                "pretrain --data @none.txt | 1 | Cannot read @none.txt: there is no such file",
                "pretrain --data @tiny | 1 | Cannot read @tiny: it is not a file",
                "pretrain --data @empty.txt | 1 | @empty.txt is empty",
                "pretrain --data @binary | 1 | @binary is not a text in UTF-8",
                "pretrain --data @text.txt --max-length 900 | 1 | @text.txt has 648 tokens to learn from; a window of",
                "pretrain --data @text.txt --model @none | 1 | Cannot read a model from @none: there is no such file",
                "pretrain --data @text.txt --model @tiny --max-length 25 | 1 | max_length 25 is longer than the model's 24",
                "pretrain --data @text.txt --out @tiny | 1 | @tiny is not empty",
                "sft --model @tiny --data @text.txt | 1 | @text.txt, line 1: is not JSON",
                "pretrain --data @text.txt --out @binary/x | 1 | Cannot write in @binary/x",
            })
    void wrongInputIsOneOrTwoLinesAndLeavesNothing(String line, int code, String problem) throws IOException {
        write("empty.txt", "");
        write("bad.yaml", "data: x\nlearning: 1\n");
        write("worse.yaml", "data: x\nmax_steps: many\n");
        Files.write(directory.resolve("binary"), new byte[] {1, -1, -2, 3});
        List<Path> before = tree();
        assertThat(run(line)).isEqualTo(code);
        assertThat(terminal.out()).isEmpty();
        assertThat(terminal.err()).startsWith("isthmus: " + problem.replace("@", directory + "/"));
        assertThat(terminal.err().lines()).hasSizeLessThanOrEqualTo(2);
        assertThat(tree()).isEqualTo(before);
    }

    private List<Path> tree() throws IOException {
        try (Stream<Path> files = Files.walk(directory)) {
            return files.sorted().toList();
        }
    }
}
