package dev.isthmus.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import com.sun.management.ThreadMXBean;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assertions;

/**
 * Damages a file in many seeded ways; its parser must accept the result or report it, in little time and memory.
 *
 * <p>{@code -Disthmus.mutations=20000} says in how many ways, and prints what came of them.
 */
public final class Mutations {
    private static final int DEFAULT_COUNT = 500;
    private static final int COUNT = Integer.getInteger("isthmus.mutations", DEFAULT_COUNT);

    /** Of one mutation, in processor time of its thread, so that a busy machine is not an error. */
    private static final double MAX_SECONDS = 5;

    /** Of one mutation, in the heap; the files are small. */
    private static final long MAX_BYTES = 256L << 20;

    private static final Pattern NUMBER = Pattern.compile("-?\\d+(\\.\\d+)?([eE][-+]?\\d+)?");
    private static final Pattern STRING = Pattern.compile("\"[^\"\\\\\\n]{0,80}\"");
    private static final List<String> NUMBERS = List.of(
            "-1",
            "0",
            "1",
            "2147483647",
            "2147483648",
            "-2147483648",
            "4294967296",
            "9223372036854775807",
            "-9223372036854775808",
            "99999999999999999999",
            "1e308",
            "1e999999999",
            "-0.0",
            "0.5",
            "true",
            "null",
            "\"3\"");
    private static final List<String> VALUES =
            List.of("[]", "{}", "null", "\"\"", "0", "[[]]", "true", "\"\\ud800\"", "\"\\u0000\"");
    private static final long[] COUNTS = {
        -1, 0, 1, Integer.MIN_VALUE, Integer.MAX_VALUE, Long.MIN_VALUE, Long.MAX_VALUE, 1L << 32, 1L << 40
    };

    /** A parser under test. */
    public interface Parser {
        void parse(byte[] bytes) throws Exception;
    }

    private Mutations() {}

