package dev.isthmus.model.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.model.sample.History;
import dev.isthmus.model.sample.LogitsProcessors;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.sample.TokenSampler;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Several models that write a text together. */
class EnsembleTests {
    private static final int VOCABULARY = 29;
    private static final DecoderConfig CONFIG = DecoderConfig.llama(VOCABULARY, 36, 52, 2, 6, 3, 120, true);

    private static Decoder decoder(DecoderConfig config, int seed) {
        Decoder decoder = new Decoder(config, DType.FLOAT32).initialize(Rng.of(seed));
        // So that the models have opinions.
        decoder.trained().stream().filter(t -> t.rank() == 2).forEach(t -> t.copyFrom(t.mul(6)));
        return decoder;
    }

    private static Decoder decoder(int seed) {
        return decoder(CONFIG, seed);
    }

    private static int[] tokens(int n, int seed) {
        return Rng.of(seed).ints(n, 0, VOCABULARY).toArray();
    }

    @Test
    void severalModelsWriteTogether() {
        try (Scope scope = Scope.open()) {
            Decoder expert = decoder(3);
            Decoder amateur = decoder(4);
            List<int[]> prompts = List.of(tokens(6, 1), tokens(40, 2));
            GenerationConfig config = new GenerationConfig(SamplingParams.temperature(1), 30, List.of(), 2);
            List<Completion> alone = Generator.generate(expert, prompts, config, Rng.of(2));
            List<Completion> weighted = Generator.generate(
                    new Ensemble(List.of(expert, amateur), Ensemble.productOfExperts(1, 0)),
                    prompts,
                    config,
                    Rng.of(2),
                    null);
            List<Completion> twice = Generator.generate(
                    new Ensemble(List.of(expert, expert), Ensemble.contrastive(0, 3)),
                    prompts,
                    config,
                    Rng.of(2),
                    null);
            for (int i = 0; i < alone.size(); i++) {
                assertThat(weighted.get(i).tokens()).isEqualTo(alone.get(i).tokens());
                assertThat(weighted.get(i).logProbs()).isEqualTo(alone.get(i).logProbs());
                assertThat(twice.get(i).tokens()).isEqualTo(alone.get(i).tokens());
            }
            // The log-probabilities are those of what the models say together.
            Ensemble contrast = new Ensemble(List.of(expert, amateur), Ensemble.contrastive(0.1, 0.5));
            Completion c = Generator.generate(contrast, prompts, config, Rng.of(2), null)
                    .getLast();
            int[] whole = IntStream.concat(IntStream.of(prompts.get(1)), IntStream.of(c.tokens()))
                    .toArray();
            float[] e = logits(expert, whole);
            float[] a = logits(amateur, whole);
            for (int t = 0; t < c.tokens().length; t++) {
                int row = 29 * (40 + t - 1);
                double max = IntStream.range(0, 29)
                        .mapToDouble(i -> e[row + i])
                        .max()
                        .orElseThrow();
                double sum = IntStream.range(0, 29)
                        .filter(i -> e[row + i] >= max + Math.log(0.1))
                        .mapToDouble(i -> Math.exp(1.5 * e[row + i] - 0.5 * a[row + i]))
                        .sum();
                int token = row + c.tokens()[t];
                assertThat((double) c.logProbs()[t])
                        .isCloseTo(1.5 * e[token] - 0.5 * a[token] - Math.log(sum), within(1e-5));
            }
        }
    }

    /** A model, an expert and an anti-expert, and what each token of a text adds to the logits of those behind it. */
    private record Guided(List<Decoder> models, double a, float[] values) {
        Ensemble ensemble() {
            Ensemble.Combiner product = Ensemble.productOfExperts(1, a, -a);
            return new Ensemble(models, (logits, text) -> {
                assertThat(logits).hasSize(3).allMatch(row -> row.length == VOCABULARY);
                float[] row = product.combine(logits, text);
                for (int i = 0; i < row.length; i++) {
                    row[i] += values[(i + text.last() + text.written()) % VOCABULARY];
                }
                return row;
            });
        }

        /** The logits of the token behind {@code text}, from whole forward passes. */
        float[] row(int[] text, int written) {
            float[] row = new float[VOCABULARY];
            double[] sum = new double[VOCABULARY];
            double[] weights = {1, a, -a};
            for (int m = 0; m < 3; m++) {
                float[] all = logits(models.get(m), text);
                for (int i = 0; i < VOCABULARY; i++) {
                    sum[i] += weights[m] * all[(text.length - 1) * VOCABULARY + i];
                }
            }
            for (int i = 0; i < VOCABULARY; i++) {
                row[i] = (float) sum[i] + values[(i + text[text.length - 1] + written) % VOCABULARY];
            }
            return row;
        }
    }

