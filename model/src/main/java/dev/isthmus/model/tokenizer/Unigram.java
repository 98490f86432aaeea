package dev.isthmus.model.tokenizer;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The most probable segmentation under a unigram language model (Kudo 2018, section 3.2), found by Viterbi's algorithm.
 *
 * <p>A character that no token covers costs ten more than the least probable token; such characters in a row are one unknown
 * token, or the bytes of their UTF-8.
 */
final class Unigram implements TokenModel {
    private static final double UNKNOWN_PENALTY = 10;

    private final Vocabulary vocabulary;
    private final double[] scores;
    private final int unknown;
    private final boolean byteFallback;
    private final double unknownScore;
    private final Map<String, Integer> longestWithStart = new HashMap<>();

    /**
     * A model.
     *
     * @param scores log-probabilities of the tokens
     * @param unknown the id of the unknown token
     */
    Unigram(List<String> tokens, double[] scores, int unknown, boolean byteFallback) {
        Map<String, Integer> ids = new HashMap<>();
        for (int id = 0; id < tokens.size(); id++) {
            if (ids.putIfAbsent(tokens.get(id), id) != null) {
                throw new IllegalArgumentException("two tokens have the text '" + tokens.get(id) + "'");
            }
        }
        if (unknown < 0 || unknown >= tokens.size()) {
            throw new IllegalArgumentException("the unknown token " + unknown + " is not one of " + tokens.size());
        }
        this.vocabulary = new Vocabulary(ids);
        this.scores = scores;
        this.unknown = unknown;
        this.byteFallback = byteFallback;
        this.unknownScore = Arrays.stream(scores).min().orElse(0) - UNKNOWN_PENALTY;
        for (String token : tokens) {
            if (!token.isEmpty()) {
                String start = token.substring(0, Character.charCount(token.codePointAt(0)));
                longestWithStart.merge(start, token.length(), Math::max);
            }
        }
    }

    @Override
    public void encode(String piece, IntList out) {
        int n = piece.length();
        double[] best = new double[n + 1];
        int[] from = new int[n + 1];
        int[] token = new int[n + 1];
        Arrays.fill(best, Double.NEGATIVE_INFINITY);
        best[0] = 0;
        for (int i = 0; i < n; ) {
            int character = Character.charCount(piece.codePointAt(i));
            int longest = longestWithStart.getOrDefault(piece.substring(i, i + character), 0);
            boolean covered = false;
            for (int end = i + character; end <= n && end - i <= longest; end++) {
                int id = vocabulary.id(piece.substring(i, end));
                if (id >= 0 && id != unknown) {
                    covered |= end == i + character;
                    if (best[i] + scores[id] > best[end]) {
                        best[end] = best[i] + scores[id];
                        from[end] = i;
                        token[end] = id;
                    }
                }
            }
            int end = i + character;
            if (!covered && best[i] + unknownScore > best[end]) {
                best[end] = best[i] + unknownScore;
                from[end] = i;
                token[end] = unknown;
            }
            i = end;
        }
        int[] ends = new int[n + 1];
        int count = 0;
        for (int end = n; end > 0; end = from[end]) {
            ends[count++] = end;
        }
        boolean afterUnknown = false;
        while (count-- > 0) {
            int end = ends[count];
            boolean isUnknown = token[end] == unknown;
            if (!isUnknown) {
                out.add(token[end]);
            } else if (byteFallback && vocabulary.addBytes(piece.substring(from[end], end), out)) {
                isUnknown = false;
            } else if (!afterUnknown) {
                out.add(unknown);
            }
            afterUnknown = isUnknown;
        }
    }

    @Override
    public Vocabulary vocabulary() {
        return vocabulary;
    }
}
