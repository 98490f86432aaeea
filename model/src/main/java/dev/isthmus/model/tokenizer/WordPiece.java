package dev.isthmus.model.tokenizer;

/**
 * Greedy longest-match-first (Devlin et al. 2019, section 3; Wu et al. 2016, section 4.1): the longest token that begins a
 * word, then the longest that continues it; a word that cannot be covered is one unknown token.
 */
final class WordPiece implements TokenModel {
    private final Vocabulary vocabulary;
    private final int unknown;
    private final String continuingSubwordPrefix;
    private final int maxInputCharsPerWord;

    WordPiece(Vocabulary vocabulary, String unkToken, String continuingSubwordPrefix, int maxInputCharsPerWord) {
        this.vocabulary = vocabulary;
        this.unknown = vocabulary.id(unkToken);
        this.continuingSubwordPrefix = continuingSubwordPrefix;
        this.maxInputCharsPerWord = maxInputCharsPerWord;
        if (unknown < 0) {
            throw new IllegalArgumentException("the unknown token '" + unkToken + "' is not in the vocabulary");
        }
    }

    @Override
    public void encode(String piece, IntList out) {
        if (piece.codePointCount(0, piece.length()) > maxInputCharsPerWord) {
            out.add(unknown);
            return;
        }
        IntList found = new IntList();
        for (int start = 0; start < piece.length(); ) {
            String prefix = start == 0 ? "" : continuingSubwordPrefix;
            int end = piece.length();
            int id = vocabulary.id(prefix + piece.substring(start, end));
            while (id < 0 && end > start + 1) {
                end--;
                id = vocabulary.id(prefix + piece.substring(start, end));
            }
            if (id < 0) {
                out.add(unknown);
                return;
            }
            found.add(id);
            start = end;
        }
        out.addAll(found.toArray());
    }

    @Override
    public Vocabulary vocabulary() {
        return vocabulary;
    }
}
