package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.Gguf;
import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.model.tokenizer.SentencePiece.Kind;
import dev.isthmus.model.tokenizer.SentencePiece.Piece;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;

/** Says in GGUF's metadata what a {@code tokenizer.json} or llama2.c's vocabulary says, as far as llama.cpp knows such tokenizers. */
public final class GgufMetadata {
    private static final long NORMAL = 1;
    private static final long UNKNOWN = 2;
    private static final long CONTROL = 3;
    private static final long USER_DEFINED = 4;
    private static final long UNUSED = 5;
    private static final long BYTE = 6;

    private final Path file;
    private final JsonNode root;
    private final Tokenizer tokenizer;

    private GgufMetadata(Path file, JsonNode root, Tokenizer tokenizer) {
        this.file = file;
        this.root = root;
        this.tokenizer = tokenizer;
    }

    /**
     * The metadata of a model's tokenizer.
     *
     * @param model a GGUF file, or another with a {@code tokenizer.json} or a vocabulary of llama2.c in it or beside it
     * @param vocabSize the number of rows of the embedding; ids without a token become unused ones
     * @throws IsthmusException if there is none, or one that llama.cpp has no name for
     */
    public static Map<String, Object> of(Path model, int vocabSize) {
        if (model.toString().endsWith(".gguf")) {
            return carried(model);
        }
        Path directory = Files.isDirectory(model) ? model : model.resolveSibling("");
        Path file = directory.resolve("tokenizer.json");
        if (Files.exists(file)) {
            return new GgufMetadata(file, Json.read(file), Tokenizers.load(directory)).metadata(vocabSize);
        }
        Path vocabulary = Tokenizers.llama2c(directory)
                .orElseThrow(() -> new IsthmusException("Cannot say what the tokenizer in " + directory
                        + " does in GGUF: there is neither a tokenizer.json nor a tokenizer.bin of llama2.c, "
                        + "the kinds that can be exported"));
        return llama2c(vocabulary, Llama2cVocabulary.pieces(vocabulary), vocabSize);
    }

    /** What a GGUF file says about its tokenizer. */
    private static Map<String, Object> carried(Path model) {
        try (Arena arena = Arena.ofConfined()) {
            Map<String, Object> metadata =
                    new LinkedHashMap<>(Gguf.open(model, arena).metadata());
            metadata.keySet().removeIf(key -> !key.startsWith("tokenizer."));
            return metadata;
        }
    }

    private static Map<String, Object> llama2c(Path file, List<Piece> pieces, int vocabSize) {
        Tokens tokens = new Tokens(file, vocabSize);
        List<Double> scores = new ArrayList<>(Collections.nCopies(vocabSize, 0.0));
        for (int id = 0; id < pieces.size(); id++) {
            Piece piece = pieces.get(id);
            // llama2.c writes the names of special tokens on lines of their own.
            boolean named = piece.kind() == Kind.UNKNOWN || piece.kind() == Kind.CONTROL;
            String text = named ? piece.text().strip() : piece.text().replace(" ", SentencePiece.SPACE);
            tokens.set(id, text, piece.kind().ordinal() + 1);
            scores.set(id, (double) piece.score());
        }
        Map<String, Object> metadata = new LinkedHashMap<>();
        metadata.put("tokenizer.ggml.model", "llama");
        metadata.put("tokenizer.ggml.pre", "default");
        metadata.put("tokenizer.ggml.scores", scores);
        metadata.put("tokenizer.ggml.add_space_prefix", true);
        tokens.into(metadata);
        metadata.put("tokenizer.ggml.bos_token_id", (long) Llama2cVocabulary.BOS);
        metadata.put("tokenizer.ggml.eos_token_id", (long) Llama2cVocabulary.EOS);
        metadata.put("tokenizer.ggml.add_bos_token", true);
        metadata.put("tokenizer.ggml.add_eos_token", false);
        return metadata;
    }

    /** The texts and types of tokens; an id without one is unused. */
    private static final class Tokens {
        final Path file;
        final String[] texts;
        final long[] types;

        Tokens(Path file, int count) {
            this.file = file;
            texts = new String[count];
            types = new long[count];
            Arrays.setAll(texts, id -> "[PAD" + id + "]");
            Arrays.fill(types, UNUSED);
        }

        void set(int id, String text, long type) {
            if (id < 0 || id >= texts.length) {
                throw new ModelFormatException(
                        file,
                        "the token " + ModelFormatException.quote(text) + " has the id " + id + ", the model "
                                + texts.length + " rows for tokens");
            }
            texts[id] = text;
            types[id] = type;
        }

        void into(Map<String, Object> metadata) {
            metadata.put("tokenizer.ggml.tokens", List.of(texts));
            metadata.put(
                    "tokenizer.ggml.token_type", Arrays.stream(types).boxed().toList());
        }
    }

