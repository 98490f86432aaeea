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
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * Reads SentencePiece's {@code tokenizer.model}: a message of protocol buffers.
 *
 * @see <a href="https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto">its fields</a>
 */
final class SentencePieceFile {
    private static final long MAX_BYTES = 200_000_000;

    private final List<Piece> pieces = new ArrayList<>();
    private Algorithm algorithm = Algorithm.UNIGRAM;
    private Normalizer rules = Normalizer.NONE;
    private boolean addDummyPrefix = true;
    private boolean removeExtraWhitespaces = true;
    private int bos = 1;
    private int eos = 2;

    private SentencePieceFile() {}

    static PretrainedTokenizer read(Path file) {
        try {
            if (Files.size(file) > MAX_BYTES) {
                throw new ModelFormatException(file, "is larger than " + MAX_BYTES + " bytes, not a tokenizer");
            }
            return parse(file, Files.readAllBytes(file));
        } catch (IOException e) {
            throw new IsthmusException("Cannot read " + file + ": " + e, e);
        }
    }

    static PretrainedTokenizer parse(Path file, byte[] content) {
        SentencePieceFile model = new SentencePieceFile();
        try {
            model.message(ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN), model::modelField);
            if (model.pieces.isEmpty()) {
                throw new IllegalArgumentException("it holds no pieces");
            }
            return SentencePiece.tokenizer(
                    model.pieces,
                    model.algorithm,
                    new Spelling(model.rules, model.addDummyPrefix, model.removeExtraWhitespaces, SentencePiece.SPACE),
                    new Ends(model.control(model.bos), model.control(model.eos)),
                    true,
                    false);
        } catch (BufferUnderflowException e) {
            throw new ModelFormatException(file, "truncated: a field reaches beyond the end", e);
        } catch (IllegalArgumentException e) {
            throw new ModelFormatException(file, "not a SentencePiece model: " + e.getMessage(), e);
        }
    }

    private OptionalInt control(int id) {
        return id >= 0 && id < pieces.size() && pieces.get(id).kind() == Kind.CONTROL
                ? OptionalInt.of(id)
                : OptionalInt.empty();
    }

    /** Takes the fields of a message; {@code value} is a number or, for bytes, {@code content}. */
    private interface Field {
        void accept(int number, long value, ByteBuffer content);
    }

    private void message(ByteBuffer bytes, Field field) {
        while (bytes.hasRemaining()) {
            long tag = varint(bytes);
            long value = 0;
            ByteBuffer content = ByteBuffer.allocate(0);
            switch ((int) (tag & 7)) {
                case 0 -> value = varint(bytes);
                case 1 -> value = bytes.getLong();
                case 2 -> {
                    long length = varint(bytes);
                    if (length < 0 || length > bytes.remaining()) {
                        throw new BufferUnderflowException();
                    }
                    content = bytes.slice(bytes.position(), (int) length).order(ByteOrder.LITTLE_ENDIAN);
                    bytes.position(bytes.position() + (int) length);
                }
                case 5 -> value = bytes.getInt();
                default -> throw new IllegalArgumentException("a field of the wire type " + (tag & 7));
            }
            field.accept((int) (tag >>> 3), value, content);
        }
    }

    private static long varint(ByteBuffer bytes) {
        long value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            byte b = bytes.get();
            value |= (long) (b & 0x7f) << shift;
            if (b >= 0) {
                return value;
            }
        }
        throw new IllegalArgumentException("a number of more than ten bytes");
    }

    private void modelField(int number, long value, ByteBuffer content) {
        switch (number) {
            case 1 -> pieces.add(piece(content));
            case 2 -> message(content, this::trainerField);
            case 3 -> message(content, this::normalizerField);
            default -> {}
        }
    }

    private Piece piece(ByteBuffer content) {
        String[] text = {""};
        float[] score = {0};
        Kind[] kind = {Kind.NORMAL};
        message(content, (number, value, bytes) -> {
            switch (number) {
                case 1 -> text[0] = StandardCharsets.UTF_8.decode(bytes).toString();
                case 2 -> score[0] = Float.intBitsToFloat((int) value);
                case 3 -> {
                    if (value < 1 || value > Kind.values().length) {
                        throw new IllegalArgumentException("a piece of the type " + value);
                    }
                    kind[0] = Kind.values()[(int) value - 1];
                }
                default -> {}
            }
        });
        if (!Float.isFinite(score[0])) {
            throw new IllegalArgumentException("a piece with the score " + score[0]);
        }
        return new Piece(text[0], score[0], kind[0]);
    }

    private void trainerField(int number, long value, ByteBuffer content) {
        switch (number) {
            case 3 ->
                algorithm = switch ((int) value) {
                    case 1 -> Algorithm.UNIGRAM;
                    case 2 -> Algorithm.BPE;
                    default ->
                        throw new IllegalArgumentException(
                                "a model of words or characters; readable are unigram and BPE");
                };
            case 24 -> {
                if (value != 0) {
                    throw new IllegalArgumentException("treat_whitespace_as_suffix is not known");
                }
            }
            case 41 -> bos = (int) value;
            case 42 -> eos = (int) value;
            default -> {}
        }
    }

    private void normalizerField(int number, long value, ByteBuffer content) {
        switch (number) {
            case 2 -> {
                byte[] compiled = new byte[content.remaining()];
                content.get(compiled);
                rules = compiled.length == 0 ? Normalizer.NONE : new CharsMap(compiled);
            }
            case 3 -> addDummyPrefix = value != 0;
            case 4 -> removeExtraWhitespaces = value != 0;
            default -> {}
        }
    }
}
