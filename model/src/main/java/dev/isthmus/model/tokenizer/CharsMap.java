package dev.isthmus.model.tokenizer;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * SentencePiece's compiled normalization rules: a trie (Yata's double array, as Darts-clone writes it) from the bytes of what
 * is replaced to where the replacement stands. The longest match at each place is replaced.
 */
final class CharsMap implements Normalizer {
    private final int[] trie;
    private final byte[] replacements;

    /**
     * Rules.
     *
     * @param rules the size of the trie in bytes (uint32), the trie, and replacements that end with a zero byte
     * @throws IllegalArgumentException if the sizes do not fit
     */
    CharsMap(byte[] rules) {
        ByteBuffer bytes = ByteBuffer.wrap(rules).order(ByteOrder.LITTLE_ENDIAN);
        long size = rules.length < 4 ? -1 : bytes.getInt() & 0xffffffffL;
        if (size < 0 || size > bytes.remaining() || size % 4 != 0) {
            throw new IllegalArgumentException("a precompiled_charsmap of " + rules.length + " bytes is damaged");
        }
        trie = new int[(int) size / 4];
        bytes.asIntBuffer().get(trie);
        bytes.position(4 + (int) size);
        replacements = new byte[bytes.remaining()];
        bytes.get(replacements);
    }

    @Override
    public String normalize(String text) {
        byte[] in = text.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream out = new ByteArrayOutputStream(in.length);
        for (int i = 0; i < in.length; ) {
            i = replace(in, i, out);
        }
        return out.toString(StandardCharsets.UTF_8);
    }

    /** Appends what the bytes from {@code start} become; where they go on. */
    private int replace(byte[] in, int start, ByteArrayOutputStream out) {
        int end = -1;
        int value = 0;
        int node = offset(unit(0));
        for (int i = start; i < in.length; i++) {
            node ^= in[i] & 0xff;
            int unit = unit(node);
            if ((unit & 0x800000ff) != (in[i] & 0xff)) {
                break;
            }
            node ^= offset(unit);
            if ((unit >>> 8 & 1) == 1) {
                end = i + 1;
                value = unit(node) & 0x7fffffff;
            }
        }
        if (end < 0) {
            do {
                out.write(in[start++]);
            } while (start < in.length && (in[start] & 0xc0) == 0x80);
            return start;
        }
        while (value < replacements.length && replacements[value] != 0) {
            out.write(replacements[value++]);
        }
        return end;
    }

    private int unit(int node) {
        return node >= 0 && node < trie.length ? trie[node] : 0x80000000;
    }

    private static int offset(int unit) {
        return unit >>> 10 << ((unit & 1 << 9) >>> 6);
    }
}
