package dev.isthmus.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.GradCheck;
import dev.isthmus.tensor.RemovableHandle;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Every module's output and gradient can be seen and replaced, and looking changes nothing. */
class ModuleHooksTests {
    private static final TokenBatch BATCH = TokenBatch.of(List.of(new int[] {1, 2, 3}, new int[] {4, 5}));

    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open(Device.scalar());
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private static Decoder llama() {
        return new Decoder(ModelSize.S.config(16, 8), DType.FLOAT64).initialize(Rng.of(3));
    }

    private static double[] step(Decoder model) {
        Tensor loss =
                model.logits(model.hidden(BATCH)).logSoftmax(-1).select(1, 2).sum();
        model.trained().forEach(Tensor::zeroGrad);
        loss.backward();
        List<double[]> all = new ArrayList<>(List.of(loss.toDoubles()));
        model.trained().forEach(p -> all.add(p.grad().toDoubles()));
        return all.stream().flatMapToDouble(java.util.Arrays::stream).toArray();
    }

    @Test
    void everyModuleIsSeenByItsName() {
        Decoder model = llama();
        double[] alone = step(model);
        Map<String, Tensor> outputs = new LinkedHashMap<>();
        Map<String, Tensor> grads = new LinkedHashMap<>();
        RemovableHandle forward = model.hooks().registerForwardHook((module, output) -> {
            outputs.put(module, output);
            return output;
        });
        RemovableHandle backward = model.hooks().registerBackwardHook((module, grad) -> {
            grads.put(module, grad);
            return grad;
        });
        assertThat(step(model)).as("looking changes nothing").isEqualTo(alone);
        String layer = "model.layers.1.";
        assertThat(outputs.keySet())
                .startsWith("model.embed_tokens", "model.layers.0.input_layernorm", "model.layers.0.self_attn.q_proj")
                .containsSubsequence(
                        layer + "input_layernorm",
                        layer + "self_attn.q_proj",
                        layer + "self_attn.k_proj",
                        layer + "self_attn.v_proj",
                        layer + "self_attn.o_proj",
                        layer + "self_attn",
                        layer + "post_attention_layernorm",
                        layer + "mlp.gate_proj",
                        layer + "mlp.up_proj",
                        layer + "mlp.down_proj",
                        layer + "mlp",
                        "model.layers.1",
                        "model.norm",
                        "lm_head");
        assertThat(grads.keySet()).containsExactlyInAnyOrderElementsOf(outputs.keySet());
        for (String module : outputs.keySet()) {
            assertThat(grads.get(module).shape())
                    .as(module)
                    .isEqualTo(outputs.get(module).shape());
        }
        // The gradient of a weight is dy^T x.
        Tensor dy = grads.get("model.layers.0.self_attn.k_proj");
        Tensor x = outputs.get("model.layers.0.input_layernorm").detach();
        Parameter weight = model.parameters().stream()
                .filter(p -> p.name().equals("model.layers.0.self_attn.k_proj.weight"))
                .findFirst()
                .orElseThrow();
        assertThat(dy.transpose(0, 1).matmul(x).sub(weight.grad()).abs().sum().item())
                .isLessThan(1e-12);

        forward.remove();
        backward.remove();
        outputs.clear();
        step(model);
        assertThat(outputs).isEmpty();
    }

    @Test
    void gpt2HasItsOwnNames() {
        Decoder model = new Decoder(DecoderConfig.gpt2(16, 8, 1, 2, 8), DType.FLOAT64).initialize(Rng.of(3));
        List<String> seen = new ArrayList<>();
        model.hooks().registerForwardHook((module, output) -> {
            seen.add(module);
            return output;
        });
        step(model);
        String h = "transformer.h.0";
        assertThat(seen)
                .containsExactly(
                        "transformer.wte",
                        "transformer.wpe",
                        h + ".ln_1",
                        h + ".attn.c_attn",
                        h + ".attn.c_proj",
                        h + ".attn",
                        h + ".ln_2",
                        h + ".mlp.c_fc",
                        h + ".mlp.c_proj",
                        h + ".mlp",
                        h,
                        "transformer.ln_f",
                        "lm_head");
    }

    @Test
    void anOutputCanBeReplaced() {
        Decoder model = llama();
        Tensor plain = Autograd.noGrad(() -> model.hidden(BATCH));
        model.hooks()
                .registerForwardHook((module, output) ->
                        module.endsWith(".self_attn") || module.endsWith(".mlp") ? output.mul(0) : output);
        Tensor[] embeddings = new Tensor[1];
        Tensor silenced = Autograd.noGrad(() -> model.hidden(BATCH, h -> embeddings[0] = h));
        assertThat(silenced.toDoubles()).isNotEqualTo(plain.toDoubles());
        model.hooks().registerForwardHook((module, output) -> module.endsWith(".v_proj") ? output.mul(0) : output);
        assertThat(Autograd.noGrad(() -> model.hidden(BATCH)).toDoubles()).isEqualTo(silenced.toDoubles());
    }

    @Test
    void gradCheckServesOtherModules() {
        Tensor x = Tensor.randn(DType.FLOAT64, Rng.of(1), 1, 3, 4);
        Tensor w = Tensor.randn(DType.FLOAT64, Rng.of(2), 1, 4);
        GradCheck.check(t -> Functional.rmsNorm(t[0], t[1], 1e-5), x, w);
    }
}
