package dev.isthmus.model.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.testing.Fixtures;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class TokenSamplerTests {
    private static final History NOTHING = new History(new int[0], 0, 0);

    static Stream<JsonNode> cases() {
        return JsonMapper.shared()
                .readTree(Fixtures.fixture("ops/sampling.json"))
                .get("cases")
                .valueStream();
    }

    @Tag("fixture")
    @ParameterizedTest
    @MethodSource("cases")
    void probabilitiesAreThoseOfHuggingFace(JsonNode c) {
        JsonNode attrs = c.get("attrs");
        SamplingParams params = new SamplingParams(
                true,
                attrs.path("temp").asDouble(1),
                attrs.path("topk").asInt(0),
                attrs.path("topp").asDouble(1),
                attrs.path("minp").asDouble(0),
                attrs.path("rep").asDouble(1));
        double[] logits = doubles(c.at("/inputs/logits/data"));
        float[] floats = new float[logits.length];
        for (int i = 0; i < logits.length; i++) {
            floats[i] = (float) logits[i];
        }
        int[] seen = attrs.path("prev").valueStream().mapToInt(JsonNode::asInt).toArray();
        double[] p =
                new TokenSampler(params, logits.length).probabilities(floats, 0, new History(seen, 0, seen.length));
        assertThat(p).containsExactly(doubles(c.at("/output/data")), within(1e-9));
    }

    private static double[] doubles(JsonNode node) {
        return node.valueStream().mapToDouble(JsonNode::asDouble).toArray();
    }

    @Test
    void frequenciesFollowTheProbabilities() {
        float[] logits = {0, 1, 2, -1};
        TokenSampler sampler = new TokenSampler(SamplingParams.temperature(0.7), 4);
        double[] p = sampler.probabilities(logits, 0, NOTHING).clone();
        int[] counts = new int[4];
        Rng rng = Rng.of(4);
        for (int i = 0; i < 100_000; i++) {
            counts[sampler.sample(logits, 0, NOTHING, rng)]++;
        }
        for (int i = 0; i < 4; i++) {
            assertThat(counts[i] / 1e5).isCloseTo(p[i], within(0.006));
        }
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void frequenciesFollowTheFilteredProbabilities(SamplingParams params) {
        float[] logits = new float[40];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) Math.sin(i * 1.7) * 2;
        }
        int[] seen = {1, 5, 5, 9};
        TokenSampler sampler = new TokenSampler(params, logits.length);
        double[] p = sampler.probabilities(logits, 0, new History(seen, 0, seen.length));
        int[] counts = new int[logits.length];
        Rng rng = Rng.of(5);
        for (int i = 0; i < 100_000; i++) {
            counts[sampler.sample(logits, 0, new History(seen, 0, seen.length), rng)]++;
        }
        for (int i = 0; i < logits.length; i++) {
            assertThat(counts[i] / 1e5).isCloseTo(p[i], within(0.006));
            assertThat(counts[i] > 0).isEqualTo(p[i] > 0);
        }
    }

    static Stream<SamplingParams> shapes() {
        return Stream.of(
                new SamplingParams(true, 1, 0, 1, 0, 1),
                new SamplingParams(true, 0.5, 0, 1, 0, 1.4),
                new SamplingParams(true, 1.5, 6, 1, 0, 1),
                new SamplingParams(true, 1, 0, 0.7, 0, 1),
                new SamplingParams(true, 1, 0, 1, 0.3, 1),
                new SamplingParams(true, 0.8, 12, 0.8, 0.2, 1.2));
    }

    @Test
    void equalTokens() {
        float[] equal = {2, 2, 2, 2, 1};
        assertThat(probabilities(new SamplingParams(true, 1, 2, 1, 0, 1), equal))
                .containsExactly(0.25, 0.25, 0.25, 0.25, 0);
        assertThat(probabilities(new SamplingParams(true, 1, 0, 0.4, 0, 1), equal))
                .containsExactly(0.5, 0.5, 0, 0, 0);
        assertThat(probabilities(new SamplingParams(true, 1, 2, 0.5, 0, 1), equal))
                .containsExactly(0.5, 0.5, 0, 0, 0);
        assertThat(probabilities(new SamplingParams(true, 1, 0, 1e-9, 1, 1), equal))
                .containsExactly(1, 0, 0, 0, 0);
    }

    private static double[] probabilities(SamplingParams params, float[] logits) {
        return new TokenSampler(params, logits.length).probabilities(logits, 0, NOTHING);
    }

    @Test
    void aTokenWithoutProbabilityIsNeverDrawn() {
        float[] logits = {Float.NEGATIVE_INFINITY, 0, Float.NEGATIVE_INFINITY};
        for (SamplingParams params : shapes().toList()) {
            TokenSampler sampler = new TokenSampler(params, 3);
            for (int i = 0; i < 100; i++) {
                assertThat(sampler.sample(logits, 0, NOTHING, Rng.of(i))).isEqualTo(1);
            }
        }
    }

    @Test
    void logitsThatAreNotNumbersAreAnError() {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            float[] logits = {bad, bad, bad};
            Stream.concat(shapes(), Stream.of(SamplingParams.greedy()))
                    .forEach(params -> assertThatThrownBy(
                                    () -> new TokenSampler(params, 3).sample(logits, 0, NOTHING, Rng.of(1)))
                            .isInstanceOf(IsthmusException.class)
                            .hasMessageContaining("the model has diverged"));
        }
    }

    @Test
    void greedyTakesTheFirstOfEqualTokens() {
        TokenSampler sampler = new TokenSampler(SamplingParams.greedy(), 3);
        assertThat(sampler.sample(new float[] {9, 1, 5, 5}, 1, NOTHING, Rng.of(1)))
                .isEqualTo(1);
    }

    @Test
    void settingsOutOfRangeAreNamed() {
        assertThatThrownBy(() -> SamplingParams.temperature(0))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("temperature");
        assertThatThrownBy(() -> new SamplingParams(true, 1, 0, 1.5, 0, 1)).hasMessageContaining("top_p");
    }
}
