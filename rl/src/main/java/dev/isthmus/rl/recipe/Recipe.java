package dev.isthmus.rl.recipe;

import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.rl.objective.GrpoLoss;
import dev.isthmus.rl.objective.GrpoLoss.LossType;
import dev.isthmus.rl.objective.ImportanceSamplingLevel;
import dev.isthmus.rl.objective.Surrogate;
import dev.isthmus.rl.reward.Advantages.ScaleRewards;
import dev.isthmus.rl.reward.RewardFunction;
import dev.isthmus.rl.reward.Rewards;
import dev.isthmus.rl.task.Task;
import dev.isthmus.rl.task.Tasks;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.optim.OptimizerConfig;
import dev.isthmus.train.schedule.LrSchedule;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * A self-improvement experiment: a task, a small base model, and how it is improved.
 *
 * <p>The components are the keys of the YAML file, in snake_case; those of trainers have TRL's names.
 *
 * @param name what {@code ./isthmus improve NAME} calls it
 * @param description what it shows, in a sentence or two
 * @param papers numbers of the reference papers it implements, with their short names
 * @param departures what it does differently from them
 * @param result what was measured, with how it was measured
 * @param seed of all that is random
 * @param controls whether the improvement is repeated with shuffled rewards and with a random filter of the same size
 */
