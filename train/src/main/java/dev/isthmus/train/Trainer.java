package dev.isthmus.train;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.model.io.StoredType;
import dev.isthmus.model.io.TensorEntry;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.optim.Optimizer;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;

/**
 * A model, its optimizer and its schedule: what every kind of training does at each step.
 *
 * <p>A step adds up the gradients of its micro-batches, clips them and moves the weights. A loss that is not a number stops
 * the run before any weight has changed.
 */
public final class Trainer {
    private static final String OPTIMIZER_FILE = "optimizer.safetensors";

    private final Decoder model;
    private final TrainingArguments arguments;
    private final Optimizer optimizer;
    private long globalStep;

    /**
     * What a step came to.
     *
     * @param gradNorm before clipping
     */
    public record Step(long globalStep, double loss, double gradNorm, double learningRate) {}

    /** A trainer whose optimizer lives in the current scope. */
    public Trainer(Decoder model, TrainingArguments arguments) {
        this.model = model;
        this.arguments = arguments;
        // The rule of Hugging Face: matrices decay, norms and biases do not.
        optimizer = arguments
                .optim()
                .create(model.parameters(), p -> arguments.decayAll() || p.rank() > 1 ? arguments.weightDecay() : 0);
    }

    /** The model that is trained. */
    public Decoder model() {
        return model;
    }

    /** The number of steps taken. */
    public long globalStep() {
        return globalStep;
    }

    /**
     * One optimizer step.
     *
     * @param losses computes the loss of each micro-batch, in a scope of its own; their sum is what is minimized
     * @throws IsthmusException if the loss or a gradient is not finite; the weights are as they were
     */
    public Step step(List<Supplier<Tensor>> losses) {
        double loss = 0;
        for (Supplier<Tensor> micro : losses) {
            try (Scope scope = Scope.open()) {
                Tensor part = micro.get();
                loss += part.item();
                requireFinite("loss", loss);
                part.backward();
            }
        }
        double norm = Optimizer.gradNorm(model.trained());
        requireFinite("gradient norm", norm);
        double learningRate = arguments.learningRate() * arguments.schedule().multiplier(globalStep);
        double limit = arguments.maxGradNorm();
        double scale = limit > 0 ? Math.min(1, limit / (norm + 1e-6)) : 1;
        optimizer.step(learningRate, scale);
        globalStep++;
        return new Step(globalStep, loss, norm, learningRate);
    }

    private void requireFinite(String what, double value) {
        if (!Double.isFinite(value)) {
            model.trained().forEach(Tensor::zeroGrad);
            throw new IsthmusException(
                    "the " + what + " became " + value + " at step " + (globalStep + 1)
                            + "; the weights are as they were before it. A smaller learning_rate or max_grad_norm usually helps.");
        }
    }

    /** Writes the weights as a Hugging Face directory, and the optimizer's state beside them. */
    public void save(Path directory) {
        Pretrained.save(model, directory);
        List<TensorEntry> entries = new ArrayList<>();
        optimizer
                .state()
                .forEach((name, tensor) ->
                        entries.add(new TensorEntry(name, stored(tensor), tensor.shape(), tensor.segment())));
        SafeTensors.write(directory.resolve(OPTIMIZER_FILE), entries);
    }

    private static StoredType stored(Tensor tensor) {
        return switch (tensor.dtype()) {
            case FLOAT32 -> StoredType.F32;
            case FLOAT64 -> StoredType.F64;
            case INT64 -> StoredType.I64;
            default -> throw new IsthmusException("an optimizer's state of type " + tensor.dtype() + " cannot be saved");
        };
    }

    /** Goes on from what {@link #save} wrote after {@code steps} steps. */
    public void restore(Path directory, long steps) {
        try (Scope scope = Scope.open();
                Arena arena = Arena.ofConfined()) {
            Decoder saved = Pretrained.load(directory);
            for (int i = 0; i < model.trained().size(); i++) {
                model.trained().get(i).copyFrom(saved.trained().get(i));
            }
            SafeTensors state = SafeTensors.open(directory.resolve(OPTIMIZER_FILE), arena);
            optimizer.state().forEach((name, tensor) -> restore(state.get(name), tensor));
        }
        globalStep = steps;
    }

    private static void restore(TensorEntry saved, Tensor tensor) {
        if (saved.type() != stored(tensor) || !Arrays.equals(saved.shape(), tensor.shape())) {
            throw new IsthmusException("the optimizer's state " + saved + " does not fit " + tensor.layout());
        }
        tensor.segment().copyFrom(saved.data());
    }
}
