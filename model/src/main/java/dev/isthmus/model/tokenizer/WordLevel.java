package dev.isthmus.model.tokenizer;

import dev.isthmus.tensor.IsthmusException;
import org.jspecify.annotations.Nullable;

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
            throw new IsthmusException("'" + piece + "' is not in the vocabulary of " + size() + " words");
        }
        out.add(id < 0 ? unknown : id);
    }

    @Override
    public int id(String token) {
        return vocabulary.id(token);
    }

    @Override
    public @Nullable String token(int id) {
        return vocabulary.token(id);
    }

    @Override
    public int size() {
        return vocabulary.size();
    }
}
