package dev.isthmus.train.supervised;

import dev.isthmus.model.Pretrained;
import dev.isthmus.model.io.Json;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.optim.OptimizerConfig;
import dev.isthmus.train.run.TextTable;
import dev.isthmus.train.run.TextTable.Column;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import tools.jackson.databind.JsonNode;

/**
 * A run that another program recorded, taken again step by step: the same weights to begin with, the same windows of the same
 * text, the same learning rates. So its losses must be the same.
 *
 * <p>The record is a JSON object: {@code chars} is the vocabulary; {@code T} the tokens of a window; {@code steps};
 * {@code batch_offsets} say where the windows of each step begin; {@code lr_per_step}; {@code optimizer} with {@code betas},
 * {@code eps}, {@code weight_decay}, {@code decay} and {@code clip_grad_norm}; {@code loss_f64} and {@code grad_norm_f64} for each
 * step; {@code train_chars} is where the held-out text begins, {@code val_offsets_into_val_split} its windows and
 * {@code val_loss_f64} their loss after the last step.
 */
public final class Replay {
    /** How far a float32 loss may be from one in float64. */
    public static final double TOLERANCE = 1e-3;

    private static final TextTable TABLE = new TextTable(
            Column.right("step", 6),
            Column.right("loss", 10),
            Column.right("recorded", 10),
            Column.right("difference", 10));

    private final Path file;
    private final JsonNode record;
    private final int[] tokens;
    private final int length;

    /** A loss and a gradient norm beside the recorded ones; the held-out loss has no gradient. */
    public record Step(long step, double loss, double recordedLoss, double gradNorm, double recordedGradNorm) {
        /** How far the losses are apart. */
        public double difference() {
            return Math.abs(loss - recordedLoss);
        }
    }

    /** All steps, and the held-out loss after the last of them. */
    public record Result(List<Step> steps, Step heldOut) {
        /** The largest difference of all losses; NaN if one is not a number. */
        public double largestDifference() {
            return steps.stream().mapToDouble(Step::difference).reduce(heldOut.difference(), Math::max);
        }

        /** Whether every loss is within {@link #TOLERANCE} of the recorded one. */
        public boolean passed() {
            return largestDifference() <= TOLERANCE;
        }
    }

    /**
     * Reads a record and its text.
     *
     * @throws IsthmusException if either is missing or damaged, or they do not fit each other
     */
    public Replay(Path file, String data) {
        this.file = file;
        record = Json.read(file);
        length = value("T").asInt(0);
        String characters = value("chars").asString("");
        tokens = DataFile.read(data).text().chars().map(characters::indexOf).toArray();
        for (int i = 0; i < tokens.length; i++) {
            if (tokens[i] < 0) {
                throw new IsthmusException(data + " is not the text of " + file + ": its character at " + i
                        + " is not in the recorded vocabulary");
            }
        }
    }

    /**
     * Takes all steps, beginning with the weights of {@code model}.
     *
     * @param every how often a step is printed
     * @param out takes the lines of the table
     */
    public Result run(Path model, int every, Consumer<String> out) {
        int steps = value("steps").asInt(0);
        try (Scope scope = Scope.open()) {
            Trainer trainer = new Trainer(Pretrained.load(model), arguments());
            out.accept(TABLE.header());
            out.accept(TABLE.rule());
            List<Step> done = new ArrayList<>();
            for (int i = 0; i < steps; i++) {
                List<Example> batch = windows(at("batch_offsets", i), 0);
                Trainer.Step step = trainer.step(
                        List.of(() -> CompletionLoss.mean(trainer.model(), batch, CompletionLoss.tokens(batch))));
                done.add(new Step(
                        step.globalStep(),
                        step.loss(),
                        number(at("loss_f64", i)),
                        step.gradNorm(),
                        number(at("grad_norm_f64", i))));
                if (i == 0 || (i + 1) % every == 0 || i + 1 == steps) {
                    out.accept(row(Long.toString(i + 1), done.getLast()));
                }
            }
            List<Example> held = windows(
                    value("val_offsets_into_val_split"), value("train_chars").asInt(0));
            double loss = Autograd.noGrad(() -> CompletionLoss.mean(trainer.model(), held, CompletionLoss.tokens(held))
                    .item());
            Step heldOut = new Step(steps, loss, number(value("val_loss_f64")), 0, 0);
            out.accept(row("eval", heldOut));
            Result result = new Result(List.copyOf(done), heldOut);
            out.accept("");
            out.accept(String.format(
                    Locale.ROOT,
                    "%s: the largest difference over %d steps is %.2e; %.0e is allowed",
                    result.passed() ? "PASS" : "FAIL",
                    steps,
                    result.largestDifference(),
                    TOLERANCE));
            return result;
        }
    }

    private static String row(String step, Step done) {
        return TABLE.row(
                step,
                String.format(Locale.ROOT, "%.6f", done.loss()),
                String.format(Locale.ROOT, "%.6f", done.recordedLoss()),
                String.format(Locale.ROOT, "%.1e", done.difference()));
    }

    private TrainingArguments arguments() {
        JsonNode optimizer = value("optimizer");
        return new TrainingArguments(
                1,
                step -> number(at("lr_per_step", step)),
                OptimizerConfig.adamW(
                        number(optimizer.at("/betas/0")),
                        number(optimizer.at("/betas/1")),
                        number(optimizer.path("eps"))),
                number(optimizer.path("weight_decay")),
                number(optimizer.path("clip_grad_norm")),
                optimizer.path("decay").asString("").equals("all parameters"));
    }

    private List<Example> windows(JsonNode offsets, int start) {
        return offsets.valueStream()
                .map(offset -> window(start + offset.asLong(-1)))
                .toList();
    }

    private Example window(long start) {
        if (length < 1 || start < 0 || start + length >= tokens.length) {
            throw new IsthmusException("the record " + file + " has a window of " + length + " tokens at " + start
                    + ", outside of the text of " + tokens.length);
        }
        return TextWindows.window(tokens, (int) start, length);
    }

    private JsonNode value(String key) {
        JsonNode value = record.get(key);
        if (value == null) {
            throw new IsthmusException(file + " is not the record of a run: it has no " + key);
        }
        return value;
    }

    private JsonNode at(String key, long step) {
        JsonNode value = value(key).get((int) step);
        if (value == null) {
            throw new IsthmusException("the record " + file + " has no " + key + " for step " + (step + 1));
        }
        return value;
    }

    private double number(JsonNode value) {
        if (!value.isNumber()) {
            throw new IsthmusException("the record " + file + " has " + value + " where a number is expected");
        }
        return value.asDouble();
    }
}
