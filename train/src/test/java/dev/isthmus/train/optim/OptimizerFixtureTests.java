package dev.isthmus.train.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Parameter;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import dev.isthmus.train.schedule.LrSchedule;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The optimizers, by the names that a user gives, against the runs of {@code torch.optim} in {@code optim/optim.json}. */
@Tag("fixture")
class OptimizerFixtureTests {
    private static final Map<String, String> NAMES = Map.of(
            "SGD", "sgd",
            "Adam", "adam",
            "AdamW", "adamw_torch",
            "RMSprop", "rmsprop",
            "Adagrad", "adagrad",
            "Adadelta", "adadelta",
            "Adamax", "adamax",
            "NAdam", "nadam",
            "RAdam", "radam");
    private static final Set<String> WITH_ADAM_EPSILON = Set.of("Adam", "AdamW", "Adamax", "NAdam", "RAdam");
    private static final Set<String> KEYS_OF_THEIR_OWN =
            Set.of("opt", "lr", "betas", "weight_decay", "schedule", "clip_grad_norm");
    private static final Pattern COSINE = Pattern.compile("CosineAnnealingLR\\(T_max=(\\d+),eta_min=([0-9.e-]+)\\)");

    static List<Arguments> cases() {
        JsonNode file = new JsonMapper().readTree(Fixtures.fixture("optim/optim.json"));
        return file.get("cases")
                .valueStream()
                .flatMap(each -> Stream.of(DType.FLOAT64, DType.FLOAT32)
                        .flatMap(dtype -> Stream.of(false, true)
                                .map(differentiate -> Arguments.of(
                                        each.get("name").asString(),
                                        dtype,
                                        differentiate ? "own gradients" : "recorded gradients",
                                        file,
                                        each))))
                .toList();
    }

    @ParameterizedTest(name = "{0} {1} {2}")
    @MethodSource("cases")
    void matchesPyTorch(String name, DType dtype, String gradients, JsonNode file, JsonNode run) {
        JsonNode config = run.get("config");
        JsonNode data = file.get("data");
        JsonNode limits = file.get("tolerance").get(dtype == DType.FLOAT64 ? "f64" : "f32");
        double rtol = limits.get("rtol").asDouble();
        double atol = limits.get("atol").asDouble();
        try (Scope _ = Scope.open()) {
            Tensor x = tensor(data.get("X"), dtype);
            Tensor y = tensor(data.get("Y"), dtype);
            Map<String, Tensor> parameters = Stream.of("W", "b", "s")
                    .collect(Collectors.toMap(
                            each -> each,
                            each -> tensor(data.get(each + "0"), dtype).requireGrad()));
            Optimizer optimizer = optimizer(config, parameters);
            LrSchedule schedule = schedule(config);
            for (int i = 0; i < run.get("steps").size(); i++) {
                JsonNode step = run.get("steps").get(i);
                String at = name + ", step " + i;
                if (gradients.equals("own gradients")) {
                    try (Scope _ = Scope.open()) {
                        Tensor loss = loss(x, y, parameters);
                        assertThat(loss.item())
                                .as(at + ", loss")
                                .isCloseTo(
                                        step.get("loss").asDouble(),
                                        tolerance(step.get("loss").asDouble(), rtol, atol));
                        loss.backward();
                    }
                    parameters.forEach((key, p) -> assertNear(
                            p.grad(), step.get("grads").get(key), at + ", gradient of " + key, rtol, 10 * atol));
                } else {
                    parameters.forEach(
                            (key, p) -> p.addGrad(tensor(step.get("grads").get(key), dtype)));
                }
                double lr = config.get("lr").asDouble() * schedule.multiplier(i);
                assertThat(lr).isCloseTo(step.get("lr").asDouble(), within(1e-12));
                optimizer.step(lr, scale(config, step, parameters, rtol));
                parameters.forEach((key, p) -> {
                    assertThat(p.grad()).isNull();
                    assertNear(p, step.get("params_after").get(key), at + ", " + key, rtol, atol);
                });
            }
        }
    }

