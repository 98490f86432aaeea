package dev.isthmus.rl.online;

import dev.isthmus.model.Decoder;
import dev.isthmus.rl.objective.DistillationLoss;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.MiniLlmLoss;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.Example;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.StepLog;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * MiniLLM: GRPO in which each token is also worth how much more probable the teacher finds it, which makes the reverse divergence from
 * the teacher smaller (Gu et al. 2024, arXiv 2306.08543, section 2.2).
 *
 * <p>With {@code r_t = log q(y_t) - log p(y_t)} of teacher and student, the advantage of a token is that of its completion plus {@code
 * sum_{i >= t} gamma^{i-t} r_i}, by default divided by {@code sum_{i >= t} gamma^{i-t}}. The student's p is that of the policy that
 * sampled, and has no gradient.
 */
final class MiniLlmMethod extends GrpoMethod {
    private final MiniLlmConfig own;
    private final int batchSize;
    private final DistillationLoss distillation;
    private @Nullable Decoder policy;
    private @Nullable FrozenModel teacher;

    MiniLlmMethod(MethodConfig<MiniLlmConfig> config) {
        super(config, config.own().grpo());
        own = config.own();
        batchSize = config.base().perDeviceTrainBatchSize();
        distillation = new DistillationLoss(1, own.kdTemperature());
        FrozenModel.requireTeacher(own.teacherModelNameOrPath());
    }

    @Override
    public List<String> models() {
        return List.of(FrozenModel.requireTeacher(own.teacherModelNameOrPath()));
    }

    @Override
    public void load(PromptedModel policy, Start start) {
        this.policy = policy.model();
        teacher = FrozenModel.teacher(own.teacherModelNameOrPath(), policy);
    }

    private FrozenModel teacher() {
        return Objects.requireNonNull(teacher);
    }

    @Override
    public List<Rollout> credit(List<Rollout> rollouts, StepLog log) {
        List<Rollout> credited = super.credit(rollouts, log);
        if (!own.rklAdvantage()) {
            return credited;
        }
        List<Example> examples = rollouts.stream().map(Rollout::example).toList();
        List<float[]> student = own.kdTemperature() == settings().sampling().temperature()
                ? rollouts.stream().map(Rollout::logps).toList()
                : FrozenModel.logps(Objects.requireNonNull(policy), examples, own.kdTemperature(), batchSize);
        List<float[]> taught = teacher().logps(examples, own.kdTemperature(), batchSize);
        List<Rollout> worth = new ArrayList<>();
        for (int i = 0; i < credited.size(); i++) {
            double[] advantages = advantages(taught.get(i), student.get(i));
            for (int t = 0; t < advantages.length; t++) {
                double[] rewarded = credited.get(i).advantages();
                advantages[t] += rewarded[rewarded.length == 1 ? 0 : t];
            }
            worth.add(credited.get(i).withAdvantages(advantages));
        }
        return List.copyOf(worth);
    }

    private double[] advantages(float[] teacher, float[] student) {
        double[] rewards = new double[teacher.length];
        double[] counted = new double[teacher.length];
        for (int t = 0; t < rewards.length; t++) {
            rewards[t] = (double) teacher[t] - student[t];
            counted[t] = 1;
        }
        return MiniLlmLoss.advantages(rewards, counted, own.gamma(), own.lengthNormalization());
    }

    @Override
    public LossResult loss(RolloutBatch batch) {
        LossResult result = super.loss(batch);
        if (!own.singleStepDecomposition()) {
            return result;
        }
        Tensor divergence = batch.pad(teacher().divergences(distillation, batch))
                .mul(batch.mask())
                .sum()
                .div(batch.numItemsInBatch());
        return new LossResult(result.loss().add(divergence), result.metrics());
    }
}
