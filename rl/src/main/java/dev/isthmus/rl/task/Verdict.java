package dev.isthmus.rl.task;

/**
 * What a {@link Verifier} says about one completion.
 *
 * @param correct whether the problem is solved
 * @param formatted whether the completion has the asked form, right or wrong; always true when correct
 * @param answer the final answer that was read from the completion, by which samples vote; empty if there is none
 * @param reason why the completion is wrong, in a few words; empty when correct
 */
public record Verdict(boolean correct, boolean formatted, String answer, String reason) {
    /** The problem is solved. */
    public static Verdict right(String answer) {
        return new Verdict(true, true, answer, "");
    }

    /** The form is as asked, the answer is not. */
    public static Verdict wrong(String answer, String reason) {
        return new Verdict(false, true, answer, reason);
    }

    /** No answer can be read. */
    public static Verdict malformed(String reason) {
        return new Verdict(false, false, "", reason);
    }
}
