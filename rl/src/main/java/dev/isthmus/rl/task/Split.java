package dev.isthmus.rl.task;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;

/**
 * The three disjoint parts of a task.
 *
 * <p>A problem's part is a fixed function of its key, never of a run's seed, so what one run trains on, no other run
 * with any other seed can measure on. Five eighths are for training, one for tuning, two for measuring.
 */
public enum Split {
    TRAIN,
    DEV,
    TEST;

    private static final Rng HASH = Rng.of(0x1577_4a05L);
    private static final int DRAWS = 100_000;

    /** The part of the problem with this key. */
    public static Split ofKey(String key) {
        return switch ((int) (HASH.split(key).nextLong() & 7)) {
            case 0, 1 -> TEST;
            case 2 -> DEV;
            default -> TRAIN;
        };
    }

    /**
     * Draws a problem of this part by rejection.
     *
     * @throws IsthmusException if the part is empty, or all but empty
     */
    public Problem sample(Task task, Rng rng) {
        for (int i = 0; i < DRAWS; i++) {
            Problem problem = task.draw(rng);
            if (task.split(problem) == this) {
                return problem;
            }
        }
        throw new IsthmusException(task.name() + " has no " + this + " problem: " + DRAWS
                + " draws gave none. Widen the task's settings.");
    }

    /**
     * The first {@code n} distinct problems of this part in an order that depends on nothing but the task.
     *
     * @throws IsthmusException if there are fewer; the message says how many
     */
    public List<Problem> first(Task task, int n) {
        Rng rng = HASH.split(this + " problems");
        var found = new LinkedHashMap<String, Problem>();
        // When every one of m problems is about equally likely, 20 m draws miss a given one with probability e^-20.
        for (int idle = 0; found.size() < n; idle++) {
            if (idle > 200 + 20 * found.size()) {
                throw tooFew(task, found.size(), n);
            }
            Problem problem = sample(task, rng);
            if (found.putIfAbsent(problem.key(), problem) == null) {
                idle = 0;
            }
        }
        return new ArrayList<>(found.values());
    }

    IsthmusException tooFew(Task task, int found, int asked) {
        return new IsthmusException(task.name() + " has " + found + " distinct " + this + " problems, but " + asked
                + " are asked for. Ask for at most " + found + ", or widen the task's settings.");
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
