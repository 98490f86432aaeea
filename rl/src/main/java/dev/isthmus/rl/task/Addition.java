package dev.isthmus.rl.task;

import dev.isthmus.tensor.Rng;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Addition of two numbers: {@code 123+456=} is answered by {@code 579}.
 *
 * <p>With working, the sums of the columns come first, from right to left, each as two digits (what to carry, what to
 * write), then {@code #} and the answer: {@code 128+345=} is answered by {@code 13 07 04#473}. So every character
 * depends on two digits of the prompt and one of the column before, or is a copy; nothing has to be carried over many
 * columns at once, which is what makes the plain form hard for a small model.
 *
 * <p>The verifier looks at the final answer; of the working it asks only the form. The order of the two numbers does
 * not make a new problem.
 *
 * @param digits how many digits each number has; a range such as 1..3 draws the two lengths apart
 * @param working whether the columns are written out
 */
public record Addition(Range digits, boolean working) implements Task {
    private static final Pattern WORKING = Pattern.compile("([0-9]{2}(?: [0-9]{2})*)#(0|[1-9][0-9]*)");
    private static final int MAX_DIGITS = 18;

    public Addition {
        digits.within(1, MAX_DIGITS, "addition: digits");
    }

    /** Addition of numbers with exactly this many digits. */
    public static Addition of(int digits, boolean working) {
        return new Addition(Range.of(digits), working);
    }

    @Override
    public String name() {
        return "addition(digits=" + digits + (working ? ", working" : "") + ")";
    }

    @Override
    public String alphabet() {
        return working ? "0123456789+= #" : "0123456789+=";
    }

    @Override
    public int maxPromptLength() {
        return 2 * digits.high() + 2;
    }

    @Override
    public int maxCompletionLength() {
        return (working ? 3 * digits.high() : 0) + digits.high() + 1;
    }

    @Override
    public Problem draw(Rng rng) {
        return problem(number(rng), number(rng));
    }

    private long number(Rng rng) {
        long low = power(digits.draw(rng) - 1);
        return low == 1 ? rng.nextLong(10) : rng.nextLong(low, 10 * low);
    }

    /** The problem {@code a+b=}, for numbers from 0 on. */
    public Problem problem(long a, long b) {
        String answer = String.valueOf(a + b);
        return new Problem(
                Math.min(a, b) + "+" + Math.max(a, b),
                a + "+" + b + "=",
                answer,
                working ? columns(a, b) + "#" + answer : answer,
                Map.of());
    }

    private static String columns(long a, long b) {
        var text = new StringBuilder();
        for (long carry = 0; text.isEmpty() || a > 0 || b > 0; a /= 10, b /= 10) {
            long sum = a % 10 + b % 10 + carry;
            carry = sum / 10;
            text.append(text.isEmpty() ? "" : " ").append(carry).append(sum % 10);
        }
        return text.toString();
    }

    @Override
    public Verdict verify(Problem problem, String completion) {
        String answer = completion;
        if (working) {
            var matcher = WORKING.matcher(completion);
            int columns = problem.demonstration().indexOf('#');
            if (!matcher.matches() || matcher.end(1) != columns) {
                return Verdict.malformed("not a column sum for each digit, then # and the answer");
            }
            answer = matcher.group(2);
        } else if (!Numbers.isWhole(completion)) {
            return Verdict.malformed("not a number");
        }
        return answer.equals(problem.answer()) ? Verdict.right(answer) : Verdict.wrong(answer, "not the sum");
    }

    private static long power(int exponent) {
        long power = 1;
        for (int i = 0; i < exponent; i++) {
            power *= 10;
        }
        return power;
    }
}