    private Map<String, Object> metadata(int vocabSize) {
        Map<String, Object> metadata = new LinkedHashMap<>();
        JsonNode model = root.path("model");
        boolean byteLevel = contains(root.path("pre_tokenizer"), "ByteLevel");
        String type = model.path("type").asString("");
        boolean characters = CharTokenizer.wrote(root);
        if (!characters && !type.equals("BPE")) {
            throw bad("of the type " + ModelFormatException.quote(type));
        }
        Tokens tokens = new Tokens(file, vocabSize);
        for (Map.Entry<String, JsonNode> entry : model.path("vocab").properties()) {
            int id = entry.getValue().asInt(-1);
            tokens.set(id, entry.getKey(), Vocabulary.byteOf(entry.getKey()) >= 0 && !byteLevel ? BYTE : NORMAL);
        }
        for (JsonNode added : root.path("added_tokens")) {
            String token = added.path("content").asString("");
            boolean unknown = token.equals(model.path("unk_token").asString(""));
            tokens.set(
                    added.path("id").asInt(-1),
                    token,
                    unknown ? UNKNOWN : added.path("special").asBoolean(false) ? CONTROL : USER_DEFINED);
        }
        if (byteLevel) {
            metadata.put("tokenizer.ggml.model", "gpt2");
            metadata.put("tokenizer.ggml.pre", pre());
            metadata.put("tokenizer.ggml.merges", merges(model.path("merges")));
        } else {
            metadata.put("tokenizer.ggml.model", "llama");
            metadata.put("tokenizer.ggml.pre", "default");
            List<Double> scores = new ArrayList<>(vocabSize);
            for (int id = 0; id < vocabSize; id++) {
                scores.add(tokens.types[id] == NORMAL ? -(double) id : 0);
                if (characters) {
                    tokens.texts[id] = tokens.texts[id].replace(" ", SentencePiece.SPACE);
                }
            }
            metadata.put("tokenizer.ggml.scores", scores);
            metadata.put("tokenizer.ggml.add_space_prefix", prefix());
        }
        tokens.into(metadata);
        int[] around = tokenizer.encode("", true);
        // A tokenizer.json alone does not name the token that it puts before a text.
        int bos = tokenizer.bosTokenId().orElse(around.length > 0 ? around[0] : -1);
        if (bos >= 0) {
            metadata.put("tokenizer.ggml.bos_token_id", (long) bos);
        }
        tokenizer.eosTokenId().ifPresent(id -> metadata.put("tokenizer.ggml.eos_token_id", (long) id));
        metadata.put("tokenizer.ggml.add_bos_token", around.length > 0 && around[0] == bos);
        metadata.put("tokenizer.ggml.add_eos_token", false);
        template().ifPresent(text -> metadata.put("tokenizer.chat_template", text));
        return metadata;
    }

    /** Whether a text gets a space before it. */
    private boolean prefix() {
        JsonNode metaspace = root.path("pre_tokenizer");
        return contains(root.path("normalizer"), "Prepend")
                || contains(metaspace, "Metaspace")
                        && !metaspace.toString().contains("\"prepend_scheme\":\"never\"")
                        && !metaspace.toString().contains("\"add_prefix_space\":false");
    }

    private Optional<String> template() {
        Path jinja = file.resolveSibling("chat_template.jinja");
        if (Files.exists(jinja)) {
            try {
                return Optional.of(Files.readString(jinja));
            } catch (IOException e) {
                throw new IsthmusException("Cannot read " + jinja + ": " + e, e);
            }
        }
        Path config = file.resolveSibling("tokenizer_config.json");
        JsonNode template = Files.exists(config) ? Json.read(config).path("chat_template") : root.path("none");
        return template.isString() ? Optional.of(template.stringValue()) : Optional.empty();
    }

    private static List<String> merges(JsonNode merges) {
        List<String> lines = new ArrayList<>(merges.size());
        for (JsonNode merge : merges) {
            lines.add(
                    merge.isArray()
                            ? merge.path(0).asString("") + " " + merge.path(1).asString("")
                            : merge.asString(""));
        }
        return lines;
    }

    /** The name that llama.cpp gives to a way of splitting words. */
    private String pre() {
        List<String> steps = new ArrayList<>();
        steps(root.path("pre_tokenizer"), steps);
        return switch (String.join(" ", steps)) {
            case "ByteLevel+regex" -> "gpt-2";
            case "gpt2 ByteLevel" -> "gpt-2";
            case "Digits ByteLevel+regex", "digits gpt2 ByteLevel" -> "smollm";
            case "llama3 ByteLevel" -> "llama-bpe";
            case "qwen2 ByteLevel" -> "qwen2";
            default -> throw bad("that splits words by " + steps);
        };
    }

    private static void steps(JsonNode step, List<String> steps) {
        String type = step.path("type").asString("");
        switch (type) {
            case "Sequence" -> step.path("pretokenizers").forEach(part -> steps(part, steps));
            case "ByteLevel" -> steps.add(step.path("use_regex").asBoolean(true) ? "ByteLevel+regex" : "ByteLevel");
            case "Split" -> {
                String regex = step.path("pattern").path("Regex").asString("");
                steps.add(
                        switch (regex) {
                            case PreTokenizer.GPT2 -> "gpt2";
                            case PreTokenizer.DIGITS -> "digits";
                            default ->
                                regex.equals(PreTokenizer.LLAMA3)
                                        ? "llama3"
                                        : regex.equals(PreTokenizer.QWEN2) ? "qwen2" : "Split " + regex;
                        });
            }
            default -> steps.add(type);
        }
    }

    private static boolean contains(JsonNode step, String type) {
        return step.path("type").asString("").equals(type)
                || step.path("pretokenizers").valueStream().anyMatch(part -> contains(part, type))
                || step.path("normalizers").valueStream().anyMatch(part -> contains(part, type));
    }

    private ModelFormatException bad(String kind) {
        return new ModelFormatException(file, "llama.cpp knows no tokenizer " + kind);
    }
}
