package dev.isthmus.model.io;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;

/**
 * The model files of llama2.c in their first version: seven integers (dim, hidden_dim, n_layers, n_heads, n_kv_heads,
 * vocab_size, seq_len; a negative vocab_size means that the output projection is not tied), then float32 weights.
 *
 * <p>llama2.c rotates the neighbors {@code (2i, 2i + 1)} of a head, Hugging Face the pairs {@code (i, i + headDim / 2)}, so
 * the rows of the query and key projections change their order on the way in and out.
 *
 * @see <a href="https://github.com/karpathy/llama2.c">llama2.c</a>
 */
public final class Llama2c {
    private static final int HEADER = 7 * Integer.BYTES;
    private static final int MAGIC_OF_LATER_VERSIONS = 0x616b3432;
    private static final String ROTARY_TABLES = "cosines and sines, which every reader computes anew";
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /**
     * Tensors of one kind, which follow each other in the file.
     *
     * @param name the parameter's name, # being the layer
     * @param count how many there are: one, or one for each layer
     * @param rotatedHeads the heads whose rows are not in Hugging Face's order, or 0
     */
    private record Stretch(String name, int count, int rotatedHeads, long... shape) {
        String name(int layer) {
            return name.replace("#", Integer.toString(layer));
        }

        long tensorBytes() {
            long bytes = Float.BYTES;
            for (long n : shape) {
                bytes = Math.multiplyExact(bytes, n);
            }
            return bytes;
        }
    }

    private Llama2c() {}

    /**
     * Maps a file into memory for as long as {@code arena} lives.
     *
     * @throws ModelFormatException if the file is truncated, damaged, or of a later version
     * @throws IsthmusException if it cannot be read
     */
    public static Checkpoint open(Path file, Arena arena) {
        return parse(file, SafeTensors.map(file, arena), arena);
    }

    static Checkpoint parse(Path file, MemorySegment bytes, Arena arena) {
        DecoderConfig config = config(file, bytes);
        List<Stretch> layout = layout(config);
        checkSize(file, bytes.byteSize(), layout);
        Map<String, TensorEntry> tensors = new LinkedHashMap<>();
        long offset = HEADER;
        for (Stretch stretch : layout) {
            for (int layer = 0; layer < stretch.count; layer++) {
                MemorySegment data = bytes.asSlice(offset, stretch.tensorBytes());
                offset += stretch.tensorBytes();
                if (stretch.rotatedHeads > 0) {
                    data = reorder(data, arena.allocate(data.byteSize(), 64), stretch, true);
                }
                String name = stretch.name(layer);
                tensors.put(name, new TensorEntry(name, StoredType.F32, stretch.shape, data));
            }
        }
        tensors.remove(ROTARY_TABLES);
        return new Checkpoint(config, ParameterNames.resolve(config, tensors, file));
    }

    /**
     * Replaces {@code file} atomically.
     *
     * @throws IsthmusException if the format cannot say what the model is, or the file cannot be written
     */
    public static void write(Path file, Checkpoint checkpoint) {
        DecoderConfig config = checkpoint.config();
        if (!config.equals(expressible(config))) {
            throw new IsthmusException(
                    "Cannot write " + file + ": a llama2.c file holds only Llama models with rope_theta "
                            + "10000, rms_norm_eps 1e-5, no rope_scaling and no biases. Export to a directory instead");
        }
        ByteBuffer header = ByteBuffer.allocate(HEADER)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(config.hiddenSize())
                .putInt(config.intermediateSize())
                .putInt(config.numHiddenLayers())
                .putInt(config.numAttentionHeads())
                .putInt(config.numKeyValueHeads())
                .putInt(config.tieWordEmbeddings() ? config.vocabSize() : -config.vocabSize())
                .putInt(config.maxPositionEmbeddings());
        AtomicFile.write(file, channel -> {
            AtomicFile.writeFully(channel, header.flip());
            for (Stretch stretch : layout(config)) {
                for (int layer = 0; layer < stretch.count; layer++) {
                    write(channel, stretch, layer, checkpoint);
                }
            }
        });
    }

