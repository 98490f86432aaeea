package dev.isthmus.app;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.run.Progress;
import dev.isthmus.train.run.RunDirectory;
import dev.isthmus.train.supervised.SupervisedConfig;
import dev.isthmus.train.supervised.SupervisedConfig.Method;
import dev.isthmus.train.supervised.SupervisedTraining;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.IDefaultValueProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * What 'pretrain' and 'sft' have in common, which is nearly all.
 *
 * <p>An option whose name is a key of {@link SupervisedConfig} sets that key; so the fields below only tell picocli names, types
 * and descriptions, and are not read.
 */
abstract class SupervisedCommand implements Runnable {
    /** The order of options that stand before the others in the help, for which picocli's default is -1. */
    static final int FIRST = -2;

    @Spec
    @SuppressWarnings("NullAway.Init")
    CommandSpec spec;

    @Option(names = "--model", paramLabel = "DIR", description = "The model to go on from, with its tokenizer.")
    @Nullable
    String model;

    @Option(names = "--eval-data", paramLabel = "FILE", description = "Data to hold out, for eval_loss.")
    @Nullable
    String evalData;

    @Option(
            names = "--max-length",
            paramLabel = "N",
            description = "Tokens that the model reads of an example at most.")
    @Nullable
    Integer maxLength;

    @Option(
            names = "--num-train-epochs",
            paramLabel = "N",
            description = "How often all data is seen, without --max-steps.")
    @Nullable
    Double numTrainEpochs;

    @Option(names = "--max-steps", paramLabel = "N", description = "Optimizer steps; -1 to go by --num-train-epochs.")
    @Nullable
    Long maxSteps;

    @Option(
            names = "--per-device-train-batch-size",
            paramLabel = "N",
            description = "Examples that are learned at once.")
    @Nullable
    Integer perDeviceTrainBatchSize;

    @Option(
            names = "--gradient-accumulation-steps",
            paramLabel = "N",
            description = "Such batches in an optimizer step.")
    @Nullable
    Integer gradientAccumulationSteps;

    @Option(names = "--learning-rate", paramLabel = "RATE", description = "Peak of the learning rate.")
    @Nullable
    Double learningRate;

    @Option(
            names = "--lr-scheduler-type",
            paramLabel = "NAME",
            description = "constant, constant_with_warmup, linear, cosine, inverse_sqrt, warmup_stable_decay.")
    @Nullable
    String lrSchedulerType;

    @Option(names = "--warmup-steps", paramLabel = "N", description = "Steps in which the learning rate climbs from 0.")
    @Nullable
    Long warmupSteps;

    @Option(
            names = "--optim",
            paramLabel = "NAME",
            description = "adamw_torch, adam, sgd, adagrad, adadelta, adamax, nadam, radam, rmsprop, lion_32bit, muon.")
    @Nullable
    String optim;

    @Option(
            names = "--optim-args",
            paramLabel = "ARGS",
            description = "Its constants, such as momentum=0.9,nesterov=true.")
    @Nullable
    String optimArgs;

    @Option(names = "--weight-decay", paramLabel = "X", description = "Decay of matrices.")
    @Nullable
    Double weightDecay;

    @Option(names = "--adam-beta1", paramLabel = "X", description = "Memory of the mean of gradients.")
    @Nullable
    Double adamBeta1;

    @Option(names = "--adam-beta2", paramLabel = "X", description = "Memory of the mean of their squares.")
    @Nullable
    Double adamBeta2;

    @Option(names = "--adam-epsilon", paramLabel = "X", description = "Added to the root of that.")
    @Nullable
    Double adamEpsilon;

    @Option(names = "--max-grad-norm", paramLabel = "X", description = "Longer gradients are scaled down; 0 for never.")
    @Nullable
    Double maxGradNorm;

    @Option(names = "--logging-steps", paramLabel = "N", description = "Steps between lines of metrics.jsonl.")
    @Nullable
    Integer loggingSteps;

    @Option(names = "--eval-steps", paramLabel = "N", description = "Steps between measurements of eval_loss.")
    @Nullable
    Integer evalSteps;

    @Option(names = "--save-steps", paramLabel = "N", description = "Steps between checkpoints.")
    @Nullable
    Integer saveSteps;

    @Option(names = "--seed", paramLabel = "N", description = "Seed of all that is random.")
    @Nullable
    Long seed;

    @Option(
            names = "--config",
            paramLabel = "FILE",
            description = "Settings as YAML, such as the config.yaml of a run; options win over it.")
    @Nullable
    Path config;

    @Option(names = "--out", paramLabel = "DIR", description = "Run directory (default: the next runs/COMMAND-SEED-N).")
    @Nullable
    Path out;

    @Option(names = "--resume", paramLabel = "DIR", description = "Go on with an interrupted run.")
    @Nullable
    Path resume;

    /** Which of the two this is. */
    abstract Method method();

    @Override
    public void run() {
        if (resume == null) {
            begin();
        } else {
            resume(resume);
        }
    }

    private void begin() {
        SupervisedConfig.Complete complete;
        try {
            complete = SupervisedConfig.load(method(), config, settings());
        } catch (IsthmusException e) {
            throw new ParameterException(spec.commandLine(), e.getMessage(), e);
        }
        SupervisedTraining training = SupervisedTraining.prepare(complete);
        try (RunDirectory directory = RunDirectory.create(
                        out, method().key(), complete.config().seed(), complete.yaml(), this::warn);
                Progress progress = new Progress()) {
            training.run(directory, progress);
        }
    }

    private void resume(Path path) {
        if (out != null || config != null || !settings().isEmpty()) {
            throw usage("--resume goes on with the run as it was begun and takes no other options");
        }
        try (RunDirectory directory = RunDirectory.resume(path, this::warn);
                Progress progress = new Progress()) {
            if (directory.summary().isPresent()) {
                throw new IsthmusException("the run in " + path + " has finished; see " + path.resolve("report.html"));
            }
            SupervisedTraining.resume(directory).run(directory, progress);
        }
    }

    /** What was given on the command line, by the keys of the configuration. */
    Map<String, Object> settings() {
        Map<String, Object> settings = new LinkedHashMap<>();
        for (OptionSpec option : spec.commandLine().getParseResult().matchedOptions()) {
            String key = key(option);
            if (method().defaults().has(key)) {
                settings.put(key, option.getValue());
            }
        }
        return settings;
    }

    ParameterException usage(String problem) {
        return new ParameterException(spec.commandLine(), problem);
    }

    private void warn(String line) {
        spec.commandLine().getErr().println("isthmus: " + line);
    }

    private static String key(OptionSpec option) {
        return option.longestName().substring(2).replace('-', '_');
    }

    /** Shows the defaults of the configuration in the help; it is there that they take effect. */
    static final class Defaults implements IDefaultValueProvider {
        @Override
        public @Nullable String defaultValue(ArgSpec argument) {
            return argument instanceof OptionSpec option
                            && option.command().userObject() instanceof SupervisedCommand command
                    ? command.method().defaults().path(key(option)).asString(null)
                    : null;
        }
    }
}
