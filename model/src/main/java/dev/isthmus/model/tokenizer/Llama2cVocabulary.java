package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.ModelFormatException;
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
import java.util.Arrays;
import java.util.List;

/**
 * The tokenizer files of llama2.c: the length of the longest piece, then for each id its score (float32), its length
 * (int32) and its UTF-8 bytes.
 */
final class Llama2cVocabulary {
    private static final long MAX_BYTES = 200_000_000;

    private Llama2cVocabulary() {}

    static SentencePieceTokenizer read(Path file) {
        try {
            if (Files.size(file) > MAX_BYTES) {
                throw new ModelFormatException(
                        file, "is larger than " + MAX_BYTES + " bytes, not a llama2.c tokenizer");
            }
            return parse(file, Files.readAllBytes(file));
        } catch (IOException e) {
            throw new IsthmusException("Cannot read " + file + ": " + e, e);
        }
    }

    static SentencePieceTokenizer parse(Path file, byte[] content) {
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
        return new SentencePieceTokenizer(pieces, Arrays.copyOf(scores, pieces.size()));
    }

    private static ModelFormatException bad(Path file, int id, String problem) {
        return new ModelFormatException(file, "not a llama2.c tokenizer: the piece of the token " + id + " " + problem);
    }
}
