package dev.isthmus.train;

import dev.isthmus.tensor.IsthmusException;

/**
 * A sequence to learn from.
 *
 * @param tokens prompt and completion, end-of-text token included where there is one
 * @param promptLength the number of tokens that are read but not learned, at least 1
 */
public record Example(int[] tokens, int promptLength) {
    public Example {
        if (promptLength < 1 || promptLength >= tokens.length) {
            throw new IsthmusException("an example of " + tokens.length + " tokens with a prompt of " + promptLength
                    + "; expected at least one token of each part");
        }
    }

    /** A prompt and its completion. */
    public static Example of(int[] prompt, int[] completion) {
        int[] tokens = new int[prompt.length + completion.length];
        System.arraycopy(prompt, 0, tokens, 0, prompt.length);
        System.arraycopy(completion, 0, tokens, prompt.length, completion.length);
        return new Example(tokens, prompt.length);
    }

    /** The number of tokens that are learned. */
    public int completionLength() {
        return tokens.length - promptLength;
    }
}
