package dev.isthmus.train.data;

import dev.isthmus.tensor.IsthmusException;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A file of JSON objects, one a line, of which only the places of the lines are in memory; {@code .gz} is unpacked to a temporary
 * file first. Blank lines are passed over.
 */
public final class JsonLinesFile {
    private static final JsonMapper JSON = JsonMapper.shared();

    private final String name;
    private final Path text;
    private final String crc32c;
    private long[] starts = new long[1024];
    private int[] lines = new int[1024];
    private int rows;

    /**
     * Opens a file and finds its lines.
     *
     * @throws IsthmusException if it is missing, empty, or cannot be read
     */
    public JsonLinesFile(String name) {
        this.name = name;
        try {
            Path file = Path.of(name);
            if (Files.exists(file) && !Files.isRegularFile(file)) {
                throw new IsthmusException("Cannot read " + name + ": it is not a file");
            }
            text = name.endsWith(".gz") ? unpacked(file) : file;
            crc32c = index();
        } catch (NoSuchFileException e) {
            throw new IsthmusException("Cannot read " + name + ": there is no such file", e);
        } catch (ZipException e) {
            throw new IsthmusException("Cannot read " + name + ": it is not compressed by gzip, as its name says", e);
        } catch (IOException | InvalidPathException e) {
            throw new IsthmusException("Cannot read " + name + ": " + e.getMessage(), e);
        }
        if (rows == 0) {
            throw new IsthmusException(name + " is empty");
        }
    }

    private static Path unpacked(Path file) throws IOException {
        Path temporary = Files.createTempFile("isthmus-", ".jsonl");
        temporary.toFile().deleteOnExit();
        try (InputStream in = new GZIPInputStream(Files.newInputStream(file), 1 << 16);
                OutputStream out = Files.newOutputStream(temporary)) {
            in.transferTo(out);
        }
        return temporary;
    }

    /** Finds the lines that are not blank and returns the checksum of all. */
    private String index() throws IOException {
        CRC32C crc = new CRC32C();
        byte[] buffer = new byte[1 << 16];
        long place = 0;
        long start = 0;
        int line = 1;
        boolean blank = true;
        try (InputStream in = new BufferedInputStream(Files.newInputStream(text), buffer.length)) {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                crc.update(buffer, 0, n);
                for (int i = 0; i < n; i++, place++) {
                    byte b = buffer[i];
                    if (b == '\n') {
                        add(start, line++, blank);
                        start = place + 1;
                        blank = true;
                    } else if (b != ' ' && b != '\t' && b != '\r') {
                        blank = false;
                    }
                }
            }
        }
        add(start, line, blank);
        starts = Arrays.copyOf(starts, rows + 1);
        lines = Arrays.copyOf(lines, rows);
        starts[rows] = place;
        return HexFormat.of().toHexDigits((int) crc.getValue());
    }

    private void add(long start, int line, boolean blank) {
        if (blank) {
            return;
        }
        if (rows + 1 == starts.length) {
            starts = Arrays.copyOf(starts, 2 * starts.length);
            lines = Arrays.copyOf(lines, 2 * lines.length);
        }
        starts[rows] = start;
        lines[rows++] = line;
    }

    /** As it was given. */
    public String name() {
        return name;
    }

    /** Tells whether the text is still the same. */
    public String crc32c() {
        return crc32c;
    }

    /** The number of rows. */
    public int rows() {
        return rows;
    }

    /**
     * A row, counted from 0.
     *
     * @throws IsthmusException that names file and line if it is not a JSON object
     */
    public Row row(int index) {
        try (FileChannel in = FileChannel.open(text)) {
            ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(starts[index + 1] - starts[index]));
            while (bytes.hasRemaining() && in.read(bytes, starts[index] + bytes.position()) >= 0) {
                // until the line is whole
            }
            bytes.flip();
            if (index == 0) {
                passBeginning(bytes);
            }
            String line = StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
            JsonNode json = JSON.readTree(line.strip());
            if (json instanceof ObjectNode object) {
                return new Row(name, lines[index], object);
            }
        } catch (CharacterCodingException e) {
            throw wrong(index, "is not a text in UTF-8");
        } catch (JacksonException e) {
            throw wrong(
                    index,
                    "is not JSON: "
                            // Where it stands is said already, and better.
                            + Row.shortened(e.getOriginalMessage()
                                    .lines()
                                    .findFirst()
                                    .orElse("")
                                    .replaceFirst(" \\(start marker at .*", "")));
        } catch (IOException e) {
            throw new IsthmusException("Cannot read " + name + ": " + e.getMessage(), e);
        }
        throw wrong(index, "is not a JSON object");
    }

    /** Passes over a byte order mark, and throws if the file begins like what datasets come as, too. */
    private void passBeginning(ByteBuffer row) {
        String start = StandardCharsets.ISO_8859_1
                .decode(row.slice(0, Math.min(4, row.limit())))
                .toString();
        if (start.startsWith("\u00EF\u00BB\u00BF")) {
            row.position(3);
        } else if (start.startsWith("[")) {
            throw wrong(0, "begins a JSON array, where each line should be an object; jq -c '.[]' makes such lines");
        } else if (start.equals("PAR1")) {
            throw wrong(0, "is of a Parquet file, not of JSON Lines, which Dataset.to_json writes");
        }
    }

    private IsthmusException wrong(int index, String problem) {
        return new IsthmusException(name + ", line " + lines[index] + ": " + problem);
    }
}
