package dev.isthmus.model.io;

import dev.isthmus.model.tokenizer.GgufMetadata;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.BFloat16;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** Brings a model from one format to another. What a type can hold arrives bit for bit. */
public final class Exporter {
    private Exporter() {}

    /** What can be written. */
    public enum Format {
        /** A Hugging Face directory: config.json, model.safetensors, and the tokenizer's files. */
        SAFETENSORS(List.of("f32", "f16", "bf16")),
        /** One file for llama.cpp, the tokenizer inside. */
        GGUF(List.of("f32", "f16", "bf16", "q8_0", "q4_0")),
        /** llama2.c's file of float32 numbers. */
        BIN(List.of("f32"));

        private final List<String> types;

        Format(List<String> types) {
            this.types = types;
        }

        /** The element types that can be written, the usual one first. */
        public List<String> types() {
            return types;
        }
    }

    /**
     * Writes the model in {@code from} to {@code to}: a directory for safetensors, else a file.
     *
     * @param dtype one of the format's types
     * @throws IsthmusException if the model cannot be read, the format cannot hold it, or nothing can be written
     */
    public static void export(Path from, Path to, Format format, String dtype) {
        String name = format.name().toLowerCase(Locale.ROOT);
        if (!format.types.contains(dtype)) {
            throw new IsthmusException("the format " + name + " cannot hold " + dtype + "; it can hold "
                    + String.join(", ", format.types));
        }
        try (Arena arena = Arena.ofConfined()) {
            Checkpoint model = Checkpoint.open(from, arena);
            String type = dtype.toUpperCase(Locale.ROOT);
            switch (format) {
                case SAFETENSORS -> {
                    Files.createDirectories(to);
                    Checkpoint.save(
                            to,
                            model.config(),
                            model.tensors().values().stream()
                                    .map(tensor -> converted(tensor, StoredType.valueOf(type), arena))
                                    .toList());
                    if (Files.isDirectory(from)) {
                        Tokenizers.copy(from, to);
                    }
                }
                case GGUF -> {
                    Path directory = Files.isDirectory(from) ? from : from.resolveSibling("");
                    GgufWriter.write(
                            to,
                            model,
                            GgufType.valueOf(type),
                            GgufMetadata.of(directory, model.config().vocabSize()));
                }
                case BIN -> {
                    List<TensorEntry> floats = model.tensors().values().stream()
                            .map(tensor -> converted(tensor, StoredType.F32, arena))
                            .toList();
                    Llama2c.write(to, Checkpoint.of(model.config(), floats));
                }
            }
        } catch (IOException e) {
            throw new IsthmusException("Cannot write " + to + ": " + e, e);
        }
    }

    private static TensorEntry converted(TensorEntry tensor, StoredType type, Arena arena) {
        if (tensor.type() == type) {
            return tensor;
        }
        long n = tensor.elements();
        MemorySegment floats = arena.allocate(4 * n, 64);
        tensor.copyTo(floats);
        if (type == StoredType.F32) {
            return new TensorEntry(tensor.name(), type, tensor.shape(), floats);
        }
        MemorySegment halves = arena.allocate(2 * n, 64);
        for (long i = 0; i < n; i++) {
            float value = floats.getAtIndex(ValueLayout.JAVA_FLOAT, i);
            halves.setAtIndex(
                    ValueLayout.JAVA_SHORT,
                    i,
                    type == StoredType.F16 ? Float.floatToFloat16(value) : BFloat16.of(value));
        }
        return new TensorEntry(tensor.name(), type, tensor.shape(), halves);
    }
}
