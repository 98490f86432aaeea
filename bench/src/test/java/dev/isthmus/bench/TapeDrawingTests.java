package dev.isthmus.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The drawing in the documentation is the tape that runs. */
class TapeDrawingTests {
    @Test
    void theDrawingIsOfToday() throws IOException {
        Path file = Path.of("..", "docs", "tape.svg");
        assertThat(TapeDrawing.svg().replace("\r", ""))
                .as("docs/tape.svg; docs/tape.md says how to draw it again")
                .isEqualTo(Files.readString(file).replace("\r", ""));
    }
}
