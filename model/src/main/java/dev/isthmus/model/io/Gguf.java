package dev.isthmus.model.io;

import dev.isthmus.tensor.IsthmusException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The GGUF format of llama.cpp, versions 2 and 3, little-endian: metadata, the list of tensors, and their bytes.
 *
 * <p>Files are mapped, not read: the tensors are views of the file and live as long as the arena given. Every count and offset
 * is checked against the file before it is used.
 *
 * @param metadata values by key: Boolean, Long (all integers), Double (both floats), String, or a List of one of these
 * @param tensors by name, in the order of the file; the shape is row-major, outermost first
 * @see <a href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">the format</a>
 */
public record Gguf(Path file, Map<String, Object> metadata, Map<String, GgufTensor> tensors) {
    private static final int MAGIC = 0x46554747;
    private static final int MAX_DIMS = 4;
    private static final int MAX_ARRAY_DEPTH = 4;
    private static final long MAX_LIST = 1 << 24;

    public Gguf {
        metadata = Collections.unmodifiableMap(metadata);
        tensors = Collections.unmodifiableMap(tensors);
    }

    /**
     * A tensor as it lies in the file.
     *
     * @param shape the sizes, outermost first
     * @param data its bytes
     */
    public record GgufTensor(String name, GgufType type, long[] shape, MemorySegment data) {}

    /**
     * Maps a file into memory for as long as {@code arena} lives.
     *
     * @throws ModelFormatException if the file is truncated, damaged, or not GGUF
     * @throws IsthmusException if it cannot be read
     */
    public static Gguf open(Path file, Arena arena) {
        return parse(file, SafeTensors.map(file, arena));
    }

    static Gguf parse(Path file, MemorySegment bytes) {
        return new Reader(file, bytes).read();
    }

    /**
     * Replaces {@code file} by one of version 3, atomically.
     *
     * @param metadata values of the kinds that {@link #metadata} has; whole numbers are written as uint32 where they fit, others as
     *     float32, lists of whole numbers as int32
     * @param tensors in the order of the file
     * @throws IsthmusException if it cannot be written; what was there before is then untouched
     */
    public static void write(Path file, Map<String, Object> metadata, List<GgufTensor> tensors) {
        GgufHeader header = new GgufHeader(metadata, tensors);
        AtomicFile.write(file, channel -> {
            AtomicFile.writeFully(channel, header.bytes());
            for (GgufTensor tensor : tensors) {
                SafeTensors.write(channel, tensor.data());
                AtomicFile.writeFully(
                        channel,
                        ByteBuffer.allocate(GgufHeader.padding(tensor.data().byteSize())));
            }
        });
    }

    /** A text. */
    public @Nullable String string(String key) {
        return metadata.get(key) instanceof String text ? text : null;
    }

    /** A whole number that fits an int. */
    public OptionalInt integer(String key) {
        return metadata.get(key) instanceof Long value && value == value.intValue()
                ? OptionalInt.of(value.intValue())
                : OptionalInt.empty();
    }

    /** A number, or {@code absent}. */
    public double number(String key, double absent) {
        return metadata.get(key) instanceof Number value ? value.doubleValue() : absent;
    }

    /** A truth value, or {@code absent}. */
    public boolean flag(String key, boolean absent) {
        return metadata.get(key) instanceof Boolean value ? value : absent;
    }

    /**
     * A list whose elements are of one type.
     *
     * @throws ModelFormatException if it is not there or of another type
     */
    public <T> List<T> list(String key, Class<T> type) {
        if (metadata.get(key) instanceof List<?> list && list.stream().allMatch(type::isInstance)) {
            return list.stream().map(type::cast).toList();
        }
        throw new ModelFormatException(file, "expected a list of " + type.getSimpleName() + "s at '" + key + "'");
    }

    /** Reads from the front; nothing it reads is trusted. */
    private static final class Reader {
        private static final ValueLayout.OfShort SHORT =
                ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final ValueLayout.OfLong LONG =
                ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final ValueLayout.OfFloat FLOAT =
                ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final ValueLayout.OfDouble DOUBLE =
                ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

        private final Path file;
        private final MemorySegment bytes;
        private long at;

        Reader(Path file, MemorySegment bytes) {
            this.file = file;
            this.bytes = bytes;
        }

        /** What the list of tensors says of one. */
        private record Entry(GgufType type, long[] shape, long offset) {}

        Gguf read() {
            if (bytes.byteSize() < 4 || bytes.get(INT, take(4)) != MAGIC) {
                throw bad("not a GGUF file: it does not begin with 'GGUF'");
            }
            int version = bytes.get(INT, take(4));
            if (version != 2 && version != 3) {
                throw bad("version " + version + " of GGUF; readable are 2 and 3, little-endian");
            }
            long tensorCount = count("tensors", 24);
            long valueCount = count("metadata values", 13);
            Map<String, Object> metadata = new LinkedHashMap<>();
            for (long i = 0; i < valueCount; i++) {
                String key = string();
                if (metadata.put(key, value(bytes.get(INT, take(4)), 0)) != null) {
                    throw bad("the key " + ModelFormatException.quote(key) + " stands there twice");
                }
            }
            Map<String, Entry> entries = new LinkedHashMap<>();
            for (long i = 0; i < tensorCount; i++) {
                String name = string();
                if (entries.put(name, entry(name)) != null) {
                    throw bad("the tensor " + ModelFormatException.quote(name) + " stands there twice");
                }
            }
            long alignment = metadata.get("general.alignment") instanceof Long value ? value : 32;
            if (alignment <= 0 || alignment > 1 << 20 || Long.bitCount(alignment) != 1) {
                throw bad("general.alignment must be a power of two, found " + alignment);
            }
            return new Gguf(file, metadata, tensors(entries, (at + alignment - 1) / alignment * alignment));
        }

