package dev.isthmus.rl.online;

import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;

/**
 * Prompts in TRL's prompt-only format, one JSON object a line: {@code {"prompt": "..."}}, or a conversation {@code {"prompt": [{"role":
 * "user", "content": "..."}]}}, with whatever other columns the reward functions look at, {@code solution} among them.
 *
 * @param rows those that leave the model room to answer
 * @param crc32c of the file
 */
record PromptRows(List<Row> rows, int leftOut, String crc32c) {
    private static final JsonMapper JSON = JsonMapper.shared();

    /**
     * A prompt.
     *
     * @param tokens as the model reads it
     * @param completion the tokens of the column {@code completion}, with what ends a text, as far as the model can read them; empty
     *     without one
     * @param problem the row as a verifier knows it
     */
    record Row(int[] tokens, int[] completion, Problem problem) {}

    /**
     * Reads a file.
     *
     * @param template makes a text of conversations
     * @param room the tokens that a prompt may have
     * @throws IsthmusException that names file, line and field of what is wrong
     */
    static PromptRows read(Path file, Tokenizer tokenizer, Optional<ChatTemplate> template, int room) {
        byte[] bytes = bytes(file);
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        List<Row> rows = new ArrayList<>();
        int line = 0;
        int leftOut = 0;
        for (String text : text(file, bytes).lines().toList()) {
            line++;
            if (text.isBlank()) {
                continue;
            }
            try {
                Row row = row(text, tokenizer, template, room);
                if (row.tokens.length <= room) {
                    rows.add(row);
                } else {
                    leftOut++;
                }
            } catch (IsthmusException e) {
                throw new IsthmusException(file + ", line " + line + ": " + e.getMessage(), e);
            }
        }
        if (rows.isEmpty()) {
            throw new IsthmusException(file + " has no prompt of at most " + room + " tokens");
        }
        return new PromptRows(List.copyOf(rows), leftOut, HexFormat.of().toHexDigits((int) crc.getValue()));
    }

    private static byte[] bytes(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new IsthmusException("Cannot read " + file + ": there is no such file", e);
        }
    }

    private static String text(Path file, byte[] bytes) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new IsthmusException(file + " is not a text in UTF-8", e);
        }
    }

    private static Row row(String line, Tokenizer tokenizer, Optional<ChatTemplate> template, int room) {
        JsonNode json;
        try {
            json = JSON.readTree(line);
        } catch (JacksonException e) {
            String problem = e.getOriginalMessage().lines().findFirst().orElse("");
            throw new IsthmusException("is not JSON: " + problem, e);
        }
        if (!json.isObject() || !json.has("prompt")) {
            throw new IsthmusException("has no \"prompt\"");
        }
        JsonNode prompt = json.get("prompt");
        String text = prompt.isString() ? prompt.stringValue() : conversation(prompt, template, true);
        int[] tokens = tokenizer.encode(text, prompt.isString());
        if (tokens.length == 0) {
            throw new IsthmusException("\"prompt\" is empty");
        }
        Map<String, Object> columns = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> column : json.properties()) {
            // Of a text the problem is the prompt already; messages a reward model writes with a template of its own.
            boolean known = column.getKey().equals("prompt") && prompt.isString();
            if (!column.getValue().isNull() && !known) {
                columns.put(column.getKey(), JSON.treeToValue(column.getValue(), Object.class));
            }
        }
        String completion = completion(json, text, template);
        int[] answer =
                completion.isEmpty() ? new int[0] : after(tokens, text, completion, prompt.isString(), tokenizer);
        return new Row(
                tokens,
                Arrays.copyOf(answer, Math.clamp(room + 2 - tokens.length, 0, answer.length)),
                new Problem(text, text, column(json, "solution"), completion, columns));
    }

    private static String completion(JsonNode row, String prompt, Optional<ChatTemplate> template) {
        JsonNode completion = row.path("completion");
        if (!completion.isArray()) {
            return column(row, "completion");
        }
        ArrayNode both = JSON.createArrayNode();
        row.path("prompt").forEach(both::add);
        completion.forEach(both::add);
        String whole = conversation(both, template, false);
        if (!whole.startsWith(prompt)) {
            throw new IsthmusException("\"completion\" does not follow \"prompt\" in what the chat template writes");
        }
        return whole.substring(prompt.length());
    }

    private static int[] after(int[] tokens, String prompt, String completion, boolean text, Tokenizer tokenizer) {
        int[] whole = tokenizer.encode(prompt + completion, text);
        boolean apart =
                whole.length > tokens.length && Arrays.equals(tokens, 0, tokens.length, whole, 0, tokens.length);
        int[] rest =
                apart ? Arrays.copyOfRange(whole, tokens.length, whole.length) : tokenizer.encode(completion, false);
        return text
                ? IntStream.concat(IntStream.of(rest), tokenizer.eosTokenId().stream())
                        .toArray()
                : rest;
    }

    private static String column(JsonNode row, String name) {
        return row.path(name).asString("");
    }

    private static String conversation(JsonNode prompt, Optional<ChatTemplate> template, boolean addGenerationPrompt) {
        if (!prompt.isArray() || prompt.isEmpty()) {
            throw new IsthmusException("\"prompt\" must be a text or a list of messages");
        }
        List<Map<String, @Nullable Object>> messages = new ArrayList<>();
        for (JsonNode message : prompt) {
            if (!message.path("role").isString() || !message.path("content").isString()) {
                throw new IsthmusException("a message of \"prompt\" must have a \"role\" and a \"content\"");
            }
            messages.add(ChatTemplate.message(
                    message.get("role").stringValue(), message.get("content").stringValue()));
        }
        return template.orElseThrow(
                        () -> new IsthmusException("\"prompt\" is a conversation, and the model has no chat template"))
                .render(messages, addGenerationPrompt);
    }

    String description() {
        return String.format(Locale.ROOT, "%,d prompts", rows.size())
                + (leftOut > 0 ? String.format(Locale.ROOT, "; %,d left out, which are too long", leftOut) : "");
    }
}
