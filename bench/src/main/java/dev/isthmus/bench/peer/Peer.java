package dev.isthmus.bench.peer;

import dev.isthmus.bench.Figure;
import dev.isthmus.bench.Measurement;
import dev.isthmus.bench.Measurement.Effort;
import dev.isthmus.tensor.IsthmusException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Another engine, in a process that does nothing until it is asked.
 *
 * <p>It says who it is in its first line, {@code {"peer": "torch 2.13.0"}}, then answers each line, the fields of a figure with
 * the {@linkplain Effort effort}, by {@code {"median": seconds, "best": seconds}}, or by {@code {}} where it has nothing to
 * compare.
 */
public final class Peer implements AutoCloseable {
    /** Threads of a numerical library wait awake for more work for some hundredths of a second. */
    private static final long REST_MILLIS = 100;

    private final Process process;
    private final BufferedReader answers;
    private final Writer questions;
    private final String name;

    /**
     * Starts a process and waits until it has said who it is.
     *
     * @param variant is added to the name
     * @throws IOException if it cannot be started, or ends without a word
     */
    Peer(String variant, List<String> command, Map<String, String> environment) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD);
        builder.environment().putAll(environment);
        process = builder.start();
        answers = process.inputReader(StandardCharsets.UTF_8);
        questions = process.outputWriter(StandardCharsets.UTF_8);
        JsonNode hello = read();
        if (hello == null) {
            throw new IOException("it ended without a word");
        }
        if (hello.has("missing")) {
            throw new IOException(hello.get("missing").asString());
        }
        name = hello.get("peer").asString() + variant;
    }

    /** Who it is, with its version and what was asked of it. */
    public String name() {
        return name;
    }

    /** Lets the peer do what a figure of Isthmus is about; empty where it cannot. */
    public Optional<Measurement> measure(Figure figure, Effort effort) {
        Map<String, Object> question = new LinkedHashMap<>(figure.shape());
        question.put("bench", figure.bench());
        question.put("threads", figure.threads());
        question.put("warmup", effort.warmup());
        question.put("window", effort.window());
        question.put("windows", effort.windows());
        question.put("limit", effort.limit());
        try {
            questions.write(JsonMapper.shared().writeValueAsString(question) + "\n");
            questions.flush();
            JsonNode answer = read();
            if (answer == null) {
                throw new IsthmusException(name + " ended while it was measured; --no-peers leaves it out");
            }
            Thread.sleep(REST_MILLIS);
            return answer.has("median")
                    ? Optional.of(new Measurement(
                            answer.get("median").asDouble(), answer.get("best").asDouble()))
                    : Optional.empty();
        } catch (IOException e) {
            throw new IsthmusException(name + " cannot be asked: " + e.getMessage() + "; --no-peers leaves it out", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IsthmusException("interrupted", e);
        }
    }

    private @Nullable JsonNode read() throws IOException {
        String line = answers.readLine();
        return line == null ? null : JsonMapper.shared().readTree(line);
    }

    /** Ends the process. */
    @Override
    public void close() {
        process.destroy();
        try {
            if (!process.waitFor(2, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }
}
