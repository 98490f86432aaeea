package dev.isthmus.app;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** What is piped into a command. */
final class StandardInput {
    private StandardInput() {}

    /**
     * All of it, as UTF-8.
     *
     * @throws IsthmusException if it is not
     */
    static String read() {
        try {
            byte[] bytes = System.in.readAllBytes();
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new IsthmusException("standard input is not text in UTF-8", e);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
