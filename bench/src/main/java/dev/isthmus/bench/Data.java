package dev.isthmus.bench;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;

/** Numbers to compute with: neither all the same nor slow to make. */
public final class Data {
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;

    private Data() {}

    /** Numbers between -1 and 1. */
    public static Tensor floats(long... shape) {
        Tensor t = Tensor.empty(DType.FLOAT32, shape);
        MemorySegment memory = t.segment();
        for (long i = 0; i < t.count(); i++) {
            memory.setAtIndex(ValueLayout.JAVA_FLOAT, i, (GOLDEN * (i + 1) >> 40) / (float) (1 << 23));
        }
        return t;
    }

    /** Numbers from 0 to {@code bound - 1}. */
    public static Tensor ints(int bound, int count) {
        int[] values = new int[count];
        for (int i = 0; i < count; i++) {
            values[i] = (int) ((GOLDEN * (i + 1) >>> 33) % bound);
        }
        return Tensor.of(values, count);
    }

    /** What a model is, as fields of a figure: all that a peer needs to build the same one. */
    static Map<String, Object> fields(DecoderConfig model) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("style", model.modelType().hfName());
        fields.put("vocab_size", model.vocabSize());
        fields.put("hidden_size", model.hiddenSize());
        fields.put("intermediate_size", model.intermediateSize());
        fields.put("layers", model.numHiddenLayers());
        fields.put("heads", model.numAttentionHeads());
        fields.put("max_position_embeddings", model.maxPositionEmbeddings());
        return fields;
    }

    /** A weight as files hold it, of numbers as small as those of models, in the current scope. */
    static MemorySegment weight(WeightFormat format, int rows, int cols) {
        long row = format.rowBytes(cols);
        MemorySegment memory = Tensor.empty(DType.INT8, rows * row).segment();
        long size = row / (cols / format.block());
        for (long at = 0; at < memory.byteSize(); at += size) {
            float number = 0.03f * (GOLDEN * (at + 1) >> 40) / (1 << 23);
            switch (format) {
                case F32 -> memory.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at, number);
                case BF16 ->
                    memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, (short) (Float.floatToRawIntBits(number) >>> 16));
                case F16 -> memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16(number));
                case Q8_0, Q4_0 -> {
                    float scale = 0.03f / (format == WeightFormat.Q8_0 ? 128 : 8);
                    memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16(scale));
                    for (long i = Short.BYTES; i < size; i++) {
                        memory.set(ValueLayout.JAVA_BYTE, at + i, (byte) (GOLDEN * (at + i) >>> 56));
                    }
                }
            }
        }
        return memory;
    }
}
