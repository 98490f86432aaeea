package dev.isthmus.model.tokenizer;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/** Tokens that are found in a text before it is split, the longest of those that begin at a place. */
final class AddedTokens {
    private final Map<Character, List<Entry>> byFirst = new HashMap<>();

    /**
     * A token, with the names of tokenizer.json.
     *
     * @param singleWord whether it is found only where no word character stands beside it
     * @param lstrip whether it takes the whitespace before it; {@code rstrip} that behind it
     * @param normalized whether it is looked for in the normalized text
     * @param special whether it stands for no text
     */
    record AddedToken(
            int id,
            String content,
            boolean singleWord,
            boolean lstrip,
            boolean rstrip,
            boolean normalized,
            boolean special) {
        /** A token with a role of its own, like the begin of a text. */
        static AddedToken special(int id, String content) {
            return new AddedToken(id, content, false, false, false, false, true);
        }
    }

    private record Entry(String content, AddedToken token) {}

    /** The tokens, each looked for as {@code spelling} writes it. */
    AddedTokens(List<AddedToken> tokens, Normalizer spelling) {
        for (AddedToken token : tokens) {
            String content = spelling.normalize(token.content);
            if (!content.isEmpty()) {
                byFirst.computeIfAbsent(content.charAt(0), _ -> new ArrayList<>())
                        .add(new Entry(content, token));
            }
        }
        byFirst.values().forEach(all -> all.sort(Comparator.comparingInt((Entry e) -> -e.content.length())));
    }

    /** Gives the tokens in {@code text} to {@code tokens} and what lies between them to {@code texts}, in order. */
    void split(String text, boolean first, PreTokenizer.Sink texts, IntConsumer tokens) {
        int done = 0;
        for (int i = 0; i < text.length() && !byFirst.isEmpty(); ) {
            Entry found = at(text, i);
            if (found == null) {
                i++;
                continue;
            }
            int start = i;
            int end = i + found.content.length();
            i = end;
            if (found.token.singleWord && (wordBefore(text, start) || wordAfter(text, end))) {
                continue;
            }
            while (found.token.lstrip && start > done && Characters.isWhitespace(text.charAt(start - 1))) {
                start--;
            }
            while (found.token.rstrip && end < text.length() && Characters.isWhitespace(text.charAt(end))) {
                end++;
            }
            if (start > done) {
                texts.accept(text.substring(done, start), first && done == 0);
            }
            tokens.accept(found.token.id);
            done = end;
            i = end;
        }
        if (done < text.length()) {
            texts.accept(done == 0 ? text : text.substring(done), first && done == 0);
        }
    }

    private @Nullable Entry at(String text, int i) {
        List<Entry> candidates = byFirst.get(text.charAt(i));
        if (candidates != null) {
            for (Entry candidate : candidates) {
                if (text.startsWith(candidate.content, i)) {
                    return candidate;
                }
            }
        }
        return null;
    }

    private static boolean wordBefore(String text, int i) {
        return i > 0 && Characters.isWord(text.codePointBefore(i));
    }

    private static boolean wordAfter(String text, int i) {
        return i < text.length() && Characters.isWord(text.codePointAt(i));
    }
}
