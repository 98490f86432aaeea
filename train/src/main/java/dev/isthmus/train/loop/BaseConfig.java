package dev.isthmus.train.loop;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.optim.OptimizerConfig;
import dev.isthmus.train.schedule.LrSchedule;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The settings that all trainers share: keys of {@code config.yaml} in camelCase, with the names and meanings of Hugging Face's
 * TrainingArguments. The descriptions are also those of the command line.
 */
public record BaseConfig(
        String method,

        @JsonPropertyDescription("The model to go on from, with its tokenizer: a directory or a file.") @Nullable
        String model,

        @JsonPropertyDescription("What to learn from; of several files the names with commas.") @Nullable
        String data,

        @JsonPropertyDescription("Shares in which the files of --data are mixed; none to shuffle all together.")
        List<Double> dataProbabilities,

        @JsonPropertyDescription("random: shuffled anew each epoch; sequential: as the files have it.")
        SamplingStrategy trainSamplingStrategy,

        @JsonPropertyDescription("Data to hold out, for the metrics that begin with eval_.") @Nullable
        String evalData,

        @JsonPropertyDescription("How often all data is seen, without --max-steps.")
        double numTrainEpochs,

        @JsonPropertyDescription("Optimizer steps; -1 to go by --num-train-epochs.")
        long maxSteps,

        @JsonPropertyDescription("Examples that are learned at once.")
        int perDeviceTrainBatchSize,

        @JsonPropertyDescription("Held-out examples that are looked at at once.")
        int perDeviceEvalBatchSize,

        @JsonPropertyDescription("Such batches in an optimizer step.")
        int gradientAccumulationSteps,

        @JsonPropertyDescription("Keep no activations within a block, compute them again: slower, less memory.")
        boolean gradientCheckpointing,

        @JsonPropertyDescription("Peak of the learning rate.")
        double learningRate,

        @JsonPropertyDescription("constant, constant_with_warmup, linear, cosine, cosine_with_min_lr,"
                + " cosine_with_restarts, polynomial, inverse_sqrt, warmup_stable_decay.")
        String lrSchedulerType,

        @JsonPropertyDescription("Its constants, such as {min_lr_rate: 0.1}.")
        Map<String, Object> lrSchedulerKwargs,

        @JsonPropertyDescription("Steps in which the learning rate climbs from 0; below 1 a share of all steps.")
        double warmupSteps,

        @JsonPropertyDescription(
                "adamw_torch, adam, sgd, adagrad, adadelta, adamax, nadam, radam, rmsprop, lion_32bit, muon.")
        String optim,

        @JsonPropertyDescription("Its constants, such as momentum=0.9,nesterov=true.") @Nullable
        String optimArgs,

        @JsonPropertyDescription("Decay of matrices.") double weightDecay,

        @JsonPropertyDescription("Memory of the mean of gradients.")
        double adamBeta1,

        @JsonPropertyDescription("Memory of the mean of their squares.")
        double adamBeta2,

        @JsonPropertyDescription("Added to the root of that.")
        double adamEpsilon,

        @JsonPropertyDescription("Longer gradients are scaled down; 0 for never.")
        double maxGradNorm,

        @JsonPropertyDescription("What to do when a loss or gradient is not a number: stop, or skip the step.")
        NonFiniteLoss nonfiniteLoss,

        @JsonPropertyDescription("Steps between lines of metrics.jsonl.")
        int loggingSteps,

        @JsonPropertyDescription("Steps between looks at the held-out data.")
        int evalSteps,

        @JsonPropertyDescription("Steps between checkpoints.")
        int saveSteps,

        @JsonPropertyDescription("Seed of all that is random.")
        long seed) {

    /** What to do with a step whose loss or gradient is not finite. */
    public enum NonFiniteLoss {
        /** End the run and write down which tensor went wrong first. */
        STOP,
        /** Leave the weights as they are and go on with the next step. */
        SKIP;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** In which order examples are learned. */
    public enum SamplingStrategy {
        RANDOM,
        SEQUENTIAL;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    public BaseConfig {
        dataProbabilities = List.copyOf(dataProbabilities);
        lrSchedulerKwargs = Map.copyOf(lrSchedulerKwargs);
        atLeast(1, "per_device_train_batch_size", perDeviceTrainBatchSize);
        atLeast(1, "per_device_eval_batch_size", perDeviceEvalBatchSize);
        atLeast(1, "gradient_accumulation_steps", gradientAccumulationSteps);
        if (!(warmupSteps >= 0 && warmupSteps < Long.MAX_VALUE)) {
            throw new IsthmusException("warmup_steps must be 0 or more, found " + warmupSteps);
        }
        atLeast(1, "logging_steps", loggingSteps);
        atLeast(1, "eval_steps", evalSteps);
        atLeast(1, "save_steps", saveSteps);
        if (maxSteps < 1 && !(numTrainEpochs > 0 && numTrainEpochs < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException(
                    "max_steps or num_train_epochs must be positive, found " + maxSteps + " and " + numTrainEpochs);
        }
    }

    /**
     * Throws if a setting is less than it may be.
     *
     * @throws IsthmusException naming the key
     */
    public static void atLeast(long minimum, String key, long value) {
        if (value < minimum) {
            throw new IsthmusException(key + " must be at least " + minimum + ", found " + value);
        }
    }

    /** Examples that one optimizer step learns from. */
    public long examplesPerStep() {
        return (long) perDeviceTrainBatchSize * gradientAccumulationSteps;
    }

    /** Optimizer steps, where all data is seen after {@code epoch} examples. */
    long steps(long epoch) {
        return maxSteps > 0 ? maxSteps : Math.max(1, (long) Math.ceil(numTrainEpochs * epoch / examplesPerStep()));
    }

    private long warmup(long steps) {
        return (long) (warmupSteps < 1 ? Math.ceil(warmupSteps * steps) : warmupSteps);
    }

    /** The optimizer's settings for a run of {@code steps}. */
    TrainingArguments arguments(long steps) {
        return new TrainingArguments(
                learningRate,
                LrSchedule.of(lrSchedulerType, lrSchedulerKwargs, warmup(steps), steps, learningRate),
                OptimizerConfig.of(optim, optimArgs, adamBeta1, adamBeta2, adamEpsilon),
                weightDecay,
                maxGradNorm,
                false);
    }
}
