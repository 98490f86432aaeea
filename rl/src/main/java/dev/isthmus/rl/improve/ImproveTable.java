package dev.isthmus.rl.improve;

import dev.isthmus.rl.eval.Interval;
import dev.isthmus.rl.recipe.Recipe;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Task;
import dev.isthmus.train.run.Progress;
import dev.isthmus.train.run.TextTable;
import dev.isthmus.train.run.TextTable.Column;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/** The table that a run prints as it goes. */
final class ImproveTable {
    private final Progress progress;
    private final Recipe recipe;
    private final Task task;
    private final long start = System.nanoTime();
    private final double secondsBefore;
    private final TextTable table;

    ImproveTable(Progress progress, Recipe recipe, Task task, RunState state) {
        this.progress = progress;
        this.recipe = recipe;
        this.task = task;
        this.secondsBefore = state.seconds;
        table = new TextTable(
                Column.left("model", 26),
                Column.right("solved", 7),
                Column.right("95 % interval", 13),
                Column.right("sampled", 7),
                Column.right("pass@8", 7),
                Column.right("reward", 6),
                Column.right("length", 6),
                Column.right("time", 6));
    }

    /** Seconds this run has taken, interruptions aside. */
    double seconds() {
        return secondsBefore + (System.nanoTime() - start) / 1e9;
    }

    void opening(long size, boolean resumed) {
        Recipe.Pretrain pretrain = recipe.pretrain();
        progress.line((resumed ? "Going on with " : "") + recipe.name() + ": " + task.name() + ", a model of "
                + String.format(Locale.ROOT, "%,d", size) + " weights");
        progress.line("The base model learns from " + pretrain.examples()
                + " solved problems. After that it sees no label any more: it answers new problems, a verifier says which "
                + "answers are right, and it learns from those.");
        progress.line("");
        progress.line(table.header());
        progress.line(table.rule());
    }

    /** The rows of a run that goes on. */
    void soFar(RunState state) {
        before(Objects.requireNonNull(state.before));
        state.rounds.forEach((key, list) -> {
            Control control = Control.valueOf(key.toUpperCase(Locale.ROOT));
            for (int i = 0; i < list.size(); i++) {
                round(control, i + 1, list.get(i), Map.of());
            }
        });
    }

    void before(Measurement base) {
        row("base", base, Map.of());
    }

    void round(Control control, int round, Measurement measured, Map<String, Double> metrics) {
        row(control == Control.NONE ? "round " + round : control.title() + " " + round, measured, metrics);
    }

    private void row(String name, Measurement m, Map<String, Double> metrics) {
        Interval interval = m.interval("accuracy");
        progress.line(table.row(
                name,
                percent(m.accuracy()),
                percent(interval.low()) + "-" + percent(interval.high()),
                percent(m.figure("pass_at_1")),
                percent(m.figure("pass_at_8")),
                metrics.containsKey("reward") ? String.format(Locale.ROOT, "%.3f", metrics.get("reward")) : "",
                String.format(Locale.ROOT, "%.1f", m.figure("mean_length")),
                time(seconds())));
    }

    void end(RunState state, List<Problem> heldOut, Path directory) {
        Measurement before = Objects.requireNonNull(state.before);
        Measurement after = state.main().getLast();
        Interval gain = Summary.gain(before, after);
        progress.line("");
        progress.line(String.format(
                Locale.ROOT,
                "The model solved %s of %,d held-out problems before and %s after: %+.1f points (95 %% interval %+.1f to %+.1f).",
                percent(before.accuracy()),
                before.solved().length(),
                percent(after.accuracy()),
                100 * gain.mean(),
                100 * gain.low(),
                100 * gain.high()));
        for (Map.Entry<String, List<Measurement>> stage : state.rounds.entrySet()) {
            if (!stage.getKey().equals(Control.NONE.key())) {
                Interval change = Summary.gain(before, stage.getValue().getLast());
                progress.line(String.format(
                        Locale.ROOT,
                        "Control, %s: %+.1f points (%+.1f to %+.1f).",
                        stage.getKey().replace('_', ' '),
                        100 * change.mean(),
                        100 * change.low(),
                        100 * change.high()));
            }
        }
        byDifficulty(HeldOut.byDifficulty(heldOut, before, after));
        progress.line("");
        progress.line("Pictures, sample answers before and after, the recipe:  " + directory.resolve("report.html"));
        progress.line("Try next:");
        progress.line("  ./isthmus generate --model " + directory.resolve("model") + " --prompt '"
                + task.heldOut(1).getFirst().prompt() + "'");
        if (!state.rounds.containsKey(Control.SHUFFLED_REWARDS.key())) {
            progress.line(
                    "  ./isthmus improve " + recipe.name() + " --controls    does it gain without true rewards, too?");
        }
        progress.line("  ./isthmus recipes                       other tasks and methods");
    }

    private void byDifficulty(List<HeldOut.Part> parts) {
        if (parts.isEmpty()) {
            return;
        }
        List<List<String>> rows = HeldOut.rows(parts, recipe.eval().samples());
        TextTable people = new TextTable(
                rows.getFirst().stream().map(title -> Column.right(title, 7)).toList());
        progress.line("");
        progress.line(people.header());
        progress.line(people.rule());
        rows.stream().skip(1).forEach(row -> progress.line(people.row(row.toArray(String[]::new))));
    }

    static String percent(double share) {
        return Double.isNaN(share) ? "" : String.format(Locale.ROOT, "%.1f%%", 100 * share);
    }

    private static String time(double seconds) {
        return String.format(Locale.ROOT, "%d:%02d", (long) seconds / 60, (long) seconds % 60);
    }
}
