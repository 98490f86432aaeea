package dev.isthmus.rl.online;

import dev.isthmus.model.Decoder;
import dev.isthmus.rl.objective.Normalizer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Example;
import dev.isthmus.train.Sequence;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** The rollouts of a micro-batch, laid out as {@code [B, T]}, and what the policy makes of them now. */
final class RolloutBatch {
    private final Decoder policy;
    private final OnlineSettings settings;
    private final List<Rollout> rollouts;
    private final CompletionBatch layout;
    private final Tensor mask;
    private final double numItemsInBatch;
    private final int gradientAccumulationSteps;
    private final Decoder.@Nullable Trace trace;
    private CompletionBatch.@Nullable Scores scores;

    /**
     * A part of an optimizer step.
     *
     * @param numItemsInBatch tokens that count in the whole step
     * @param gradientAccumulationSteps micro-batches of the step
     * @param trace sees what the policy computes; or null
     */
    RolloutBatch(
            Decoder policy,
            OnlineSettings settings,
            List<Rollout> rollouts,
            double numItemsInBatch,
            int gradientAccumulationSteps,
            Decoder.@Nullable Trace trace) {
        this.policy = policy;
        this.settings = settings;
        this.rollouts = List.copyOf(rollouts);
        this.numItemsInBatch = numItemsInBatch;
        this.gradientAccumulationSteps = gradientAccumulationSteps;
        this.trace = trace;
        layout = new CompletionBatch(rollouts.stream().map(Rollout::example).toList());
        mask = maskOf(rollout -> rollout.counts(settings));
    }

    Decoder policy() {
        return policy;
    }

    List<Rollout> rollouts() {
        return rollouts;
    }

    List<Example> examples() {
        return layout.examples();
    }

    private CompletionBatch.Scores scores() {
        if (scores == null) {
            scores = layout.scores(policy, settings.sampling().temperature(), true, trace);
        }
        return scores;
    }

    /** Whether anyone has asked for what the policy makes of the completions. */
    boolean scored() {
        return scores != null;
    }

    /** {@code [B, T]}: the log-probabilities under the policy, with gradient. */
    Tensor logps() {
        return scores().logps();
    }

    /** {@code [B, T]}: the entropies of the policy, with gradient. */
    Tensor entropies() {
        return Objects.requireNonNull(scores().entropy());
    }

    /** {@code [B, T]}: the log-probabilities under the policy that wrote the completions; 0 where someone else did. */
    Tensor oldLogps() {
        return pad(rollout -> rollout.byPolicy() ? rollout.logps() : new float[rollout.completion().length]);
    }

    /** {@code [B, T]}: the log-probabilities under the reference. */
    Tensor refLogps() {
        return pad(Rollout::refLogps);
    }

    /** {@code [B]} if a completion has one advantage, {@code [B, T]} if each of its tokens has. */
    Tensor advantages() {
        return rollouts.stream().allMatch(r -> r.advantages().length == 1)
                ? ofRollouts(r -> r.advantages()[0])
                : padDoubles(Rollout::advantages);
    }

    /** {@code [B, T]}: 1 for the tokens that count. */
    Tensor mask() {
        return mask;
    }

    /** {@code [B, T]}: 1 for the tokens of some of the rollouts. */
    Tensor maskOf(Predicate<Rollout> some) {
        boolean[] counted = new boolean[rollouts.size()];
        for (int i = 0; i < counted.length; i++) {
            counted[i] = some.test(rollouts.get(i));
        }
        return layout.mask(counted);
    }

    /** {@code [B]}: a number of each rollout. */
    Tensor ofRollouts(Function<Rollout, Double> number) {
        return Tensor.of(rollouts.stream().mapToDouble(number::apply).toArray(), rollouts.size())
                .to(DType.FLOAT32);
    }

    /** {@code [B, T]}: numbers of the tokens of each rollout. */
    Tensor pad(Function<Rollout, float[]> values) {
        return layout.pad(rollouts.stream().map(values).toList());
    }

    /** {@code [B, T]}: numbers of the tokens of each rollout. */
    Tensor padDoubles(Function<Rollout, double[]> values) {
        return pad(rollout -> {
            double[] given = values.apply(rollout);
            float[] floats = new float[given.length];
            for (int t = 0; t < floats.length; t++) {
                floats[t] = (float) given[t];
            }
            return floats;
        });
    }

    /** {@code [B, T]} of numbers of all completion tokens one after another; the gradient passes. */
    Tensor pad(Tensor ragged) {
        return layout.pad(ragged);
    }

    /** {@code [T, V]}: the logits of a model for all completion tokens one after another, with gradient. */
    Tensor logits(Decoder model) {
        return model.logits(hidden(model));
    }

    /** {@code [T, C]}: the hidden states that they are made of. */
    Tensor hidden(Decoder model) {
        return CompletionLoss.hidden(
                model, examples().stream().map(Sequence::of).toList());
    }

    /** What the normalizers of losses ask for. */
    Normalizer.Batch normalization() {
        return new Normalizer.Batch(mask, numItemsInBatch, settings.maxNewTokens(), gradientAccumulationSteps);
    }

    /** Tokens that count in the whole step. */
    double numItemsInBatch() {
        return numItemsInBatch;
    }

    /** Micro-batches of the step. */
    int gradientAccumulationSteps() {
        return gradientAccumulationSteps;
    }
}
