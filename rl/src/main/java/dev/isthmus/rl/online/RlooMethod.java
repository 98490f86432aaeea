package dev.isthmus.rl.online;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.RlooLoss;
import dev.isthmus.rl.reward.Advantages;
import dev.isthmus.rl.reward.TokenRewards;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.StepLog;
import java.util.List;

/** RLOO: completions are worth what their rewards, less the KL penalty, are above the mean of the others of the same prompt. */
final class RlooMethod implements OnlineMethod {
    private final RlooConfig own;
    private final OnlineSettings settings;
    private final RlooLoss loss;

    RlooMethod(MethodConfig<RlooConfig> config) {
        own = config.own();
        settings = own.group().settings(config.base(), 0);
        loss = new RlooLoss(own.group().clipped(null));
    }

    @Override
    public OnlineSettings settings() {
        return settings;
    }

    @Override
    public double routerAuxLossCoef() {
        return own.group().routerAuxLossCoef();
    }

    @Override
    public boolean usesReference() {
        return own.group().beta() != 0;
    }

    @Override
    public List<Rollout> credit(List<Rollout> rollouts, StepLog log) {
        double[] rewards = new double[rollouts.size()];
        for (int i = 0; i < rewards.length; i++) {
            Rollout rollout = rollouts.get(i);
            rewards[i] = own.clipped(rollout.score(0));
            if (usesReference()) {
                double kl = TokenRewards.klOfSequence(rollout.sampledLogps(), rollout.referenceLogps());
                rewards[i] -= own.group().beta() * kl;
                log.put("kl", kl / rollout.completion().length, rollout.completion().length);
            }
        }
        Advantages advantages = Advantages.leaveOneOut(rewards, settings.numGenerations(), own.normalizeAdvantages());
        log.putAll(RolloutMetrics.ofGroups(advantages));
        return Rollout.withAdvantages(rollouts, advantages.values());
    }

    @Override
    public LossResult loss(RolloutBatch batch) {
        Tensor oldSums = batch.oldLogps().mul(batch.mask()).sum(1, false);
        LossResult result = loss.compute(batch.logps(), oldSums, batch.advantages(), batch.mask());
        return new LossResult(result.loss().div(batch.gradientAccumulationSteps()), result.metrics());
    }
}
