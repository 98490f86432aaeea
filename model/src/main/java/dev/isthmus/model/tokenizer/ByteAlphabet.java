package dev.isthmus.model.tokenizer;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The printable characters that stand for bytes in byte-level vocabularies (Radford et al. 2019, section 2.2): a byte that is a
 * visible Latin-1 character is itself, the others follow from U+0100 on.
 */
final class ByteAlphabet {
    private static final char[] CHARACTERS = new char[256];
    private static final short[] BYTES = new short[512];

    static {
        Arrays.fill(BYTES, (short) -1);
        char next = 256;
        for (int b = 0; b < 256; b++) {
            boolean visible = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
            CHARACTERS[b] = visible ? (char) b : next++;
            BYTES[CHARACTERS[b]] = (short) b;
        }
    }

    private ByteAlphabet() {}

    /** The character of a byte. */
    static char character(int b) {
        return CHARACTERS[b & 0xff];
    }

    /** The byte of a character, or -1. */
    static int value(char c) {
        return c < BYTES.length ? BYTES[c] : -1;
    }

    /** The bytes of a text's UTF-8, a character each. */
    static String encode(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        char[] characters = new char[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            characters[i] = CHARACTERS[bytes[i] & 0xff];
        }
        return new String(characters);
    }

    /** Appends the bytes that a token stands for; one with other characters, as added tokens may have, is its own UTF-8. */
    static void decode(String token, ByteArrayOutputStream out) {
        for (int i = 0; i < token.length(); i++) {
            if (value(token.charAt(i)) < 0) {
                out.writeBytes(token.getBytes(StandardCharsets.UTF_8));
                return;
            }
        }
        for (int i = 0; i < token.length(); i++) {
            out.write(BYTES[token.charAt(i)]);
        }
    }
}
