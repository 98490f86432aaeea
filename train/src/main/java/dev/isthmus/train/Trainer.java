package dev.isthmus.train;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Peft;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.model.io.StoredType;
import dev.isthmus.model.io.TensorEntry;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.optim.Optimizer;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A model, its optimizer and its schedule: what every kind of training does at each step.
 *
 * <p>A step adds up the gradients of its micro-batches, clips them and moves the weights. A loss that is not a number stops
 * the run before any weight has changed.
 */
public final class Trainer {
    private static final String OPTIMIZER_FILE = "optimizer.safetensors";

    private final Decoder model;
    private final List<Parameter> parameters;
    private final List<Tensor> trained;
    private final TrainingArguments arguments;
    private final Optimizer optimizer;
    private long globalStep;

    /**
     * What a step came to.
     *
     * @param gradNorm before clipping
     */
    public record Step(long globalStep, double loss, double gradNorm, double learningRate) {
        /** What it came to under TRL's keys; more may be put. */
        public Map<String, Double> metrics() {
            Map<String, Double> metrics = new LinkedHashMap<>();
            metrics.put("loss", loss);
            metrics.put("grad_norm", gradNorm);
            metrics.put("learning_rate", learningRate);
            return metrics;
        }
    }

    /** A trainer of a model whose optimizer lives in the current scope. */
    public Trainer(Decoder model, TrainingArguments arguments) {
        this(model, model.trainable(), arguments);
    }

    /**
     * A trainer of {@code parameters}, which may be some of the model's and others that hang on it, such as the head of a reward
     * model.
     */
    public Trainer(Decoder model, List<Parameter> parameters, TrainingArguments arguments) {
        this.model = model;
        this.parameters = List.copyOf(parameters);
        trained = parameters.stream().map(Parameter::tensor).distinct().toList();
        this.arguments = arguments;
        // The rule of Hugging Face: matrices decay, norms and biases do not.
        optimizer = arguments
                .optim()
                .create(parameters, p -> arguments.decayAll() || p.rank() > 1 ? arguments.weightDecay() : 0);
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
     * @throws NonFiniteException if the loss or a gradient is not finite; the weights are as they were
     */
    public Step step(List<Supplier<Tensor>> losses) {
        double loss = 0;
        for (int i = 0; i < losses.size(); i++) {
            try (Scope scope = Scope.open()) {
                Tensor part = losses.get(i).get();
                loss += part.item();
                requireFinite("loss", loss, i);
                part.backward();
            }
        }
        double norm = Optimizer.gradNorm(trained);
        requireFinite("gradient norm", norm, losses.size() - 1);
        double learningRate = learningRate();
        double limit = arguments.maxGradNorm();
        double scale = limit > 0 ? Math.min(1, limit / (norm + 1e-6)) : 1;
        optimizer.step(learningRate, scale);
        globalStep++;
        return new Step(globalStep, loss, norm, learningRate);
    }

    /** Counts a step in which nothing is learned, and forgets its gradients. */
    public Step skip() {
        double learningRate = learningRate();
        trained.forEach(Tensor::zeroGrad);
        globalStep++;
        return new Step(globalStep, Double.NaN, Double.NaN, learningRate);
    }

    private double learningRate() {
        return arguments.learningRate() * arguments.schedule().multiplier(globalStep);
    }

    private void requireFinite(String what, double value, int microBatch) {
        if (!Double.isFinite(value)) {
            String tensor = firstNonFinite();
            trained.forEach(Tensor::zeroGrad);
            throw new NonFiniteException(
                    "the " + what + " became " + value + " at step " + (globalStep + 1)
                            + "; the weights are as they were before it. A smaller learning_rate or max_grad_norm usually helps.",
                    microBatch,
                    tensor);
        }
    }

    private @Nullable String firstNonFinite() {
        String weight = firstNonFiniteWeight();
        if (weight != null) {
            return weight;
        }
        // Looking back from the loss.
        for (Parameter p : parameters.reversed()) {
            Tensor grad = p.grad();
            if (grad != null && !isFinite(grad)) {
                return p.name() + ".grad";
            }
        }
        return null;
    }

    /** The first weight, frozen ones included, that is not finite; null if all are. */
    public @Nullable String firstNonFiniteWeight() {
        return Stream.concat(model.parameters().stream(), parameters.stream())
                .filter(p -> !isFinite(p.value()))
                .map(Parameter::name)
                .findFirst()
                .orElse(null);
    }

    /** Whether all numbers of a tensor are finite. */
    public static boolean isFinite(Tensor tensor) {
        try (Scope scope = Scope.open()) {
            return Double.isFinite(Autograd.noGrad(
                    () -> tensor.detach().sub(tensor.detach()).sum().item()));
        }
    }

    /** Writes the weights as a Hugging Face directory, or the adapter that is trained as PEFT does, and the optimizer's state beside them. */
    public void save(Path directory) {
        Pretrained.save(model, directory);
        saveOptimizer(directory);
    }

    /** Writes the optimizer's state. */
    public void saveOptimizer(Path directory) {
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
            default ->
                throw new IsthmusException("an optimizer's state of type " + tensor.dtype() + " cannot be saved");
        };
    }

    /** Goes on from what {@link #save} wrote after {@code steps} steps. */
    public void restore(Path directory, long steps) {
        try (Scope scope = Scope.open()) {
            Decoder saved = model.adapters().isEmpty()
                    ? Pretrained.load(directory)
                    : model.base().with(Peft.load(directory, model.base()));
            for (int i = 0; i < model.trained().size(); i++) {
                model.trained().get(i).copyFrom(saved.trained().get(i));
            }
        }
        restoreOptimizer(directory, steps);
    }

    /** Goes on, with weights that are there already, from what {@link #saveOptimizer} wrote after {@code steps} steps. */
    public void restoreOptimizer(Path directory, long steps) {
        try (Arena arena = Arena.ofConfined()) {
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
