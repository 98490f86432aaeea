package dev.isthmus.model.io;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Peft;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.GgufMetadata;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

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
        BIN(List.of("f32")),
        /** The adapter alone, as PEFT's directory: adapter_config.json and adapter_model.safetensors. */
        PEFT(List.of("f32", "f16", "bf16"));

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
     * Writes the model in {@code from} to {@code to}: a directory for safetensors and PEFT, else a file. A directory that was not there
     * before is not there either when something fails.
     *
     * @param from a model; or an adapter that names the model that it changes
     * @param adapter changes the model, which is written with the change in its weights; or null
     * @param dtype one of the format's types
     * @throws IsthmusException if the model cannot be read, the format cannot hold it, or nothing can be written
     */
    public static void export(Path from, @Nullable Path adapter, Path to, Format format, String dtype) {
        if (!format.types.contains(dtype)) {
            throw new IsthmusException("the format " + format.name().toLowerCase(Locale.ROOT) + " cannot hold " + dtype
                    + "; it can hold " + String.join(", ", format.types));
        }
        Path change = adapter == null && Peft.present(from) ? from : adapter;
        Path model = change == from ? Peft.base(from) : from;
        boolean present = Files.exists(to);
        boolean written = false;
        try {
            write(model, change, to, format, dtype.toUpperCase(Locale.ROOT));
            written = true;
        } finally {
            if (!written && !present && Files.isDirectory(to)) {
                AtomicFile.deleteDirectory(to);
            }
        }
    }

    private static void write(Path model, @Nullable Path change, Path to, Format format, String type) {
        if (format == Format.PEFT) {
            alone(model, change, to, StoredType.valueOf(type));
        } else if (change == null) {
            try (Arena arena = Arena.ofConfined()) {
                write(Checkpoint.open(model, arena), model, to, format, type, arena);
            }
        } else {
            try (Scope scope = Scope.open();
                    Arena arena = Arena.ofConfined()) {
                Decoder decoder = Pretrained.load(model);
                Peft.load(change, decoder).merge(decoder);
                Checkpoint merged = Checkpoint.of(decoder.config(), Pretrained.entries(decoder));
                write(merged, Tokenizers.present(change) ? change : model, to, format, type, arena);
                if (format == Format.SAFETENSORS) {
                    HfGenerationConfig.copy(model, to);
                }
            }
        }
    }

    private static void alone(Path model, @Nullable Path adapter, Path to, StoredType type) {
        if (adapter == null) {
            throw new IsthmusException(model + " is a whole model; --adapter says which change of it to write");
        }
        try (Scope scope = Scope.open()) {
            Decoder decoder = Pretrained.loadStored(model, null);
            Peft.save(Peft.load(adapter, decoder), decoder, to, type);
        }
    }

    /**
     * Writes a model.
     *
     * @param files where its tokenizer is
     */
    private static void write(Checkpoint model, Path files, Path to, Format format, String type, Arena arena) {
        switch (format) {
            case SAFETENSORS -> {
                Checkpoint.save(to, model.config(), converted(model, StoredType.valueOf(type), arena));
                Tokenizers.copy(files, to);
                HfGenerationConfig.copy(files, to);
            }
            case GGUF ->
                GgufWriter.write(
                        to,
                        model,
                        GgufType.valueOf(type),
                        GgufMetadata.of(files, model.config().vocabSize()));
            case BIN -> Llama2c.write(to, Checkpoint.of(model.config(), converted(model, StoredType.F32, arena)));
            case PEFT -> throw new AssertionError(format);
        }
    }

    private static List<TensorEntry> converted(Checkpoint model, StoredType type, Arena arena) {
        return model.tensors().values().stream()
                .map(tensor -> tensor.as(type, arena))
                .toList();
    }
}
