package dev.isthmus.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.DecoderConfig.ModelType;
import dev.isthmus.model.generate.Completion;
import dev.isthmus.model.generate.GenerationConfig;
import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.BFloat16;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.StoredWeight;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What adapters do to a decoder. */
class AdapterTests {
    private static final List<int[]> SEQUENCES =
            List.of(new int[] {1, 5, 9, 12}, new int[] {3}, new int[] {7, 7, 2, 20, 11, 4, 17}, new int[] {8, 28, 1});

    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private static LoraConfig all(boolean dora) {
        LoraConfig config = LoraConfig.of(3, 6, LoraConfig.ALL_LINEAR);
        return dora ? config.withDora() : config;
    }

    /** An adapter that has been trained, as far as one can tell. */
    static Adapter random(Decoder decoder, LoraConfig config, int seed) {
        Rng rng = Rng.of(seed);
        Adapter adapter = new Adapter(decoder, config).initialize(rng);
        for (Parameter p : adapter.parameters()) {
            Tensor noise = Tensor.randn(
                    decoder.dtype(), rng.split(p.name()), 1, p.value().shape());
            Tensor value = p.value();
            value.copyFrom(
                    value.rank() == 1 ? value.mul(noise.mul(0.1).add(1)) : noise.mul(0.3 / Math.sqrt(value.size(1))));
        }
        return adapter;
    }

    private static Tensor logits(Decoder decoder, TokenBatch batch) {
        return Autograd.noGrad(() -> decoder.logits(decoder.hidden(batch)));
    }

    private static Tensor logits(Decoder decoder) {
        return logits(decoder, TokenBatch.of(SEQUENCES));
    }

    private static Decoder experts() {
        return Pretrained.load(
                Fixtures.fixture("models/qwen2_moe/model.safetensors").getParent());
    }

    private static Decoder model(String name) {
        return name.equals("EXPERTS") ? experts() : DecoderTests.tiny(ModelType.valueOf(name));
    }

    /** The same model with its matrices as a file of bfloat16 holds them. */
    private static Decoder stored(Decoder model) {
        Map<String, StoredWeight> matrices = new HashMap<>();
        for (Parameter p : model.parameters()) {
            if (p.tensor().rank() == 2) {
                float[] values = p.value().toFloats();
                MemorySegment data = Arena.ofAuto().allocate(2L * values.length, 64);
                for (int i = 0; i < values.length; i++) {
                    data.setAtIndex(ValueLayout.JAVA_SHORT, i, BFloat16.of(values[i]));
                }
                int in = (int) p.value().size(1);
                matrices.put(p.name(), new StoredWeight(WeightFormat.BF16, data, in, values.length / in));
            }
        }
        Decoder decoder = new Decoder(model.config(), matrices);
        for (Parameter p : decoder.parameters()) {
            model.parameters().stream()
                    .filter(q -> q.name().equals(p.name()))
                    .forEach(q -> p.value().copyFrom(q.value()));
        }
        return decoder;
    }

    @ParameterizedTest
    @EnumSource(
            value = ModelType.class,
            names = {"LLAMA", "GPT2"})
    void beginsAsTheModelThatItChanges(ModelType type) {
        Decoder base = DecoderTests.tiny(type);
        Adapter lora = new Adapter(base, all(false)).initialize(Rng.of(1));
        assertThat(logits(base.with(lora)).toFloats()).isEqualTo(logits(base).toFloats());
        Adapter dora = new Adapter(base, all(true)).initialize(Rng.of(1));
        assertThat(logits(base.with(dora)).toFloats())
                .containsExactly(logits(base).toFloats(), within(1e-5f));
        assertThat(base.with(dora).base()).isSameAs(base);
    }

