package dev.isthmus.app;

import dev.isthmus.model.eval.Perplexity;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.rl.eval.Evaluation;
import dev.isthmus.rl.eval.Interval;
import dev.isthmus.rl.improve.TaskEvaluation;
import dev.isthmus.rl.task.Task;
import dev.isthmus.rl.task.Tasks;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** How good a model is: at predicting a text, or at the problems of a task. */
@Command(
        name = "eval",
        description =
                "Measures a model: the perplexity of a text (--perplexity FILE), or the share of a task's held-out problems"
                        + " that it solves (--task NAME).")
final class EvalCommand implements Runnable {
    private static final int MAX_LENGTH = 2048;

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Mixin
    @SuppressWarnings("NullAway.Init")
    private ModelOptions model;

    @Option(names = "--perplexity", paramLabel = "FILE", description = "The text to predict, in UTF-8.")
    private @Nullable Path text;

    @Option(
            names = "--max-length",
            paramLabel = "N",
            description = "Tokens in a window (default: what the model can read, at most " + MAX_LENGTH + ").")
    private @Nullable Integer maxLength;

    @Option(
            names = "--stride",
            paramLabel = "N",
            description =
                    "Tokens from one window to the next (default: half of --max-length). Fewer give every token more "
                            + "to go by, and take longer.")
    private @Nullable Integer stride;

    @Option(
            names = "--task",
            paramLabel = "NAME",
            description = "The task to solve: addition, list_sorting, countdown or game24, as in a recipe.")
    private @Nullable String task;

    @Option(
            names = "--set",
            paramLabel = "KEY=VALUE",
            description = "A setting of the task, for example digits=2. May be repeated.")
    private Map<String, String> settings = new LinkedHashMap<>();

    @Option(
            names = "--problems",
            paramLabel = "N",
            description = "How many of the task's held-out problems to pose.",
            defaultValue = "1000")
    private int problems;

    @Option(
            names = "--num-generations",
            paramLabel = "K",
            description = "Answers to each problem at temperature 1, for pass@K and maj@K; 0 for the greedy one alone.",
            defaultValue = "0")
    private int numGenerations;

    @Option(names = "--seed", paramLabel = "N", description = "Decides what is drawn.", defaultValue = "0")
    private long seed;

    @Option(names = "--json", description = "The figures as one JSON object.")
    private boolean json;

    @Override
    public void run() {
        if ((text == null) == (task == null)) {
            throw new ParameterException(
                    spec.commandLine(), "either --perplexity FILE or --task NAME says what to measure");
        }
        if (problems < 1 || numGenerations < 0) {
            throw new ParameterException(
                    spec.commandLine(), "--problems must be at least 1, --num-generations must not be negative");
        }
        try (Scope scope = Scope.open()) {
            ObjectNode figures = JsonNodeFactory.instance.objectNode();
            if (text != null) {
                perplexity(read(text), figures);
            } else if (task != null) {
                solved(Tasks.of(task, settings), figures);
            }
            PrintWriter out = spec.commandLine().getOut();
            if (json) {
                out.println(figures);
            } else {
                figures.properties()
                        .forEach(figure -> out.println(String.format(
                                Locale.ROOT,
                                "%-14s %s",
                                figure.getKey(),
                                figure.getValue().isDouble()
                                        ? String.format(
                                                Locale.ROOT,
                                                "%.4f",
                                                figure.getValue().doubleValue())
                                        : figure.getValue().asString())));
            }
        }
    }

    private void perplexity(String read, ObjectNode figures) {
        LanguageModel language = model.load();
        int length = maxLength == null
                ? Math.min(MAX_LENGTH, language.decoder().config().maxPositionEmbeddings())
                : maxLength;
        Perplexity found = Perplexity.of(language, read, length, stride == null ? Math.max(1, length / 2) : stride);
        figures.put("perplexity", found.perplexity())
                .put("nats_per_token", found.nats())
                .put("bits_per_byte", found.bitsPerByte())
                .put("tokens", found.tokens())
                .put("bytes", found.bytes())
                .put("max_length", found.maxLength())
                .put("stride", found.stride());
    }

    private void solved(Task posed, ObjectNode figures) {
        Evaluation found = TaskEvaluation.of(model.load(), posed, problems, numGenerations, Rng.of(seed), null);
        figures.put("task", posed.name()).put("problems", found.n());
        put(figures, "accuracy", found.accuracy());
        put(figures, "formatted", found.formatted());
        found.passAt().forEach((k, interval) -> put(figures, "pass_at_" + k, interval));
        found.majAt().forEach((k, interval) -> put(figures, "maj_at_" + k, interval));
    }

    private static void put(ObjectNode figures, String name, Interval interval) {
        figures.put(name, interval.mean()).put(name + "_low", interval.low()).put(name + "_high", interval.high());
    }

    private static String read(Path file) {
        try {
            return Files.readString(file, StandardCharsets.UTF_8);
        } catch (CharacterCodingException e) {
            throw new IsthmusException(file + " is not text in UTF-8", e);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