    private static double scale(JsonNode config, JsonNode step, Map<String, Tensor> parameters, double rtol) {
        JsonNode limit = config.path("clip_grad_norm");
        if (!limit.isNumber()) {
            return 1;
        }
        double norm = Optimizer.gradNorm(List.copyOf(parameters.values()));
        assertThat(norm).isCloseTo(step.get("total_norm").asDouble(), within(rtol * norm));
        return Math.min(1, limit.asDouble() / (norm + 1e-6));
    }

    private static Optimizer optimizer(JsonNode config, Map<String, Tensor> parameters) {
        String opt = config.get("opt").asString().split(" ")[0];
        boolean withEpsilon = WITH_ADAM_EPSILON.contains(opt);
        String args = config.propertyStream()
                .filter(each -> !KEYS_OF_THEIR_OWN.contains(each.getKey()))
                .filter(each -> !(withEpsilon && each.getKey().equals("eps")))
                .map(each -> each.getKey() + "=" + each.getValue().asString())
                .collect(Collectors.joining(","));
        OptimizerConfig chosen = OptimizerConfig.of(
                NAMES.get(opt),
                args,
                config.at("/betas/0").asDouble(0.9),
                config.at("/betas/1").asDouble(0.999),
                withEpsilon ? config.path("eps").asDouble(1e-8) : 1e-8);
        double weightDecay = config.path("weight_decay").asDouble(opt.equals("AdamW") ? 0.01 : 0);
        List<Parameter> named = parameters.entrySet().stream()
                .map(each -> new Parameter(
                        each.getKey(), each.getValue(), 0, each.getValue().size(0)))
                .toList();
        return chosen.create(named, _ -> weightDecay);
    }

    private static LrSchedule schedule(JsonNode config) {
        if (!config.has("schedule")) {
            return new LrSchedule.Constant();
        }
        Matcher cosine = COSINE.matcher(config.get("schedule").asString());
        assertThat(cosine.matches())
                .as("a schedule this test knows: " + config.get("schedule"))
                .isTrue();
        double minRatio = Double.parseDouble(cosine.group(2)) / config.get("lr").asDouble();
        return new LrSchedule.Cosine(0, Long.parseLong(cosine.group(1)), 0.5, minRatio);
    }

    /** {@code 0.5 mean_i sum_j (X W + b - Y)_ij^2 + 0.05 s^4 + 0.1 s sum(W)}. */
    private static Tensor loss(Tensor x, Tensor y, Map<String, Tensor> parameters) {
        Tensor w = parameters.get("W");
        Tensor s = parameters.get("s");
        Tensor squares = x.matmul(w).add(parameters.get("b")).sub(y).square().sum();
        return squares.mul(0.5 / x.size(0))
                .add(s.pow(4).mul(0.05).sum())
                .add(s.mul(w.sum()).mul(0.1).sum());
    }

    /** A tensor of the file; a scalar as a vector of one number. */
    private static Tensor tensor(JsonNode node, DType dtype) {
        long[] shape =
                node.get("shape").valueStream().mapToLong(JsonNode::asLong).toArray();
        return Tensor.of(numbers(node), shape.length == 0 ? new long[] {1} : shape)
                .to(dtype);
    }

    private static double[] numbers(JsonNode node) {
        return node.get("data").valueStream().mapToDouble(JsonNode::asDouble).toArray();
    }

    private static void assertNear(Tensor actual, JsonNode expected, String what, double rtol, double atol) {
        double[] a = actual.toDoubles();
        double[] e = numbers(expected);
        assertThat(a).hasSameSizeAs(e);
        for (int i = 0; i < e.length; i++) {
            assertThat(a[i]).as("%s[%d]", what, i).isCloseTo(e[i], tolerance(e[i], rtol, atol));
        }
    }

    private static org.assertj.core.data.Offset<Double> tolerance(double expected, double rtol, double atol) {
        return within(atol + rtol * Math.abs(expected));
    }
}
