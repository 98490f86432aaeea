package dev.isthmus.model.chat;

import dev.isthmus.model.io.Gguf;
import dev.isthmus.model.io.Json;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * Writes a conversation as the text that a model was trained on: the Jinja template that comes with a model, rendered as transformers
 * does ({@code trim_blocks}, {@code lstrip_blocks}, the functions {@code raise_exception}, {@code strftime_now} and the filter {@code
 * tojson}, the block {@code generation}).
 *
 * <p>A template is data from a file: it can neither reach the program nor run forever.
 */
public final class ChatTemplate {
    private static final int MAX_TEMPLATE = 1_000_000;

    private final List<Node> body;
    private final Map<String, @Nullable Object> tokens;

    /** A stretch of the rendered text, in characters. */
    public record Span(int start, int end) {}

    /**
     * A rendered conversation.
     *
     * @param generated what the template marks as written by the assistant, in order
     */
    public record Rendered(String text, List<Span> generated) {}

    private ChatTemplate(List<Node> body, Map<String, @Nullable Object> tokens) {
        this.body = body;
        this.tokens = tokens;
    }

    /**
     * A template.
     *
     * @param tokens the special tokens that it may name, such as {@code bos_token} and {@code eos_token}
     * @throws TemplateException if it is not Jinja, or uses what is not known
     */
    public static ChatTemplate of(String source, Map<String, String> tokens) {
        if (source.length() > MAX_TEMPLATE) {
            throw new TemplateException("the template has more than " + MAX_TEMPLATE + " characters");
        }
        return new ChatTemplate(Parser.parse(source), new HashMap<>(tokens));
    }

    /**
     * The template of a model: {@code chat_template.jinja}, or {@code chat_template} in {@code tokenizer_config.json} (of several, the
     * one named {@code default}), or what a GGUF file carries.
     *
     * @return empty if the model has none
     * @throws IsthmusException if there is one that cannot be read
     */
    public static Optional<ChatTemplate> load(Path model) {
        if (model.toString().endsWith(".gguf")) {
            try (Arena arena = Arena.ofConfined()) {
                return ofGguf(Gguf.open(model, arena));
            }
        }
        Path config = model.resolve("tokenizer_config.json");
        JsonNode root = Files.exists(config) ? Json.read(config) : null;
        Map<String, String> tokens = new LinkedHashMap<>();
        if (root != null) {
            for (Map.Entry<String, JsonNode> entry : root.properties()) {
                JsonNode token = entry.getValue().isObject() ? entry.getValue().path("content") : entry.getValue();
                if (entry.getKey().endsWith("_token") && token.isString()) {
                    tokens.put(entry.getKey(), token.stringValue());
                }
            }
        }
        Path file = model.resolve("chat_template.jinja");
        if (Files.exists(file)) {
            try {
                return Optional.of(of(Files.readString(file), tokens));
            } catch (IOException e) {
                throw new IsthmusException("Cannot read " + file + ": " + e, e);
            }
        }
        JsonNode template = root == null ? null : root.path("chat_template");
        if (template != null && template.isArray()) {
            template = template.valueStream()
                    .filter(named -> named.path("name").asString("").equals("default"))
                    .map(named -> named.path("template"))
                    .findFirst()
                    .orElse(null);
        }
        return template == null || !template.isString()
                ? Optional.empty()
                : Optional.of(of(template.stringValue(), tokens));
    }

    private static Optional<ChatTemplate> ofGguf(Gguf file) {
        String source = file.string("tokenizer.chat_template");
        if (source == null) {
            return Optional.empty();
        }
        List<String> all = file.list("tokenizer.ggml.tokens", String.class);
        Map<String, String> tokens = new HashMap<>();
        for (String name : List.of("bos", "eos")) {
            int id = file.integer("tokenizer.ggml." + name + "_token_id").orElse(-1);
            tokens.put(name + "_token", id >= 0 && id < all.size() ? all.get(id) : "");
        }
        return Optional.of(of(source, tokens));
    }

    /** One turn of a conversation. */
    public static Map<String, @Nullable Object> message(String role, String content) {
        Map<String, @Nullable Object> message = new LinkedHashMap<>();
        message.put("role", role);
        message.put("content", content);
        return message;
    }

    /** The text of a conversation, and of the beginning of an answer if {@code addGenerationPrompt}. */
    public String render(List<? extends Map<String, ?>> messages, boolean addGenerationPrompt) {
        return render(messages, addGenerationPrompt, Map.of()).text();
    }

    /**
     * The text of a conversation.
     *
     * @param messages with {@code role} and {@code content}, and whatever else the template knows, of JSON's types
     * @param addGenerationPrompt whether the beginning of an answer follows
     * @param variables what else the template reads, such as {@code tools} or {@code enable_thinking}
     * @throws TemplateException if the template rejects the conversation or fails on it
     */
    public Rendered render(
            List<? extends Map<String, ?>> messages, boolean addGenerationPrompt, Map<String, ?> variables) {
        Map<String, @Nullable Object> names = new HashMap<>(tokens);
        names.put("messages", plain(messages));
        names.put("add_generation_prompt", addGenerationPrompt);
        names.put("strftime_now", (Values.Function) given -> now(Values.text(given.at(0))));
        variables.forEach((name, value) -> names.put(name, plain(value)));
        return Interpreter.run(body, names);
    }

    /** Whole numbers as Long, other numbers as Double; lists and maps are copied. */
    private static @Nullable Object plain(@Nullable Object value) {
        return switch (value) {
            case Float x -> x.doubleValue();
            case Double x -> x;
            case Number n -> n.longValue();
            case List<?> list -> {
                List<@Nullable Object> items = new ArrayList<>(list.size());
                list.forEach(item -> items.add(plain(item)));
                yield items;
            }
            case Map<?, ?> map -> {
                Map<@Nullable Object, @Nullable Object> entries = new LinkedHashMap<>();
                map.forEach((key, item) -> entries.put(key, plain(item)));
                yield entries;
            }
            case null, default -> value;
        };
    }

    /** The local time in the format of C's {@code strftime}. */
    private static String now(String format) {
        LocalDateTime now = LocalDateTime.now(ZoneId.systemDefault());
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            char c = format.charAt(i);
            if (c != '%' || i + 1 == format.length()) {
                text.append(c);
                continue;
            }
            String pattern = switch (format.charAt(++i)) {
                case 'd' -> "dd";
                case 'm' -> "MM";
                case 'Y' -> "yyyy";
                case 'y' -> "yy";
                case 'b' -> "MMM";
                case 'B' -> "MMMM";
                case 'a' -> "EEE";
                case 'A' -> "EEEE";
                case 'H' -> "HH";
                case 'I' -> "hh";
                case 'M' -> "mm";
                case 'S' -> "ss";
                case 'p' -> "a";
                case 'j' -> "DDD";
                default -> "";
            };
            text.append(
                    pattern.isEmpty()
                            ? String.valueOf(format.charAt(i))
                            : now.format(DateTimeFormatter.ofPattern(pattern, Locale.ENGLISH)));
        }
        return text.toString();
    }
}
