package dev.isthmus.train.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Parameter;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.tensor.TensorException;
import dev.isthmus.tensor.UpdateRule.Sgd;
import dev.isthmus.train.optim.Muon.AdjustLr;
import dev.isthmus.train.optim.Muon.Settings;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class MuonTests {
    private static final Settings PUBLISHED = new Settings(0.95, true, 5, 1e-7, AdjustLr.ORIGINAL);

    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    private static Muon muon(Settings settings, double weightDecay, Parameter... matrices) {
        return new Muon(
                List.of(matrices),
                settings,
                _ -> weightDecay,
                new ElementwiseOptimizer(List.of(), new Sgd(0, 0, false), _ -> 0));
    }

    static List<Arguments> cases() throws IOException {
        try (InputStream in = MuonTests.class.getResourceAsStream("muon.json")) {
            return new JsonMapper()
                    .readTree(in)
                    .get("cases")
                    .valueStream()
                    .map(each -> Arguments.of(each.get("name").asString(), each))
                    .toList();
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void matchesPyTorch(String name, JsonNode run) {
        JsonNode args = run.get("args");
        Settings settings = new Settings(
                args.path("momentum").asDouble(0.95),
                args.path("nesterov").asBoolean(true),
                args.path("ns_steps").asInt(5),
                1e-7,
                AdjustLr.valueOf(args.path("adjust_lr_fn").asString("original").toUpperCase(Locale.ROOT)));
        for (DType dtype : List.of(DType.FLOAT64, DType.FLOAT32)) {
            double tolerance = dtype == DType.FLOAT64 ? 1e-10 : 2e-5;
            Tensor w = tensor(run.get("param"), dtype).requireGrad();
            Muon muon = muon(settings, args.get("weight_decay").asDouble(), new Parameter(name, w, 0, w.size(0)));
            for (JsonNode step : run.get("steps")) {
                w.addGrad(tensor(step.get("grad"), dtype));
                muon.step(run.get("lr").asDouble(), 1);
                double[] expected =
                        tensor(step.get("param_after"), DType.FLOAT64).toDoubles();
                assertThat(w.toDoubles()).containsExactly(expected, within(tolerance));
            }
        }
    }

    private static Tensor tensor(JsonNode node, DType dtype) {
        double[] data =
                node.get("data").valueStream().mapToDouble(JsonNode::asDouble).toArray();
        return Tensor.of(
                        data,
                        node.get("shape")
                                .valueStream()
                                .mapToLong(JsonNode::asLong)
                                .toArray())
                .to(dtype);
    }

    /** With {@code O} for what a zero moves by: {@code |O v|} lies near {@code |v|}, whatever the gradient's scale. */
    @Test
    void movesAlongAnOrthogonalMatrix() {
        Rng rng = Rng.of(3);
        Tensor w = Tensor.zeros(DType.FLOAT32, 24, 40).requireGrad();
        w.addGrad(Tensor.randn(DType.FLOAT32, rng, 1e-3, 24, 40));
        muon(PUBLISHED, 0, new Parameter("w", w, 0, 24)).step(-1, 1);
        Tensor gram = w.detach().matmul(w.detach().transpose(0, 1));
        for (int i = 0; i < 24; i++) {
            Tensor v = Tensor.randn(DType.FLOAT32, rng, 1, 24, 1);
            double ratio = v.transpose(0, 1).matmul(gram.matmul(v)).item()
                    / v.square().sum().item();
            assertThat(Math.sqrt(ratio)).isBetween(0.65, 1.25);
        }
    }

    /** Projections that are rows of one tensor move as they would alone. */
    @Test
    void joinedProjectionsAreOrthogonalizedOneByOne() {
        Tensor start = Tensor.randn(DType.FLOAT32, Rng.of(4), 1, 6, 5);
        Tensor grad = Tensor.randn(DType.FLOAT32, Rng.of(5), 1, 6, 5);
        Tensor joined = start.contiguous().keep().requireGrad();
        joined.addGrad(grad);
        muon(PUBLISHED, 0.1, new Parameter("q", joined, 0, 4), new Parameter("k", joined, 4, 2))
                .step(0.1, 1);
        Tensor q = start.narrow(0, 0, 4).contiguous().keep().requireGrad();
        q.addGrad(grad.narrow(0, 0, 4).contiguous());
        muon(PUBLISHED, 0.1, new Parameter("q", q, 0, 4)).step(0.1, 1);
        assertThat(joined.detach().narrow(0, 0, 4).toFloats()).isEqualTo(q.toFloats());
        assertThat(joined.grad()).isNull();
    }

    @Test
    void itsMemoryIsFreedWithinTheStep() {
        Tensor w = Tensor.randn(DType.FLOAT32, Rng.of(1), 1, 24, 40).requireGrad();
        Muon muon = muon(PUBLISHED, 0, new Parameter("w", w, 0, 24));
        for (int i = 0; i < 3; i++) {
            w.gradInto().target().fill(i + 1);
            long before = scope.bytes();
            muon.step(0.1, 1);
            assertThat(scope.bytes()).isEqualTo(before);
        }
    }

    @Test
    void aVectorIsRefused() {
        Tensor bias = Tensor.zeros(DType.FLOAT32, 4).requireGrad();
        assertThatThrownBy(() -> muon(PUBLISHED, 0, new Parameter("c.bias", bias, 0, 4)))
                .isInstanceOf(TensorException.class)
                .hasMessageContainingAll("c.bias", "[4]");
    }

    @Test
    void embeddingsHeadsAndVectorsAreLeftToAdamW() {
        Tensor matrix = Tensor.zeros(DType.FLOAT32, 4, 4);
        Tensor vector = Tensor.zeros(DType.FLOAT32, 4);
        List<Parameter> parameters = List.of(
                new Parameter("model.embed_tokens.weight", matrix, 0, 4),
                new Parameter("transformer.wpe.weight", Tensor.zeros(DType.FLOAT32, 4, 4), 0, 4),
                new Parameter("model.layers.0.mlp.up_proj.weight", Tensor.zeros(DType.FLOAT32, 4, 4), 0, 4),
                new Parameter("model.norm.weight", vector, 0, 4),
                new Parameter("lm_head.weight", Tensor.zeros(DType.FLOAT32, 4, 4), 0, 4));
        Optimizer muon = OptimizerConfig.of("muon", null, 0.9, 0.95, 1e-8).create(parameters, _ -> 0);
        assertThat(muon.state().keySet())
                .contains(
                        "model.layers.0.mlp.up_proj.weight.momentum_buffer",
                        "model.embed_tokens.weight.exp_avg",
                        "transformer.wpe.weight.exp_avg",
                        "lm_head.weight.exp_avg_sq",
                        "model.norm.weight.step")
                .hasSize(2 + 4 * 3);
    }
}