    @Test
    void tokensAreDrawnFromWhatTheModelsAndTheHookSayTogetherAndLogProbsAreOfIt() {
        try (Scope scope = Scope.open()) {
            // Of several shapes, since nothing but the vocabulary must be the same.
            List<Decoder> models =
                    List.of(decoder(3), decoder(DecoderConfig.gpt2(VOCABULARY, 20, 2, 2, 90), 4), decoder(5));
            float[] values =
                    Tensor.randn(DType.FLOAT32, Rng.of(8), 1, VOCABULARY).toFloats();
            Guided guided = new Guided(models, 0.7, values);
            SamplingParams sampling = new SamplingParams(true, 0.8, 9, 0.9, 0, 1.3);
            GenerationConfig config = new GenerationConfig(sampling, 25, List.of(4), 3).withEntropies();
            List<int[]> prompts = List.of(tokens(6, 1), tokens(40, 2), tokens(1, 3));
            List<Completion> together = Generator.generate(guided.ensemble(), prompts, config, Rng.of(2), null);
            for (int i = 0; i < together.size(); i++) {
                Completion written = together.get(i);
                int[] text = prompts.get(i / 3);
                int promptLength = text.length;
                Rng stream = Rng.of(2).split("sequence", i / 3, i % 3);
                TokenSampler sampler = new TokenSampler(sampling, VOCABULARY);
                for (int t = 0; t < written.tokens().length; t++) {
                    float[] row = guided.row(text, t);
                    int token = sampler.sample(row, 0, new History(text, promptLength, text.length), stream);
                    assertThat(written.tokens()[t])
                            .as("text %d, token %d", i, t)
                            .isEqualTo(token);
                    // At the temperature, before any filter: the bits of the loss that a trainer computes.
                    Functional.TokenLoss loss = Functional.tokenLoss(
                            Tensor.of(row, 1, VOCABULARY), Tensor.of(new int[] {token}, 1), 0.8, true);
                    assertThat(written.logProbs()[t]).isEqualTo(-loss.loss().toFloats()[0]);
                    assertThat(written.entropies()[t]).isEqualTo(loss.entropy().toFloats()[0]);
                    text = Arrays.copyOf(text, text.length + 1);
                    text[text.length - 1] = token;
                }
            }
        }
    }

    @Test
    void aTextDoesNotDependOnTheOthersInTheBatch() {
        try (Scope scope = Scope.open()) {
            List<Decoder> models = List.of(decoder(3), decoder(4), decoder(5));
            float[] values =
                    Tensor.randn(DType.FLOAT32, Rng.of(8), 1, VOCABULARY).toFloats();
            Ensemble ensemble = new Guided(models, 0.5, values).ensemble();
            SamplingParams sampling = SamplingParams.temperature(0.9)
                    .withProcessors(List.of(LogitsProcessors.noRepeatNgram(3)))
                    .withWarpers(List.of(LogitsProcessors.mirostat(3, 0.2)));
            List<int[]> prompts =
                    IntStream.range(0, 9).mapToObj(i -> tokens(3 + 5 * i, i)).toList();
            GenerationConfig four = new GenerationConfig(sampling, 25, List.of(4), 4);
            GenerationConfig one = new GenerationConfig(sampling, 25, List.of(4), 1);
            List<Completion> all = Generator.generate(ensemble, prompts, four, Rng.of(5), null);
            for (int n = 1; n < 9; n += 3) {
                List<Completion> few = Generator.generate(ensemble, prompts.subList(0, n), one, Rng.of(5), null);
                for (int p = 0; p < n; p++) {
                    assertThat(all.get(4 * p).tokens()).isEqualTo(few.get(p).tokens());
                    assertThat(all.get(4 * p).logProbs()).isEqualTo(few.get(p).logProbs());
                }
            }
        }
    }

    @Test
    void theShortestModelIsTheLimitAndMisfitsAreTold() {
        try (Scope scope = Scope.open()) {
            Decoder first = decoder(3);
            Decoder brief = decoder(DecoderConfig.gpt2(VOCABULARY, 20, 1, 2, 16), 4);
            Ensemble both = new Ensemble(List.of(first, brief), Ensemble.productOfExperts(1, 1));
            GenerationConfig config = new GenerationConfig(SamplingParams.greedy(), 50, List.of(), 1);
            assertThat(Generator.generate(both, List.of(tokens(10, 1)), config, Rng.of(1), null)
                            .getFirst()
                            .tokens())
                    .hasSize(6);
            assertThatThrownBy(() -> Generator.generate(both, List.of(tokens(16, 1)), config, Rng.of(1), null))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("16 positions");
            Ensemble three = new Ensemble(List.of(first, brief), Ensemble.productOfExperts(1, 1, 1));
            assertThatThrownBy(() -> Generator.generate(three, List.of(tokens(4, 1)), config, Rng.of(1), null))
                    .hasMessageContaining("3 weights for 2 models");
            Decoder other = decoder(DecoderConfig.gpt2(VOCABULARY + 1, 20, 1, 2, 16), 4);
            assertThatThrownBy(() -> new Ensemble(List.of(first, other), Ensemble.productOfExperts(1, 1)))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("[29, 30]");
        }
    }

    private static float[] logits(Decoder decoder, int[] tokens) {
        return Autograd.noGrad(() ->
                decoder.logits(decoder.hidden(TokenBatch.of(List.of(tokens)))).toFloats());
    }
}
