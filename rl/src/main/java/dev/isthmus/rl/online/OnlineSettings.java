package dev.isthmus.rl.online;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.loop.BaseConfig;
import org.jspecify.annotations.Nullable;

/**
 * What the loop of all online methods must know, whatever their commands call it.
 *
 * @param maxNewTokens tokens of a completion at most
 * @param numGenerations completions of each prompt; they stay together
 * @param completionsPerExample how many completions {@code per_device_train_batch_size} counts as one example
 * @param updates the optimizer steps that go once through a batch of completions
 * @param iterations how often they go through it
 * @param shuffled whether each time in another order
 * @param maskTruncatedCompletions whether completions that did not come to an end count for nothing
 * @param maxNumGenBatches how many batches are made at most to find enough prompts whose completions are not all rewarded alike; 0 to
 *     take what comes
 * @param sync how the reference follows the policy; null if it stays where it is
 */
record OnlineSettings(
        SamplingConfig sampling,
        RewardFuncsConfig rewards,
        int maxNewTokens,
        int numGenerations,
        int completionsPerExample,
        int updates,
        int iterations,
        boolean shuffled,
        boolean maskTruncatedCompletions,
        int maxNumGenBatches,
        @Nullable ReferenceSync sync) {
    /** TRL's {@code sync_ref_model}: every {@code steps} steps the reference moves the share {@code alpha} of its way to the policy. */
    record ReferenceSync(double alpha, int steps) {
        ReferenceSync {
            BaseConfig.atLeast(1, "ref_model_sync_steps", steps);
            if (!(alpha >= 0 && alpha <= 1)) {
                throw new IsthmusException("ref_model_mixup_alpha must be between 0 and 1, found " + alpha);
            }
        }
    }

    /** Completions are made for each optimizer step, and used once. */
    OnlineSettings(
            SamplingConfig sampling,
            RewardFuncsConfig rewards,
            int maxNewTokens,
            int numGenerations,
            int completionsPerExample) {
        this(sampling, rewards, maxNewTokens, numGenerations, completionsPerExample, 1, 1, false, false, 0, null);
    }

    /** The completions that one optimizer step learns from. */
    int completionsPerStep(BaseConfig base) {
        return Math.toIntExact(base.examplesPerStep() * completionsPerExample);
    }

    /** The prompts of one batch of completions. */
    int promptsPerGeneration(BaseConfig base) {
        int completions = completionsPerStep(base) * updates;
        if (completions % numGenerations != 0) {
            throw new IsthmusException("one batch is " + completions
                    + " completions, per_device_train_batch_size times steps_per_generation; it must be a multiple of"
                    + " num_generations " + numGenerations);
        }
        return completions / numGenerations;
    }
}
