package dev.isthmus.rl.online;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.generate.Completion;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.online.PromptedModel.Answer;
import dev.isthmus.rl.reward.Advantages;
import dev.isthmus.rl.reward.RewardFunction;
import dev.isthmus.rl.reward.Selector;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.loop.BaseConfig;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.MicroBatch;
import dev.isthmus.train.loop.RouterAuxLoss;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.Training;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * Learns from what the model writes: completions are sampled, judged, and learned from in one or more optimizer steps; then come the
 * next. In what methods differ says {@link OnlineMethod}.
 *
 * <p>Completions of a prompt stay together, so that training reads the prompt once for all of them. The log-probabilities that sampling
 * found are those of the old policy: training computes the same bits.
 */
final class OnlineTraining implements Training {
    private static final int LOGGED = 4;

    private final BaseConfig base;
    private final OnlineMethod method;
    private final OnlineSettings settings;
    private final PromptedModel policy;
    private final @Nullable FrozenModel reference;
    private final List<RewardFunction> functions;
    private final double[] weights;

    /** The completions that are learned from; empty where the next step makes new ones. */
    private List<Rollout> buffer;

    /** The prompts that were asked so far. */
    private long asked;

    private final Map<String, Double> stepMetrics = new LinkedHashMap<>();

    OnlineTraining(
            MethodConfig<?> config,
            OnlineMethod method,
            List<RewardFunction> functions,
            PromptedModel policy,
            Start start) {
        base = config.base();
        this.method = method;
        this.functions = functions;
        this.policy = policy;
        settings = method.settings();
        weights = settings.rewards().weights();
        reference = method.usesReference()
                ? FrozenModel.reference(policy.model(), Path.of(config.model()), start.directory())
                : null;
        if (reference != null && settings.sync() != null && reference.shared()) {
            throw new IsthmusException(
                    "sync_ref_model moves a reference of its own; that of adapters is the model without them");
        }
        buffer = start.directory().map(Rollout::load).orElse(List.of());
        asked = start.state().path("prompts").asLong(0);
        method.load(policy, start);
        method.restore(start.state());
    }

    @Override
    public Decoder model() {
        return policy.model();
    }

    @Override
    public List<Parameter> parameters() {
        return Stream.concat(model().trainable().stream(), method.parameters().stream())
                .toList();
    }

    @Override
    public long epoch() {
        return policy.size() * settings.numGenerations() * settings.iterations() / settings.completionsPerExample();
    }

    @Override
    public String description() {
        return policy.description();
    }

    @Override
    public String dataId() {
        return policy.dataId();
    }

    @Override
    public List<String> shown() {
        return functions.isEmpty() ? List.of("completions/mean_length") : List.of("reward", "completions/mean_length");
    }

    // ---- what a step learns from ----------------------------------------------------------------------------------

    private int phase(long step) {
        return (int) (step % ((long) settings.updates() * settings.iterations()));
    }

    @Override
    public List<MicroBatch> microBatches(long step, StepLog log) {
        int phase = phase(step);
        if (phase == 0) {
            buffer = generate(log);
        }
        List<Rollout> learned = learned(step, phase);
        double items = learned.stream()
                .filter(rollout -> rollout.counts(settings))
                .mapToInt(rollout -> rollout.completion().length)
                .sum();
        stepMetrics.clear();
        List<MicroBatch> parts = new ArrayList<>();
        int size = learned.size() / base.gradientAccumulationSteps();
        for (int i = 0; i < learned.size(); i += size) {
            List<Rollout> part = learned.subList(i, i + size);
            long read =
                    part.stream().mapToLong(r -> r.example().tokens().length).sum();
            parts.add(new MicroBatch(read, () -> loss(part, items, phase == 0, log)));
        }
        return parts;
    }

