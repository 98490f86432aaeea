package dev.isthmus.model.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.testing.Fixtures;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Processors against those of transformers, and against plain computations. */
class LogitsProcessorsTests {
    static Stream<JsonNode> cases() {
        return JsonMapper.shared()
                .readTree(Fixtures.resource("ops/transformers_processors.json"))
                .get("cases")
                .valueStream();
    }

    @Tag("fixture")
    @ParameterizedTest
    @MethodSource("cases")
    void probabilitiesAreThoseOfTransformers(JsonNode c) {
        float[] logits = floats(c.get("logits"));
        int[] ids = ints(c.get("ids"));
        JsonNode attrs = c.get("attrs");
        History history = new History(ids, attrs.path("prompt").asInt(0), ids.length);
        double[] expected = c.get("probabilities")
                .valueStream()
                .mapToDouble(JsonNode::asDouble)
                .toArray();
        assertThat(probabilities(processor(c.get("name").asString(), attrs), logits, history))
                .containsExactly(expected, within(1e-9));
    }

    private static LogitsProcessor processor(String name, JsonNode attrs) {
        int n = attrs.path("n").asInt(0);
        List<Integer> eos = attrs.path("eos").valueStream().map(JsonNode::asInt).toList();
        return switch (name) {
            case "typical_p" -> LogitsProcessors.typicalP(attrs.get("p").asDouble());
            case "no_repeat_ngram" -> LogitsProcessors.noRepeatNgram(n);
            case "bad_words" ->
                LogitsProcessors.badWords(attrs.get("words")
                        .valueStream()
                        .map(LogitsProcessorsTests::ints)
                        .toList());
            case "logit_bias" -> {
                Map<Integer, Double> bias = new LinkedHashMap<>();
                attrs.get("bias")
                        .properties()
                        .forEach(e -> bias.put(
                                Integer.valueOf(e.getKey()), e.getValue().asDouble()));
                yield LogitsProcessors.logitBias(bias);
            }
            case "min_new_tokens" -> LogitsProcessors.minNewTokens(n, eos);
            case "min_length" -> LogitsProcessors.minLength(n, eos);
            default -> throw new IllegalArgumentException(name);
        };
    }

    private static double[] probabilities(LogitsProcessor processor, float[] logits, History history) {
        SamplingParams params = SamplingParams.temperature(1).withProcessors(List.of(processor));
        return new TokenSampler(params, logits.length).probabilities(logits, 0, history);
    }

    @Test
    void topNSigmaKeepsWhatIsNearTheHighestLogit() {
        float[] logits = {3, 2.5f, 0, -1, -1.5f, 1.9f, Float.NEGATIVE_INFINITY};
        double mean = 4.9 / 6;
        double variance = (9 + 6.25 + 0 + 1 + 2.25 + 3.61) / 6 - mean * mean;
        for (double n : new double[] {0.1, 0.4, 1, 1.5, 3}) {
            double floor = 3 - n * Math.sqrt(variance);
            double[] p = probabilities(LogitsProcessors.topNSigma(n), logits, none());
            double[] atTwo = new TokenSampler(
                            SamplingParams.temperature(2).withWarpers(List.of(LogitsProcessors.topNSigma(n))), 7)
                    .probabilities(logits, 0, none());
            double total = IntStream.range(0, 7)
                    .filter(i -> logits[i] >= floor)
                    .mapToDouble(i -> Math.exp(logits[i]))
                    .sum();
            for (int i = 0; i < 7; i++) {
                assertThat(p[i]).isCloseTo(logits[i] >= floor ? Math.exp(logits[i]) / total : 0, within(1e-12));
                assertThat(atTwo[i] > 0).isEqualTo(p[i] > 0);
            }
        }
    }

