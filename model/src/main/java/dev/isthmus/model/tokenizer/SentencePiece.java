package dev.isthmus.model.tokenizer;

import dev.isthmus.model.tokenizer.AddedTokens.AddedToken;
import dev.isthmus.model.tokenizer.PretrainedTokenizer.Ends;
import dev.isthmus.model.tokenizer.PretrainedTokenizer.Template;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.regex.Pattern;

/**
 * SentencePiece's tokenizers (Kudo and Richardson 2018), from whatever file holds their pieces: a text gets a space before it,
 * spaces become {@code ▁}, and all of it is one piece for the model.
 */
final class SentencePiece {
    static final String SPACE = "\u2581";

    /** Spaces at the ends of a text, and all but the last of those in a row. */
    static final String EXTRA_SPACES = "^ +| +$| +(?= )";

    private SentencePiece() {}

    /** What a piece is. The order is that of the numbers in files, from 1. */
    enum Kind {
        NORMAL,
        UNKNOWN,
        CONTROL,
        USER_DEFINED,
        UNUSED,
        BYTE
    }

    /** One entry of the vocabulary. */
    record Piece(String text, float score, Kind kind) {}

    /** How the best segmentation is found. */
    enum Algorithm {
        UNIGRAM,
        BPE
    }

    /**
     * What is done to a text first.
     *
     * @param addDummyPrefix whether a space is put before it
     * @param removeExtraWhitespaces whether spaces at its ends go, and those in a row become one
     */
    record Spelling(Normalizer rules, boolean addDummyPrefix, boolean removeExtraWhitespaces, String space) {
        Normalizer normalizer() {
            List<Normalizer> steps = new ArrayList<>(List.of(rules));
            if (removeExtraWhitespaces) {
                steps.add(Normalizer.replace(Pattern.compile(EXTRA_SPACES), ""));
            }
            if (addDummyPrefix) {
                steps.add(Normalizer.prepend(" "));
            }
            steps.add(text -> text.replace(" ", space));
            return Normalizer.sequence(steps);
        }
    }

    /**
     * A tokenizer.
     *
     * @param addBos whether a model wants the begin of a text before it; likewise the end
     * @throws IllegalArgumentException if the pieces are not a vocabulary
     */
    static PretrainedTokenizer tokenizer(
            List<Piece> pieces, Algorithm algorithm, Spelling spelling, Ends ends, boolean addBos, boolean addEos) {
        List<AddedToken> added = new ArrayList<>();
        Map<String, Integer> made = new HashMap<>();
        int unknown = 0;
        for (int id = 0; id < pieces.size(); id++) {
            Piece piece = pieces.get(id);
            switch (piece.kind) {
                case CONTROL -> added.add(AddedToken.special(id, piece.text));
                case USER_DEFINED -> added.add(new AddedToken(id, piece.text, false, false, false, false, false));
                case UNKNOWN -> {
                    unknown = id;
                    added.add(AddedToken.special(id, piece.text));
                }
                case NORMAL, BYTE -> made.putIfAbsent(piece.text, id);
                case UNUSED -> {}
            }
        }
        TokenModel model = switch (algorithm) {
            case BPE -> {
                float[] scores = new float[pieces.size()];
                for (int id = 0; id < scores.length; id++) {
                    scores[id] = pieces.get(id).score;
                }
                yield new ScoredBpe(new Vocabulary(made), scores, unknown);
            }
            case UNIGRAM -> unigram(pieces, unknown);
        };
        return new PretrainedTokenizer(
                added,
                spelling.normalizer(),
                algorithm == Algorithm.BPE ? words(model.vocabulary(), spelling.space) : PreTokenizer.NONE,
                model,
                decoder(spelling),
                new Template(addBos ? one(ends.bos()) : new int[0], addEos ? one(ends.eos()) : new int[0]),
                ends);
    }

    /**
     * A text is one piece, but where no token reaches over the begin of a word no merge does: then its words can be encoded one by
     * one, and most of them are known.
     */
    static PreTokenizer words(Vocabulary vocabulary, String space) {
        return vocabulary.endsAtWords(space.charAt(0)) ? PreTokenizer.words(space.charAt(0)) : PreTokenizer.NONE;
    }

    private static Unigram unigram(List<Piece> pieces, int unknown) {
        List<String> tokens = new ArrayList<>();
        double[] scores = new double[pieces.size()];
        for (Piece piece : pieces) {
            scores[tokens.size()] = piece.score;
            tokens.add(piece.text);
        }
        boolean bytes = pieces.stream().anyMatch(piece -> piece.kind == Kind.BYTE);
        return new Unigram(tokens, scores, unknown, bytes);
    }

    private static TokenDecoder decoder(Spelling spelling) {
        List<TokenDecoder> steps = new ArrayList<>(List.of(
                TokenDecoder.replace(Pattern.compile(Pattern.quote(spelling.space)), " "),
                TokenDecoder.byteFallback(),
                TokenDecoder.fuse()));
        if (spelling.addDummyPrefix) {
            steps.add(TokenDecoder.strip(' ', 1, 0));
        }
        return TokenDecoder.sequence(steps);
    }

    private static int[] one(OptionalInt id) {
        return id.stream().toArray();
    }
}
