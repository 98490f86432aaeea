package dev.isthmus.train.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventsWriterTests {
    @TempDir
    Path directory;

    /**
     * The bytes were read back by TensorBoard's own loader, which also checks the checksums, when they were recorded.
     */
    @Test
    void bytesAreThoseThatTensorBoardReads() throws IOException {
        Path file = directory.resolve("events");
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("loss", 1.5);
        values.put("rewards/chosen", -0.25f);
        values.put("num_tokens", 300L);
        values.put("note", "left out");
        values.put("kl", Double.NaN);
        try (EventsWriter events = new EventsWriter(file, 1, 1_700_000_000.5)) {
            events.scalars(1, 1_700_000_001.25, values);
            events.scalars(300, 1_700_000_002, Map.of("loss", 1.25));
        }
        assertThat(HexFormat.of().formatHex(Files.readAllBytes(file))).isEqualTo(GOLDEN);
    }

    @Test
    void anExistingFileIsNotTouched() throws IOException {
        Path file = Files.writeString(directory.resolve("events"), "precious");
        assertThatThrownBy(() -> new EventsWriter(file, 1, 0).close()).isInstanceOf(FileAlreadyExistsException.class);
        assertThat(file).hasContent("precious");
    }

    private static final String GOLDEN =
            "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b3531100f00000000"
                    + "0000006d532b090900002040fc54d94110013a020801e50ad8694f000000000000006c474f930900005040fc54"
                    + "d94110012a420a0b0a046c6f7373150000c03f0a150a0e726577617264732f63686f73656e15000080be0a110a"
                    + "0a6e756d5f746f6b656e7315000096430a090a026b6c150000c07f3b5b329e1b000000000000001a0d9e130900"
                    + "008040fc54d94110ac022a0d0a0b0a046c6f7373150000a03f6263b9d7";
}
