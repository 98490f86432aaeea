package dev.isthmus.model.tokenizer;

import java.text.Normalizer.Form;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Rewrites a text before it is split, with the names and meaning of Hugging Face's tokenizers. */
@FunctionalInterface
interface Normalizer {
    Normalizer NONE = text -> text;

    /** The text as the model was trained to see it. */
    String normalize(String text);

    /** One after the other. */
    static Normalizer sequence(List<Normalizer> all) {
        return text -> {
            String result = text;
            for (Normalizer normalizer : all) {
                result = normalizer.normalize(result);
            }
            return result;
        };
    }

    /** One of Unicode's normalization forms. */
    static Normalizer unicode(Form form) {
        return text -> java.text.Normalizer.normalize(text, form);
    }

    static Normalizer lowercase() {
        return text -> text.toLowerCase(Locale.ROOT);
    }

    /** Combining marks removed; accented letters must be decomposed before. */
    static Normalizer stripAccents() {
        return text -> keep(text, c -> Character.getType(c) != Character.NON_SPACING_MARK);
    }

    static Normalizer strip(boolean left, boolean right) {
        return text -> {
            int start = 0;
            int end = text.length();
            while (left && start < end && Characters.isWhitespace(text.charAt(start))) {
                start++;
            }
            while (right && end > start && Characters.isWhitespace(text.charAt(end - 1))) {
                end--;
            }
            return text.substring(start, end);
        };
    }

    static Normalizer prepend(String prefix) {
        return text -> text.isEmpty() ? text : prefix + text;
    }

    static Normalizer replace(Pattern pattern, String content) {
        String replacement = Matcher.quoteReplacement(content);
        return text -> pattern.matcher(text).replaceAll(replacement);
    }

    /** BERT's cleaning (Devlin et al. 2019). */
    static Normalizer bert(boolean cleanText, boolean handleChineseChars, boolean stripAccents, boolean lowercase) {
        return text -> {
            StringBuilder clean = new StringBuilder();
            text.codePoints().forEach(c -> {
                if (cleanText && (c == 0 || c == 0xFFFD || Characters.isControl(c))) {
                    return;
                }
                int shown = cleanText && Characters.isWhitespace(c) ? ' ' : c;
                if (handleChineseChars && Characters.isChinese(c)) {
                    clean.append(' ').appendCodePoint(shown).append(' ');
                } else {
                    clean.appendCodePoint(shown);
                }
            });
            String result = clean.toString();
            if (stripAccents) {
                result = stripAccents().normalize(unicode(Form.NFD).normalize(result));
            }
            return lowercase ? lowercase().normalize(result) : result;
        };
    }

    private static String keep(String text, IntPredicate kept) {
        return text.codePoints()
                .filter(kept)
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString();
    }
}
