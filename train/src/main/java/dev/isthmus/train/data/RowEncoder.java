package dev.isthmus.train.data;

import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.loop.TrainedModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Texts and conversations as tokens, as TRL makes them: what the tokenizer begins a text with stands before it, and the token that
 * ends a text after it; a conversation is what the model's chat template writes.
 */
public final class RowEncoder {
    private final Tokenizer tokenizer;
    private final @Nullable ChatTemplate template;

    /** An encoder for rows of which some may be conversations, if there is a template. */
    public RowEncoder(Tokenizer tokenizer, @Nullable ChatTemplate template) {
        this.tokenizer = tokenizer;
        this.template = template;
    }

    /** An encoder for the tokenizer and the template of a model. */
    public static RowEncoder of(TrainedModel model) {
        Path files = model.files();
        return new RowEncoder(
                model.tokenizer(),
                files == null ? null : ChatTemplate.load(files).orElse(null));
    }

    /** The tokenizer. */
    public Tokenizer tokenizer() {
        return tokenizer;
    }

    /**
     * Tokens, of which the first are a prompt.
     *
     * @param length of the prompt
     */
    public record Prompted(int[] tokens, int length) {}

    /** A stretch of tokens. */
    public record Span(int from, int to) {}

    /**
     * A conversation.
     *
     * @param generated what the template marks as written by the assistant
     */
    public record Conversation(int[] tokens, List<Span> generated) {}

    /** The tokens of a field that holds a text, its end included. */
    public int[] text(Row row, String field) {
        return withEos(encode(row, field, row.string(field)));
    }

    /** The tokens of a prompt. */
    public int[] prompt(Row row, String field) {
        String text = promptText(row, field);
        return row.isConversation(field) ? plain(row, field, text) : encode(row, field, text);
    }

    /** The text of a prompt, a conversation as the template writes it. */
    public String promptText(Row row, String field) {
        return row.isConversation(field)
                ? render(row, field, row.messages(field), true).text()
                : row.string(field);
    }

    /** The tokens of two fields, one the beginning of the other, both texts or both conversations. */
    public Prompted promptCompletion(Row row, String prompt, String completion) {
        boolean conversation = row.isConversation(prompt);
        if (row.isConversation(completion) != conversation) {
            throw row.wrong(
                    "\"" + prompt + "\" and \"" + completion + "\" must both be strings or both be conversations");
        }
        return conversation
                ? conversation(row, completion, row.messages(prompt), row.messages(completion))
                : text(row, completion, row.string(prompt), row.string(completion));
    }

    /** The tokens of a prompt and its completion. */
    Prompted text(Row row, String field, String prompt, String completion) {
        int[] start = encode(row, "prompt", prompt);
        // By itself first, so that what is wrong with it is said of it alone.
        encode(row, field, completion);
        return prompted(start, withEos(encode(row, field, prompt + completion)));
    }

    /** The tokens of the beginning of a conversation and its end. */
    Prompted conversation(
            Row row,
            String field,
            List<Map<String, @Nullable Object>> prompt,
            List<Map<String, @Nullable Object>> completion) {
        int[] start = plain(row, field, render(row, field, prompt, true).text());
        List<Map<String, @Nullable Object>> all = new ArrayList<>(prompt);
        all.addAll(completion);
        return prompted(start, plain(row, field, render(row, field, all, false).text()));
    }

    /** The tokens of a field that holds a whole conversation. */
    public Conversation conversation(Row row, String field) {
        ChatTemplate.Rendered rendered = render(row, field, row.messages(field), false);
        int[] tokens = plain(row, field, rendered.text());
        List<Span> spans = rendered.generated().stream()
                .map(span -> new Span(
                        before(row, field, rendered.text(), span.start(), tokens),
                        before(row, field, rendered.text(), span.end(), tokens)))
                .toList();
        return new Conversation(tokens, spans);
    }

    /** How many of {@code tokens} lie before a place of their text; one that lies on both sides of it does not. */
    private int before(Row row, String field, String text, int place, int[] tokens) {
        return common(plain(row, field, text.substring(0, place)), tokens);
    }

    private static int common(int[] beginning, int[] tokens) {
        int same = Arrays.mismatch(beginning, tokens);
        return same < 0 ? beginning.length : same;
    }

    /** A token that joins the end of the prompt with the beginning of the completion belongs to the completion. */
    private static Prompted prompted(int[] prompt, int[] tokens) {
        return new Prompted(tokens, common(prompt, tokens));
    }

    private ChatTemplate.Rendered render(
            Row row, String field, List<Map<String, @Nullable Object>> messages, boolean addGenerationPrompt) {
        if (template == null) {
            throw row.wrong("\"" + field + "\" is a conversation, and the model has no chat template to write it with");
        }
        try {
            return template.render(messages, addGenerationPrompt, Map.of());
        } catch (IsthmusException e) {
            throw row.wrong("\"" + field + "\": the chat template refuses it: " + e.getMessage());
        }
    }

    /** The token that ends a text behind it, where there is one. */
    public int[] withEos(int[] tokens) {
        OptionalInt eos = tokenizer.eosTokenId();
        boolean there = tokens.length > 0 && eos.isPresent() && tokens[tokens.length - 1] == eos.getAsInt();
        return there
                ? tokens
                : IntStream.concat(IntStream.of(tokens), eos.stream()).toArray();
    }

    /** The tokens of a text with those that begin one. */
    public int[] encode(Row row, String field, String text) {
        try {
            return tokenizer.encode(text, true);
        } catch (IsthmusException e) {
            throw row.wrong("\"" + field + "\": " + e.getMessage());
        }
    }

    /** The tokens of a text alone. */
    public int[] plain(Row row, String field, String text) {
        try {
            return tokenizer.encode(text);
        } catch (IsthmusException e) {
            throw row.wrong("\"" + field + "\": " + e.getMessage());
        }
    }
}
