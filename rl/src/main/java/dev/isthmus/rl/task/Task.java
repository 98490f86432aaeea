package dev.isthmus.rl.task;

import dev.isthmus.tensor.Rng;
import java.util.List;

/**
 * What a model is asked, and how an answer is judged.
 *
 * <p>A task of your own needs five short methods; exact-match judging, disjoint splits and held-out sets come with it.
 * This is a whole one:
 *
 * <pre>{@code
 * record Doubling(int max) implements Task {
 *     public String name() { return "doubling(max=" + max + ")"; }
 *     public String alphabet() { return "0123456789*="; }
 *     public int maxPromptLength() { return 12; }
 *     public int maxCompletionLength() { return 10; }
 *     public Problem draw(Rng rng) {
 *         long n = rng.nextInt(max);
 *         return Problem.of("2*" + n + "=", String.valueOf(2 * n));
 *     }
 * }
 * }</pre>
 *
 * <p>Where several answers are right, override {@link #verify}; where several prompts are the same question (12+34 and
 * 34+12), give them the same {@link Problem#key()}. {@link Tasks#check} tells whether the parts fit together.
 */
public interface Task extends Verifier {
    /** How messages and reports call this task, with its settings: {@code addition(digits=3)}. */
    String name();

    /** Every character that a prompt or a demonstration may contain, each once. */
    String alphabet();

    /** The length in characters that no prompt exceeds. */
    int maxPromptLength();

    /** The length in characters that no demonstration exceeds; the end-of-text token is not counted. */
    int maxCompletionLength();

    /**
     * Draws any problem of this task, whatever its split.
     *
     * @throws dev.isthmus.tensor.IsthmusException if the settings allow none
     */
    Problem draw(Rng rng);

    /** Judges a completion; unless overridden, only the exact {@link Problem#answer()} is right. */
    @Override
    default Verdict verify(Problem problem, String completion) {
        return completion.equals(problem.answer())
                ? Verdict.right(completion)
                : Verdict.wrong(completion, "not the answer");
    }

    /** The split that a problem belongs to; unless overridden, a hash of its key decides. */
    default Split split(Problem problem) {
        return Split.ofKey(problem.key());
    }

    /**
     * Draws a problem of one split.
     *
     * @throws dev.isthmus.tensor.IsthmusException if the settings leave that split empty
     */
    default Problem sample(Split split, Rng rng) {
        return split.sample(this, rng);
    }

    /**
     * The first {@code n} distinct problems of the test split, the same ones in every run whatever its seed.
     *
     * @throws dev.isthmus.tensor.IsthmusException if there are fewer; the message says how many there are
     */
    default List<Problem> heldOut(int n) {
        return Split.TEST.first(this, n);
    }
}
