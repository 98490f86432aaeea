package dev.isthmus.model.io;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The safetensors format: eight bytes of header length, a JSON header, and the tensors' bytes without a gap.
 *
 * <p>Files are mapped, not read: the tensors are views of the file and live as long as the arena given. Everything the
 * header says is checked against the file before any view is made.
 *
 * @param tensors by name, in the order of the header
 * @param metadata the header's {@code __metadata__}
 * @see <a href="https://github.com/huggingface/safetensors#format">the format</a>
 */
public record SafeTensors(Map<String, TensorEntry> tensors, Map<String, String> metadata) {
    private static final String METADATA = "__metadata__";
    private static final long MAX_HEADER = 100_000_000;
    private static final int CHUNK = 1 << 20;

    private record Range(String name, long begin, long end) {}

    public SafeTensors {
        tensors = Collections.unmodifiableMap(tensors);
        metadata = Collections.unmodifiableMap(metadata);
    }

    /**
     * Maps a file into memory for as long as {@code arena} lives.
     *
     * @throws ModelFormatException if the file is truncated, damaged, or not safetensors
     * @throws IsthmusException if it cannot be read
     */
    public static SafeTensors open(Path file, Arena arena) {
        return parse(file, map(file, arena));
    }

    /**
     * Maps the weights of a Hugging Face directory: {@code model.safetensors}, or the shards that
     * {@code model.safetensors.index.json} lists.
     *
     * @throws ModelFormatException if a file is damaged or a shard lacks a tensor
     * @throws IsthmusException if there is neither file, or one cannot be read
     */
    public static SafeTensors openDirectory(Path directory, Arena arena) {
        Path single = directory.resolve("model.safetensors");
        Path index = directory.resolve("model.safetensors.index.json");
        if (Files.exists(single)) {
            return open(single, arena);
        }
        if (Files.exists(index)) {
            return openShards(index, arena);
        }
        boolean pickled = Files.exists(directory.resolve("pytorch_model.bin"))
                || Files.exists(directory.resolve("pytorch_model.bin.index.json"));
        throw new IsthmusException("Cannot read a model from " + directory
                + ": there is neither a model.safetensors nor a model.safetensors.index.json"
                + (pickled
                        ? "; its pytorch_model.bin is a pickle, a program: save the model as safetensors (transformers'"
                                + " save_pretrained does)"
                        : ""));
    }

    private static SafeTensors openShards(Path index, Arena arena) {
        JsonNode weightMap = Json.read(index).path("weight_map");
        if (!weightMap.isObject() || weightMap.isEmpty()) {
            throw new ModelFormatException(index, "weight_map must name the shard of each tensor");
        }
        Map<String, SafeTensors> shards = new HashMap<>();
        Map<String, TensorEntry> tensors = LinkedHashMap.newLinkedHashMap(weightMap.size());
        for (Map.Entry<String, JsonNode> field : weightMap.properties()) {
            String name = field.getKey();
            String shardName = text(index, name, weightMap, name);
            if (!shardName.matches("[\\w.-]+\\.safetensors")) {
                throw bad(
                        index,
                        name,
                        "its shard " + ModelFormatException.quote(shardName)
                                + " is not the name of a .safetensors file in this directory");
            }
            Path file = index.resolveSibling(shardName);
            TensorEntry tensor = shards.computeIfAbsent(shardName, s -> open(file, arena))
                    .tensors
                    .get(name);
            if (tensor == null) {
                throw bad(index, name, "its shard " + shardName + " does not hold it");
            }
            tensors.put(name, tensor);
        }
        return new SafeTensors(tensors, Map.of());
    }

    /** The tensor named {@code name}, if the file has it, else an error that names the file's first few. */
    public TensorEntry get(String name) {
        TensorEntry entry = tensors.get(name);
        if (entry == null) {
            throw new IsthmusException("There is no tensor " + ModelFormatException.quote(name) + " among the "
                    + tensors.size() + ": " + tensors.keySet().stream().limit(5).toList() + " ...");
        }
        return entry;
    }

    /**
     * Replaces {@code file} by one that holds {@code tensors}, atomically and without copying them into the heap.
     *
     * <p>They are stored in the order given, wider element types first so that each lies aligned. The same tensors give
     * the same bytes.
     *
     * @throws IsthmusException if the file cannot be written; what was there before is then untouched
     */
    public static void write(Path file, Collection<TensorEntry> tensors, Map<String, String> metadata) {
        List<TensorEntry> ordered = new ArrayList<>(tensors);
        ordered.sort(Comparator.comparingInt(tensor -> -tensor.type().bytes()));
        byte[] header = header(ordered, metadata);
        AtomicFile.write(file, channel -> {
            AtomicFile.writeFully(channel, ByteBuffer.wrap(header));
            for (TensorEntry tensor : ordered) {
                write(channel, tensor.data());
            }
        });
    }

