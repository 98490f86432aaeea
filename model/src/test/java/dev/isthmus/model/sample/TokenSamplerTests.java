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
        double[] p = new TokenSampler(params, logits.length).probabilities(floats, 0, seen, seen.length);
        assertThat(p).containsExactly(doubles(c.at("/output/data")), within(1e-9));
    }

    private static double[] doubles(JsonNode node) {
        return node.valueStream().mapToDouble(JsonNode::asDouble).toArray();
    }

    @Test
    void frequenciesFollowTheProbabilities() {
        float[] logits = {0, 1, 2, -1};
        TokenSampler sampler = new TokenSampler(SamplingParams.temperature(0.7), 4);
        double[] p = sampler.probabilities(logits, 0, new int[0], 0).clone();
        int[] counts = new int[4];
        Rng rng = Rng.of(4);
        for (int i = 0; i < 100_000; i++) {
            counts[sampler.sample(logits, 0, new int[0], 0, rng)]++;
        }
        for (int i = 0; i < 4; i++) {
            assertThat(counts[i] / 1e5).isCloseTo(p[i], within(0.006));
        }
    }

    @Test
    void greedyTakesTheFirstOfEqualTokens() {
        TokenSampler sampler = new TokenSampler(SamplingParams.greedy(), 3);
        assertThat(sampler.sample(new float[] {9, 1, 5, 5}, 1, new int[0], 0, Rng.of(1)))
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
