package dev.isthmus.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The texts of tokens and their ids, both ways. */
final class Vocabulary {
    private final Map<String, Integer> ids;
    private final @Nullable String[] tokens;
    private final int[] byteIds = new int[256];

    /**
     * A vocabulary; several texts may not share an id, ids may be left out.
     *
     * @throws IllegalArgumentException if an id is negative, taken twice, or far larger than the number of tokens
     */
    Vocabulary(Map<String, Integer> ids) {
        this.ids = new HashMap<>(ids);
        int size = ids.isEmpty() ? 0 : Collections.max(ids.values()) + 1;
        if (size < 0 || size > 4L * ids.size() + 1_000_000) {
            throw new IllegalArgumentException("ids reach " + (size - 1) + " with " + ids.size() + " tokens");
        }
        tokens = new String[size];
        ids.forEach((token, id) -> {
            if (id < 0 || tokens[id] != null) {
                throw new IllegalArgumentException("the id " + id + " is negative or stands for two tokens");
            }
            tokens[id] = token;
        });
        Arrays.setAll(byteIds, b -> id(byteToken(b)));
    }

    /** The id of a token's text, or -1. */
    int id(String token) {
        return ids.getOrDefault(token, -1);
    }

    /** The text of a token, or null if there is no such id. */
    @Nullable
    String token(int id) {
        return id < 0 || id >= tokens.length ? null : tokens[id];
    }

    /** One more than the largest id. */
    int size() {
        return tokens.length;
    }

    /** Whether a {@code space} is a token and no token goes on behind the end of a word, that is, has one behind another character. */
    boolean endsAtWords(char space) {
        return ids.containsKey(String.valueOf(space))
                && ids.keySet().stream().noneMatch(token -> {
                    int word = 0;
                    while (word < token.length() && token.charAt(word) == space) {
                        word++;
                    }
                    return token.indexOf(space, word) >= 0;
                });
    }

    /** Appends the tokens of the bytes of a text's UTF-8, like {@code <0x0A>}; false if one of them is not there. */
    boolean addBytes(String text, IntList out) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int[] found = new int[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            found[i] = byteIds[bytes[i] & 0xff];
            if (found[i] < 0) {
                return false;
            }
        }
        out.addAll(found);
        return true;
    }

    private static String byteToken(int b) {
        return "<0x" + Character.toUpperCase(Character.forDigit(b >> 4, 16))
                + Character.toUpperCase(Character.forDigit(b & 15, 16)) + ">";
    }

    /** The byte that a token like {@code <0x0A>} stands for, or -1. */
    static int byteOf(String token) {
        if (token.length() != 6 || !token.startsWith("<0x") || token.charAt(5) != '>') {
            return -1;
        }
        int high = Character.digit(token.charAt(3), 16);
        int low = Character.digit(token.charAt(4), 16);
        return high < 0 || low < 0 ? -1 : 16 * high + low;
    }
}
