package dev.isthmus.model.sample;

/**
 * A text that is being written.
 *
 * @param tokens the first {@code length} are the text, prompt and completion; not to be changed
 * @param promptLength the number of tokens that were given
 * @param length the number of tokens so far
 */
public record History(int[] tokens, int promptLength, int length) {
    /** The number of tokens that were written. */
    public int written() {
        return length - promptLength;
    }

    /** The last token. */
    public int last() {
        return tokens[length - 1];
    }
}