    @Test
    void beginsAsPeftDoes() {
        Decoder base = DecoderTests.tiny(ModelType.LLAMA);
        Adapter adapter = new Adapter(base, LoraConfig.of(8, 8, "down_proj").withDora()).initialize(Rng.of(1));
        double limit = 1 / Math.sqrt(52);
        for (Parameter p : adapter.parameters()) {
            double[] values = p.value().toDoubles();
            if (p.name().endsWith("lora_A.weight")) {
                assertThat(values).hasSize(8 * 52);
                assertThat(Arrays.stream(values).allMatch(v -> Math.abs(v) <= limit))
                        .isTrue();
                double square = Arrays.stream(values).map(v -> v * v).average().orElse(0);
                assertThat(square).isCloseTo(limit * limit / 3, within(0.1 * limit * limit));
            } else if (p.name().endsWith("lora_B.weight")) {
                assertThat(values).containsOnly(0);
            } else {
                Tensor weight = base.parameters().stream()
                        .filter(w -> p.name().contains(w.name().replace(".weight", "")))
                        .findFirst()
                        .orElseThrow()
                        .value();
                assertThat(values)
                        .containsExactly(weight.square().sum(1, false).sqrt().toDoubles(), within(1e-6));
            }
        }
        assertThat(new Adapter(base, LoraConfig.of(2, 2)).config().targetModules())
                .containsExactly("q_proj", "v_proj");
        assertThat(new Adapter(DecoderTests.tiny(ModelType.GPT2), LoraConfig.of(2, 2))
                        .config()
                        .targetModules())
                .containsExactly("c_attn");
    }

    /** In float64, LoRA and rsLoRA of a whole model; the lengths of DoRA are constants and have no central differences. */
    @ParameterizedTest
    @CsvSource({"LLAMA, false", "GPT2, false", "LLAMA, true"})
    void gradientsAreThoseOfCentralDifferences(ModelType type, boolean rslora) {
        try (Scope inner = Scope.open(Device.scalar())) {
            DecoderConfig config = type == ModelType.GPT2
                    ? DecoderConfig.gpt2(11, 6, 1, 2, 16)
                    : DecoderConfig.llama(11, 6, 8, 1, 3, 1, 16, true);
            Decoder base = new Decoder(config, DType.FLOAT64).initialize(Rng.of(3));
            for (Parameter p : base.parameters()) {
                p.value().copyFrom(p.value().mul(5));
            }
            LoraConfig lora = LoraConfig.of(2, 3, LoraConfig.ALL_LINEAR);
            Adapter adapter = random(base, rslora ? lora.withRslora() : lora, 1);
            Decoder decoder = base.with(adapter);
            TokenBatch batch = TokenBatch.of(List.of(new int[] {1, 5, 9}, new int[] {3, 10}));
            GradCheck.check(
                    _ -> decoder.logits(decoder.hidden(batch)),
                    1e-5,
                    decoder.trained().toArray(Tensor[]::new));
        }
    }

    @Test
    void whatDropsOutIsAFunctionOfTheStream() {
        Decoder base = DecoderTests.tiny(ModelType.LLAMA);
        LoraConfig config = new LoraConfig(3, 6, 0.5, List.of(LoraConfig.ALL_LINEAR), false, false, List.of(), null);
        Adapter adapter = random(base, config, 1);
        Decoder decoder = base.with(adapter);
        float[] whole = logits(decoder).toFloats();
        adapter.train(Rng.of(4));
        float[] first = logits(decoder).toFloats();
        assertThat(logits(decoder).toFloats()).isEqualTo(first).isNotEqualTo(whole);
        adapter.train(Rng.of(5));
        assertThat(logits(decoder).toFloats()).isNotEqualTo(first);
        adapter.train(null);
        assertThat(logits(decoder).toFloats()).isEqualTo(whole);

        try (Scope inner = Scope.open(Device.scalar())) {
            Decoder exact =
                    new Decoder(DecoderConfig.llama(11, 6, 8, 1, 3, 1, 16, true), DType.FLOAT64).initialize(Rng.of(3));
            Adapter dropping = random(exact, config, 1);
            dropping.train(Rng.of(6));
            Decoder changed = exact.with(dropping);
            TokenBatch batch = TokenBatch.of(List.of(new int[] {1, 5, 9}));
            GradCheck.check(_ -> changed.hidden(batch), changed.trained().toArray(Tensor[]::new));
        }
    }