    /** {@link #write(Path, Collection, Map)} with the metadata that transformers expects. */
    public static void write(Path file, Collection<TensorEntry> tensors) {
        write(file, tensors, Map.of("format", "pt"));
    }

    static MemorySegment map(Path file, Arena arena) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            if (Files.isDirectory(file)) {
                throw new IsthmusException("Cannot read " + file + ": it is a directory");
            }
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (IOException e) {
            throw Json.unreadable(file, e);
        }
    }

    static SafeTensors parse(Path file, MemorySegment bytes) {
        long size = bytes.byteSize();
        if (size < 8) {
            throw new ModelFormatException(file, "truncated: expected at least 8 bytes, found " + size);
        }
        long headerLength = bytes.get(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
        if (headerLength < 2 || headerLength > MAX_HEADER) {
            throw new ModelFormatException(
                    file,
                    "not a safetensors file: it says its header is " + Long.toUnsignedString(headerLength)
                            + " bytes long");
        }
        if (headerLength > size - 8) {
            throw new ModelFormatException(
                    file, "truncated: expected at least " + (8 + headerLength) + " bytes, found " + size);
        }
        JsonNode header = Json.parse(file, bytes.asSlice(8, headerLength).toArray(ValueLayout.JAVA_BYTE));
        MemorySegment data = bytes.asSlice(8 + headerLength);
        List<Range> ranges = ranges(file, header);
        checkLayout(file, ranges, data.byteSize(), 8 + headerLength);

        Map<String, TensorEntry> tensors = LinkedHashMap.newLinkedHashMap(ranges.size());
        for (Range range : ranges) {
            JsonNode entry = header.get(range.name);
            String typeName = text(file, range.name, entry, "dtype");
            long[] shape = longs(file, range.name, entry, "shape");
            checkSize(file, range, typeName, shape);
            MemorySegment view = data.asSlice(range.begin, range.end - range.begin);
            tensors.put(range.name, new TensorEntry(range.name, typeName, shape, view));
        }
        return new SafeTensors(tensors, metadata(file, header));
    }

    private static List<Range> ranges(Path file, JsonNode header) {
        List<Range> ranges = new ArrayList<>(header.size());
        for (Map.Entry<String, JsonNode> field : header.properties()) {
            String name = field.getKey();
            if (name.equals(METADATA)) {
                continue;
            }
            long[] offsets = longs(file, name, field.getValue(), "data_offsets");
            if (offsets.length != 2 || offsets[0] > offsets[1]) {
                throw bad(file, name, "data_offsets must be a begin and an end");
            }
            ranges.add(new Range(name, offsets[0], offsets[1]));
        }
        return ranges;
    }

    private static void checkLayout(Path file, List<Range> ranges, long dataSize, long dataStart) {
        List<Range> sorted = new ArrayList<>(ranges);
        sorted.sort(Comparator.comparingLong(Range::begin).thenComparingLong(Range::end));
        long end = 0;
        for (Range range : sorted) {
            if (range.begin != end) {
                String what = range.begin < end ? "overlaps another tensor" : "leaves a gap before it";
                throw bad(file, range.name, "data_offsets " + range.begin + " to " + range.end + " " + what);
            }
            end = range.end;
        }
        if (end > dataSize) {
            // Unsigned, because a hostile end may carry the sum past the range of a long.
            throw new ModelFormatException(
                    file,
                    "truncated: expected " + Long.toUnsignedString(dataStart + end) + " bytes, found "
                            + (dataStart + dataSize));
        }
        if (end < dataSize) {
            throw new ModelFormatException(
                    file, "expected " + (dataStart + end) + " bytes, found more: " + (dataStart + dataSize));
        }
    }

    private static void checkSize(Path file, Range range, String typeName, long[] shape) {
        long found = range.end - range.begin;
        // A type that cannot be read is an error only for whoever uses the tensor.
        boolean right = StoredType.named(typeName)
                .map(type -> byteSize(type, shape) == found)
                .orElse(true);
        if (!right) {
            throw bad(
                    file,
                    range.name,
                    "type " + typeName + " and shape " + shape(shape) + " do not make the " + found + " bytes it has");
        }
    }

    /** The bytes of a tensor, or -1 if they are more than a long can count, or not whole blocks. */
    private static long byteSize(StoredType type, long[] shape) {
        try {
            long elements = 1;
            for (long n : shape) {
                elements = Math.multiplyExact(elements, n);
            }
            return elements % type.block() == 0 ? Math.multiplyExact(elements / type.block(), (long) type.bytes()) : -1;
        } catch (ArithmeticException e) {
            return -1;
        }
    }

    private static Map<String, String> metadata(Path file, JsonNode header) {
        JsonNode node = header.get(METADATA);
        if (node == null) {
            return Map.of();
        }
        Map<String, String> metadata = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> field : node.properties()) {
            metadata.put(field.getKey(), text(file, METADATA, node, field.getKey()));
        }
        return metadata;
    }

    private static String text(Path file, String name, JsonNode entry, String key) {
        JsonNode value = entry.get(key);
        if (value == null || !value.isString()) {
            throw bad(file, name, key + " must be a string");
        }
        return value.stringValue();
    }

    private static long[] longs(Path file, String name, JsonNode entry, String key) {
        JsonNode value = entry.get(key);
        if (value == null || !value.isArray()) {
            throw bad(file, name, key + " must be a list of numbers");
        }
        long[] longs = new long[value.size()];
        for (int i = 0; i < longs.length; i++) {
            JsonNode item = value.get(i);
            if (!item.isIntegralNumber() || !item.canConvertToLong() || item.longValue() < 0) {
                throw bad(file, name, key + " must hold non-negative 64-bit integers");
            }
            longs[i] = item.longValue();
        }
        return longs;
    }

    private static ModelFormatException bad(Path file, String name, String problem) {
        return new ModelFormatException(file, "the tensor " + ModelFormatException.quote(name) + ": " + problem);
    }

    private static String shape(long[] shape) {
        StringBuilder text = new StringBuilder("[");
        for (int i = 0; i < Math.min(shape.length, 8); i++) {
            text.append(i == 0 ? "" : ", ").append(shape[i]);
        }
        return text.append(shape.length > 8 ? ", ...]" : "]").toString();
    }

    private static byte[] header(List<TensorEntry> tensors, Map<String, String> metadata) {
        ObjectNode header = JsonNodeFactory.instance.objectNode();
        if (!metadata.isEmpty()) {
            ObjectNode node = header.putObject(METADATA);
            metadata.entrySet().stream()
                    .sorted(Map.Entry.comparingByKey())
                    .forEach(field -> node.put(field.getKey(), field.getValue()));
        }
        long offset = 0;
        for (TensorEntry tensor : tensors) {
            if (header.has(tensor.name()) || tensor.name().equals(METADATA)) {
                throw new IsthmusException("Two tensors are named " + ModelFormatException.quote(tensor.name()));
            }
            if (byteSize(tensor.type(), tensor.shape()) != tensor.data().byteSize()) {
                throw new IsthmusException(
                        "The tensor " + tensor + " comes with " + tensor.data().byteSize() + " bytes");
            }
            ObjectNode entry = header.putObject(tensor.name());
            entry.put("dtype", tensor.typeName());
            ArrayNode shape = entry.putArray("shape");
            for (long n : tensor.shape()) {
                shape.add(n);
            }
            entry.putArray("data_offsets")
                    .add(offset)
                    .add(offset + tensor.data().byteSize());
            offset += tensor.data().byteSize();
        }
        byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
        int padded = Math.ceilDiv(json.length, 8) * 8;
        ByteBuffer bytes = ByteBuffer.allocate(8 + padded).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(padded).put(json);
        while (bytes.hasRemaining()) {
            bytes.put((byte) ' ');
        }
        return bytes.array();
    }

    static void write(FileChannel channel, MemorySegment data) throws IOException {
        // A heap segment is not always a byte buffer, and a native one may be larger than a byte buffer can be.
        MemorySegment copy = MemorySegment.ofArray(new byte[data.isNative() ? 0 : CHUNK]);
        for (long done = 0; done < data.byteSize(); done += CHUNK) {
            MemorySegment chunk = data.asSlice(done, Math.min(CHUNK, data.byteSize() - done));
            MemorySegment bytes =
                    data.isNative() ? chunk : copy.asSlice(0, chunk.byteSize()).copyFrom(chunk);
            AtomicFile.writeFully(channel, bytes.asByteBuffer());
        }
    }
}
