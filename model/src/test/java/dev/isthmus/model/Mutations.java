package dev.isthmus.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.time.Duration;
import java.util.Arrays;
import org.junit.jupiter.api.Assertions;

/** Damages the bytes of a file in many seeded ways; its parser must accept the result or report it, quickly. */
public final class Mutations {
    /** A parser under test. */
    public interface Parser {
        void parse(byte[] bytes) throws Exception;
    }

    private Mutations() {}

    /** Runs {@code parser} on 2,000 damaged copies of {@code bytes}, most of the damage being in the first {@code head}. */
    public static void assertSurvives(byte[] bytes, int head, Parser parser) {
        int[] rejected = {0};
        Assertions.assertTimeout(Duration.ofSeconds(60), () -> {
            for (int i = 0; i < 2000; i++) {
                byte[] damaged = mutate(bytes, head, Rng.of(20261121).split("mutation", i));
                try {
                    parser.parse(damaged);
                } catch (IsthmusException e) {
                    rejected[0]++;
                    assertThat(e.getMessage()).as("mutation %d", i).hasSizeLessThan(1000);
                } catch (Throwable e) {
                    fail("mutation " + i + " escaped as " + e, e);
                }
            }
        });
        assertThat(rejected[0]).as("mutations rejected").isGreaterThan(200);
    }

    private static byte[] mutate(byte[] original, int head, Rng rng) {
        byte[] bytes = original.clone();
        int edits = 1 + rng.nextInt(4);
        for (int i = 0; i < edits; i++) {
            int at = rng.nextInt(rng.nextInt(10) == 0 ? bytes.length : Math.min(head, bytes.length));
            switch (rng.nextInt(7)) {
                case 0 -> bytes[at] = (byte) rng.nextInt(256);
                case 1 -> bytes[at] ^= (byte) (1 << rng.nextInt(8));
                case 2 -> bytes[at] = (byte) "0123456789-.e[]{}\",: n\\".charAt(rng.nextInt(23));
                case 3 -> bytes = Arrays.copyOf(bytes, Math.max(1, at));
                case 4 -> bytes = splice(bytes, at, rng.nextInt(32), at);
                case 5 -> bytes = splice(bytes, at, 0, Math.min(bytes.length, at + 1 + rng.nextInt(32)));
                default -> {
                    int value = new int[] {-1, Integer.MIN_VALUE, Integer.MAX_VALUE, 0}[rng.nextInt(4)];
                    for (int j = 0; j < 4 && at / 4 * 4 + j < bytes.length; j++) {
                        bytes[at / 4 * 4 + j] = (byte) (value >> 8 * j);
                    }
                }
            }
        }
        return bytes;
    }

    /** Repeats {@code count} bytes before {@code at}, and goes on from {@code from}. */
    private static byte[] splice(byte[] bytes, int at, int count, int from) {
        int n = Math.min(count, at);
        byte[] result = new byte[at + n + bytes.length - from];
        System.arraycopy(bytes, 0, result, 0, at);
        System.arraycopy(bytes, at - n, result, at, n);
        System.arraycopy(bytes, from, result, at + n, bytes.length - from);
        return result.length == 0 ? new byte[1] : result;
    }
}