    @Test
    void dropoutKeepsTheMean() {
        Decoder base = DecoderTests.tiny(ModelType.LLAMA);
        LoraConfig config = new LoraConfig(3, 6, 0.25, List.of("down_proj"), false, false, List.of(1), null);
        Adapter adapter = random(base, config, 1);
        TokenBatch batch = TokenBatch.of(SEQUENCES);
        double[] mean = new double[15 * 36];
        int n = 4000;
        double[] expected = hidden(base.with(adapter), batch);
        for (int i = 0; i < n; i++) {
            adapter.train(Rng.of(i));
            try (Scope pass = Scope.open()) {
                double[] h = hidden(base.with(adapter), batch);
                for (int j = 0; j < mean.length; j++) {
                    mean[j] += h[j] / n;
                }
            }
        }
        assertThat(mean).containsExactly(expected, within(0.02));
    }

    /** What the last block, which is changed, adds; the final norm would bend the mean. */
    private static double[] hidden(Decoder decoder, TokenBatch batch) {
        List<Tensor> states = new ArrayList<>();
        Autograd.noGrad(() -> decoder.hidden(batch, states::add));
        return states.getLast().toDoubles();
    }

    @ParameterizedTest
    @CsvSource({"LLAMA, false", "LLAMA, true", "GPT2, false", "GPT2, true", "EXPERTS, false", "EXPERTS, true"})
    void aSequenceIsChangedByItsOwnAdapterAlone(String name, boolean dora) {
        Decoder base = model(name);
        Adapter some = random(base, all(dora), 1);
        Adapter other = random(base, LoraConfig.of(2, 5, name.equals("GPT2") ? "c_proj" : "o_proj"), 2);
        float[] mixed = logits(base.with(some, other), TokenBatch.of(SEQUENCES).withAdapters(1, 0, -1, 0))
                .toFloats();
        Decoder[] alone = {base.with(other), base.with(some), base, base.with(some)};
        int at = 0;
        for (int i = 0; i < SEQUENCES.size(); i++) {
            float[] one =
                    logits(alone[i], TokenBatch.of(List.of(SEQUENCES.get(i)))).toFloats();
            assertThat(Arrays.copyOfRange(mixed, at, at + one.length)).isEqualTo(one);
            at += one.length;
        }
    }

    @Test
    void gradientsOfAMixedBatchAreThoseOfItsParts() {
        Decoder base = DecoderTests.tiny(ModelType.LLAMA);
        Adapter some = random(base, all(true), 1);
        Adapter other = random(base, all(false), 2);
        Decoder both = base.with(some, other);
        int[] picked = {1, 0, -1, 0};
        both.logits(both.hidden(TokenBatch.of(SEQUENCES).withAdapters(picked)))
                .square()
                .sum()
                .backward();
        List<double[]> mixed = new ArrayList<>();
        for (Tensor t : both.trained()) {
            mixed.add(t.grad().toDoubles());
            t.zeroGrad();
        }
        for (int i = 0; i < picked.length; i++) {
            if (picked[i] >= 0) {
                Decoder one = base.with(picked[i] == 0 ? some : other);
                one.logits(one.hidden(TokenBatch.of(List.of(SEQUENCES.get(i)))))
                        .square()
                        .sum()
                        .backward();
            }
        }
        for (int i = 0; i < mixed.size(); i++) {
            assertThat(both.trained().get(i).grad().toDoubles()).containsExactly(mixed.get(i), within(1e-4));
        }
    }

    @ParameterizedTest
    @CsvSource({"LLAMA, false", "LLAMA, true", "GPT2, false", "GPT2, true", "EXPERTS, true"})
    void mergingChangesNothingAndCanBeUndone(String name, boolean dora) {
        Decoder base = model(name);
        Decoder changed = base.with(random(base, all(dora), 1));
        float[] expected = logits(changed).toFloats();
        assertThat(logits(changed.merged()).toFloats()).containsExactly(expected, within(2e-5f));

        Decoder copy = base.copy();
        Adapter.Merged merged = changed.adapters().getFirst().merge(copy);
        assertThat(logits(copy).toFloats()).containsExactly(expected, within(2e-5f));
        merged.unmerge();
        for (int i = 0; i < base.parameters().size(); i++) {
            assertThat(copy.parameters().get(i).value().toFloats())
                    .containsExactly(base.parameters().get(i).value().toFloats(), within(1e-6f));
        }
    }

