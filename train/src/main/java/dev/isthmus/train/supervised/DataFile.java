package dev.isthmus.train.supervised;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.zip.CRC32C;

/**
 * A file to learn from, whole.
 *
 * @param name as it was given
 * @param crc32c tells whether it is still the same
 */
record DataFile(String name, String text, String crc32c) {
    private static final long MAX_BYTES = 1_000_000_000;

    /**
     * Reads a file.
     *
     * @throws IsthmusException if it is missing, empty, too large for this way of reading, or not text
     */
    static DataFile read(String name) {
        try {
            Path file = Path.of(name);
            if (!Files.exists(file)) {
                throw new IsthmusException("Cannot read " + name + ": there is no such file");
            }
            if (!Files.isRegularFile(file)) {
                throw new IsthmusException("Cannot read " + name + ": it is not a file");
            }
            if (Files.size(file) > MAX_BYTES) {
                throw new IsthmusException("Cannot read " + name + ": it is larger than " + MAX_BYTES + " bytes");
            }
            byte[] bytes = Files.readAllBytes(file);
            CRC32C crc = new CRC32C();
            crc.update(bytes);
            String text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
            if (text.isBlank()) {
                throw new IsthmusException(name + " is empty");
            }
            return new DataFile(name, text, HexFormat.of().toHexDigits((int) crc.getValue()));
        } catch (CharacterCodingException e) {
            throw new IsthmusException(name + " is not a text in UTF-8", e);
        } catch (IOException | InvalidPathException e) {
            throw new IsthmusException("Cannot read " + name + ": " + e.getMessage(), e);
        }
    }
}
