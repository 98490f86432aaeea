package dev.isthmus.train.run;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A log of one JSON object a line (<a href="https://jsonlines.org">JSON Lines</a>), appended to and cut back on resume.
 *
 * <p>Numbers are written in the shortest form that reads back as the same value; NaN and the infinities, which JSON
 * lacks, as the strings {@code "NaN"}, {@code "Infinity"} and {@code "-Infinity"}. A line is in the file when {@link
 * #append} returns.
 */
final class JsonLines implements Closeable {
    private static final JsonMapper JSON = new JsonMapper();

    private final FileChannel channel;

    JsonLines(Path file) throws IOException {
        channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        channel.position(channel.size());
    }

    void append(Map<String, ?> object) throws IOException {
        // By way of a string, since a completion may hold half a surrogate pair, which the byte generator refuses.
        String line = JSON.writeValueAsString(object) + "\n";
        Disk.writeFully(channel, ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8)));
    }

    long length() throws IOException {
        return channel.position();
    }

    void force() throws IOException {
        channel.force(false);
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    /** The objects of a log; a last line that a crash left incomplete is passed over. */
    static List<JsonNode> read(Path file) throws IOException {
        List<JsonNode> objects = new ArrayList<>();
        // Not readAllLines, which refuses the character that a crash cut in two.
        String text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
        for (String line : text.lines().toList()) {
            try {
                objects.add(JSON.readTree(line));
            } catch (JacksonException e) {
                break;
            }
        }
        return objects;
    }
}
