package dev.isthmus.model.tokenizer;

/** The part of a tokenizer that knows the vocabulary: it turns one piece of text into ids. */
interface TokenModel {
    /** Appends the ids of a piece, which is not empty. */
    void encode(String piece, IntList out);

    /** The tokens that it makes. */
    Vocabulary vocabulary();
}
