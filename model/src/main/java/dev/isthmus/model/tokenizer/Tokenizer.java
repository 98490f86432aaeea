package dev.isthmus.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/** Turns text into token ids and back. */
public interface Tokenizer {
    /**
     * The ids of a text, without tokens that a model wants around it.
     *
     * @throws dev.isthmus.tensor.IsthmusException if the text holds something that no token stands for
     */
    int[] encode(String text);

    /**
     * The ids of a text.
     *
     * @param addSpecialTokens whether the tokens that a model wants around a text are added, such as the one that begins it
     */
    default int[] encode(String text, boolean addSpecialTokens) {
        int[] ids = encode(text);
        return addSpecialTokens
                ? IntStream.concat(bosTokenId().stream(), IntStream.of(ids)).toArray()
                : ids;
    }

    /** The text of ids; special tokens stand for nothing, as do ids of no token: models may have more rows than tokens. */
    default String decode(int[] ids) {
        return decode(ids, true);
    }

    /** The text of ids, with or without that of special tokens; ids of no token stand for nothing. */
    String decode(int[] ids, boolean skipSpecialTokens);

    /**
     * The UTF-8 bytes that a token adds to a text before it, which may be a part of a character; none for special tokens and for those
     * of which that is not known.
     */
    default byte[] bytes(int id) {
        String one = decode(new int[] {id});
        String two = decode(new int[] {id, id});
        return two.indexOf('\uFFFD') >= 0 || two.length() < one.length()
                ? new byte[0]
                : two.substring(one.length()).getBytes(StandardCharsets.UTF_8);
    }

    /** The number of ids. */
    int vocabSize();

    /** The token that begins a text. */
    OptionalInt bosTokenId();

    /** The token that ends a text. */
    OptionalInt eosTokenId();
}
