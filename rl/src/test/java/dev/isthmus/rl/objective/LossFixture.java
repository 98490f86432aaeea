package dev.isthmus.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import java.util.List;
import java.util.Locale;
import org.assertj.core.data.Offset;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.provider.Arguments;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A case of {@code losses/*.json} in one precision: its inputs as tensors, and the comparison with what it expects. */
record LossFixture(JsonNode json, DType dtype) {
    /** All cases of a file, each in both precisions, as arguments {@code name, fixture}. */
    static List<Arguments> all(String file) {
        JsonNode root = JsonMapper.shared().readTree(Fixtures.fixture("losses/" + file));
        return root.get("cases")
                .valueStream()
                .flatMap(each -> List.of(DType.FLOAT64, DType.FLOAT32).stream()
                        .map(dtype -> Arguments.of(
                                each.get("name").asString() + " " + dtype.name().toLowerCase(Locale.ROOT),
                                new LossFixture(each, dtype))))
                .toList();
    }

    JsonNode config(String name) {
        return json.get("config").path(name);
    }

    /** An option that may be null or not be there. */
    @Nullable
    Double optional(String name) {
        JsonNode node = config(name);
        return node.isNumber() ? node.asDouble() : null;
    }

    /** An input in this precision; truth values and counts too. */
    Tensor input(String name) {
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

    double[] output(String name) {
        return doubles(json.at("/outputs/" + name));
    }

    /** Compares values with {@code outputs}. */
    void assertOutput(String name, Tensor actual) {
        assertClose(name, actual.toDoubles(), output(name));
    }

    /** Compares a gradient with {@code grads}. */
    void assertGradient(String name, Tensor input) {
        assertClose("gradient of " + name, input.grad().toDoubles(), doubles(json.at("/grads/" + name)));
    }

    /** Within the tolerance of the file's header. */
    void assertClose(String name, double[] actual, double[] expected) {
        double relative = dtype == DType.FLOAT64 ? 1e-9 : 5e-5;
        double absolute = dtype == DType.FLOAT64 ? 1e-11 : 2e-6;
        assertThat(actual).as(name).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i])
                    .as("%s at %d", name, i)
                    .isCloseTo(expected[i], Offset.offset(absolute + relative * Math.abs(expected[i])));
        }
    }

    static double[] doubles(JsonNode tensor) {
        return tensor.get("data")
                .valueStream()
                .mapToDouble(v -> v.isBoolean() ? (v.asBoolean() ? 1 : 0) : Double.parseDouble(v.asString()))
                .toArray();
    }

    static long[] shape(JsonNode tensor) {
        return tensor.get("shape").valueStream().mapToLong(JsonNode::asLong).toArray();
    }

    @Override
    public String toString() {
        return json.get("name").asString();
    }
}
