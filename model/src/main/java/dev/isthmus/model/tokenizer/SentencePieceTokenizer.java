package dev.isthmus.model.tokenizer;

import dev.isthmus.tensor.IsthmusException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.PriorityQueue;

/**
 * Byte-pair encoding as SentencePiece does it for Llama: a text, with a space put before it, is taken apart into
 * characters; then again and again the two neighbors are joined whose union is the piece of the highest score. Characters
 * without a piece become the bytes of their UTF-8.
 *
 * <p>The first three ids are those of the unknown token, the begin and the end of a text.
 *
 * @see <a href="https://arxiv.org/abs/1808.06226">Kudo and Richardson 2018</a>
 */
public final class SentencePieceTokenizer implements Tokenizer {
    private static final int BOS = 1;
    private static final int EOS = 2;
    private static final int SPECIAL = 3;

    private final String[] pieces;
    final float[] scores;
    final Map<String, Integer> ids = new HashMap<>();
    private final int[] byteIds = new int[256];
    private final short[] byteValues;

    /**
     * A tokenizer of a vocabulary.
     *
     * @param pieces the text of each id, a space being a space; {@code <0x41>} stands for the byte 0x41
     * @param scores of each piece; pieces of higher scores are joined first
     */
    SentencePieceTokenizer(List<String> pieces, float[] scores) {
        this.pieces = pieces.toArray(String[]::new);
        this.scores = scores;
        byteValues = new short[this.pieces.length];
        Arrays.fill(byteValues, (short) -1);
        for (int id = SPECIAL; id < this.pieces.length; id++) {
            String piece = this.pieces[id];
            if (piece.matches("<0x[0-9A-F]{2}>")) {
                byteValues[id] = (short) Integer.parseInt(piece, 3, 5, 16);
                byteIds[byteValues[id]] = id;
            } else {
                ids.putIfAbsent(piece, id);
            }
        }
    }

    @Override
    public int[] encode(String text) {
        if (text.isEmpty()) {
            return new int[0];
        }
        return new Merging(" " + text).ids();
    }

    @Override
    public String decode(int[] tokens) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(4 * tokens.length);
        for (int id : tokens) {
            if (id < 0 || id >= pieces.length) {
                throw new IsthmusException("the token " + id + " is outside the vocabulary of " + pieces.length);
            }
            if (byteValues[id] >= 0) {
                bytes.write(byteValues[id]);
            } else if (id >= SPECIAL) {
                bytes.writeBytes(pieces[id].getBytes(StandardCharsets.UTF_8));
            }
        }
        String text = bytes.toString(StandardCharsets.UTF_8);
        return text.startsWith(" ") ? text.substring(1) : text;
    }

    @Override
    public int vocabSize() {
        return pieces.length;
    }

    @Override
    public OptionalInt bosTokenId() {
        return OptionalInt.of(BOS);
    }

    @Override
    public OptionalInt eosTokenId() {
        return OptionalInt.of(EOS);
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
                Integer id = ids.get(text.substring(left, ends[right]));
                if (id != null) {
                    pairs.add(new Pair(left, right, ends[right], scores[id]));
                }
            }
        }

        int[] ids() {
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
            int[] result = new int[4 * text.length()];
            int n = 0;
            for (int i = 0; i < text.length(); i = ends[i]) {
                String symbol = text.substring(i, ends[i]);
                Integer id = ids.get(symbol);
                if (id != null) {
                    result[n++] = id;
                } else {
                    for (byte b : symbol.getBytes(StandardCharsets.UTF_8)) {
                        result[n++] = byteIds[b & 0xff]; // 0, the unknown token, where the vocabulary lacks it
                    }
                }
            }
            return Arrays.copyOf(result, n);
        }
    }
}
