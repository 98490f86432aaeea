package dev.isthmus.model.tokenizer;

import java.util.Arrays;

/**
 * The text of tokens as they arrive: what is given out never ends inside of a character, and all of it together is what {@link
 * Tokenizer#decode(int[], boolean)} makes of all tokens at once.
 */
public final class DecodeStream {
    private static final char INCOMPLETE = '\uFFFD';

    private final Tokenizer tokenizer;
    private final boolean skipSpecialTokens;
    // Some tokens that were given out are decoded again with the new ones: whether a space stands between depends on
    // both.
    private int[] window = new int[0];
    private int given;
    private String givenText = "";

    public DecodeStream(Tokenizer tokenizer, boolean skipSpecialTokens) {
        this.tokenizer = tokenizer;
        this.skipSpecialTokens = skipSpecialTokens;
    }

    /** The text that a token completes; empty while a character is incomplete. */
    public String step(int token) {
        window = Arrays.copyOf(window, window.length + 1);
        window[window.length - 1] = token;
        String text = tokenizer.decode(window, skipSpecialTokens);
        if (text.length() <= givenText.length() || text.charAt(text.length() - 1) == INCOMPLETE) {
            return "";
        }
        String fresh = text.substring(givenText.length());
        window = Arrays.copyOfRange(window, given, window.length);
        given = window.length;
        givenText = tokenizer.decode(window, skipSpecialTokens);
        return fresh;
    }

    /** What is left when no more tokens come: the signs of characters that were never completed. */
    public String finish() {
        String text = tokenizer.decode(window, skipSpecialTokens);
        String rest = text.substring(Math.min(givenText.length(), text.length()));
        window = new int[0];
        given = 0;
        givenText = "";
        return rest;
    }
}
