package dev.isthmus.train.supervised;

import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.Epochs;
import dev.isthmus.train.Example;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The rows of a dataset in TRL's standard formats, one JSON object a line: {@code {"prompt": ..., "completion": ...}}, of
 * which only the completion is learned, or {@code {"text": ...}}. What ends a text is learned too, where the tokenizer has a
 * token for it; further columns are passed over.
 *
 * <p>A row that is too long loses its end (TRL's {@code keep_start}); one whose completion would be lost whole is left out.
 */
final class DatasetRows implements ExampleSource {
    private static final JsonMapper JSON = JsonMapper.shared();

    private final List<Example> train;
    private final List<Example> validation;
    private final Epochs epochs;
    private final String description;

    /**
     * The rows of {@code data}.
     *
     * @param held rows to hold out; null for none
     * @param length tokens that a model may read of a row
     * @throws IsthmusException that names file, line and field if a row is not of these formats
     */
    DatasetRows(DataFile data, @Nullable DataFile held, Tokenizer tokenizer, int length, Rng rng) {
        Reader rows = new Reader(data, tokenizer, length);
        train = rows.examples;
        validation = held == null ? List.of() : new Reader(held, tokenizer, length).examples;
        epochs = new Epochs(train.size(), rng.split("order"));
        description = rows.description();
    }

    @Override
    public Example example(long place) {
        return train.get(epochs.at(place));
    }

    @Override
    public long epoch() {
        return train.size();
    }

    @Override
    public List<Example> validation() {
        return validation;
    }

    @Override
    public String description() {
        return description;
    }

    /** Reads a file once, from top to bottom. */
    private static final class Reader {
        final List<Example> examples = new ArrayList<>();
        private final DataFile data;
        private final Tokenizer tokenizer;
        private final int length;
        private int line;
        private int cut;
        private int leftOut;

        Reader(DataFile data, Tokenizer tokenizer, int length) {
            this.data = data;
            this.tokenizer = tokenizer;
            this.length = length;
            for (String text : data.text().lines().toList()) {
                line++;
                if (!text.isBlank()) {
                    add(row(text));
                }
            }
            if (examples.isEmpty()) {
                throw new IsthmusException(
                        data.name() + " has nothing to learn: no completion begins within max_length " + length);
            }
        }

        private JsonNode row(String text) {
            try {
                JsonNode row = JSON.readTree(text);
                if (row.isObject()) {
                    return row;
                }
            } catch (JacksonException e) {
                throw wrong("is not JSON: "
                        + e.getOriginalMessage().lines().findFirst().orElse(""));
            }
            throw wrong("is not a JSON object");
        }

        private void add(JsonNode row) {
            int[] prompt = new int[0];
            int[] tokens;
            if (row.has("prompt") || row.has("completion")) {
                prompt = encode("prompt", field(row, "prompt"));
                // By itself first, so that what is wrong with it is said of it alone.
                encode("completion", field(row, "completion"));
                tokens = tokenizer.encode(field(row, "prompt") + field(row, "completion"), true);
            } else if (row.has("text")) {
                tokens = encode("text", field(row, "text"));
            } else {
                throw wrong("has neither \"prompt\" and \"completion\" nor \"text\"; it has "
                        + (row.isEmpty() ? "nothing" : String.join(", ", row.propertyNames())));
            }
            tokens = IntStream.concat(IntStream.of(tokens), tokenizer.eosTokenId().stream())
                    .toArray();
            // A token that joins the end of the prompt with the beginning of the completion is learned. Of a text
            // without a
            // token that begins it, the first token cannot be told from anything before it.
            int same = Arrays.mismatch(prompt, tokens);
            int promptLength = Math.max(1, same < 0 ? prompt.length : same);
            int kept = Math.min(length, tokens.length);
            if (promptLength >= kept) {
                leftOut++;
            } else {
                cut += kept < tokens.length ? 1 : 0;
                examples.add(new Example(Arrays.copyOf(tokens, kept), promptLength));
            }
        }

        private String field(JsonNode row, String name) {
            JsonNode value = row.get(name);
            if (value == null) {
                throw wrong("has no \"" + name + "\"");
            }
            if (!value.isString()) {
                String hint = value.isArray() ? " (conversations are not read yet)" : "";
                throw wrong("\"" + name + "\" must be a string, found " + shortened(value.toString()) + hint);
            }
            return value.stringValue();
        }

        private int[] encode(String field, String text) {
            try {
                return tokenizer.encode(text, true);
            } catch (IsthmusException e) {
                throw wrong("\"" + field + "\": " + e.getMessage());
            }
        }

        String description() {
            return String.format(Locale.ROOT, "%,d rows to learn from", examples.size())
                    + (cut > 0 ? String.format(Locale.ROOT, ", %,d cut to %,d tokens", cut, length) : "")
                    + (leftOut > 0 ? String.format(Locale.ROOT, "; %,d left out, with nothing to learn", leftOut) : "");
        }

        private IsthmusException wrong(String problem) {
            return new IsthmusException(data.name() + ", line " + line + ": " + problem);
        }

        private static String shortened(String text) {
            return text.length() <= 60 ? text : text.substring(0, 60) + "...";
        }
    }
}
