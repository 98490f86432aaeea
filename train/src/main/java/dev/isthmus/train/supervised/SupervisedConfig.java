package dev.isthmus.train.supervised;

import dev.isthmus.model.ModelSize;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.optim.OptimizerConfig;
import dev.isthmus.train.run.YamlSettings;
import dev.isthmus.train.schedule.LrSchedule;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * All that a pre-training or fine-tuning run is told: the keys of its {@code config.yaml} in camelCase. Names and meanings
 * are those of Hugging Face's TrainingArguments and TRL's SFTConfig.
 *
 * @param data a text, or rows in JSON Lines
 * @param evalData the same, held out; null for none, or for the last tenth of a text
 * @param model the directory or file of the model to go on from; null for a new one
 * @param size of a new model; null where there is a model
 * @param maxLength tokens of a window of text, or of a row at most
 * @param numTrainEpochs how often the data is seen, where {@code maxSteps} does not say how long to train
 * @param maxSteps optimizer steps; not positive to go by epochs
 * @param perDeviceTrainBatchSize examples whose activations are in memory at once
 * @param gradientAccumulationSteps such batches in one optimizer step
 * @param optim the name of the optimizer
 * @param optimArgs its constants that have no key of their own, such as {@code momentum=0.9}; null for PyTorch's
 * @param loggingSteps how often the metrics are logged
 * @param evalSteps how often the loss of held-out examples is measured
 * @param saveSteps how often a checkpoint is written
 */
public record SupervisedConfig(
        Method method,
        String data,
        @Nullable String evalData,
        @Nullable String model,
        @Nullable ModelSize size,
        int maxLength,
        double numTrainEpochs,
        long maxSteps,
        int perDeviceTrainBatchSize,
        int gradientAccumulationSteps,
        double learningRate,
        String lrSchedulerType,
        long warmupSteps,
        String optim,
        @Nullable String optimArgs,
        double weightDecay,
        double adamBeta1,
        double adamBeta2,
        double adamEpsilon,
        double maxGradNorm,
        int loggingSteps,
        int evalSteps,
        int saveSteps,
        long seed) {

    /** What is learned from. */
    public enum Method {
        /** Every character of a text. */
        PRETRAIN,
        /** The completions of prompts, or whole texts, one a row. */
        SFT;

        /** The name of the command, and in {@code config.yaml}. */
        public String key() {
            return name().toLowerCase(Locale.ROOT);
        }

        /** The settings where nothing else is said; its keys are all that there are. */
        public ObjectNode defaults() {
            return YamlSettings.resource(SupervisedConfig.class, key() + ".yaml");
        }
    }

    /** A checked configuration, and the complete YAML text that gives it again. */
    public record Complete(SupervisedConfig config, String yaml) {}

    public SupervisedConfig {
        if (method == Method.SFT && model == null) {
            throw new IsthmusException("model is missing: the directory of the model to fine-tune");
        }
        if (model != null && size != null) {
            throw new IsthmusException("size is that of a new model and cannot go with model, which has its own");
        }
        atLeast(1, "max_length", maxLength);
        atLeast(1, "per_device_train_batch_size", perDeviceTrainBatchSize);
        atLeast(1, "gradient_accumulation_steps", gradientAccumulationSteps);
        atLeast(0, "warmup_steps", warmupSteps);
        atLeast(1, "logging_steps", loggingSteps);
        atLeast(1, "eval_steps", evalSteps);
        atLeast(1, "save_steps", saveSteps);
        if (maxSteps < 1 && !(numTrainEpochs > 0 && numTrainEpochs < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException(
                    "max_steps or num_train_epochs must be positive, found " + maxSteps + " and " + numTrainEpochs);
        }
    }

    private static void atLeast(int minimum, String key, long value) {
        if (value < minimum) {
            throw new IsthmusException(key + " must be at least " + minimum + ", found " + value);
        }
    }

    /**
     * The defaults, what a file says instead, and what {@code settings} say instead of both.
     *
     * @param file such as the {@code config.yaml} of another run; or null
     * @throws IsthmusException if a key is unknown, a value makes no sense, or something is missing
     */
    public static Complete load(Method method, @Nullable Path file, Map<String, ?> settings) {
        ObjectNode tree = method.defaults();
        String source = file == null ? method.key() : "the settings " + file;
        if (file != null) {
            ObjectNode given = YamlSettings.read(file, "settings");
            String other = given.path("method").asString(method.key());
            if (!other.equals(method.key())) {
                throw new IsthmusException(file + " is a configuration of " + other + ", not of " + method.key());
            }
            YamlSettings.merge(tree, given);
        }
        tree.setAll(YamlSettings.tree(settings));
        if (tree.path("data").isNull()) {
            throw new IsthmusException(source + ": data is missing: the file to learn from");
        }
        if (method == Method.PRETRAIN
                && tree.path("model").isNull()
                && tree.path("size").isNull()) {
            tree.put("size", ModelSize.S.name());
        }
        SupervisedConfig config = YamlSettings.bind(tree, SupervisedConfig.class, source);
        config.arguments(1);
        return new Complete(config, YamlSettings.write(tree));
    }

    /** The configuration of a text that {@link Complete#yaml()} gave, perhaps long ago. */
    static SupervisedConfig parse(String yaml, String source) {
        return YamlSettings.bind(YamlSettings.parse(yaml, source), SupervisedConfig.class, source);
    }

    /** Examples that one optimizer step learns from. */
    long examplesPerStep() {
        return (long) perDeviceTrainBatchSize * gradientAccumulationSteps;
    }

    /** Optimizer steps, where all data is seen after {@code epoch} examples. */
    long steps(long epoch) {
        return maxSteps > 0 ? maxSteps : Math.max(1, (long) Math.ceil(numTrainEpochs * epoch / examplesPerStep()));
    }

    /** The optimizer's settings for a run of {@code steps}. */
    TrainingArguments arguments(long steps) {
        return new TrainingArguments(
                learningRate,
                LrSchedule.of(lrSchedulerType, warmupSteps, steps),
                OptimizerConfig.of(optim, optimArgs, adamBeta1, adamBeta2, adamEpsilon),
                weightDecay,
                maxGradNorm,
                false);
    }
}
