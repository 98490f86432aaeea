package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Tensor;

/** How the costs of the tokens of a micro-batch become one number. */
public enum Normalizer {
    /** The mean over sequences of the mean over their tokens (GRPO, arXiv 2402.03300, eq. 3). */
    SEQUENCE_MEAN {
        @Override
        public Tensor average(Tensor costs, Batch batch) {
            return Masked.meanOfSequences(costs, batch.mask).mean();
        }
    },
    /** The mean over the tokens of the micro-batch (BNPO). */
    TOKEN_MEAN {
        @Override
        public Tensor average(Tensor costs, Batch batch) {
            return Masked.sum(costs, batch.mask).div(Masked.count(batch.mask));
        }
    },
    /** The sum divided by sequences times {@code max_completion_length} (Dr. GRPO, arXiv 2503.20783, eq. 3). */
    MAX_COMPLETION_LENGTH {
        @Override
        public Tensor average(Tensor costs, Batch batch) {
            return Masked.sum(costs, batch.mask).div((double) batch.mask.size(0) * batch.maxCompletionLength);
        }
    },
    /** The sum divided by the tokens of the whole step, over all its micro-batches (DAPO, arXiv 2503.14476, eq. 8). */
    STEP_TOKEN_MEAN {
        @Override
        public Tensor average(Tensor costs, Batch batch) {
            return Masked.sum(costs, batch.mask).div(Math.max(1, batch.numItemsInBatch));
        }

        @Override
        public double accumulation(Batch batch) {
            return 1;
        }
    },
    /** The mean over sequences of the sum over their tokens (LUSPO, arXiv 2602.05261). */
    SEQUENCE_SUM {
        @Override
        public Tensor average(Tensor costs, Batch batch) {
            return costs.mul(batch.mask).sum(1, false).mean();
        }
    };

    /**
     * What a mean needs to know.
     *
     * @param mask {@code [B, T]}, 1 for the tokens that count
     * @param numItemsInBatch the tokens that count in the whole step
     * @param maxCompletionLength the limit of generation
     * @param gradientAccumulationSteps the micro-batches of a step
     */
    public record Batch(Tensor mask, double numItemsInBatch, int maxCompletionLength, int gradientAccumulationSteps) {
        /** The same step, of which only the tokens of another mask count. */
        Batch over(Tensor other) {
            return new Batch(other, numItemsInBatch, maxCompletionLength, gradientAccumulationSteps);
        }
    }

    /** The mean of {@code costs [B, T]}, or {@code [B, 1]} for costs of sequences; not yet divided by {@link #accumulation}. */
    public abstract Tensor average(Tensor costs, Batch batch);

    /** What the mean is divided by, so that the losses of a step's micro-batches add up to that of the step. */
    public double accumulation(Batch batch) {
        return batch.gradientAccumulationSteps;
    }

    /** The mean of {@code values [B, T]} over tokens, scaled so that those of a step's micro-batches add up to that of the step. */
    Tensor tokenMean(Tensor values, Batch batch) {
        return this == STEP_TOKEN_MEAN
                ? average(values, batch)
                : TOKEN_MEAN.average(values, batch).div(accumulation(batch));
    }
}
