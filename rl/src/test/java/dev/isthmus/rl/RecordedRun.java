package dev.isthmus.rl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.testing.Fixtures;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.optim.OptimizerConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A short run of {@code fixtures/train} that was recorded with TRL's losses: its settings, and what every step came to. */
public record RecordedRun(String name, JsonNode json) {
    private static final Pattern NUMBER = Pattern.compile("<= *([0-9.e-]+)");

    /** The names of all runs that begin with one of {@code kinds}. */
    public static List<String> names(String... kinds) {
        try (Stream<Path> files = Files.list(Fixtures.fixture("train"))) {
            return files.map(file -> file.getFileName().toString())
                    .filter(file -> file.endsWith(".json"))
                    .map(file -> file.substring(0, file.length() - ".json".length()))
                    .filter(name -> Stream.of(kinds).anyMatch(kind -> name.equals(kind) || name.startsWith(kind + "_")))
                    .filter(name -> !name.endsWith("_lora"))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static RecordedRun read(String name) {
        return new RecordedRun(name, Json.read(Fixtures.fixture("train/" + name + ".json")));
    }

    /** The model that it began with. */
    public Path model() {
        return Fixtures.fixture(json.get("model").asString() + "/config.json").getParent();
    }

    public List<JsonNode> steps() {
        return json.get("steps").valueStream().toList();
    }

    public List<JsonNode> batches() {
        return json.get("batches").valueStream().toList();
    }

    /** Its optimizer; one that has settings which are not understood fails. */
    public TrainingArguments arguments() {
        Map<String, JsonNode> given = settingsOf("optimizer");
        double[] betas = given.containsKey("betas")
                ? given.remove("betas")
                        .valueStream()
                        .mapToDouble(JsonNode::asDouble)
                        .toArray()
                : new double[] {0.9, 0.999};
        String type = given.remove("type").asString();
        String optim = type.equals("AdamW") ? "adamw_torch" : type.toLowerCase(Locale.ROOT);
        String decays = given.remove("decay_applies_to").asString();
        assertThat(decays).as("what decays").matches("(?i)(all|matrices).*");
        given.remove("lr"); // that of each step counts
        double eps = number(given, "eps", 1e-8);
        double weightDecay = number(given, "weight_decay", 0);
        double clip = number(given, "clip_grad_norm", 0);
        String others = given.entrySet().stream()
                .map(e -> e.getKey() + "=" + e.getValue().asString())
                .reduce((a, b) -> a + "," + b)
                .orElse(null);
        return new TrainingArguments(
                1,
                step -> steps().get((int) step).get("lr").asDouble(),
                OptimizerConfig.of(optim, others, betas[0], betas[1], eps),
                weightDecay,
                clip,
                decays.toLowerCase(Locale.ROOT).startsWith("all"));
    }

    private static double number(Map<String, JsonNode> given, String key, double otherwise) {
        JsonNode value = given.remove(key);
        return value == null || value.isNull() ? otherwise : value.asDouble();
    }

    private Map<String, JsonNode> settingsOf(String key) {
        Map<String, JsonNode> settings = new LinkedHashMap<>();
        json.get(key).properties().forEach(e -> settings.put(e.getKey(), e.getValue()));
        return settings;
    }

    /** Its config as settings of a trainer, which refuses those that it does not know. */
    public Map<String, Object> settings() {
        Map<String, Object> settings = new LinkedHashMap<>();
        settingsOf("config").forEach((key, value) -> {
            if (!value.isNull()) {
                settings.put(key, JsonMapper.shared().treeToValue(value, Object.class));
            }
        });
        return settings;
    }

    /** Compares a step and those of its metrics that were recorded and begin with none of {@code others}. */
    public void assertStep(int index, Trainer.Step done, Map<String, Double> metrics, String... others) {
        JsonNode expected = steps().get(index);
        String of = " of step " + index;
        close("loss" + of, done.loss(), expected.get("loss").asDouble());
        double norm = expected.get("grad_norm_before_clip").asDouble();
        assertThat(done.gradNorm())
                .as("gradient norm" + of)
                .isCloseTo(norm, within(tolerance("f32_grad_norm_rtol") * norm));
        for (Map.Entry<String, JsonNode> metric : expected.path("metrics").properties()) {
            if (Stream.of(others).noneMatch(metric.getKey()::startsWith)) {
                assertThat(metrics).containsKey(metric.getKey());
                close(
                        metric.getKey() + of,
                        metrics.get(metric.getKey()),
                        metric.getValue().asDouble());
            }
        }
    }

    private void close(String what, double found, double expected) {
        assertThat(found).as(what).isCloseTo(expected, within(tolerance("f32_loss") * (1 + Math.abs(expected))));
    }

    /** A tolerance of the record, a number or {@code |diff| <= 1e-4*(1+|loss|)}. */
    private double tolerance(String key) {
        JsonNode given = json.get("tolerance").get(key);
        if (given.isNumber()) {
            return given.asDouble();
        }
        Matcher matcher = NUMBER.matcher(given.asString());
        assertThat(matcher.find()).as(key + ": " + given).isTrue();
        return Double.parseDouble(matcher.group(1));
    }

    /** Compares all weights. */
    public void assertWeights(Decoder model) {
        try (Arena arena = Arena.ofConfined()) {
            SafeTensors last = SafeTensors.open(Fixtures.fixture("train/" + name + ".final.safetensors"), arena);
            for (Parameter p : model.parameters()) {
                assertThat(p.value().contiguous().toDoubles())
                        .as(p.name())
                        .containsExactly(last.get(p.name()).toDoubles(), within(tolerance("f32_final_params_atol")));
            }
        }
    }
}
