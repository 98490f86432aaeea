package dev.isthmus.rl.improve;

import dev.isthmus.rl.recipe.Recipe;
import dev.isthmus.rl.task.Countdown;
import dev.isthmus.rl.task.Game24File;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Task;
import dev.isthmus.tensor.IsthmusException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The problems that a run measures on, and how hard people found them where that is known. */
final class HeldOut {
    private static final String HUMAN = "human_solved_rate";
    private static final int PARTS = 4;

    private HeldOut() {}

    /** The problems of a recipe: those of its file, or the first of the test split where it names none or it is not here. */
    static List<Problem> of(Recipe.Eval eval, Task task, Consumer<String> note) {
        if (eval.data() == null) {
            return task.heldOut(eval.problems());
        }
        if (!(task instanceof Countdown countdown)) {
            throw new IsthmusException("eval.data: only countdown tasks can be measured on a file, not " + task.name());
        }
        for (Path directory : List.of(Path.of(""), Path.of(System.getProperty("isthmus.data", "../shared/data")))) {
            Path file = directory.resolve(eval.data());
            if (Files.exists(file)) {
                return Game24File.read(file, countdown).stream()
                        .limit(eval.problems())
                        .toList();
            }
        }
        note.accept(eval.data() + " is not here (-Disthmus.data=DIR says where): measuring on the test split of "
                + task.name() + ", without human figures");
        return task.heldOut(eval.problems());
    }

    /**
     * Some problems between which people's success is much alike.
     *
     * @param human the share of people who solved them, on average
     */
    record Part(int first, int last, double human, double before, double after, double beforeAny, double afterAny) {}

    /** The problems in four parts from what people found easiest to hardest; none where that is not known. */
    static List<Part> byDifficulty(List<Problem> problems, Measurement before, Measurement after) {
        List<Part> parts = new ArrayList<>();
        if (problems.stream().anyMatch(p -> !p.columns().containsKey(HUMAN))) {
            return parts;
        }
        for (int i = 0; i < PARTS; i++) {
            int from = problems.size() * i / PARTS;
            int to = problems.size() * (i + 1) / PARTS;
            parts.add(new Part(
                    from + 1,
                    to,
                    mean(from, to, p -> (Double) problems.get(p).columns().getOrDefault(HUMAN, 0.0)),
                    mean(from, to, p -> before.solved(p) ? 1 : 0),
                    mean(from, to, p -> after.solved(p) ? 1 : 0),
                    mean(from, to, p -> before.sampled(p) ? 1 : 0),
                    mean(from, to, p -> after.sampled(p) ? 1 : 0)));
        }
        return parts;
    }

    static void put(ObjectNode json, List<Part> parts) {
        ArrayNode array = json.putArray("by_difficulty");
        for (Part part : parts) {
            array.addObject()
                    .put("first_rank", part.first)
                    .put("last_rank", part.last)
                    .put("human_solved_rate", part.human)
                    .put("accuracy_before", part.before)
                    .put("accuracy_after", part.after)
                    .put("any_sample_before", part.beforeAny)
                    .put("any_sample_after", part.afterAny);
        }
    }

    /** Header and rows of a table of the parts. */
    static List<List<String>> rows(List<Part> parts, int samples) {
        List<List<String>> rows = new ArrayList<>();
        String any = "one of " + samples + " samples";
        rows.add(List.of("puzzles by rank", "people", "greedy before", "after", any + " before", "after"));
        for (Part part : parts) {
            rows.add(List.of(
                    String.format(Locale.ROOT, "%d to %d", part.first, part.last),
                    ImproveTable.percent(part.human),
                    ImproveTable.percent(part.before),
                    ImproveTable.percent(part.after),
                    ImproveTable.percent(part.beforeAny),
                    ImproveTable.percent(part.afterAny)));
        }
        return rows;
    }

    private static double mean(int from, int to, IntToDoubleFunction value) {
        return IntStream.range(from, to).mapToDouble(value).average().orElse(0);
    }
}