    private static void write(FileChannel channel, Stretch stretch, int layer, Checkpoint checkpoint)
            throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment data = arena.allocate(stretch.tensorBytes(), 64);
            if (stretch.name.equals(ROTARY_TABLES)) {
                fillRotaryTables(data, stretch);
            } else {
                Objects.requireNonNull(checkpoint.tensors().get(stretch.name(layer)))
                        .copyTo(data);
            }
            if (stretch.rotatedHeads > 0) {
                data = reorder(data, arena.allocate(data.byteSize(), 64), stretch, false);
            }
            SafeTensors.write(channel, data);
        }
    }

    private static DecoderConfig config(Path file, MemorySegment bytes) {
        if (bytes.byteSize() < HEADER) {
            throw new ModelFormatException(
                    file, "truncated: expected at least " + HEADER + " bytes, found " + bytes.byteSize());
        }
        int[] header = bytes.asSlice(0, HEADER).toArray(INT);
        if (header[0] == MAGIC_OF_LATER_VERSIONS) {
            throw new ModelFormatException(
                    file,
                    "version " + header[1]
                            + " of llama2.c's format; only version 0 can be read (export.py --version 0)");
        }
        try {
            return DecoderConfig.llama(
                            Math.absExact(header[5]),
                            header[0],
                            header[1],
                            header[2],
                            header[3],
                            header[4],
                            header[6],
                            header[5] > 0)
                    .withTokens(OptionalInt.of(1), List.of(2));
        } catch (IsthmusException | ArithmeticException e) {
            throw new ModelFormatException(file, "not a llama2.c model: " + e.getMessage(), e);
        }
    }

    private static DecoderConfig expressible(DecoderConfig config) {
        return DecoderConfig.llama(
                        config.vocabSize(),
                        config.hiddenSize(),
                        config.intermediateSize(),
                        config.numHiddenLayers(),
                        config.numAttentionHeads(),
                        config.numKeyValueHeads(),
                        config.maxPositionEmbeddings(),
                        config.tieWordEmbeddings())
                .withTokens(config.bosTokenId(), config.eosTokenIds());
    }

    private static List<Stretch> layout(DecoderConfig config) {
        int layers = config.numHiddenLayers();
        int hidden = config.hiddenSize();
        int inner = config.intermediateSize();
        int queries = config.querySize();
        int keys = config.keyValueSize();
        List<Stretch> layout = new ArrayList<>(List.of(
                new Stretch("model.embed_tokens.weight", 1, 0, config.vocabSize(), hidden),
                new Stretch("model.layers.#.input_layernorm.weight", layers, 0, hidden),
                new Stretch(
                        "model.layers.#.self_attn.q_proj.weight", layers, config.numAttentionHeads(), queries, hidden),
                new Stretch("model.layers.#.self_attn.k_proj.weight", layers, config.numKeyValueHeads(), keys, hidden),
                new Stretch("model.layers.#.self_attn.v_proj.weight", layers, 0, keys, hidden),
                new Stretch("model.layers.#.self_attn.o_proj.weight", layers, 0, hidden, queries),
                new Stretch("model.layers.#.post_attention_layernorm.weight", layers, 0, hidden),
                new Stretch("model.layers.#.mlp.gate_proj.weight", layers, 0, inner, hidden),
                new Stretch("model.layers.#.mlp.down_proj.weight", layers, 0, hidden, inner),
                new Stretch("model.layers.#.mlp.up_proj.weight", layers, 0, inner, hidden),
                new Stretch("model.norm.weight", 1, 0, hidden),
                new Stretch(ROTARY_TABLES, 1, 0, 2, config.maxPositionEmbeddings(), config.headDim() / 2)));
        if (!config.tieWordEmbeddings()) {
            layout.add(new Stretch("lm_head.weight", 1, 0, config.vocabSize(), hidden));
        }
        return layout;
    }

    private static void checkSize(Path file, long found, List<Stretch> layout) {
        long expected = HEADER;
        try {
            for (Stretch stretch : layout) {
                expected = Math.addExact(expected, Math.multiplyExact(stretch.count, stretch.tensorBytes()));
            }
        } catch (ArithmeticException e) {
            expected = Long.MAX_VALUE;
        }
        if (found < expected) {
            throw new ModelFormatException(
                    file, "truncated, or not a llama2.c model: expected " + expected + " bytes, found " + found);
        }
        if (found > expected) {
            throw new ModelFormatException(
                    file, "not a llama2.c model: expected " + expected + " bytes, found more: " + found);
        }
    }

    /** Copies rows from llama2.c's order within each head to Hugging Face's ({@code toHalves}), or back. */
    private static MemorySegment reorder(MemorySegment from, MemorySegment to, Stretch stretch, boolean toHalves) {
        long rows = stretch.shape[0];
        long rowBytes = from.byteSize() / rows;
        long headDim = rows / stretch.rotatedHeads;
        for (long row = 0; row < rows; row++) {
            long inHead = row % headDim;
            long half = (inHead & 1) * headDim / 2 + inHead / 2;
            long other = row - inHead + half;
            MemorySegment.copy(
                    from, (toHalves ? row : other) * rowBytes, to, (toHalves ? other : row) * rowBytes, rowBytes);
        }
        return to;
    }

    private static void fillRotaryTables(MemorySegment tables, Stretch stretch) {
        long positions = stretch.shape[1];
        long pairs = stretch.shape[2];
        for (long position = 0; position < positions; position++) {
            for (long i = 0; i < pairs; i++) {
                double angle = position / Math.pow(10000, (double) i / pairs);
                long at = position * pairs + i;
                tables.set(FLOAT, at * Float.BYTES, (float) Math.cos(angle));
                tables.set(FLOAT, (positions * pairs + at) * Float.BYTES, (float) Math.sin(angle));
            }
        }
    }
}
