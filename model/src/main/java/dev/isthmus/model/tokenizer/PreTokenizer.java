package dev.isthmus.model.tokenizer;

import java.util.List;
import java.util.function.IntPredicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Splits a text into the pieces that a model takes one at a time, with the names and meaning of Hugging Face's tokenizers. */
@FunctionalInterface
interface PreTokenizer {
    /**
     * Gives the pieces of {@code text} to {@code out}, in order.
     *
     * @param first whether the text stands at the beginning of what is tokenized
     */
    void split(String text, boolean first, Sink out);

    /** Takes pieces. */
    @FunctionalInterface
    interface Sink {
        void accept(String piece, boolean first);
    }

    /** Where the parts go that a pattern matches. */
    enum Behavior {
        /** Away. */
        REMOVED,
        /** Each is a piece. */
        ISOLATED,
        MERGED_WITH_PREVIOUS,
        MERGED_WITH_NEXT,
        /** Those in a row are a piece. */
        CONTIGUOUS
    }

    /** The pattern of GPT-2's encoder. */
    String GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

    /** What SmolLM2 and StarCoder take before {@link #GPT2}: digits one at a time. */
    String DIGITS = "\\p{N}";

    /** The pattern of Qwen2. */
    String QWEN2 = words("\\p{N}");

    /** The pattern of Llama 3, which takes digits three at a time. */
    String LLAMA3 = words("\\p{N}{1,3}");

    private static String words(String number) {
        return "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" + number
                + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    }

    /** Nothing is split. */
    PreTokenizer NONE = (text, first, out) -> {
        if (!text.isEmpty()) {
            out.accept(text, first);
        }
    };

    /** One after the other, each on the pieces of the one before. */
    static PreTokenizer sequence(List<PreTokenizer> all) {
        PreTokenizer chain = NONE;
        for (PreTokenizer next : all.reversed()) {
            PreTokenizer rest = chain;
            chain = (text, first, out) -> next.split(text, first, (piece, f) -> rest.split(piece, f, out));
        }
        return chain;
    }

    /** Splits where a pattern matches; {@code invert} exchanges what matches and what lies between. */
    static PreTokenizer regex(Pattern pattern, Behavior behavior, boolean invert) {
        return (text, first, out) -> {
            Spans spans = new Spans(text, first, behavior, out);
            Matcher matcher = pattern.matcher(text);
            int at = 0;
            while (matcher.find()) {
                if (matcher.end() > matcher.start()) {
                    spans.add(at, matcher.start(), invert);
                    spans.add(matcher.start(), matcher.end(), !invert);
                    at = matcher.end();
                }
            }
            spans.add(at, text.length(), invert);
            spans.end();
        };
    }

    /** Splits at single characters (code points). */
    static PreTokenizer characters(IntPredicate matches, Behavior behavior) {
        return (text, first, out) -> {
            Spans spans = new Spans(text, first, behavior, out);
            int at = 0;
            for (int i = 0; i < text.length(); ) {
                int c = text.codePointAt(i);
                int end = i + Character.charCount(c);
                if (matches.test(c)) {
                    spans.add(at, i, false);
                    spans.add(i, end, true);
                    at = end;
                }
                i = end;
            }
            spans.add(at, text.length(), false);
            spans.end();
        };
    }

    /** Bytes as characters, after the pattern of GPT-2 if {@code useRegex}. */
    static PreTokenizer byteLevel(boolean addPrefixSpace, boolean useRegex) {
        PreTokenizer words = useRegex ? regex(Patterns.compile(GPT2), Behavior.ISOLATED, false) : NONE;
        return (text, first, out) -> words.split(
                addPrefixSpace && !text.isEmpty() && text.charAt(0) != ' ' ? " " + text : text,
                first,
                (piece, f) -> out.accept(ByteAlphabet.encode(piece), f));
    }

    /** When a text gets the sign of a space before it. */
    enum PrependScheme {
        ALWAYS,
        FIRST,
        NEVER
    }

    /** Spaces become {@code replacement}, and each begins a piece if {@code split}. */
    static PreTokenizer metaspace(String replacement, PrependScheme scheme, boolean split) {
        PreTokenizer words =
                split ? regex(Pattern.compile(Pattern.quote(replacement)), Behavior.MERGED_WITH_NEXT, false) : NONE;
        return (text, first, out) -> {
            String spaced = text.replace(" ", replacement);
            boolean prepend = scheme == PrependScheme.ALWAYS || scheme == PrependScheme.FIRST && first;
            words.split(prepend && !spaced.startsWith(replacement) ? replacement + spaced : spaced, first, out);
        };
    }

    /** Splits before a {@code space} that another character stands before: a word keeps the spaces before it. */
    static PreTokenizer words(char space) {
        return (text, first, out) -> {
            int start = 0;
            for (int i = 1; i < text.length(); i++) {
                if (text.charAt(i) == space && text.charAt(i - 1) != space) {
                    out.accept(text.substring(start, i), first && start == 0);
                    start = i;
                }
            }
            if (start < text.length()) {
                out.accept(text.substring(start), first && start == 0);
            }
        };
    }

    /** BERT's words: split at whitespace, each punctuation character alone. */
    static PreTokenizer bert() {
        return sequence(List.of(
                characters(Characters::isWhitespace, Behavior.REMOVED),
                characters(Characters::isPunctuation, Behavior.ISOLATED)));
    }

    /** Joins matches and what lies between them as a behavior says. */
    final class Spans {
        private final String text;
        private final Behavior behavior;
        private final Sink out;
        private boolean first;
        private int start;
        private int end;
        private boolean lastMatched;

        Spans(String text, boolean first, Behavior behavior, Sink out) {
            this.text = text;
            this.first = first;
            this.behavior = behavior;
            this.out = out;
        }

        void add(int from, int to, boolean match) {
            if (from == to) {
                return;
            }
            boolean joins = end > start
                    && switch (behavior) {
                        case REMOVED, ISOLATED -> false;
                        case MERGED_WITH_PREVIOUS -> match && !lastMatched;
                        case MERGED_WITH_NEXT -> lastMatched && !match;
                        case CONTIGUOUS -> match == lastMatched;
                    };
            if (!joins) {
                end();
                start = from;
            }
            end = to;
            if (match && behavior == Behavior.REMOVED) {
                start = to;
            }
            lastMatched = match;
        }

        void end() {
            if (end > start) {
                out.accept(text.substring(start, end), first && start == 0);
            }
            start = end;
        }
    }
}
