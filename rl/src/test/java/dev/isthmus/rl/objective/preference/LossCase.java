package dev.isthmus.rl.objective.preference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.provider.Arguments;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A case of {@code losses/*.json} in one precision. */
record LossCase(JsonNode json, DType dtype) {
    /** Every case of the file in both precisions. */
    static Stream<Arguments> of(String file) {
        JsonNode all = JsonMapper.shared().readTree(Fixtures.fixture("losses/" + file));
        return all.get("cases")
                .valueStream()
                .flatMap(c -> Stream.of(DType.FLOAT64, DType.FLOAT32)
                        .map(t -> Arguments.of(c.get("name").asString() + " " + t, new LossCase(c, t))));
    }

    String name() {
        return json.get("name").asString();
    }

    double number(String option, double otherwise) {
        JsonNode value = json.get("config").get(option);
        return value == null || value.isNull() ? otherwise : value.asDouble();
    }

    String text(String option, String otherwise) {
        JsonNode value = json.get("config").get(option);
        return value == null || value.isNull() ? otherwise : value.asString();
    }

    /** An input of floating-point numbers, or one that is used as such. */
    Tensor input(String name) {
        JsonNode node = json.get("inputs").get(name);
        return Tensor.of(numbers(node), shape(node)).to(dtype);
    }

    int[] ints(String name) {
        return json.get("inputs")
                .get(name)
                .get("data")
                .valueStream()
                .mapToInt(JsonNode::asInt)
                .toArray();
    }

    boolean[] booleans(String name) {
        double[] numbers = numbers(json.get("inputs").get(name));
        boolean[] result = new boolean[numbers.length];
        for (int i = 0; i < result.length; i++) {
            result[i] = numbers[i] != 0;
        }
        return result;
    }

    double[] output(String name) {
        return numbers(json.get("outputs").get(name));
    }

    void checkLoss(LossResult result, String output) {
        close("loss", new double[] {result.loss().item()}, output(output));
    }

    void checkGrad(Tensor input, String name) {
        close(
                "gradient of " + name,
                input.grad().toDoubles(),
                numbers(json.get("grads").get(name)));
    }

    /** All metrics that the case knows and an objective can know: those of logits are the trainer's. */
    void checkMetrics(Map<String, Double> metrics) {
        for (Map.Entry<String, JsonNode> expected :
                json.get("outputs").get("metrics").properties()) {
            String key = expected.getKey();
            if (key.startsWith("rewards/")
                    || key.startsWith("logps/")
                    || key.startsWith("log_odds")
                    || key.equals("nll_loss")) {
                assertThat(metrics).containsKey(key);
                // TRL averages accuracies in float32.
                double tolerance = dtype == DType.FLOAT64 && !key.equals("rewards/accuracies") ? 1e-9 : 5e-5;
                double value = expected.getValue().asDouble();
                assertThat(metrics.get(key)).as(key).isCloseTo(value, within(tolerance * Math.max(1, Math.abs(value))));
            }
        }
    }

    void close(String what, double[] found, double[] expected) {
        boolean madeInFloat32 = "f32".equals(json.path("precision").asString());
        double relative = madeInFloat32 ? 1e-4 : dtype == DType.FLOAT64 ? 1e-9 : 5e-5;
        double absolute = madeInFloat32 || dtype == DType.FLOAT32 ? 2e-6 : 1e-11;
        assertThat(found).as(what).hasSameSizeAs(expected);
        for (int i = 0; i < found.length; i++) {
            assertThat(found[i])
                    .as("%s, element %d", what, i)
                    .isCloseTo(expected[i], within(absolute + relative * Math.abs(expected[i])));
        }
    }

    private static double[] numbers(JsonNode node) {
        return node.get("data")
                .valueStream()
                .mapToDouble(v -> v.isBoolean() ? (v.asBoolean() ? 1 : 0) : Double.parseDouble(v.asString()))
                .toArray();
    }

    private static long[] shape(JsonNode node) {
        return node.get("shape").valueStream().mapToLong(JsonNode::asLong).toArray();
    }
}