    private List<Rollout> learned(long step, int phase) {
        int size = settings.completionsPerStep(base);
        int first = phase % settings.updates() * size;
        int[] order = IntStream.range(0, buffer.size()).toArray();
        if (settings.shuffled()) {
            policy.rng().split("minibatches", step - phase % settings.updates()).shuffle(order);
        }
        return IntStream.range(first, first + size)
                .mapToObj(i -> buffer.get(order[i]))
                .toList();
    }

    private Tensor loss(List<Rollout> rollouts, double items, boolean onPolicy, StepLog log) {
        RouterAuxLoss balance = new RouterAuxLoss(model(), method.routerAuxLossCoef());
        int parts = base.gradientAccumulationSteps();
        RolloutBatch batch = new RolloutBatch(model(), settings, rollouts, Math.max(1, items), parts, balance.trace());
        LossResult result = method.loss(batch);
        Map<String, Double> metrics = new LinkedHashMap<>(result.metrics());
        if (batch.scored()) {
            Autograd.noGrad(() -> look(batch, onPolicy, metrics));
        }
        metrics.forEach((key, value) -> stepMetrics.merge(key, value / parts, Double::sum));
        log.putAll(metrics);
        return balance.addTo(result.loss(), 1.0 / parts, log);
    }

    private static void look(RolloutBatch batch, boolean onPolicy, Map<String, Double> metrics) {
        Tensor mask = batch.mask();
        double tokens = Math.max(1, mask.sum().item());
        metrics.computeIfAbsent(
                "entropy", _ -> batch.entropies().detach().mul(mask).sum().item() / tokens);
        if (onPolicy) {
            Tensor written = mask.mul(batch.maskOf(Rollout::byPolicy));
            Tensor difference =
                    batch.logps().detach().sub(batch.oldLogps()).abs().mul(written);
            metrics.put(
                    "sampling/sampling_logp_difference/mean",
                    difference.sum().item() / Math.max(1, written.sum().item()));
            metrics.put(
                    "sampling/sampling_logp_difference/max",
                    Arrays.stream(difference.toDoubles()).max().orElse(0));
        }
    }

    // ---- rollouts -------------------------------------------------------------------------------------------------

    /**
     * A completion and what the reward functions say of it.
     *
     * @param baseline the reward of the prompt's greedy completion; NaN if nobody asks for it
     */
    private record Judged(Answer answer, double[] rewards, double baseline) {}

    private List<Rollout> generate(StepLog log) {
        int prompts = settings.promptsPerGeneration(base);
        List<Judged> judged = settings.maxNumGenBatches() > 0 ? varied(prompts) : ask(prompts);
        double[][] rewards = judged.stream().map(Judged::rewards).toArray(double[][]::new);
        double[] sums = Advantages.weightedSums(rewards, weights);
        List<float[]> refLogps = reference == null
                ? List.of()
                : reference.logps(
                        judged.stream().map(j -> j.answer.rollout().example()).toList(),
                        settings.sampling().temperature(),
                        base.perDeviceTrainBatchSize() * settings.completionsPerExample());
        List<Rollout> rollouts = new ArrayList<>();
        for (int i = 0; i < sums.length; i++) {
            Rollout rollout = judged.get(i)
                    .answer
                    .rollout()
                    .withRewards(rewards[i], sums[i])
                    .withBaseline(judged.get(i).baseline);
            rollouts.add(reference == null ? rollout : rollout.withReference(refLogps.get(i)));
        }
        log.putAll(RolloutMetrics.of(completions(judged), functions, rewards, sums));
        List<Rollout> worth = method.credit(rollouts, log);
        sample(judged, worth.size() == rollouts.size() ? worth : rollouts, log);
        return worth;
    }

    private static List<Completion> completions(List<Judged> judged) {
        return judged.stream().map(j -> j.answer.completion()).toList();
    }

    private List<Judged> ask(int prompts) {
        List<Prompt> rows = policy.prompts(asked, prompts);
        List<Answer> answers =
                method.answer(policy, reference, rows, policy.rng().split("rollout", asked));
        asked += prompts;
        List<Judged> judged = judge(answers);
        return method.usesGreedyBaseline() ? aboveGreedy(judged, rows) : judged;
    }