    @Test
    void mirostatBoundsTheSurpriseAndFollowsIt() {
        Rng rng = Rng.of(4);
        LogitsProcessor mirostat = LogitsProcessors.mirostat(1.5, 0.2).forSequence();
        TokenSampler sampler = new TokenSampler(SamplingParams.temperature(1).withWarpers(List.of(mirostat)), 60);
        int[] tokens = new int[400];
        double mu = 3;
        double observed = 0;
        for (int t = 0; t < tokens.length; t++) {
            float[] logits = new float[60];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = (float) (3 * rng.nextGaussian());
            }
            double[] p = new TokenSampler(SamplingParams.temperature(1), 60).probabilities(logits, 0, none());
            double bound = mu;
            double highest = Arrays.stream(p).max().orElseThrow();
            boolean[] kept = new boolean[60];
            double mass = 0;
            for (int i = 0; i < 60; i++) {
                kept[i] = -Math.log(p[i]) / Math.log(2) <= bound || p[i] == highest;
                mass += kept[i] ? p[i] : 0;
            }
            double[] q = sampler.probabilities(logits, 0, new History(tokens, 0, t));
            double u = rng.nextDouble();
            for (int i = 0; i < 60; i++) {
                assertThat(q[i]).isCloseTo(kept[i] ? p[i] / mass : 0, within(1e-9));
                u -= q[i];
                if (u < 0) {
                    tokens[t] = i;
                    u = 9;
                }
            }
            double surprise = -Math.log(q[tokens[t]]) / Math.log(2);
            mu -= 0.2 * (surprise - 1.5);
            observed += surprise;
        }
        assertThat(observed / tokens.length).isCloseTo(1.5, within(0.15));
    }

    @Test
    void dryPenaltyIsThatOfEveryMatchCountedOut() {
        Rng rng = Rng.of(8);
        for (int round = 0; round < 300; round++) {
            int[] tokens = rng.ints(1 + rng.nextInt(40), 0, 3 + round % 3).toArray();
            List<Integer> breakers = round % 2 == 0 ? List.of() : List.of(2);
            int[] longest = new int[6];
            for (int i = 0; i + 1 < tokens.length; i++) {
                int n = 0;
                while (n <= i && tokens[i - n] == tokens[tokens.length - 1 - n] && !breakers.contains(tokens[i - n])) {
                    n++;
                }
                longest[tokens[i + 1]] = Math.max(longest[tokens[i + 1]], n);
            }
            TokenSampler sampler = new TokenSampler(
                    SamplingParams.temperature(1).withProcessors(List.of(LogitsProcessors.dry(0.8, 1.75, 2, breakers))),
                    6);
            double[] scores = sampler.scores(new float[6], 0, new History(tokens, 0, tokens.length));
            for (int i = 0; i < 6; i++) {
                double penalty = longest[i] < 2 ? 0 : Math.min(1e6, 0.8 * Math.pow(1.75, longest[i] - 2));
                assertThat(scores[i])
                        .as("%s after %s", i, Arrays.toString(tokens))
                        .isCloseTo(-penalty, within(1e-9));
            }
        }
    }

    @Test
    void theChainIsInTheOrderOfHuggingFace() {
        // The bias counts before top-k, typical-p after it.
        float[] logits = {4, 3, 2, 1};
        SamplingParams params = new SamplingParams(
                true,
                1,
                2,
                1,
                0,
                1,
                List.of(LogitsProcessors.logitBias(Map.of(3, 10.0))),
                List.of((candidates, _) -> assertThat(candidates.left()).isEqualTo(2)));
        double[] p = new TokenSampler(params, 4).probabilities(logits, 0, none());
        double e = Math.exp(-7);
        assertThat(p).containsExactly(new double[] {e / (1 + e), 0, 0, 1 / (1 + e)}, within(1e-12));
    }

    @Test
    void whatLeavesNothingIsAnError() {
        LogitsProcessor nothing = (candidates, _) -> IntStream.range(0, 3).forEach(candidates::remove);
        assertThatThrownBy(() -> probabilities(nothing, new float[3], none()))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("no token may come next");
        assertThatThrownBy(() -> LogitsProcessors.topNSigma(0)).hasMessageContaining("top_n_sigma");
        assertThatThrownBy(() -> probabilities(LogitsProcessors.logitBias(Map.of(7, 1.0)), new float[3], none()))
                .hasMessageContaining("logit_bias must be tokens below 3");
    }

    private static History none() {
        return new History(new int[0], 0, 0);
    }

    private static float[] floats(JsonNode node) {
        double[] values = node.valueStream().mapToDouble(JsonNode::asDouble).toArray();
        float[] floats = new float[values.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (float) values[i];
        }
        assertThat(DoubleStream.of(values).allMatch(v -> v == (float) v)).isTrue();
        return floats;
    }

    private static int[] ints(JsonNode node) {
        return node.valueStream().mapToInt(JsonNode::asInt).toArray();
    }
}
