package dev.isthmus.rl.task;

import dev.isthmus.rl.task.Countdown.Format;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** The tasks that come with the engine, by the names and settings that recipes use. */
public final class Tasks {
    private Tasks() {}

    /**
     * The task of a recipe, with these settings and defaults: {@code addition} (digits 3, working false),
     * {@code list_sorting} (length 3..6, max_value 9), {@code countdown} (numbers 3..4, max_number 13, target 1..99, no
     * held_out_target, format steps) or {@code game24} (format steps).
     *
     * @throws IsthmusException if there is no such task or setting, or a setting makes no sense
     */
    public static Task of(String name, Map<String, ?> settings) {
        var s = new Settings(name, new HashMap<>(settings), new TreeSet<>());
        Task task = switch (name) {
            case "addition" -> new Addition(s.range("digits", "3"), s.flag("working", false));
            case "list_sorting" -> new ListSorting(s.range("length", "3..6"), s.number("max_value", 9));
            case "countdown" ->
                new Countdown(
                        s.range("numbers", "3..4"),
                        s.number("max_number", 13),
                        s.range("target", "1..99"),
                        s.has("held_out_target") ? (Integer) s.number("held_out_target", 0) : null,
                        s.format());
            case "game24" -> Countdown.game24(s.format());
            default ->
                throw new IsthmusException(
                        "There is no task '" + name + "'. There are addition, list_sorting, countdown and game24.");
        };
        s.refuseUnknown();
        return task;
    }

    /**
     * Tries whether the parts of a task fit together on 200 problems: characters, lengths, demonstrations, judgment.
     *
     * @throws IsthmusException for the first that does not, with the problem that shows it
     */
    public static void check(Task task) {
        Rng rng = Rng.of(0).split("check");
        for (int i = 0; i < 200; i++) {
            Problem problem = task.draw(rng);
            String text = problem.demonstration();
            require(
                    problem.prompt().length() <= task.maxPromptLength(),
                    task,
                    "a prompt is too long",
                    problem.prompt());
            require(text.length() <= task.maxCompletionLength(), task, "a demonstration is too long", text);
            (problem.prompt() + text)
                    .chars()
                    .forEach(c -> require(
                            task.alphabet().indexOf(c) >= 0,
                            task,
                            "its alphabet lacks '" + (char) c + "'",
                            problem.prompt() + text));
            Verdict verdict = task.verify(problem, text);
            require(verdict.correct(), task, "a demonstration is judged " + verdict, problem.prompt() + text);
            require(!task.verify(problem, "").correct(), task, "an empty completion is judged right", problem.prompt());
        }
    }

    private static void require(boolean holds, Task task, String complaint, String text) {
        if (!holds) {
            throw new IsthmusException(
                    "The task " + task.name() + " contradicts itself: " + complaint + ": '" + text + "'.");
        }
    }

    static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    /** The settings of one task; remembers which names were asked for. */
    private record Settings(String task, Map<String, Object> given, Set<String> known) {
        boolean has(String name) {
            known.add(name);
            return given.get(name) != null;
        }

        private @Nullable Object get(String name) {
            return has(name) ? given.get(name) : null;
        }

        Range range(String name, String otherwise) {
            Object value = get(name);
            try {
                return Range.parse(value == null ? otherwise : value.toString());
            } catch (IsthmusException e) {
                throw new IsthmusException(task + ": " + name + ": " + e.getMessage(), e);
            }
        }

        int number(String name, int otherwise) {
            Object value = get(name);
            try {
                return value == null ? otherwise : Integer.parseInt(value.toString());
            } catch (NumberFormatException e) {
                throw new IsthmusException(task + ": " + name + " must be a whole number, but is '" + value + "'.", e);
            }
        }

        boolean flag(String name, boolean otherwise) {
            String value = String.valueOf(has(name) ? given.get(name) : otherwise);
            return switch (value) {
                case "true" -> true;
                case "false" -> false;
                default ->
                    throw new IsthmusException(task + ": " + name + " must be true or false, but is '" + value + "'.");
            };
        }

        Format format() {
            String value = has("format") ? String.valueOf(given.get("format")) : "steps";
            return switch (value) {
                case "steps" -> Format.STEPS;
                case "expression" -> Format.EXPRESSION;
                default ->
                    throw new IsthmusException(task + ": format must be steps or expression, but is '" + value + "'.");
            };
        }

        void refuseUnknown() {
            for (String name : given.keySet()) {
                if (!known.contains(name)) {
                    throw new IsthmusException(
                            task + " has no setting '" + name + "'. It has " + String.join(", ", known) + ".");
                }
            }
        }
    }
}
