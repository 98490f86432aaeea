package dev.isthmus.model.tokenizer;

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

    /** The ids of the start of a text: the token that begins one, where there is such a token, and the text. */
    default int[] encodeStart(String text) {
        return IntStream.concat(bosTokenId().stream(), IntStream.of(encode(text)))
                .toArray();
    }

    /** The text of ids; special tokens stand for nothing. */
    String decode(int[] ids);

    /** The number of ids. */
    int vocabSize();

    /** The token that begins a text. */
    OptionalInt bosTokenId();

    /** The token that ends a text. */
    OptionalInt eosTokenId();
}
