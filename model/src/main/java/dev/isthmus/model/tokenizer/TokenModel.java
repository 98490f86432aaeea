package dev.isthmus.model.tokenizer;

import org.jspecify.annotations.Nullable;

/** The part of a tokenizer that knows the vocabulary: it turns one piece of text into ids. */
interface TokenModel {
    /** Appends the ids of a piece, which is not empty. */
    void encode(String piece, IntList out);

    /** The id of a token's text, or -1. */
    int id(String token);

    /** The text of a token, or null if there is no such id. */
    @Nullable
    String token(int id);

    /** One more than the largest id. */
    int size();
}