    @Test
    void severalAdaptersActTogether() {
        Decoder base = DecoderTests.tiny(ModelType.LLAMA);
        Adapter some = random(base, all(false), 1);
        Adapter other = random(base, LoraConfig.of(2, 5, "q_proj", "down_proj"), 2);
        float[] expected = logits(base.with(some, other).merged()).toFloats();
        assertThat(logits(base.with(some, other)).toFloats()).containsExactly(expected, within(2e-5f));
        Decoder doras = base.with(random(base, all(true), 1), some);
        assertThatThrownBy(() -> logits(doras))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("DoRA adapters of one projection cannot act together");
        assertThatThrownBy(() -> base.with(some).with(other))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("add them all at once");
    }

    /** With an adapter, for each sequence its own, over weights of each kind: rollouts report what training computes. */
    @ParameterizedTest
    @CsvSource({
        "LLAMA, false, false",
        "LLAMA, true, false",
        "GPT2, false, false",
        "GPT2, true, false",
        "EXPERTS, true, false",
        "LLAMA, false, true",
        "LLAMA, true, true"
    })
    void theLogProbsOfARolloutAreThoseOfTraining(String name, boolean dora, boolean stored) {
        Decoder loaded = model(name);
        Decoder base = stored ? stored(loaded) : loaded;
        Adapter some = random(base, all(dora), 1);
        Adapter other = random(base, all(!dora), 2);
        GenerationConfig config = new GenerationConfig(SamplingParams.temperature(1), 12, List.of(), 3);
        check(base.with(some), config, new int[0]);
        check(base.with(some, other), config.withAdapters(1, 0, -1, 0), new int[] {1, 0, -1, 0});
    }

    private static void check(Decoder policy, GenerationConfig config, int[] adapters) {
        List<Completion> completions = Generator.generate(policy, SEQUENCES, config, Rng.of(9));
        assertThat(completions).hasSize(3 * SEQUENCES.size());
        List<int[]> texts = new ArrayList<>();
        for (Completion c : completions) {
            int[] prompt = SEQUENCES.get(c.prompt());
            int[] text = Arrays.copyOf(prompt, prompt.length + c.tokens().length);
            System.arraycopy(c.tokens(), 0, text, prompt.length, c.tokens().length);
            texts.add(text);
        }
        TokenBatch batch = TokenBatch.of(texts);
        if (adapters.length > 0) {
            batch = batch.withAdapters(
                    completions.stream().mapToInt(c -> adapters[c.prompt()]).toArray());
        }
        int[] targets = new int[batch.tokens()];
        int at = 0;
        for (int[] text : texts) {
            for (int t = 0; t < text.length; t++) {
                targets[at++] = t + 1 < text.length ? text[t + 1] : -1;
            }
        }
        float[] losses = Functional.tokenLoss(
                        policy.logits(policy.hidden(batch)), Tensor.of(targets, targets.length), 1, false)
                .loss()
                .toFloats();
        for (int i = 0; i < texts.size(); i++) {
            int length = texts.get(i).length;
            int n = completions.get(i).tokens().length;
            int end = batch.ragged().starts()[i] + length - 1;
            float[] expected = Arrays.copyOfRange(losses, end - n, end);
            for (int t = 0; t < n; t++) {
                assertThat(completions.get(i).logProbs()[t]).isEqualTo(-expected[t]);
            }
        }
    }

