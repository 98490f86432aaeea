package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** Tensors of more than 2^31 elements. */
class BigTensorTests {
    private static final long ROWS = (1L << 21) + 3;
    private static final long COLS = 1 << 10;

    @Test
    void elementsBeyondTwoToTheThirtyFirst() throws IOException {
        // Native memory is limited to the largest heap where nothing else was said.
        long free = Math.min(freeBytes(), Runtime.getRuntime().maxMemory());
        Assumptions.assumeTrue(
                free > 5L << 30,
                () ->
                        "skipped: two tensors of 2^31 elements need 5 GiB, of memory and of -XX:MaxDirectMemorySize; found "
                                + (free >> 20) + " MiB");
        try (Scope scope = Scope.open()) {
            Tensor x = Tensor.zeros(DType.INT8, ROWS, COLS);
            assertThat(x.count()).isGreaterThan(1L << 31);
            Tensor last = x.narrow(0, ROWS - 2, 2);
            last.fill_(3);
            x.select(0, ROWS - 1).narrow(0, COLS - 1, 1).fill_(7);
            assertThat(x.reshape(-1).narrow(0, x.count() - 2, 2).toInts()).containsExactly(3, 7);
            assertThat(x.reshape(-1).narrow(0, x.count() - 2 * COLS - 1, 2).toInts())
                    .containsExactly(0, 3);
            assertThat(last.sum().item()).isEqualTo(2 * COLS * 3 + 4);
            assertThat(x.sum().item()).isEqualTo(2 * COLS * 3 + 4);
            Tensor copy = Tensor.empty(DType.INT8, ROWS, COLS).copyFrom(x);
            assertThat(copy.select(1, COLS - 1).narrow(0, ROWS - 3, 3).toInts()).containsExactly(0, 3, 7);
        }
    }

    private static long freeBytes() throws IOException {
        Path file = Path.of("/proc/meminfo");
        if (!Files.exists(file)) {
            return 0;
        }
        return Files.readAllLines(file).stream()
                .filter(line -> line.startsWith("MemAvailable:"))
                .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
                .sum();
    }
}
