package dev.isthmus.model.generate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.model.sample.History;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.sample.TokenSampler;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class SpeculativeDecodingTests {
    private static Decoder decoder(int vocabSize, int layers, int seed, double scale) {
        DecoderConfig config = DecoderConfig.llama(vocabSize, 16, 24, layers, 2, 2, 96, true);
        Decoder decoder = new Decoder(config, DType.FLOAT32).initialize(Rng.of(seed));
        // Small initial weights predict almost nothing; a sharper model can be told from another.
        decoder.parameters()
                .forEach(p ->
                        p.value().copyFrom(p.value().detach().mul(p.tensor().rank() == 1 ? 1 : scale)));
        return decoder;
    }

    @Test
    void greedyTextsAreTheSameWithAnyGuesses() {
        try (Scope scope = Scope.open()) {
            Decoder target = decoder(29, 2, 1, 12);
            GenerationConfig config = new GenerationConfig(SamplingParams.greedy(), 60, List.of(3), 1);
            for (int p = 0; p < 6; p++) {
                int[] prompt = Rng.of(p).ints(5 + 7 * p, 0, 29).toArray();
                Completion plain = Generator.generate(target, List.of(prompt), config, Rng.of(1))
                        .getFirst();
                for (Draft draft : List.of(
                        Draft.promptLookup(3),
                        Draft.model(decoder(29, 1, 2, 12), SamplingParams.greedy()),
                        Draft.model(target, SamplingParams.greedy()))) {
                    Completion guessed = SpeculativeDecoding.generate(target, draft, prompt, config, 4, Rng.of(2))
                            .completion();
                    assertThat(guessed.tokens()).isEqualTo(plain.tokens());
                    assertThat(guessed.logProbs()).isEqualTo(plain.logProbs());
                    assertThat(guessed.finished()).isEqualTo(plain.finished());
                }
            }
        }
    }

    static Stream<SamplingParams> shapes() {
        return Stream.of(SamplingParams.temperature(1), new SamplingParams(true, 1.3, 4, 0.9, 0, 1.2));
    }

    /** Chi-square of three tokens in a row against the probabilities that the model gives them one by one. */
    @ParameterizedTest
    @MethodSource("shapes")
    void theDistributionIsTheModelsOwn(SamplingParams sampling) {
        int v = 5;
        int n = 6000;
        int[] prompt = {1, 2, 1, 2, 1};
        try (Scope scope = Scope.open()) {
            Decoder target = decoder(v, 2, 1, 10);
            double[] expected = new double[v * v * v];
            expect(target, sampling, prompt, 0, 1, expected);
            GenerationConfig config = new GenerationConfig(sampling, 3, List.of(), 1);
            for (Draft draft : List.of(
                    Draft.promptLookup(2), Draft.model(decoder(v, 1, 2, 10), SamplingParams.temperature(0.7)))) {
                int[] counts = new int[expected.length];
                int guessed = 0;
                int taken = 0;
                for (int i = 0; i < n; i++) {
                    SpeculativeDecoding.Result result = SpeculativeDecoding.generate(
                            target, draft, prompt, config, 3, Rng.of(7).split("run", i));
                    int[] t = result.completion().tokens();
                    counts[(t[0] * v + t[1]) * v + t[2]]++;
                    guessed += result.guessed();
                    taken += result.taken();
                }
                assertThat(taken).isBetween(guessed / 100, guessed * 99 / 100);
                double chi = 0;
                int cells = 0;
                double rare = 0;
                int rareCount = 0;
                for (int i = 0; i < counts.length; i++) {
                    if (n * expected[i] >= 5) {
                        chi += Math.pow(counts[i] - n * expected[i], 2) / (n * expected[i]);
                        cells++;
                    } else {
                        rare += expected[i];
                        rareCount += counts[i];
                    }
                }
                if (n * rare >= 5) {
                    chi += Math.pow(rareCount - n * rare, 2) / (n * rare);
                    cells++;
                } else {
                    assertThat(rareCount).isLessThan(20);
                }
                // The 99.9th percentile, by Wilson and Hilferty's approximation.
                double k = cells - 1;
                double limit = k * Math.pow(1 - 2 / (9 * k) + 3.09 * Math.sqrt(2 / (9 * k)), 3);
                assertThat(cells).isGreaterThan(8);
                assertThat(chi).isLessThan(limit);
            }
        }
    }

    private static void expect(
            Decoder target, SamplingParams sampling, int[] text, int cell, double p, double[] expected) {
        int written = text.length - 5;
        if (written == 3) {
            expected[cell] = p;
            return;
        }
        float[] logits = Autograd.noGrad(
                () -> target.logits(target.hidden(TokenBatch.of(List.of(text))).narrow(0, text.length - 1, 1))
                        .toFloats());
        double[] next = new TokenSampler(sampling, 5).probabilities(logits, 0, new History(text, 5, text.length));
        for (int token = 0; token < 5; token++) {
            int[] longer = Arrays.copyOf(text, text.length + 1);
            longer[text.length] = token;
            expect(target, sampling, longer, 5 * cell + token, p * next[token], expected);
        }
    }
}