    private List<Judged> aboveGreedy(List<Judged> judged, List<Prompt> rows) {
        double[] greedy = Advantages.weightedSums(PromptedModel.score(functions, policy.greedy(rows)), weights);
        return IntStream.range(0, judged.size())
                .mapToObj(i ->
                        new Judged(judged.get(i).answer, judged.get(i).rewards, greedy[i / settings.numGenerations()]))
                .toList();
    }

    private List<Judged> judge(List<Answer> answers) {
        double[][] rewards = PromptedModel.score(functions, answers);
        return IntStream.range(0, rewards.length)
                .mapToObj(i -> new Judged(answers.get(i), rewards[i], Double.NaN))
                .toList();
    }

    /** Asks on until enough prompts have completions of different rewards (DAPO, Yu et al. 2025, section 3.2), or fills up with others. */
    private List<Judged> varied(int wanted) {
        List<List<Judged>> differ = new ArrayList<>();
        List<List<Judged>> alike = new ArrayList<>();
        for (int batch = 0; batch < settings.maxNumGenBatches() && differ.size() < wanted; batch++) {
            List<Judged> more = ask(wanted);
            for (int from = 0; from < more.size(); from += settings.numGenerations()) {
                List<Judged> group = more.subList(from, from + settings.numGenerations());
                double[] sums = Advantages.weightedSums(
                        group.stream().map(Judged::rewards).toArray(double[][]::new), weights);
                (Selector.informative().keep(sums, sums.length)[0] ? differ : alike).add(group);
            }
        }
        differ.addAll(alike);
        return differ.subList(0, wanted).stream().flatMap(List::stream).toList();
    }

    private void sample(List<Judged> judged, List<Rollout> rollouts, StepLog log) {
        int every = settings.rewards().logCompletions() ? 1 : Math.max(1, rollouts.size() / LOGGED);
        for (int i = 0; i < rollouts.size(); i += every) {
            Answer answer = judged.get(i).answer;
            Rollout rollout = rollouts.get(i);
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("prompt", answer.row().problem().prompt());
            line.put("completion", answer.text());
            if (!functions.isEmpty()) {
                line.put("reward", rollout.reward());
            }
            if (rollout.advantages().length == 1) {
                line.put("advantage", rollout.advantages()[0]);
            }
            log.sample(line);
        }
    }

    @Override
    public void evaluate(StepLog log) {
        List<Prompt> rows = policy.heldOut();
        if (!rows.isEmpty()) {
            List<Judged> judged =
                    judge(method.answer(policy, reference, rows, policy.rng().split("evaluate")));
            double[][] rewards = judged.stream().map(Judged::rewards).toArray(double[][]::new);
            log.putAll(RolloutMetrics.of(
                    completions(judged), functions, rewards, Advantages.weightedSums(rewards, weights)));
            method.evaluate(policy, rows, log);
        }
    }

    // ---- between steps --------------------------------------------------------------------------------------------

    @Override
    public void skipped() {
        stepMetrics.clear();
    }

    @Override
    public void stepped(long globalStep, StepLog log) {
        method.stepped(stepMetrics);
        OnlineSettings.ReferenceSync sync = settings.sync();
        if (reference != null && sync != null && globalStep % sync.steps() == 0) {
            reference.follow(model(), sync.alpha());
        }
        if (phase(globalStep) == 0) {
            buffer = List.of();
        }
    }

    @Override
    public void saveModel(Path directory) {
        policy.save(directory);
    }

    @Override
    public void save(Path directory) {
        policy.save(directory);
        method.save(directory);
        if (reference != null) {
            reference.save(directory);
        }
        if (!buffer.isEmpty()) {
            Rollout.save(buffer, directory);
        }
    }

    @Override
    public void state(ObjectNode state) {
        state.put("prompts", asked);
        method.state(state);
    }

    @Override
    public List<LanguageModel.Text> samples() {
        return policy.samples();
    }
}
