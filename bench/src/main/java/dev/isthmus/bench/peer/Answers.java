package dev.isthmus.bench.peer;

import dev.isthmus.bench.Measurement;
import dev.isthmus.bench.Measurement.Effort;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A {@link Peer}'s side of the conversation, for those that run in a JVM. */
public final class Answers {
    private Answers() {}

    /**
     * Says who it is, then answers questions on standard input until it ends.
     *
     * @param benches the benchmarks that it knows
     * @param measure measures what the fields of a question are about
     */
    public static void answer(String peer, List<String> benches, Function<JsonNode, Measurement> measure)
            throws IOException {
        say(Map.of("peer", peer));
        BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = questions.readLine(); line != null; line = questions.readLine()) {
            JsonNode question = JsonMapper.shared().readTree(line);
            if (benches.contains(question.get("bench").asString())) {
                Measurement m = measure.apply(question);
                say(Map.of("median", m.median(), "best", m.best()));
            } else {
                say(Map.of());
            }
        }
    }

    /** Says that it cannot answer, and why. */
    static void missing(String what) {
        say(Map.of("missing", what));
    }

    /** How much time a question allows. */
    public static Effort effort(JsonNode question) {
        return new Effort(
                question.get("warmup").asDouble(),
                question.get("window").asDouble(),
                question.get("windows").asInt(),
                question.get("limit").asDouble());
    }

    private static void say(Map<String, ?> fields) {
        new PrintStream(System.out, true, StandardCharsets.UTF_8)
                .println(JsonMapper.shared().writeValueAsString(fields));
    }
}
