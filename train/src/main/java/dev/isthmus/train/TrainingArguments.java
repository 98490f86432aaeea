package dev.isthmus.train;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.optim.OptimizerConfig;
import dev.isthmus.train.schedule.LrSchedule;

/**
 * How a model is optimized, with the names and defaults of Hugging Face's TrainingArguments.
 *
 * @param learningRate the peak
 * @param schedule what the peak is multiplied by at each step
 * @param optim the optimizer and its constants
 * @param maxGradNorm gradients longer than this are scaled down to it; 0 for no clipping
 * @param decayAll whether norms and biases decay too
 */
public record TrainingArguments(
        double learningRate,
        LrSchedule schedule,
        OptimizerConfig optim,
        double weightDecay,
        double maxGradNorm,
        boolean decayAll) {
    public TrainingArguments {
        notNegative("learning_rate", learningRate);
        notNegative("max_grad_norm", maxGradNorm);
        notNegative("weight_decay", weightDecay);
    }

    private static void notNegative(String name, double value) {
        if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException(name + " must be 0 or more, found " + value);
        }
    }

    /** AdamW with its defaults, clipping at 1, no weight decay. */
    public static TrainingArguments of(double learningRate, LrSchedule schedule) {
        return new TrainingArguments(learningRate, schedule, OptimizerConfig.adamW(0.9, 0.999, 1e-8), 0, 1, false);
    }
}
