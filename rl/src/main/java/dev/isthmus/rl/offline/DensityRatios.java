package dev.isthmus.rl.offline;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.rl.objective.preference.BcoLoss;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * What bad completions count whose prompts stem from elsewhere than those of the good ones (Jung et al. 2024, section 4.2): {@code p /
 * (1 - p)} within bounds, {@code p} being the probability that a prompt is one of the good ones', as a {@link LogisticRegression} of
 * prompts sees it. A prompt is the mean of the last hidden states of its tokens.
 *
 * @param ofBad by the number of the example
 */
record DensityRatios(Map<Integer, Double> ofBad) {
    /**
     * Asks a model for all prompts, once.
     *
     * @param sampleSize how many prompts of each kind the regression sees at most
     */
    static DensityRatios of(
            Decoder model, TrainingData<LabelledExample> data, int sampleSize, double min, double max, Rng rng) {
        List<double[]> good = new ArrayList<>();
        Map<Integer, double[]> bad = new HashMap<>();
        List<double[]> badLearned = new ArrayList<>();
        for (List<Item<LabelledExample>> batch : data.all()) {
            double[][] points = points(model, batch);
            for (int i = 0; i < points.length; i++) {
                if (batch.get(i).example().good()) {
                    good.add(points[i]);
                } else {
                    bad.put(batch.get(i).number(), points[i]);
                    badLearned.add(points[i]);
                }
            }
        }
        for (List<Item<LabelledExample>> batch : data.heldOut()) {
            double[][] points = points(model, batch);
            IntStream.range(0, points.length)
                    .filter(i -> !batch.get(i).example().good())
                    .forEach(i -> bad.put(batch.get(i).number(), points[i]));
        }
        LogisticRegression regression = regression(
                sample(good, sampleSize, rng.split("good")), sample(badLearned, sampleSize, rng.split("bad")));
        Map<Integer, Double> ratios = new HashMap<>();
        bad.forEach(
                (number, point) -> ratios.put(number, BcoLoss.densityRatio(regression.probability(point), min, max)));
        return new DensityRatios(ratios);
    }

    private static LogisticRegression regression(List<double[]> good, List<double[]> bad) {
        if (good.isEmpty() || bad.isEmpty()) {
            throw new IsthmusException(
                    "bco: embedding_model tells the prompts of good completions from those of bad ones,"
                            + " and the data has only one kind");
        }
        double[][] points = new double[good.size() + bad.size()][];
        boolean[] first = new boolean[points.length];
        for (int i = 0; i < points.length; i++) {
            first[i] = i < good.size();
            points[i] = first[i] ? good.get(i) : bad.get(i - good.size());
        }
        return LogisticRegression.fit(points, first);
    }

    private static List<double[]> sample(List<double[]> points, int size, Rng rng) {
        int[] order = IntStream.range(0, points.size()).toArray();
        rng.shuffle(order);
        return Arrays.stream(order).limit(size).mapToObj(points::get).toList();
    }

    private static double[][] points(Decoder model, List<Item<LabelledExample>> batch) {
        List<int[]> prompts = batch.stream()
                .map(item -> item.example().sequence())
                .map(s -> Arrays.copyOf(s.tokens(), s.learned()[0]))
                .toList();
        try (Scope scope = Scope.open()) {
            Tensor hidden = Autograd.noGrad(() -> model.hidden(TokenBatch.of(prompts)));
            double[][] points = new double[prompts.size()][];
            int row = 0;
            for (int i = 0; i < points.length; i++) {
                int length = prompts.get(i).length;
                points[i] = hidden.narrow(0, row, length).mean(0, false).toDoubles();
                row += length;
            }
            return points;
        }
    }

    /** What examples count: {@code [N]}, 1 for good ones. */
    Tensor weights(List<Item<LabelledExample>> examples) {
        double[] weights = examples.stream()
                .mapToDouble(item -> ofBad.getOrDefault(item.number(), 1.0))
                .toArray();
        return Tensor.of(weights, weights.length);
    }
}
