package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.provider.Arguments;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A case of {@code losses/*.json} in one precision: its inputs as tensors, and the comparison with what it expects.
 *
 * <p>JUnit closes it behind the test, which then fails if there was an option that nobody asked for: a formula that does not know it
 * may have come to the right number by chance only.
 *
 * @param asked the options that were asked for
 */
public record LossFixture(JsonNode json, DType dtype, Set<String> asked) implements AutoCloseable {
    /** All cases of a file, each in both precisions, as arguments {@code name, fixture}. */
    public static List<Arguments> all(String file) {
        return all(file, DType.FLOAT64, DType.FLOAT32);
    }

    /** All cases of a file in some precisions. */
    public static List<Arguments> all(String file, DType... dtypes) {
        JsonNode root = JsonMapper.shared().readTree(Fixtures.fixture("losses/" + file));
        return root.get("cases")
                .valueStream()
                .flatMap(each -> Stream.of(dtypes)
                        .map(dtype -> Arguments.of(
                                each.get("name").asString() + " " + dtype.name().toLowerCase(Locale.ROOT),
                                new LossFixture(each, dtype, new HashSet<>()))))
                .toList();
    }

    /** An option; a missing node if it is not there. */
    public JsonNode config(String name) {
        asked.add(name);
        return json.get("config").path(name);
    }

    /** An option that may be null or not be there. */
    @Nullable
    Double optional(String name) {
        JsonNode node = config(name);
        return node.isNumber() ? node.asDouble() : null;
    }

    /** An option that is a number, or what it is if it is null or not there. */
    public double number(String name, double otherwise) {
        return config(name).asDouble(otherwise);
    }

    /** An option that is a word, or what it is if it is null or not there. */
    public String text(String name, String otherwise) {
        return config(name).asString(otherwise);
    }

    /** An input in this precision; truth values and counts too. */
    public Tensor input(String name) {
        Tensor input = optionalInput(name);
        assertThat(input).as(name).isNotNull();
        return input;
    }

    @Nullable
    Tensor optionalInput(String name) {
        JsonNode node = json.at("/inputs/" + name);
        return node.isNull() || node.isMissingNode()
                ? null
                : Tensor.of(doubles(node), shape(node)).to(dtype);
    }

    public double[] output(String name) {
        return doubles(json.at("/outputs/" + name));
    }

    /** Compares a number with {@code outputs}. */
    public void assertOutput(String name, double actual) {
        assertClose(name, new double[] {actual}, output(name));
    }

    /** Compares a number with the mean of {@code outputs}. */
    public void assertMeanOutput(String name, double actual) {
        assertClose(name, new double[] {actual}, new double[] {
            Arrays.stream(output(name)).average().orElseThrow()
        });
    }

    /** Compares all metrics that the case knows and an objective can know: those of logits are the trainer's. */
    public void assertMetrics(Map<String, Double> metrics) {
        for (Map.Entry<String, JsonNode> expected : json.at("/outputs/metrics").properties()) {
            String key = expected.getKey();
            if (key.matches("(rewards/|logps/|log_odds).*|nll_loss")) {
                assertThat(metrics).containsKey(key);
                // TRL averages accuracies in float32.
                double tolerance = dtype == DType.FLOAT64 && !key.equals("rewards/accuracies") ? 1e-9 : 5e-5;
                double value = expected.getValue().asDouble();
                assertThat(metrics.get(key))
                        .as(key)
                        .isCloseTo(value, Offset.offset(tolerance * Math.max(1, Math.abs(value))));
            }
        }
    }

    /** Compares values with {@code outputs}. */
    public void assertOutput(String name, Tensor actual) {
        assertClose(name, actual.toDoubles(), output(name));
    }

    /** Compares a gradient with {@code grads}. */
    public void assertGradient(String name, Tensor input) {
        assertClose("gradient of " + name, input.grad().toDoubles(), doubles(json.at("/grads/" + name)));
    }

    /** Within the tolerance of the file's header, or of what was made in float32. */
    public void assertClose(String name, double[] actual, double[] expected) {
        boolean madeInFloat32 = json.path("precision").asString("").equals("f32");
        double relative = madeInFloat32 ? 1e-4 : dtype == DType.FLOAT64 ? 1e-9 : 5e-5;
        double absolute = madeInFloat32 || dtype == DType.FLOAT32 ? 2e-6 : 1e-11;
        assertThat(actual).as(name).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i])
                    .as("%s at %d", name, i)
                    .isCloseTo(expected[i], Offset.offset(absolute + relative * Math.abs(expected[i])));
        }
    }

    /** The numbers of a tensor; truth values are 1 and 0. */
    public static double[] doubles(JsonNode tensor) {
        return tensor.get("data")
                .valueStream()
                .mapToDouble(v -> v.isBoolean() ? (v.asBoolean() ? 1 : 0) : Double.parseDouble(v.asString()))
                .toArray();
    }

    /** The size of an input in a dimension. */
    public int size(String name, int dim) {
        return (int) shape(json.at("/inputs/" + name))[dim];
    }

    /** The numbers of an input. */
    public double[] numbers(String name) {
        return doubles(json.at("/inputs/" + name));
    }

    static long[] shape(JsonNode tensor) {
        return tensor.get("shape").valueStream().mapToLong(JsonNode::asLong).toArray();
    }

    @Override
    public void close() {
        assertThat(asked)
                .as("the options of " + json.get("name").asString())
                .containsAll(json.path("config").propertyNames());
    }

    @Override
    public String toString() {
        return json.get("name").asString();
    }
}
