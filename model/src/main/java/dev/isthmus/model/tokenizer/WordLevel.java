package dev.isthmus.model.tokenizer;

import dev.isthmus.tensor.IsthmusException;

/** One token a piece. */
final class WordLevel implements TokenModel {
    private final Vocabulary vocabulary;
    private final int unknown;

    WordLevel(Vocabulary vocabulary, String unkToken) {
        this.vocabulary = vocabulary;
        this.unknown = vocabulary.id(unkToken);
    }

    @Override
    public void encode(String piece, IntList out) {
        int id = vocabulary.id(piece);
        if (id < 0 && unknown < 0) {
            throw new IsthmusException("'" + piece + "' is not in the vocabulary of " + vocabulary.size() + " words");
        }
        out.add(id < 0 ? unknown : id);
    }

    @Override
    public Vocabulary vocabulary() {
        return vocabulary;
    }
}