    /** The frozen weights may be stored: gradients are those of the same numbers as float32. */
    @ParameterizedTest
    @CsvSource({"false", "true"})
    void gradientsReachAnAdapterOfStoredWeights(boolean dora) {
        Decoder base = DecoderTests.tiny(ModelType.LLAMA);
        for (Parameter p : base.parameters()) {
            float[] rounded = p.value().toFloats();
            for (int i = 0; i < rounded.length; i++) {
                rounded[i] = BFloat16.toFloat(BFloat16.of(rounded[i]));
            }
            p.value().copyFrom(Tensor.of(rounded, p.value().shape()));
        }
        Decoder frozen = stored(base);
        List<double[]> grads = new ArrayList<>();
        for (Decoder model : List.of(base, frozen)) {
            Decoder decoder = model.with(random(model, all(dora), 1));
            decoder.logits(decoder.hidden(TokenBatch.of(SEQUENCES)))
                    .square()
                    .sum()
                    .backward();
            for (Tensor t : decoder.trained()) {
                grads.add(t.grad().toDoubles());
            }
        }
        int n = grads.size() / 2;
        for (int i = 0; i < n; i++) {
            assertThat(grads.get(n + i)).containsExactly(grads.get(i), within(1e-4));
        }
        Decoder changed = frozen.with(random(frozen, all(dora), 1));
        assertThatThrownBy(changed::merged)
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("load the model as float32");
    }

    /** A step needs neither gradients of the frozen weights nor anything else of their size. */
    @Test
    void theFrozenModelTakesNoMemory() {
        DecoderConfig config = DecoderConfig.llama(64, 256, 704, 2, 4, 4, 64, true);
        Decoder base = new Decoder(config, DType.FLOAT32).initialize(Rng.of(3));
        long weights = base.size() * 4;
        Decoder policy = base.with(new Adapter(base, LoraConfig.of(4, 8)).initialize(Rng.of(1)));
        assertThat(policy.size()).isEqualTo(2 * 2 * (4 * 256 + 256 * 4));
        long before = scope.bytes();
        long step = peakOfAStep(policy);
        assertThat(base.parameters()).allMatch(p -> p.grad() == null);
        assertThat(scope.bytes() - before).isLessThan(2 * 4 * policy.size()); // its gradients
        assertThat(step).isLessThan(weights / 8);
        peakOfAStep(base);
        assertThat(scope.bytes() - before).isGreaterThan(weights);
    }

    private static long peakOfAStep(Decoder model) {
        try (Scope step = Scope.open()) {
            TokenBatch batch = TokenBatch.of(List.of(new int[] {1, 2, 3, 4}));
            model.logits(model.hidden(batch)).square().sum().backward();
            return step.peakBytes();
        }
    }

    @Test
    void aCopyOfAPolicySharesItsFrozenWeights() {
        Decoder base = DecoderTests.tiny(ModelType.LLAMA);
        Decoder policy = base.with(random(base, all(true), 1));
        long before = scope.bytes();
        Decoder copy = policy.copy();
        assertThat(scope.bytes() - before)
                .isLessThan(4 * policy.size() + 64L * policy.trained().size());
        assertThat(logits(copy).toFloats()).isEqualTo(logits(policy).toFloats());
        policy.trained().forEach(t -> t.copyFrom(t.mul(1.5)));
        assertThat(logits(copy).toFloats()).isNotEqualTo(logits(policy).toFloats());
        assertThat(copy.base()).isSameAs(base);
    }

    @Test
    void targetsThatAreNotThereAreTold() {
        Decoder base = DecoderTests.tiny(ModelType.LLAMA);
        assertThatThrownBy(() -> new Adapter(base, LoraConfig.of(2, 4, "c_attn")))
                .isInstanceOf(IsthmusException.class)
                .hasMessage("lora_target_modules [c_attn] names no projection of this model; it has [q_proj, k_proj,"
                        + " v_proj, o_proj, gate_proj, up_proj, down_proj]");
        assertThatThrownBy(() -> logits(base, TokenBatch.of(SEQUENCES).withAdapters(0, 0, 0, 0)))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("adapter 0 of a model with 0");
        assertThatThrownBy(() -> TokenBatch.of(SEQUENCES).withAdapters(0))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("1 adapters for 4 sequences");
        assertThatThrownBy(() -> Pretrained.entries(base.with(random(base, all(false), 1))))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("save the adapters");
    }
}
