package dev.isthmus.model.generate;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.sample.History;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;

/**
 * Models with one vocabulary that write a text together: each reads all of it, and their logits become one row.
 *
 * @param models the first is the one that a single text would be written by
 * @param head makes logits of what a model has read
 * @param combiner makes one row of logits of theirs
 */
public record Ensemble(List<Decoder> models, Head head, Combiner combiner) {
    private static final Combiner ALONE = (logits, _) -> logits.getFirst();

    /** Makes the logits {@code [rows, V]} of the next tokens of the hidden states {@code [rows, C]} that they are told from. */
    @FunctionalInterface
    public interface Head {
        /** {@link Decoder#logits}, or another. */
        Tensor logits(Decoder model, Tensor hidden);
    }

    /** Makes the logits of the next token of those of several models, and of whatever else it knows about the text. */
    @FunctionalInterface
    public interface Combiner {
        /**
         * @param logits a row {@code [V]} of each model
         * @param text what was written so far
         * @return a row {@code [V]}; tokens at negative infinity are never drawn
         */
        float[] combine(List<float[]> logits, History text);
    }

    /**
     * @throws IsthmusException if there is no model, or the vocabularies differ in size
     */
    public Ensemble {
        models = List.copyOf(models);
        List<Integer> sizes = models.stream()
                .map(model -> model.config().vocabSize())
                .distinct()
                .toList();
        if (sizes.size() != 1) {
            throw new IsthmusException("models that write together need one vocabulary, found sizes " + sizes);
        }
    }

    /** Models with the heads that they have. */
    public Ensemble(List<Decoder> models, Combiner combiner) {
        this(models, Decoder::logits, combiner);
    }

    /** One model alone. */
    public static Ensemble of(Decoder decoder) {
        return of(decoder, Decoder::logits);
    }

    /** One model alone with another head. */
    public static Ensemble of(Decoder decoder, Head head) {
        return new Ensemble(List.of(decoder), head, ALONE);
    }

    /**
     * The product of the models' distributions, each to the power of its weight: {@code sum_m w_m logits_m} (Hinton 2002). Weights
     * {@code 1, a, -a} are a model with an expert and an anti-expert (Liu et al. 2021, equation 1).
     */
    public static Combiner productOfExperts(double... weights) {
        double[] w = weights.clone();
        return (logits, _) -> {
            if (logits.size() != w.length) {
                throw new IsthmusException(w.length + " weights for " + logits.size() + " models");
            }
            float[] sum = new float[logits.getFirst().length];
            for (int i = 0; i < sum.length; i++) {
                double total = 0;
                for (int m = 0; m < w.length; m++) {
                    total += w[m] * logits.get(m)[i];
                }
                sum[i] = (float) total;
            }
            return sum;
        };
    }

    /**
     * What the first model knows better than the second: {@code (1 + beta) expert - beta amateur} for the tokens that the expert finds at
     * least {@code alpha} times as probable as its first choice (Li et al. 2023, equation 3; in the form of O'Brien and Lewis 2023, section
     * 2).
     */
    public static Combiner contrastive(double alpha, double beta) {
        if (!(alpha >= 0 && alpha <= 1)) {
            throw new IsthmusException("alpha must be between 0 and 1, found " + alpha);
        }
        return (logits, _) -> {
            if (logits.size() != 2) {
                throw new IsthmusException(
                        "contrastive decoding takes an expert and an amateur, found " + logits.size() + " models");
            }
            float[] expert = logits.get(0);
            float[] amateur = logits.get(1);
            double max = Double.NEGATIVE_INFINITY;
            for (float logit : expert) {
                max = Math.max(max, logit);
            }
            double floor = max + Math.log(alpha);
            float[] result = new float[expert.length];
            for (int i = 0; i < result.length; i++) {
                result[i] = expert[i] < floor
                        ? Float.NEGATIVE_INFINITY
                        : (float) ((1 + beta) * expert[i] - beta * amateur[i]);
            }
            return result;
        };
    }

    /** The number of tokens that every model can read. */
    int maxLength() {
        return models.stream()
                .mapToInt(model -> model.config().maxPositionEmbeddings())
                .min()
                .orElseThrow();
    }

    void requireLength(int tokens) {
        models.forEach(model -> model.requireLength(tokens));
    }

    Ensemble packed() {
        return new Ensemble(models.stream().map(Decoder::packed).toList(), head, combiner);
    }

    /** The logits of the next tokens by one of the models. */
    Tensor logits(int model, Tensor hidden) {
        return head.logits(models.get(model), hidden);
    }

    /** One tensor {@code [rows, V]} of those of the models. */
    Tensor combine(List<Tensor> each, IntFunction<History> texts) {
        if (combiner == ALONE) {
            return each.getFirst();
        }
        int vocabSize = models.getFirst().config().vocabSize();
        List<float[]> all = each.stream().map(Tensor::toFloats).toList();
        int rows = all.getFirst().length / vocabSize;
        float[] combined = new float[rows * vocabSize];
        for (int row = 0; row < rows; row++) {
            List<float[]> logits = new ArrayList<>();
            for (float[] values : all) {
                logits.add(Arrays.copyOfRange(values, row * vocabSize, (row + 1) * vocabSize));
            }
            System.arraycopy(combiner.combine(logits, texts.apply(row)), 0, combined, row * vocabSize, vocabSize);
        }
        return Tensor.of(combined, rows, vocabSize);
    }
}
