package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.model.tokenizer.PretrainedTokenizer.Ends;
import dev.isthmus.model.tokenizer.SentencePiece.Algorithm;
import dev.isthmus.model.tokenizer.SentencePiece.Kind;
import dev.isthmus.model.tokenizer.SentencePiece.Piece;
import dev.isthmus.model.tokenizer.SentencePiece.Spelling;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * The tokenizer files of llama2.c: the length of the longest piece, then for each id its score (float32), its length
 * (int32) and its UTF-8 bytes.
 */
final class Llama2cVocabulary {
    static final int BOS = 1;
    static final int EOS = 2;
    private static final long MAX_BYTES = 200_000_000;

    private Llama2cVocabulary() {}

    static PretrainedTokenizer read(Path file) {
        return tokenizer(pieces(file));
    }

    static List<Piece> pieces(Path file) {
        try {
            if (Files.size(file) > MAX_BYTES) {
                throw new ModelFormatException(
                        file, "is larger than " + MAX_BYTES + " bytes, not a llama2.c tokenizer");
            }
            return pieces(file, Files.readAllBytes(file));
        } catch (IOException e) {
            throw new IsthmusException("Cannot read " + file + ": " + e, e);
        }
    }

    static List<Piece> pieces(Path file, byte[] content) {
        ByteBuffer bytes = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN);
        List<String> pieces = new ArrayList<>();
        float[] scores = new float[content.length / 8];
        try {
            int longest = bytes.getInt();
            while (bytes.hasRemaining()) {
                float score = bytes.getFloat();
                int length = bytes.getInt();
                if (!Float.isFinite(score) || length < 0 || length > longest) {
                    throw bad(
                            file,
                            pieces.size(),
                            "has the score " + score + " and the length " + length + "; the longest should be "
                                    + longest);
                }
                if (length > bytes.remaining()) {
                    throw new BufferUnderflowException();
                }
                ByteBuffer piece = bytes.slice(bytes.position(), length);
                bytes.position(bytes.position() + length);
                scores[pieces.size()] = score;
                pieces.add(StandardCharsets.UTF_8.newDecoder().decode(piece).toString());
            }
        } catch (BufferUnderflowException e) {
            throw new ModelFormatException(
                    file,
                    "truncated: the piece of the token " + pieces.size() + " reaches beyond the " + content.length
                            + " bytes found",
                    e);
        } catch (CharacterCodingException e) {
            throw bad(file, pieces.size(), "is not valid UTF-8");
        }
        return pieces(file, pieces, scores);
    }

    /** The first three tokens are the unknown one, the begin and the end of a text. */
    static List<Piece> pieces(Path file, List<String> texts, float[] scores) {
        List<Piece> pieces = new ArrayList<>(texts.size());
        for (int id = 0; id < texts.size(); id++) {
            Kind kind = id == 0
                    ? Kind.UNKNOWN
                    : id <= EOS ? Kind.CONTROL : Vocabulary.byteOf(texts.get(id)) >= 0 ? Kind.BYTE : Kind.NORMAL;
            pieces.add(new Piece(texts.get(id), scores[id], kind));
        }
        if (pieces.size() <= EOS) {
            throw new ModelFormatException(file, "holds " + pieces.size() + " tokens, not even the three special ones");
        }
        return pieces;
    }

    static PretrainedTokenizer tokenizer(List<Piece> pieces) {
        return SentencePiece.tokenizer(
                pieces,
                Algorithm.BPE,
                new Spelling(Normalizer.NONE, true, false, " "),
                new Ends(OptionalInt.of(BOS), OptionalInt.of(EOS)),
                true,
                false);
    }

    private static ModelFormatException bad(Path file, int id, String problem) {
        return new ModelFormatException(file, "not a llama2.c tokenizer: the piece of the token " + id + " " + problem);
    }
}