    /**
     * Runs {@code parser} on damaged copies of {@code bytes}, most of the damage being in the first {@code head}.
     *
     * @param what the format
     */
    public static void assertSurvives(String what, byte[] bytes, int head, Parser parser) {
        assertThat(bytes).as("a %s file", what).isNotEmpty();
        Tally tally = new Tally();
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(60 + COUNT / 5), () -> tally.run(bytes, head, parser));
        if (COUNT != DEFAULT_COUNT) {
            System.out.printf(
                    Locale.ROOT,
                    "%s: %,d mutations, %,d loaded, %,d rejected; at most %.0f ms and %.1f MB each%n",
                    what,
                    COUNT,
                    COUNT - tally.rejected,
                    tally.rejected,
                    1e3 * tally.seconds,
                    tally.bytes / 1e6);
        }
        assertThat(tally.rejected).as("mutations of a %s file rejected", what).isGreaterThan(COUNT / 10);
    }

    /** What came of the mutations. */
    private static final class Tally {
        int rejected;
        double seconds;
        long bytes;

        void run(byte[] original, int head, Parser parser) {
            ThreadMXBean thread = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            for (int i = 0; i < COUNT; i++) {
                byte[] damaged = mutate(original, head, Rng.of(20261121).split("mutation", i));
                long time = thread.getCurrentThreadCpuTime();
                long heap = thread.getCurrentThreadAllocatedBytes();
                try {
                    parser.parse(damaged);
                } catch (IsthmusException e) {
                    rejected++;
                    assertThat(e.getMessage()).as("mutation %d", i).isNotBlank().hasSizeLessThan(1000);
                } catch (Throwable e) {
                    fail("mutation " + i + " escaped as " + e, e);
                }
                double spent = (thread.getCurrentThreadCpuTime() - time) / 1e9;
                long allocated = thread.getCurrentThreadAllocatedBytes() - heap;
                assertThat(spent).as("seconds of mutation %d", i).isLessThan(MAX_SECONDS);
                assertThat(allocated).as("bytes of mutation %d", i).isLessThan(MAX_BYTES);
                seconds = Math.max(seconds, spent);
                bytes = Math.max(bytes, allocated);
            }
        }
    }

    private static byte[] mutate(byte[] original, int head, Rng rng) {
        byte[] bytes = original.clone();
        int edits = 1 + rng.nextInt(4);
        for (int i = 0; i < edits; i++) {
            int at = rng.nextInt(rng.nextInt(10) == 0 ? bytes.length : Math.min(head, bytes.length));
            bytes = edit(bytes, at, rng);
        }
        return bytes;
    }

    private static byte[] edit(byte[] bytes, int at, Rng rng) {
        switch (rng.nextInt(13)) {
            case 0 -> bytes[at] = (byte) rng.nextInt(256);
            case 1 -> bytes[at] ^= (byte) (1 << rng.nextInt(8));
            case 2 -> bytes[at] = (byte) "0123456789-.e[]{}\",: n\\".charAt(rng.nextInt(23));
            case 3 -> {
                return Arrays.copyOf(bytes, Math.max(1, at));
            }
            case 4 -> {
                return spliced(bytes, at, Arrays.copyOfRange(bytes, Math.max(0, at - rng.nextInt(32)), at), at);
            }
            case 5 -> {
                return spliced(bytes, at, new byte[0], at + 1 + rng.nextInt(32));
            }
            case 6 -> put(bytes, at / 4 * 4, COUNTS[rng.nextInt(COUNTS.length)], 4);
            case 7 -> put(bytes, at, COUNTS[rng.nextInt(COUNTS.length)], 8);
            case 8 -> {
                // Sizes and offsets that belong elsewhere: they overlap, or lead back.
                int from = rng.nextInt(bytes.length);
                System.arraycopy(bytes.clone(), from, bytes, at, Math.min(8, bytes.length - Math.max(at, from)));
            }
            case 9 -> {
                return replaced(bytes, at, NUMBER, NUMBERS.get(rng.nextInt(NUMBERS.size())));
            }
            case 10 -> {
                List<String> strings = STRING.matcher(latin1(bytes))
                        .results()
                        .map(MatchResult::group)
                        .toList();
                return strings.isEmpty()
                        ? bytes
                        : replaced(bytes, at, STRING, strings.get(rng.nextInt(strings.size())));
            }
            case 11 -> {
                Pattern value = rng.nextInt(2) == 0 ? NUMBER : STRING;
                return replaced(bytes, at, value, VALUES.get(rng.nextInt(VALUES.size())));
            }
            default -> {
                String open = List.of("[", "{\"a\":", "(", "\"", "{{", " ").get(rng.nextInt(6));
                return spliced(
                        bytes, at, open.repeat(1 + rng.nextInt(20_000)).getBytes(StandardCharsets.ISO_8859_1), at);
            }
        }
        return bytes;
    }

    /** Writes a number, little-endian. */
    private static void put(byte[] bytes, int at, long value, int size) {
        for (int j = 0; j < size && at + j < bytes.length; j++) {
            bytes[at + j] = (byte) (value >> 8 * j);
        }
    }

    /** Puts {@code text} where the first match from {@code at} is. */
    private static byte[] replaced(byte[] bytes, int at, Pattern pattern, String text) {
        Matcher matcher = pattern.matcher(latin1(bytes));
        return matcher.find(at)
                ? spliced(bytes, matcher.start(), text.getBytes(StandardCharsets.ISO_8859_1), matcher.end())
                : bytes;
    }

    private static String latin1(byte[] bytes) {
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }

    /** The bytes before {@code at}, then {@code middle}, then those from {@code from}. */
    private static byte[] spliced(byte[] bytes, int at, byte[] middle, int from) {
        int rest = Math.max(0, bytes.length - from);
        byte[] result = Arrays.copyOf(bytes, at + middle.length + rest);
        System.arraycopy(middle, 0, result, at, middle.length);
        System.arraycopy(bytes, bytes.length - rest, result, at + middle.length, rest);
        return result.length == 0 ? new byte[1] : result;
    }
}
