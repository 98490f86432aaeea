package dev.isthmus.model;

import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.model.io.PeftConfig;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.model.io.StoredType;
import dev.isthmus.model.io.TensorEntry;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Brings adapters in from the directories of PEFT and takes them out again. */
public final class Peft {
    private static final String FILE = "adapter_model.safetensors";
    private static final Set<String> READABLE = Set.of("F64", "F32", "F16", "BF16");

    private Peft() {}

    /**
     * Loads an adapter of {@code decoder} into the current scope.
     *
     * @throws ModelFormatException if a file is damaged, asks for what cannot be computed, or does not fit the decoder
     * @throws IsthmusException if there is no adapter, or it cannot be read
     */
    public static Adapter load(Path directory, Decoder decoder) {
        if (!Files.isDirectory(directory)) {
            throw new IsthmusException("Cannot read an adapter from " + directory + ": there is no such directory");
        }
        LoraConfig config = PeftConfig.read(directory);
        Path file = directory.resolve(FILE);
        try (Arena arena = Arena.ofConfined()) {
            Map<String, TensorEntry> tensors = SafeTensors.open(file, arena).tensors();
            check(file, tensors, shapes(directory, decoder, config));
            Adapter adapter = new Adapter(decoder, config);
            for (Parameter p : adapter.parameters()) {
                TensorEntry entry = tensors.get(p.name());
                if (entry == null) {
                    throw new ModelFormatException(file, "has no " + p.name());
                }
                if (decoder.dtype() == DType.FLOAT32) {
                    entry.copyTo(p.value().segment());
                } else {
                    p.value().copyFrom(Tensor.of(entry.toDoubles(), entry.shape()));
                }
            }
            return adapter;
        }
    }

    private static Map<String, long[]> shapes(Path directory, Decoder decoder, LoraConfig config) {
        try {
            return Adapter.shapes(decoder, config);
        } catch (IsthmusException e) {
            throw new ModelFormatException(directory.resolve("adapter_config.json"), e.getMessage(), e);
        }
    }

    /** Before anything is allocated. */
    private static void check(Path file, Map<String, TensorEntry> tensors, Map<String, long[]> shapes) {
        shapes.forEach((name, shape) -> {
            TensorEntry found = tensors.get(name);
            if (found == null) {
                throw new ModelFormatException(
                        file, "lacks the tensor " + name + ", which adapter_config.json asks for");
            }
            if (!Arrays.equals(found.shape(), shape) || !READABLE.contains(found.typeName())) {
                throw new ModelFormatException(
                        file,
                        "the tensor " + name + " is " + ModelFormatException.quote(found.typeName()) + " "
                                + Arrays.toString(found.shape()) + "; expected floating-point numbers "
                                + Arrays.toString(shape));
            }
        });
        for (String name : tensors.keySet()) {
            if (!shapes.containsKey(name)) {
                throw new ModelFormatException(
                        file,
                        "the tensor " + ModelFormatException.quote(name)
                                + " belongs to no projection that adapter_config.json names");
            }
        }
    }

    /**
     * Writes adapter_config.json and adapter_model.safetensors, as PEFT's {@code save_pretrained} does.
     *
     * @param decoder the model that the adapter changes, float32
     */
    public static void save(Adapter adapter, Decoder decoder, Path directory) {
        try {
            Files.createDirectories(directory);
        } catch (IOException e) {
            throw new IsthmusException("Cannot create the directory " + directory + ": " + e.getMessage(), e);
        }
        List<TensorEntry> entries = adapter.parameters().stream()
                .map(p -> new TensorEntry(
                        p.name(), StoredType.F32, p.value().shape(), p.value().segment()))
                .toList();
        SafeTensors.write(directory.resolve(FILE), entries);
        boolean conv1d = decoder.config().modelType() == DecoderConfig.ModelType.GPT2;
        PeftConfig.write(directory, adapter.config(), conv1d);
    }

    /**
     * The model that an adapter says it changes.
     *
     * @throws ModelFormatException if its configuration is damaged
     * @throws IsthmusException if it names none that is here
     */
    public static Path base(Path directory) {
        String name = PeftConfig.read(directory).baseModelNameOrPath();
        try {
            if (name != null && Files.exists(Path.of(name))) {
                return Path.of(name);
            }
        } catch (InvalidPathException e) {
            // Reported below.
        }
        throw new IsthmusException(directory + " holds an adapter of "
                + (name == null
                        ? "a model that it does not name"
                        : ModelFormatException.quote(name) + ", which is not here")
                + "; give that model's directory and this adapter beside it");
    }

    /** Whether a directory holds an adapter. */
    public static boolean present(Path directory) {
        return Files.isRegularFile(directory.resolve("adapter_config.json"));
    }
}