        private Entry entry(String name) {
            int dims = bytes.get(INT, take(4));
            if (dims < 0 || dims > MAX_DIMS) {
                throw bad("the tensor " + ModelFormatException.quote(name) + " has " + dims + " dimensions");
            }
            long[] shape = new long[dims];
            for (int d = dims - 1; d >= 0; d--) {
                shape[d] = bytes.get(LONG, take(8));
                if (shape[d] < 0) {
                    throw bad("the tensor " + ModelFormatException.quote(name) + " has the size " + shape[d]);
                }
            }
            int type = bytes.get(INT, take(4));
            return new Entry(
                    GgufType.of(type)
                            .orElseThrow(() -> bad("the tensor " + ModelFormatException.quote(name) + " has the type "
                                    + type + ", which cannot be read")),
                    shape,
                    bytes.get(LONG, take(8)));
        }

        private Map<String, GgufTensor> tensors(Map<String, Entry> entries, long start) {
            Map<String, GgufTensor> tensors = new LinkedHashMap<>();
            long[] last = {0};
            entries.entrySet().stream()
                    .sorted((a, b) -> Long.compare(a.getValue().offset, b.getValue().offset))
                    .forEach(named -> {
                        Entry entry = named.getValue();
                        String name = ModelFormatException.quote(named.getKey());
                        long size;
                        try {
                            size = entry.type.bytes(entry.shape);
                        } catch (ArithmeticException e) {
                            throw bad("the tensor " + name + " has a size beyond all files");
                        }
                        if (size < 0) {
                            throw bad("the tensor " + name + " of the shape " + Arrays.toString(entry.shape)
                                    + " has rows that are not a multiple of the " + entry.type.blockElements()
                                    + " of a block of "
                                    + entry.type);
                        }
                        if (entry.offset < last[0]) {
                            throw bad("the tensor " + name + " overlaps another");
                        }
                        if (start > bytes.byteSize() || entry.offset > bytes.byteSize() - start - size) {
                            throw bad("truncated: the tensor " + name + " reaches beyond the " + bytes.byteSize()
                                    + " bytes found");
                        }
                        last[0] = entry.offset + size;
                        tensors.put(
                                named.getKey(),
                                new GgufTensor(
                                        named.getKey(),
                                        entry.type,
                                        entry.shape,
                                        bytes.asSlice(start + entry.offset, size)));
                    });
            return tensors;
        }

        private Object value(int type, int depth) {
            return switch (type) {
                case 0 -> (long) (bytes.get(ValueLayout.JAVA_BYTE, take(1)) & 0xff);
                case 1 -> (long) bytes.get(ValueLayout.JAVA_BYTE, take(1));
                case 2 -> (long) (bytes.get(SHORT, take(2)) & 0xffff);
                case 3 -> (long) bytes.get(SHORT, take(2));
                case 4 -> bytes.get(INT, take(4)) & 0xffffffffL;
                case 5 -> (long) bytes.get(INT, take(4));
                case 6 -> (double) bytes.get(FLOAT, take(4));
                case 7 -> bytes.get(ValueLayout.JAVA_BYTE, take(1)) != 0;
                case 8 -> string();
                case 9 -> {
                    if (depth == MAX_ARRAY_DEPTH) {
                        throw bad("lists inside of lists, deeper than " + MAX_ARRAY_DEPTH);
                    }
                    int element = bytes.get(INT, take(4));
                    long length = count("elements of a list", 1);
                    if (length > MAX_LIST) {
                        throw bad("a list of " + length + " metadata values");
                    }
                    List<Object> list = new ArrayList<>((int) Math.min(length, 1 << 16));
                    for (int i = 0; i < length; i++) {
                        list.add(value(element, depth + 1));
                    }
                    yield Collections.unmodifiableList(list);
                }
                case 10, 11 -> bytes.get(LONG, take(8));
                case 12 -> bytes.get(DOUBLE, take(8));
                default -> throw bad("a metadata value of the unknown type " + type);
            };
        }

        private String string() {
            long length = count("bytes of a text", 1);
            byte[] text = bytes.asSlice(take(length), length).toArray(ValueLayout.JAVA_BYTE);
            try {
                return StandardCharsets.UTF_8
                        .newDecoder()
                        .decode(ByteBuffer.wrap(text))
                        .toString();
            } catch (CharacterCodingException e) {
                throw new ModelFormatException(file, "a text at byte " + (at - length) + " is not valid UTF-8", e);
            }
        }

        /** A count of things of at least {@code bytesEach} bytes, which the rest of the file has room for. */
        private long count(String things, long bytesEach) {
            long count = bytes.get(LONG, take(8));
            if (count < 0 || count > (bytes.byteSize() - at) / bytesEach || count > Integer.MAX_VALUE - 8) {
                throw bad("truncated or damaged: " + count + " " + things + " in the " + (bytes.byteSize() - at)
                        + " bytes that are left");
            }
            return count;
        }

        private long take(long size) {
            if (size > bytes.byteSize() - at) {
                throw bad("truncated after " + bytes.byteSize() + " bytes");
            }
            at += size;
            return at - size;
        }

        private ModelFormatException bad(String problem) {
            return new ModelFormatException(file, problem);
        }
    }
}