public record Recipe(
        String name,
        String description,
        List<String> papers,
        String departures,
        String result,
        long seed,
        boolean controls,
        Map<String, Object> task,
        Model model,
        Pretrain pretrain,
        Improve improve,
        Eval eval) {
    /**
     * Refuses what no run could use, before one begins.
     *
     * @throws IsthmusException that begins with the dotted path of the setting
     */
    public Recipe {
        if (name.isBlank()) {
            throw new IsthmusException("name must not be empty");
        }
        Task built = build(task);
        check("model", () -> model.config(1, 1, OptionalInt.empty()));
        check("pretrain", pretrain::arguments);
        check("improve", improve::arguments);
        check("improve", improve::sampling);
        if (improve instanceof Grpo grpo) {
            check("improve", grpo::loss);
            check("improve", grpo::scale);
            check("improve", () -> grpo.rewards(built));
        }
    }

    /** What is built from a section names its key first, and knows nothing of recipes. */
    private static void check(String section, Runnable build) {
        try {
            build.run();
        } catch (IsthmusException e) {
            throw new IsthmusException(section + "." + e.getMessage(), e);
        }
    }

    private static void atLeast(int minimum, String key, int value) {
        if (value < minimum) {
            throw new IsthmusException(key + " must be at least " + minimum + ", found " + value);
        }
    }

    /** The task, built from its settings. */
    public Task makeTask() {
        return build(task);
    }

    private static Task build(Map<String, Object> task) {
        Map<String, Object> settings = new HashMap<>(task);
        Object taskName = settings.remove("name");
        return Tasks.of(String.valueOf(taskName), settings);
    }

    /** The shape of the model: Llama style, with a tied head. */
    public record Model(int hiddenSize, int intermediateSize, int numHiddenLayers, int numAttentionHeads) {
        /** The configuration for a vocabulary and a longest sequence. */
        public DecoderConfig config(int vocabSize, int length, OptionalInt eos) {
            return DecoderConfig.llama(
                            vocabSize,
                            hiddenSize,
                            intermediateSize,
                            numHiddenLayers,
                            numAttentionHeads,
                            numAttentionHeads,
                            length,
                            true)
                    .withTokens(OptionalInt.empty(), eos.stream().boxed().toList());
        }
    }

    /**
     * The base model: trained on a limited number of labelled problems, until it solves a share of others.
     *
     * @param examples the labelled problems; nothing later sees another label
     * @param targetAccuracy training ends when this share of {@value #DEV_PROBLEMS} problems of the dev split is solved greedily;
     *     above 1 it never does
     * @param evalSteps how often that is looked at
     * @param maxSteps optimizer steps at most
     */
    public record Pretrain(
            int examples,
            double targetAccuracy,
            int evalSteps,
            int maxSteps,
            int batchSize,
            double learningRate,
            String lrSchedulerType,
            int warmupSteps,
            double weightDecay,
            double maxGradNorm) {
        /** The problems that tell when to stop. */
        public static final int DEV_PROBLEMS = 200;

        public Pretrain {
            atLeast(1, "pretrain.examples", examples);
            if (!(targetAccuracy > 0)) {
                throw new IsthmusException("pretrain.target_accuracy must be above 0, found " + targetAccuracy);
            }
            atLeast(1, "pretrain.eval_steps", evalSteps);
            atLeast(1, "pretrain.max_steps", maxSteps);
            atLeast(1, "pretrain.batch_size", batchSize);
        }

        /** Whether training ends when enough problems are solved. */
        public boolean hasTarget() {
            return targetAccuracy <= 1;
        }

        /** The optimizer's settings. */
        public TrainingArguments arguments() {
            return new TrainingArguments(
                    learningRate,
                    LrSchedule.of(lrSchedulerType, Map.of(), warmupSteps, maxSteps, learningRate),
                    OptimizerConfig.adamW(0.9, 0.95, 1e-8),
                    weightDecay,
                    maxGradNorm,
                    false);
        }
    }

    /** How the base model is improved, by its own answers and a verifier. */
    @JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "method")
    @JsonSubTypes({
        @JsonSubTypes.Type(value = ExpertIteration.class, name = "expert_iteration"),
        @JsonSubTypes.Type(value = Grpo.class, name = "grpo")
    })
    public sealed interface Improve permits ExpertIteration, Grpo {
        /** How often the model is evaluated and a checkpoint is written. */
        int rounds();

        /** How completions are drawn. */
        SamplingParams sampling();

        /** The optimizer's settings. */
        TrainingArguments arguments();
    }

    /**
     * Generate, verify, select, fine-tune, again: the loop of STaR, ReST-EM and RFT.
     *
     * @param problems unlabelled problems of a round
     * @param numGenerations completions of each
     * @param maxSelected how many different correct completions of one problem are kept at most
     * @param maxSteps fine-tuning steps of a round
     */
    public record ExpertIteration(
            int rounds,
            int problems,
            int numGenerations,
            double temperature,
            int maxSelected,
            int maxSteps,
            int batchSize,
            double learningRate,
            String lrSchedulerType,
            int warmupSteps,
            double maxGradNorm)
            implements Improve {
        public ExpertIteration {
            atLeast(1, "improve.rounds", rounds);
            atLeast(1, "improve.problems", problems);
            atLeast(1, "improve.num_generations", numGenerations);
            atLeast(1, "improve.max_selected", maxSelected);
            atLeast(1, "improve.max_steps", maxSteps);
            atLeast(1, "improve.batch_size", batchSize);
        }

        @Override
        public SamplingParams sampling() {
            return SamplingParams.temperature(temperature);
        }

        @Override
        public TrainingArguments arguments() {
            return new TrainingArguments(
                    learningRate,
                    LrSchedule.of(lrSchedulerType, Map.of(), warmupSteps, (long) rounds * maxSteps, learningRate),
                    OptimizerConfig.adamW(0.9, 0.95, 1e-8),
                    0,
                    maxGradNorm,
                    false);
        }
    }

    /**
     * Group relative policy optimization (Shao et al. 2024), with TRL's names.
     *
     * @param stepsPerRound generation batches between evaluations
     * @param problems prompts of a generation batch
     * @param numIterations optimizer steps on each generation batch
     * @param rewardFuncs names of {@link Rewards}: {@code accuracy_reward}, {@code format_reward}, ...
     * @param rewardWeights one for each of them
     * @param epsilonHigh the upper clipping bound; null for {@code epsilon}
     */
    public record Grpo(
            int rounds,
            int stepsPerRound,
            int problems,
            int numGenerations,
            int numIterations,
            List<String> rewardFuncs,
            List<Double> rewardWeights,
            double temperature,
            double topP,
            int topK,
            double minP,
            double repetitionPenalty,
            double beta,
            double epsilon,
            @Nullable Double epsilonHigh,
            @Nullable Double delta,
            String lossType,
            String importanceSamplingLevel,
            String scaleRewards,
            boolean maskTruncatedCompletions,
            double learningRate,
            String lrSchedulerType,
            int warmupSteps,
            double maxGradNorm)
            implements Improve {
        public Grpo {
            rewardFuncs = List.copyOf(rewardFuncs);
            rewardWeights = List.copyOf(rewardWeights);
            if (rewardFuncs.isEmpty() || rewardFuncs.size() != rewardWeights.size()) {
                throw new IsthmusException(
                        "improve.reward_weights must hold one weight for each of improve.reward_funcs, found "
                                + rewardWeights + " for " + rewardFuncs);
            }
            if (!rewardWeights.stream().allMatch(Double::isFinite)) {
                throw new IsthmusException("improve.reward_weights must be finite, found " + rewardWeights);
            }
            atLeast(1, "improve.rounds", rounds);
            atLeast(1, "improve.steps_per_round", stepsPerRound);
            atLeast(1, "improve.problems", problems);
            // An answer is judged against the others to the same problem.
            atLeast(2, "improve.num_generations", numGenerations);
            atLeast(1, "improve.num_iterations", numIterations);
        }

        @Override
        public TrainingArguments arguments() {
            return new TrainingArguments(
                    learningRate,
                    LrSchedule.of(
                            lrSchedulerType,
                            Map.of(),
                            warmupSteps,
                            (long) rounds * stepsPerRound * numIterations,
                            learningRate),
                    OptimizerConfig.adamW(0.9, 0.999, 1e-8),
                    0,
                    maxGradNorm,
                    false);
        }

        @Override
        public SamplingParams sampling() {
            return new SamplingParams(true, temperature, topK, topP, minP, repetitionPenalty);
        }

        /** The objective. */
        public GrpoLoss loss() {
            return GrpoLoss.of(
                    LossType.named(lossType),
                    beta,
                    new Surrogate.Clipped(epsilon, epsilonHigh == null ? epsilon : epsilonHigh, delta),
                    named(ImportanceSamplingLevel.class, "importance_sampling_level", importanceSamplingLevel));
        }

        /** The reward functions, for the answers to a task. */
        public List<RewardFunction> rewards(Task task) {
            int longest = task.maxCompletionLength() + 1;
            return rewardFuncs.stream()
                    .map(name -> Rewards.named(name, task, longest))
                    .toList();
        }

        /** What rewards are divided by. */
        public ScaleRewards scale() {
            return named(ScaleRewards.class, "scale_rewards", scaleRewards);
        }
    }

    /**
     * How a model is measured.
     *
     * @param problems held-out problems
     * @param samples completions of each at temperature 1, for pass@k and maj@k; between the first and the last measurement at
     *     most 8
     * @param data a file of real problems to measure on, looked for here and under {@code -Disthmus.data}; or null
     */
    public record Eval(int problems, int samples, @Nullable String data) {
        public Eval {
            atLeast(1, "eval.problems", problems);
            atLeast(0, "eval.samples", samples);
        }
    }

    static <E extends Enum<E>> E named(Class<E> type, String key, String name) {
        for (E value : type.getEnumConstants()) {
            if (value.name().toLowerCase(Locale.ROOT).equals(name)) {
                return value;
            }
        }
        throw new IsthmusException(key + " '" + name + "' is unknown; there are "
                + String.join(
                        ", ",
                        Arrays.stream(type.getEnumConstants())
                                .map(v -> v.name().toLowerCase(Locale.ROOT))
                                .toList()));
    }
}
