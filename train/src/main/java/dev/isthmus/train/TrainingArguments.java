package dev.isthmus.train;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.schedule.LrSchedule;

/**
 * How a model is optimized, with the names and defaults of Hugging Face's TrainingArguments.
 *
 * @param learningRate the peak
 * @param schedule what the peak is multiplied by at each step
 * @param maxGradNorm gradients longer than this are scaled down to it; 0 for no clipping
 * @param decayAll whether norms and biases decay too
 */
public record TrainingArguments(
        double learningRate,
        LrSchedule schedule,
        double adamBeta1,
        double adamBeta2,
        double adamEpsilon,
        double weightDecay,
        double maxGradNorm,
        boolean decayAll) {
    public TrainingArguments {
        notNegative("learning_rate", learningRate);
        notNegative("max_grad_norm", maxGradNorm);
        notNegative("weight_decay", weightDecay);
        notNegative("adam_epsilon", adamEpsilon);
        if (!(adamBeta1 >= 0 && adamBeta1 < 1 && adamBeta2 >= 0 && adamBeta2 < 1)) {
            throw new IsthmusException(
                    "adam_beta1 and adam_beta2 must be in [0, 1), found " + adamBeta1 + ", " + adamBeta2);
        }
    }

    private static void notNegative(String name, double value) {
        if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException(name + " must be 0 or more, found " + value);
        }
    }

    /** Adam's defaults, clipping at 1, no weight decay. */
    public static TrainingArguments of(double learningRate, LrSchedule schedule) {
        return new TrainingArguments(learningRate, schedule, 0.9, 0.999, 1e-8, 0, 1, false);
    }
}
