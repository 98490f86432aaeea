package dev.isthmus.rl.online;

import dev.isthmus.rl.task.Problem;
import dev.isthmus.train.data.Row;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.RowEncoder.Prompted;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A row in TRL's prompt-only format: {@code {"prompt": "..."}}, or a conversation {@code {"prompt": [{"role": "user", "content":
 * "..."}]}}, with whatever other columns the reward functions look at, {@code solution} among them.
 *
 * @param tokens as the model reads it
 * @param completion the tokens of the column {@code completion}, with what ends a text, as far as the model can read them; empty
 *     without one
 * @param problem the row as a verifier knows it
 */
record Prompt(int[] tokens, int[] completion, Problem problem) {
    private static final String PROMPT = "prompt";
    private static final String COMPLETION = "completion";

    /**
     * Makes the prompt of a row; none if it is too long to be answered.
     *
     * @param room the tokens that a prompt may have
     */
    static Function<Row, List<Prompt>> reader(RowEncoder encoder, int room) {
        return row -> {
            int[] tokens = encoder.prompt(row, PROMPT);
            if (tokens.length == 0) {
                throw row.wrong("\"prompt\" is empty");
            }
            if (tokens.length > room) {
                return List.of();
            }
            int[] completion = completion(row, tokens, encoder);
            // The last token of a completion is learned and not read.
            int[] readable = Arrays.copyOf(completion, Math.min(completion.length, room + 2 - tokens.length));
            String text = encoder.promptText(row, PROMPT);
            return List.of(new Prompt(
                    tokens,
                    readable,
                    new Problem(
                            text,
                            text,
                            row.json().path("solution").asString(""),
                            encoder.tokenizer().decode(completion),
                            columns(row))));
        };
    }

    private static int[] completion(Row row, int[] prompt, RowEncoder encoder) {
        if (row.json().path(COMPLETION).isNull() || !row.has(COMPLETION)) {
            return new int[0];
        }
        Prompted whole = encoder.promptCompletion(row, PROMPT, COMPLETION);
        // A token that joins the end of a text with the beginning of another is no token of the prompt as it is asked.
        return whole.length() < prompt.length && !row.isConversation(PROMPT)
                ? encoder.withEos(encoder.plain(row, COMPLETION, row.string(COMPLETION)))
                : Arrays.copyOfRange(whole.tokens(), whole.length(), whole.tokens().length);
    }

    /** Of a text the problem is the prompt already; messages a reward model writes with a template of its own. */
    private static Map<String, Object> columns(Row row) {
        Map<String, Object> columns = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> column : row.json().properties()) {
            boolean known = column.getKey().equals(PROMPT) && column.getValue().isString();
            if (!column.getValue().isNull() && !known) {
                columns.put(column.getKey(), JsonMapper.shared().treeToValue(column.getValue(), Object.class));
            }
        }
        return columns;
    }
}
