package dev.isthmus.model;

import dev.isthmus.model.io.AtomicFile;
import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.model.io.PeftConfig;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.model.io.StoredType;
import dev.isthmus.model.io.TensorEntry;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Brings adapters in from the directories of PEFT and takes them out again. */
public final class Peft {
    private static final String FILE = "adapter_model.safetensors";
    /** What PEFT puts before the name of a module. */
    private static final String PREFIX = "base_model.model.";

    private static final Set<String> READABLE = Set.of("F64", "F32", "F16", "BF16");

    private Peft() {}

    /**
     * Loads an adapter of {@code decoder} into the current scope.
     *
     * @throws ModelFormatException if a file is damaged, asks for what cannot be computed, or does not fit the decoder
     * @throws IsthmusException if there is no adapter, or it cannot be read
     */
    public static Adapter load(Path directory, Decoder decoder) {
        requireDirectory(directory);
        return load(directory, decoder, PeftConfig.read(directory));
    }

    /** The same of an adapter that may bring {@linkplain #modules modules} of its own, which are left where they are. */
    public static Adapter loadWithoutModules(Path directory, Decoder decoder) {
        requireDirectory(directory);
        return load(directory, decoder, PeftConfig.readWithModules(directory));
    }

    /**
     * The parameters of the modules that were trained whole beside the changes, PEFT's {@code modules_to_save}, under the model's
     * names, such as {@code score.weight}.
     *
     * @param arena how long they live
     */
    public static Map<String, TensorEntry> modules(Path directory, Arena arena) {
        List<String> modules = PeftConfig.modulesToSave(directory);
        Map<String, TensorEntry> found = new LinkedHashMap<>();
        SafeTensors.open(directory.resolve(FILE), arena).tensors().forEach((name, entry) -> {
            if (isOf(modules, name)) {
                found.put(name.substring(PREFIX.length()), entry);
            }
        });
        return found;
    }

    private static boolean isOf(List<String> modules, String name) {
        return modules.stream().anyMatch(module -> name.startsWith(PREFIX + module + "."));
    }

    private static void requireDirectory(Path directory) {
        if (!Files.isDirectory(directory)) {
            throw new IsthmusException("Cannot read an adapter from " + directory + ": there is no such directory");
        }
    }

    private static Adapter load(Path directory, Decoder decoder, LoraConfig config) {
        Path file = directory.resolve(FILE);
        List<String> modules = PeftConfig.modulesToSave(directory);
        try (Arena arena = Arena.ofConfined()) {
            Map<String, TensorEntry> tensors =
                    new LinkedHashMap<>(SafeTensors.open(file, arena).tensors());
            tensors.keySet().removeIf(name -> isOf(modules, name));
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

    /** What a model is for, by PEFT's names. */
    public enum TaskType {
        CAUSAL_LM,
        SEQ_CLS,
        TOKEN_CLS
    }

    /**
     * Writes adapter_config.json and adapter_model.safetensors, as PEFT's {@code save_pretrained} does.
     *
     * @param decoder the model that the adapter changes, float32
     */
    public static void save(Adapter adapter, Decoder decoder, Path directory) {
        save(adapter, decoder, directory, StoredType.F32);
    }

    /** Writes an adapter as F32, F16 or BF16. */
    public static void save(Adapter adapter, Decoder decoder, Path directory, StoredType type) {
        save(adapter, decoder, directory, TaskType.CAUSAL_LM, List.of(), type);
    }

    /**
     * Writes an adapter and modules that are trained whole beside it.
     *
     * @param modules their parameters under the model's names, float32
     */
    public static void save(
            Adapter adapter, Decoder decoder, Path directory, TaskType taskType, List<Parameter> modules) {
        save(adapter, decoder, directory, taskType, modules, StoredType.F32);
    }

    private static void save(
            Adapter adapter,
            Decoder decoder,
            Path directory,
            TaskType taskType,
            List<Parameter> modules,
            StoredType type) {
        AtomicFile.createDirectories(directory);
        try (Arena arena = Arena.ofConfined()) {
            List<TensorEntry> entries = new ArrayList<>();
            adapter.parameters().forEach(p -> entries.add(entry(p.name(), p).as(type, arena)));
            modules.forEach(p -> entries.add(entry(PREFIX + p.name(), p).as(type, arena)));
            SafeTensors.write(directory.resolve(FILE), entries);
        }
        boolean conv1d = decoder.config().modelType() == DecoderConfig.ModelType.GPT2;
        List<String> names = modules.stream()
                .map(p -> p.name().substring(0, p.name().lastIndexOf('.')))
                .distinct()
                .toList();
        PeftConfig.write(directory, adapter.config(), conv1d, taskType.name(), names);
    }

    private static TensorEntry entry(String name, Parameter p) {
        return new TensorEntry(
                name, StoredType.F32, p.value().shape(), p.value().segment());
    }

    /**
     * The model that an adapter says it changes.
     *
     * @throws ModelFormatException if its configuration is damaged
     * @throws IsthmusException if it names none that is here
     */
    public static Path base(Path directory) {
        String name = PeftConfig.readWithModules(directory).baseModelNameOrPath();
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
