package dev.isthmus.model.tokenizer;

import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** Regular expressions written for the engines of tokenizers (Oniguruma, Rust's fancy-regex), as Java's. */
final class Patterns {
    private Patterns() {}

    /**
     * A pattern whose classes are Unicode's.
     *
     * @throws IllegalArgumentException if it is not one that Java knows
     */
    static Pattern compile(String regex) {
        try {
            return Pattern.compile(
                    regex.replaceAll(
                            "(\\\\[pP])\\{(Han|Hiragana|Katakana|Hangul|Latin|Cyrillic|Arabic|Greek|Thai)\\}",
                            "$1{Is$2}"),
                    Pattern.UNICODE_CHARACTER_CLASS | Pattern.UNICODE_CASE);
        } catch (PatternSyntaxException e) {
            throw new IllegalArgumentException("the pattern '" + regex + "' cannot be used: " + e.getDescription(), e);
        }
    }
}
