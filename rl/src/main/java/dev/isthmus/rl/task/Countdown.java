package dev.isthmus.rl.task;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Countdown: make the target from the numbers, each used exactly once, with {@code + - * /}.
 *
 * <p>The prompt gives the numbers in ascending order and the target: {@code 4 4 6 8=24:}. The completion is, by
 * {@link Format}, the steps {@code 8+4=12 6-4=2 12*2=24} (Yao et al. 2023, Tree of Thoughts) or the expression
 * {@code (8+4)*(6-4)}. Arithmetic is exact; a fraction in a step is written in lowest terms in parentheses,
 * {@code 8/3=(8/3)}. A step never has a negative result: it is not needed, and the order of the operands avoids it.
 *
 * <p>Problems are made by joining random numbers with random operations, so each has a solution, and what was done is
 * the demonstration. A problem is its numbers with its target, whatever the order of the numbers.
 *
 * <p>With a held-out target, every puzzle with that target is the test split, and no other; the rest is for training.
 * {@link #game24} is made so: a model learns from puzzles with targets 1 to 99 other than 24, and is measured on the
 * 1,362 puzzles of four numbers from 1 to 13 that can make 24, none of which it can have met.
 *
 * @param numbers how many numbers there are, 2 to 6
 * @param maxNumber the largest number, at most 100; the smallest is 1
 * @param target the targets, 1 to 9999
 * @param heldOutTarget the target of all test problems; null if a hash of the problem decides the split
 * @param format how a solution is written
 */
public record Countdown(
        Range numbers,
        int maxNumber,
        Range target,
        @Nullable Integer heldOutTarget,
        Format format) implements Task {
    private static final String VALUE = "(0|[1-9][0-9]{0,17}|\\([1-9][0-9]{0,17}/[1-9][0-9]{0,17}\\))";
    private static final Pattern STEP = Pattern.compile(VALUE + "([-+*/])" + VALUE + "=" + VALUE);
    private static final Pattern PROMPT = Pattern.compile("([0-9]{1,3}(?: [0-9]{1,3}){0,5})=([0-9]{1,4}):");
    private static final int DRAWS = 1_000_000;
    private static final int ENUMERABLE = 50_000;

    /** How a solution is written. */
    public enum Format {
        /** {@code 8+4=12 6-4=2 12*2=24}. */
        STEPS,
        /** {@code (8+4)*(6-4)}. */
        EXPRESSION
    }

    public Countdown {
        numbers.within(2, 6, "countdown: numbers");
        Range.of(maxNumber).within(1, 100, "countdown: max_number");
        target.within(1, 9999, "countdown: target");
        if (heldOutTarget != null) {
            Range.of(heldOutTarget).within(target.low(), target.high(), "countdown: held_out_target");
        }
        double largest = Math.max(Math.pow(maxNumber, numbers.high()), numbers.high());
        if (largest < target.low()) {
            throw new IsthmusException("countdown: target " + target + " cannot be reached: the largest value that "
                    + numbers.high() + " numbers up to " + maxNumber + " make is " + (long) largest + ".");
        }
    }

    /** Countdown with targets from 1 to 99 and steps. */
    public static Countdown of(Range numbers, int maxNumber) {
        return new Countdown(numbers, maxNumber, Range.of(1, 99), null, Format.STEPS);
    }

    /** The game of 24: four numbers from 1 to 13, targets 1 to 99, those of 24 held out. */
    public static Countdown game24(Format format) {
        return new Countdown(Range.of(4), 13, Range.of(1, 99), 24, format);
    }

    @Override
    public String name() {
        return "countdown(numbers=" + numbers + ", max_number=" + maxNumber + ", target=" + target
                + (heldOutTarget == null ? "" : ", held_out_target=" + heldOutTarget) + ", "
                + Tasks.lower(format) + ")";
    }

    @Override
    public String alphabet() {
        return "0123456789+-*/=() :";
    }

    @Override
    public int maxPromptLength() {
        return numbers.high() * (digits(maxNumber) + 1) + digits(target.high()) + 1;
    }

    /** Room for every demonstration; in steps, that of three-digit values and a fraction here and there. */
    @Override
    public int maxCompletionLength() {
        int operations = numbers.high() - 1;
        return format == Format.STEPS
                ? operations * (4 + 4 * digits(largestStep()))
                : numbers.high() * digits(maxNumber) + 3 * operations;
    }

    /** What a step of a generated solution does not exceed, so that lengths stay bounded. */
    private int largestStep() {
        return Math.max(999, target.high());
    }

    @Override
    public Problem draw(Rng rng) {
        for (int i = 0; i < DRAWS; i++) {
            Expression solution = expression(rng);
            if (solution != null && target.contains(solution.value().numerator())) {
                var leaves = solution.numbers().stream()
                        .map(n -> (int) n.numerator())
                        .sorted()
                        .toList();
                return problem(leaves, (int) solution.value().numerator(), solution);
            }
        }
        throw new IsthmusException(name() + " has no puzzle: " + DRAWS + " random expressions over " + numbers
                + " numbers up to " + maxNumber + " gave no value in " + target + ". Widen the settings.");
    }

    /** A random expression all of whose values are small whole numbers, or null where the dice gave none. */
    private @Nullable Expression expression(Rng rng) {
        var pool = new ArrayList<Expression>();
        for (int left = numbers.draw(rng); left > 0; left--) {
            pool.add(Expression.of(1 + rng.nextInt(maxNumber)));
        }
        while (pool.size() > 1) {
            Expression a = pool.remove(rng.nextInt(pool.size()));
            Expression b = pool.remove(rng.nextInt(pool.size()));
            boolean ordered = a.value().compareTo(b.value()) >= 0;
            char symbol = "+-*/".charAt(rng.nextInt(4));
            Expression joined = Expression.of(ordered ? a : b, symbol, ordered ? b : a);
            if (!joined.value().isWhole() || joined.value().numerator() > largestStep()) {
                return null;
            }
            pool.add(joined);
        }
        return pool.get(0);
    }

    /** The problem of making {@code target} from these numbers with a solver's demonstration; empty if it has none. */
    public Optional<Problem> problem(List<Integer> numbers, int target) {
        if (numbers.size() > 6 || numbers.stream().anyMatch(n -> n < 0 || n > 100) || target < 0 || target > 9999) {
            throw new IsthmusException("countdown: at most six numbers in 0..100 and a target in 0..9999 are possible,"
                    + " but " + numbers + " and " + target + " are asked for.");
        }
        var sorted = numbers.stream().sorted().toList();
        return CountdownSolver.solution(sorted, target).map(solution -> problem(sorted, target, solution));
    }

    private Problem problem(List<Integer> sorted, int target, Expression solution) {
        String key = sorted.stream().map(String::valueOf).collect(Collectors.joining(" ")) + "=" + target;
        return new Problem(
                key,
                key + ":",
                String.valueOf(target),
                format == Format.STEPS ? solution.steps() : solution.infix(),
                Map.of("numbers", sorted, "target", target));
    }

    @Override
    public Split split(Problem problem) {
        Split byHash = Split.ofKey(problem.key());
        if (heldOutTarget == null) {
            return byHash;
        }
        return problem.key().endsWith("=" + heldOutTarget) ? Split.TEST : byHash == Split.DEV ? byHash : Split.TRAIN;
    }

    /** As in {@link Task}; with a held-out target, drawn from all its puzzles, so that the count is exact. */
    @Override
    public List<Problem> heldOut(int n) {
        if (heldOutTarget == null || multisets() > ENUMERABLE) {
            return Task.super.heldOut(n);
        }
        var all = puzzles(heldOutTarget);
        if (all.size() < n) {
            throw Split.TEST.tooFew(this, all.size(), n);
        }
        int[] order = new int[all.size()];
        Arrays.setAll(order, i -> i);
        Rng.of(24).shuffle(order);
        return Arrays.stream(order).limit(n).mapToObj(all::get).toList();
    }

    /** Every solvable puzzle with this target, in ascending order of its numbers. */
    public List<Problem> puzzles(int target) {
        var found = new ArrayList<Problem>();
        for (int size = numbers.low(); size <= numbers.high(); size++) {
            int[] hand = new int[size];
            Arrays.fill(hand, 1);
            do {
                problem(Arrays.stream(hand).boxed().toList(), target).ifPresent(found::add);
            } while (next(hand));
        }
        return found;
    }

    /** Steps to the next ascending sequence; false after the last. */
    private boolean next(int[] hand) {
        int i = hand.length - 1;
        while (i >= 0 && hand[i] == maxNumber) {
            i--;
        }
        if (i < 0) {
            return false;
        }
        Arrays.fill(hand, i, hand.length, hand[i] + 1);
        return true;
    }

    private double multisets() {
        double sum = 0;
        for (int size = numbers.low(); size <= numbers.high(); size++) {
            double count = 1;
            for (int i = 1; i <= size; i++) {
                count = count * (maxNumber + i - 1) / i;
            }
            sum += count;
        }
        return sum;
    }

    @Override
    public Verdict verify(Problem problem, String completion) {
        var prompt = PROMPT.matcher(problem.prompt());
        if (!prompt.matches()) {
            throw new IsthmusException("'" + problem.prompt() + "' is not a countdown prompt such as '4 4 6 8=24:'.");
        }
        if (completion.length() > 256) {
            return Verdict.malformed("longer than any solution");
        }
        var numbers = new ArrayList<>(Arrays.asList(prompt.group(1).split(" ")));
        return format == Format.STEPS
                ? verifySteps(numbers, prompt.group(2), completion)
                : verifyExpression(numbers, prompt.group(2), completion);
    }

    // Values are compared as they are written, so that no second way to write one slips through.
    private static Verdict verifySteps(List<String> pool, String goal, String completion) {
        String wrong = "";
        for (String text : completion.split(" ", -1)) {
            var step = STEP.matcher(text);
            if (!step.matches()) {
                return Verdict.malformed("not steps such as 1+2=3");
            }
            String result = step.group(4);
            if (!wrong.isEmpty()) {
                continue;
            } else if (!pool.remove(step.group(1)) || !pool.remove(step.group(3))) {
                wrong = "a step uses a number that is not there";
            } else if (!value(step.group(1))
                    .apply(step.group(2).charAt(0), value(step.group(3)))
                    .toString()
                    .equals(result)) {
                wrong = "a step is not true";
            } else {
                pool.add(result);
            }
        }
        if (wrong.isEmpty() && pool.size() > 1) {
            wrong = "a number is not used";
        }
        if (wrong.isEmpty() && !pool.contains(goal)) {
            wrong = "not the target";
        }
        return wrong.isEmpty() ? Verdict.right(completion) : Verdict.wrong(completion, wrong);
    }

    private static Rational value(String text) {
        int slash = text.indexOf('/');
        return slash < 0
                ? Rational.of(Long.parseLong(text))
                : Rational.of(
                        Long.parseLong(text.substring(1, slash)),
                        Long.parseLong(text.substring(slash + 1, text.length() - 1)));
    }

    private static Verdict verifyExpression(List<String> pool, String goal, String completion) {
        Expression expression = Expression.parse(completion);
        if (expression == null) {
            return Verdict.malformed("not an expression such as (1+2)*8");
        }
        for (Rational number : expression.numbers()) {
            if (!pool.remove(number.toString())) {
                return Verdict.wrong(completion, "uses a number that is not there");
            }
        }
        if (!pool.isEmpty()) {
            return Verdict.wrong(completion, "a number is not used");
        }
        return expression.value().toString().equals(goal)
                ? Verdict.right(completion)
                : Verdict.wrong(completion, "not the target");
    }

    private static int digits(int number) {
        return String.valueOf(number).length();
    }
}
