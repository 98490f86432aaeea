package dev.isthmus.model;

import dev.isthmus.model.io.Checkpoint;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.model.io.StoredType;
import dev.isthmus.model.io.TensorEntry;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Brings models in from Hugging Face directories and takes them out again. */
public final class Pretrained {
    private Pretrained() {}

    /** Loads a model as float32 into the current scope. */
    public static Decoder load(Path directory) {
        return load(directory, DType.FLOAT32);
    }

    /**
     * Loads a model into the current scope.
     *
     * @throws IsthmusException if the directory holds no model, a damaged one, or one of an unknown kind
     */
    public static Decoder load(Path directory, DType dtype) {
        try (Arena arena = Arena.ofConfined()) {
            return decoder(Checkpoint.open(directory, arena), directory, dtype);
        }
    }

    /**
     * Loads what is under the head of a classifier, such as a reward model, as float32 into the current scope. Where there is no head
     * that says words, embeddings take its place; it is not to be asked.
     */
    public static Decoder loadClassifier(Path directory) {
        try (Arena arena = Arena.ofConfined()) {
            return decoder(Checkpoint.openClassifier(directory, arena), directory, DType.FLOAT32);
        }
    }

    private static Decoder decoder(Checkpoint checkpoint, Path directory, DType dtype) {
        Decoder decoder = new Decoder(checkpoint.config(), dtype);
        fill(decoder, checkpoint, directory);
        return decoder;
    }

    /**
     * Loads a model for inference: its matrices stay as the file holds them, mapped, or become {@code format}; its other parameters
     * are float32 in the current scope. The file stays mapped as long as the model can be reached.
     *
     * @param format see {@link Checkpoint#weights}; null for each matrix as it is stored
     * @throws IsthmusException if the directory holds no model, a damaged one, or one of an unknown kind
     */
    public static Decoder loadStored(Path directory, @Nullable WeightFormat format) {
        Arena arena = Arena.ofAuto();
        Checkpoint checkpoint = Checkpoint.open(directory, arena);
        Decoder decoder = new Decoder(checkpoint.config(), checkpoint.weights(format, arena));
        fill(decoder, checkpoint, directory);
        return decoder;
    }

    private static void fill(Decoder decoder, Checkpoint checkpoint, Path directory) {
        for (Parameter p : decoder.parameters()) {
            TensorEntry entry = checkpoint.tensors().get(p.name());
            if (entry == null) {
                throw new IsthmusException("the checkpoint in " + directory + " has no " + p.name());
            }
            if (decoder.dtype() == DType.FLOAT32) {
                entry.copyTo(p.value().segment());
            } else {
                p.value().copyFrom(Tensor.of(entry.toDoubles(), entry.shape()));
            }
        }
    }

    /** The weights of a float32 model under their names, sharing its memory. */
    public static List<TensorEntry> entries(Decoder decoder) {
        if (!decoder.adapters().isEmpty()) {
            throw new IsthmusException(
                    "a model with adapters is not saved as a whole: save the adapters, or the model merged()");
        }
        return entries(decoder.parameters());
    }

    /** Float32 parameters under their names, sharing their memory. */
    public static List<TensorEntry> entries(List<Parameter> parameters) {
        return parameters.stream()
                .map(p -> new TensorEntry(
                        p.name(), StoredType.F32, p.value().shape(), p.value().segment()))
                .toList();
    }

    /**
     * Gives parameters the numbers that {@link #entries(List)} wrote.
     *
     * @param file names them in what is thrown
     * @throws IsthmusException if one is missing or of another shape
     */
    public static void fill(List<Parameter> parameters, SafeTensors saved, Path file) {
        parameters.forEach(p -> fill(p, saved.get(p.name()), file));
    }

    /** The same of one. */
    public static void fill(Parameter parameter, TensorEntry saved, Path file) {
        if (!Arrays.equals(saved.shape(), parameter.tensor().shape())) {
            throw new IsthmusException(
                    file + " has a " + saved + " where " + parameter.tensor().layout() + " is expected");
        }
        saved.copyTo(parameter.tensor().segment());
    }

    /**
     * Writes {@code config.json} and {@code model.safetensors}, each under a temporary name first; of a model with an adapter the
     * {@linkplain Peft#save adapter} alone.
     */
    public static void save(Decoder decoder, Path directory) {
        if (decoder.adapters().size() == 1) {
            Peft.save(decoder.adapters().getFirst(), decoder, directory);
            return;
        }
        Checkpoint.save(directory, decoder.config(), entries(decoder));
    }
}
