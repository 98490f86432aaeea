package dev.isthmus.rl.improve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.Machine;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.xml.sax.InputSource;
import tools.jackson.databind.JsonNode;

class SelfImprovementTests {
    private static final int THREADS = Machine.threads();

    @TempDir
    private static Path place;

    private static TinyRun expertIteration;
    private static TinyRun grpo;

    @BeforeAll
    static void runOnOneThread() {
        Machine.setThreads(1);
        expertIteration = TinyRun.of(place.resolve("ei"), "expert_iteration", Map.of("seed", "1"));
        grpo = TinyRun.of(place.resolve("grpo"), "grpo", Map.of("seed", "1", "improve.temperature", "0.7"));
    }

    @AfterAll
    static void restoreThreads() {
        Machine.setThreads(THREADS);
    }

    @ParameterizedTest
    @ValueSource(strings = {"expert_iteration", "grpo"})
    void aRunIsAFunctionOfItsSeedAndNotOfTheThreads(String method) throws IOException {
        Map<String, String> temperature = Map.of("improve.temperature", method.equals("grpo") ? "0.7" : "1.0");
        TinyRun one = method.equals("grpo") ? grpo : expertIteration;
        Machine.setThreads(2);
        TinyRun two = TinyRun.of(place.resolve("two " + method), method, temperature);
        TinyRun other = TinyRun.of(place.resolve("other " + method), method, Map.of("seed", "2"));

        assertThat(Thread.getAllStackTraces().keySet())
                .as("the work was shared")
                .anyMatch(thread -> thread.getName().equals("isthmus-1"));
        assertThat(two.summary()).isEqualTo(one.summary());
        for (String log : List.of("metrics.jsonl", "samples.jsonl")) {
            assertThat(two.text(log)).isEqualTo(one.text(log));
            assertThat(other.text(log)).isNotEqualTo(one.text(log));
        }
        for (String model : List.of("base", "model")) {
            assertThat(two.weights(model)).isEqualTo(one.weights(model));
            assertThat(other.weights(model)).isNotEqualTo(one.weights(model));
        }
        assertThat(one.weights("model")).as("improvement changes the model").isNotEqualTo(one.weights("base"));
    }

    @Test
    void aRunThatStopsAfterEveryMeasurementEndsLikeOneThatDoesNot() throws IOException {
        Map<String, String> settings = Map.of("seed", "1", "improve.temperature", "0.7");
        TinyRun interrupted = TinyRun.interrupted(place.resolve("interrupted"), "grpo", settings);
        assertThat(interrupted.summary()).isEqualTo(grpo.summary());
        assertThat(interrupted.text("metrics.jsonl")).isEqualTo(grpo.text("metrics.jsonl"));
        assertThat(interrupted.text("samples.jsonl")).isEqualTo(grpo.text("samples.jsonl"));
        assertThat(interrupted.weights("model")).isEqualTo(grpo.weights("model"));
    }

    @Test
    void theSummaryHoldsWhatTheDesignNamesAndItsFiguresAgree() throws IOException {
        JsonNode summary = expertIteration.summary();
        assertThat(summary.propertyNames()).contains("recipe", "seed", "before", "after", "rounds", "controls");
        assertThat(summary.get("rounds")).hasSize(2);
        assertThat(summary.get("rounds").get(1)).isEqualTo(summary.get("after"));
        assertThat(summary.get("controls").propertyNames()).containsExactly("shuffled_rewards", "random_filter");
        for (String figure : List.of("accuracy", "pass_at_8")) {
            assertThat(summary.get("before").get(figure).asDouble()).isBetween(0.0, 1.0);
            assertThat(summary.get("after").get(figure + "_interval")).hasSize(2);
        }
        assertThat(summary.get("after").get("n").asInt()).isEqualTo(20);
        assertThat(summary.get("gain").asDouble())
                .isCloseTo(
                        summary.get("after").get("accuracy").asDouble()
                                - summary.get("before").get("accuracy").asDouble(),
                        within(1e-12));
    }

    /** The random filter keeps as many answers as the verifier found right; the shuffled rewards are as many. */
    @Test
    void controlsTrainOnAsMuchAndOnSomethingElse() throws IOException {
        assertThat(first("selected")).isPositive();
        assertThat(first("random_filter/selected")).isEqualTo(first("selected"));
        assertThat(first("shuffled_rewards/selected")).isPositive();
        // The first round's answers are the base model's, whatever is then made of them.
        assertThat(first("shuffled_rewards/reward")).isEqualTo(first("reward"));
        assertThat(first("random_filter/loss")).isNotEqualTo(first("shuffled_rewards/loss"));
    }

    private static double first(String key) throws IOException {
        return expertIteration.metrics().stream()
                .filter(line -> line.has(key))
                .findFirst()
                .orElseThrow()
                .get(key)
                .asDouble();
    }

    /** What the sampler says of a token and what training computes for it are the same bits, until a step is taken. */
    @Test
    void rolloutAndTrainingLogProbabilitiesAreIdentical() throws IOException {
        int moved = 0;
        for (String stage : List.of("", "shuffled_rewards/")) {
            List<JsonNode> lines = grpo.metrics().stream()
                    .filter(line -> line.has(stage + "reward"))
                    .toList();
            assertThat(lines).as("two rounds of two batches of two iterations").hasSize(8);
            for (int i = 0; i < lines.size(); i += 2) {
                String metric = stage + "sampling/sampling_logp_difference/max";
                assertThat(lines.get(i).get(metric).asDouble()).isZero();
                moved += lines.get(i + 1).get(metric).asDouble() > 0 ? 1 : 0;
            }
        }
        assertThat(moved).as("second iterations, after a step").isPositive();
    }

    @Test
    void theReportIsOnePageThatHoldsTheRunsFigures() throws Exception {
        String html = grpo.text("report.html");
        JsonNode summary = grpo.summary();
        assertThat(html).doesNotContainPattern("(?i)https?:|<script|<link[^>]*href=\"(?!data:)|url\\(");
        assertThat(html)
                .contains(percent(summary.get("before")), percent(summary.get("after")))
                .contains("shuffled rewards", "method: grpo");
        for (String chart : List.of("Held-out problems solved", "Reward", "Entropy", "Length of answers", "Loss")) {
            assertThat(html).contains(chart);
        }
        var page = DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(new InputSource(
                        new StringReader(html.substring(html.indexOf("<main>"), html.indexOf("</body>")))));
        assertThat(page.getElementsByTagName("figure").getLength()).isGreaterThanOrEqualTo(5);
        assertThat(html.split("class=\"line\"", -1)).as("lines in the charts").hasSizeGreaterThan(9);
        assertThat(html).doesNotContain("NaN");
    }

    private static String percent(JsonNode measured) {
        return String.format(
                Locale.ROOT, "%.1f %%", 100 * measured.get("accuracy").asDouble());
    }

    @Test
    void aRunMayMeasureGreedilyOnly() throws IOException {
        TinyRun run = TinyRun.of(
                place.resolve("greedy"),
                "expert_iteration",
                Map.of("eval.samples", "0", "controls", "false", "improve.rounds", "1"));
        assertThat(run.summary().get("after").has("accuracy")).isTrue();
        assertThat(run.summary().get("controls").propertyNames()).isEmpty();
    }
}
