package dev.isthmus.model.tokenizer;

import java.util.PriorityQueue;

/**
 * Byte-pair encoding as SentencePiece does it (Kudo and Richardson 2018): a text is taken apart into characters; then again
 * and again the two neighbors are joined whose union is the token of the highest score, the leftmost first among equals.
 * Characters without a token become the bytes of their UTF-8, or the unknown token.
 */
final class ScoredBpe implements TokenModel {
    private final Vocabulary vocabulary;
    private final float[] scores;
    private final int unknown;

    /**
     * A model.
     *
     * @param scores of each token; tokens of higher scores are made first
     */
    ScoredBpe(Vocabulary vocabulary, float[] scores, int unknown) {
        this.vocabulary = vocabulary;
        this.scores = scores;
        this.unknown = unknown;
    }

    @Override
    public void encode(String piece, IntList out) {
        new Merging(piece).run(out);
    }

    float score(int id) {
        return scores[id];
    }

    @Override
    public Vocabulary vocabulary() {
        return vocabulary;
    }

    /** Two neighbors that may be joined, unless one of them has changed in the meantime. */
    private record Pair(int left, int right, int end, float score) implements Comparable<Pair> {
        @Override
        public int compareTo(Pair other) {
            int order = Float.compare(other.score, score);
            return order != 0 ? order : Integer.compare(left, other.left);
        }
    }

    /** A text while its symbols are being joined. A symbol is known by where it begins, and is a stretch of the text. */
    private final class Merging {
        final String text;
        final int[] ends;
        final int[] previous;
        final PriorityQueue<Pair> pairs = new PriorityQueue<>();

        Merging(String text) {
            this.text = text;
            ends = new int[text.length()];
            previous = new int[text.length() + 1];
            int before = -1;
            for (int i = 0; i < text.length(); i = ends[i]) {
                ends[i] = i + Character.charCount(text.codePointAt(i));
                previous[i] = before;
                before = i;
            }
            previous[text.length()] = before;
            for (int i = 0; i < text.length(); i = ends[i]) {
                propose(i);
            }
        }

        void propose(int left) {
            int right = ends[left];
            if (right < text.length()) {
                int id = vocabulary.id(text.substring(left, ends[right]));
                if (id >= 0) {
                    pairs.add(new Pair(left, right, ends[right], scores[id]));
                }
            }
        }

        void run(IntList out) {
            while (!pairs.isEmpty()) {
                Pair pair = pairs.remove();
                // A symbol that was swallowed has no end; one that has grown has another.
                if (ends[pair.left] == pair.right && ends[pair.right] == pair.end) {
                    ends[pair.left] = pair.end;
                    ends[pair.right] = 0;
                    previous[pair.end] = pair.left;
                    propose(pair.left);
                    if (previous[pair.left] >= 0) {
                        propose(previous[pair.left]);
                    }
                }
            }
            boolean afterUnknown = false;
            for (int i = 0; i < text.length(); i = ends[i]) {
                String symbol = text.substring(i, ends[i]);
                int id = vocabulary.id(symbol);
                boolean isUnknown = false;
                if (id >= 0) {
                    out.add(id);
                } else if (!vocabulary.addBytes(symbol, out)) {
                    isUnknown = true;
                    if (!afterUnknown) {
                        out.add(unknown);
                    }
                }
                afterUnknown = isUnknown;
            }
        }
    }
}
