package dev.isthmus.model.io;

import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.DecoderConfig.ModelType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.StoredWeight;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A model as it lies on disk: its configuration and its parameters, complete, of the right shapes, and under Hugging Face's
 * names whatever the format of the file.
 *
 * @param config the shape of the model
 * @param tensors the parameters of {@link ParameterNames#of}, in that order; views of the mapped files
 */
public record Checkpoint(DecoderConfig config, Map<String, TensorEntry> tensors) {
    public Checkpoint {
        tensors = Collections.unmodifiableMap(tensors);
    }

    /**
     * Opens a Hugging Face directory, a GGUF file, or a llama2.c file: {@code path} itself, or the one in it.
     *
     * @param arena how long the tensors live
     * @throws ModelFormatException if the files are damaged or do not fit each other
     * @throws IsthmusException if there are none, or they cannot be read
     */
    public static Checkpoint open(Path path, Arena arena) {
        if (!Files.exists(path)) {
            throw new IsthmusException("Cannot read a model from " + path + ": there is no such file or directory"
                    + " (models are read from disk; nothing is downloaded)");
        }
        if (Files.isRegularFile(path)) {
            return path.toString().endsWith(".gguf") ? GgufModel.open(path, arena) : Llama2c.open(path, arena);
        }
        if (!Files.exists(path.resolve("config.json"))) {
            List<Path> files = llama2c(path);
            if (files.size() == 1) {
                return Llama2c.open(files.getFirst(), arena);
            }
        }
        DecoderConfig config = HfConfig.read(path);
        SafeTensors weights = SafeTensors.openDirectory(path, arena);
        return new Checkpoint(config, ParameterNames.resolve(config, weights.tensors(), path));
    }

    /** The same of a directory that may hold a classifier without an output head: of such a one the embeddings take its place. */
    public static Checkpoint openClassifier(Path path, Arena arena) {
        if (!Files.exists(path.resolve("config.json"))) {
            return open(path, arena);
        }
        DecoderConfig config = HfConfig.read(path);
        SafeTensors weights = SafeTensors.openDirectory(path, arena);
        boolean headless = !weights.tensors().containsKey("lm_head.weight")
                && weights.tensors().keySet().stream().anyMatch(ParameterNames::ofClassifier);
        DecoderConfig complete = headless ? config.withTiedWordEmbeddings() : config;
        return new Checkpoint(complete, ParameterNames.resolve(complete, weights.tensors(), path));
    }

    /**
     * The matrices for inference, each {@code [out, in]}, under their Hugging Face names.
     *
     * <p>What is of the wanted format is a view of the mapped files; GPT-2's projections, which safetensors hold transposed, are
     * copied, and all else is converted.
     *
     * @param format the format of all; Q8_0 and Q4_0 become F16 where rows are not whole blocks. Null for each as it is stored
     * @param arena how long what is converted lives
     */
    public Map<String, StoredWeight> weights(@Nullable WeightFormat format, Arena arena) {
        Map<String, StoredWeight> weights = new LinkedHashMap<>();
        for (TensorEntry tensor : tensors.values()) {
            if (tensor.shape().length == 2) {
                boolean conv1d =
                        config.modelType() == ModelType.GPT2 && tensor.name().contains(".c_");
                weights.put(
                        tensor.name(), weight(conv1d ? GgufModel.transposed(tensor, arena) : tensor, format, arena));
            }
        }
        return weights;
    }

    private static StoredWeight weight(TensorEntry tensor, @Nullable WeightFormat wanted, Arena arena) {
        int out = Math.toIntExact(tensor.shape()[0]);
        int in = Math.toIntExact(tensor.shape()[1]);
        WeightFormat format = wanted;
        if (format == null) {
            format = tensor.type() == StoredType.F64 ? WeightFormat.F32 : WeightFormat.valueOf(tensor.typeName());
        } else if (in % format.block() != 0) {
            format = WeightFormat.F16;
        }
        MemorySegment data = GgufWriter.encoded(tensor, GgufType.valueOf(format.name()), arena);
        return new StoredWeight(format, data, in, out);
    }

    static Checkpoint of(DecoderConfig config, Collection<TensorEntry> tensors) {
        Map<String, TensorEntry> byName = new LinkedHashMap<>();
        tensors.forEach(tensor -> byName.put(tensor.name(), tensor));
        return new Checkpoint(config, byName);
    }

    private static List<Path> llama2c(Path directory) {
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(file -> file.getFileName().toString().matches("(?!tok|pytorch_model).*\\.bin"))
                    .toList();
        } catch (IOException e) {
            throw Json.unreadable(directory, e);
        }
    }

    /**
     * Writes a Hugging Face directory, created if need be: config.json, generation_config.json (not for classifiers) and
     * model.safetensors, each atomically.
     *
     * @param tensors the parameters, under the names and of the shapes of {@link ParameterNames#of}, and those of the head of a
     *     classifier
     * @throws IsthmusException if they do not fit {@code config}, or cannot be written
     */
    public static void save(Path directory, DecoderConfig config, Collection<TensorEntry> tensors) {
        Map<String, TensorEntry> byName = new LinkedHashMap<>();
        tensors.forEach(tensor -> byName.put(tensor.name(), tensor));
        List<TensorEntry> ordered = new ArrayList<>(
                ParameterNames.resolve(config, byName, directory).values());
        StoredType type = ordered.getFirst().type();
        tensors.stream().filter(t -> ParameterNames.ofClassifier(t.name())).forEach(ordered::add);
        AtomicFile.createDirectories(directory);
        SafeTensors.write(directory.resolve("model.safetensors"), ordered);
        TensorEntry head = tensors.stream()
                .filter(t -> ParameterNames.ofClassifier(t.name()) && t.name().endsWith(".weight"))
                .findFirst()
                .orElse(null);
        if (head == null) {
            HfConfig.write(directory, config, type);
            HfGenerationConfig.write(directory, config);
        } else {
            HfConfig.writeClassifier(
                    directory,
                    config,
                    Math.toIntExact(head.shape()[0]),
                    byName.containsKey(head.name().replace(".weight", ".bias")));
        }
    }
}
