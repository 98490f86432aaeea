package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.tensor.IsthmusException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * One token for each character, and one that ends a text.
 *
 * <p>Saved as a {@code tokenizer.json} that Hugging Face's tokenizers load: a word-level model over single characters.
 */
public final class CharTokenizer implements Tokenizer {
    /** The name of the token that ends a text. */
    public static final String EOS = "<eos>";

    private static final String ONE_CHARACTER = "[\\s\\S]";

    private final int[] characters;
    private final Map<Integer, Integer> ids = new HashMap<>();
    private final boolean withEos;

    /**
     * A tokenizer of the distinct characters (code points) of a text, in ascending order.
     *
     * @param withEos whether id 0 is the token that ends a text and the characters follow it
     */
    public CharTokenizer(String text, boolean withEos) {
        this(text.codePoints().distinct().sorted().toArray(), withEos);
    }

    private CharTokenizer(int[] characters, boolean withEos) {
        this.characters = characters;
        this.withEos = withEos;
        for (int i = 0; i < characters.length; i++) {
            ids.put(characters[i], i + first());
        }
    }

    private int first() {
        return withEos ? 1 : 0;
    }

    @Override
    public int[] encode(String text) {
        int[] points = text.codePoints().toArray();
        for (int i = 0; i < points.length; i++) {
            Integer id = ids.get(points[i]);
            if (id == null) {
                throw new IsthmusException("the character '" + Character.toString(points[i]) + "' at position " + i
                        + " is not in the vocabulary of " + characters.length + " characters");
            }
            points[i] = id;
        }
        return points;
    }

    @Override
    public String decode(int[] tokens, boolean skipSpecialTokens) {
        StringBuilder text = new StringBuilder();
        for (int id : tokens) {
            if (id >= first() && id < vocabSize()) {
                text.appendCodePoint(characters[id - first()]);
            } else if (id >= 0 && id < first() && !skipSpecialTokens) {
                text.append(EOS);
            }
        }
        return text.toString();
    }

    @Override
    public int vocabSize() {
        return characters.length + first();
    }

    @Override
    public OptionalInt bosTokenId() {
        return OptionalInt.empty();
    }

    @Override
    public OptionalInt eosTokenId() {
        return withEos ? OptionalInt.of(0) : OptionalInt.empty();
    }

    /** Writes {@code tokenizer.json} and {@code tokenizer_config.json}. */
    public void save(Path directory) {
        JsonNodeFactory json = JsonNodeFactory.instance;
        ObjectNode root = json.objectNode();
        root.put("version", "1.0").putNull("truncation").putNull("padding");
        ArrayNode added = root.putArray("added_tokens");
        if (withEos) {
            ObjectNode eos = added.addObject();
            eos.put("id", 0).put("content", EOS).put("single_word", false);
            eos.put("lstrip", false)
                    .put("rstrip", false)
                    .put("normalized", false)
                    .put("special", true);
        }
        root.putNull("normalizer");
        ObjectNode split = root.putObject("pre_tokenizer");
        split.put("type", "Split").putObject("pattern").put("Regex", ONE_CHARACTER);
        split.put("behavior", "Isolated").put("invert", false);
        root.putNull("post_processor");
        root.putObject("decoder").put("type", "Fuse");
        ObjectNode model = root.putObject("model");
        model.put("type", "WordLevel");
        ObjectNode vocab = model.putObject("vocab");
        if (withEos) {
            vocab.put(EOS, 0);
        }
        for (int i = 0; i < characters.length; i++) {
            vocab.put(Character.toString(characters[i]), i + first());
        }
        // Not in the vocabulary, so that an unknown character is an error there too.
        model.put("unk_token", "<unk>");
        Json.write(directory.resolve("tokenizer.json"), root);

        ObjectNode config = json.objectNode();
        config.put("tokenizer_class", "PreTrainedTokenizerFast").put("clean_up_tokenization_spaces", false);
        if (withEos) {
            config.put("eos_token", EOS);
        }
        Json.write(directory.resolve("tokenizer_config.json"), config);
    }

    /** Whether a {@code tokenizer.json} is like those that {@link #save} writes. */
    static boolean wrote(JsonNode root) {
        return root.at("/model/type").asString("").equals("WordLevel")
                && root.at("/pre_tokenizer/pattern/Regex").asString("").equals(ONE_CHARACTER);
    }

    /**
     * The tokenizer of a {@code tokenizer.json} like those that {@link #save} writes.
     *
     * @throws ModelFormatException if its vocabulary is not one of single characters
     */
    static CharTokenizer of(Path file, JsonNode root) {
        JsonNode vocab = root.path("model").path("vocab");
        boolean withEos = vocab.has(EOS);
        int first = withEos ? 1 : 0;
        int[] characters = new int[vocab.size() - first];
        for (Map.Entry<String, JsonNode> entry : vocab.properties()) {
            String token = entry.getKey();
            int id = entry.getValue().isInt() ? entry.getValue().intValue() - first : -1;
            boolean character = token.codePointCount(0, token.length()) == 1;
            boolean fits = token.equals(EOS) ? id == -1 : character && id >= 0 && id < characters.length;
            if (!fits || character && characters[id] != 0) {
                throw new ModelFormatException(
                        file,
                        "the token " + ModelFormatException.quote(token)
                                + " is not a single character with a number of its " + "own below " + vocab.size());
            }
            if (character) {
                characters[id] = token.codePointAt(0);
            }
        }
        return new CharTokenizer(characters, withEos);
    }
}
