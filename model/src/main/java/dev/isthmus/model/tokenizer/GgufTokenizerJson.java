package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.Gguf;
import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.model.tokenizer.SentencePiece.Kind;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.BitSet;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Says in {@code tokenizer.json} and {@code tokenizer_config.json} what the metadata of a GGUF file say about its tokenizer. */
final class GgufTokenizerJson {
    private static final String KEY = GgufVocabulary.KEY;

    private final Gguf file;
    private final PretrainedTokenizer tokenizer;
    private final List<String> tokens;
    private final List<Kind> kinds;
    private final ObjectNode root = JsonNodeFactory.instance.objectNode();

    private GgufTokenizerJson(Gguf file) {
        this.file = file;
        tokenizer = GgufVocabulary.read(file);
        GgufVocabulary vocabulary = new GgufVocabulary(file);
        tokens = vocabulary.tokens();
        kinds = vocabulary.types().stream().map(this::kind).toList();
    }

    private Kind kind(long type) {
        if (type < 1 || type > Kind.values().length) {
            throw new ModelFormatException(file.file(), "a token of the type " + type);
        }
        return Kind.values()[(int) type - 1];
    }

    /**
     * Writes both files.
     *
     * @throws ModelFormatException if the tokenizer is damaged or not one of a model that writes text
     */
    static void write(Gguf file, Path directory) {
        GgufTokenizerJson json = new GgufTokenizerJson(file);
        Json.write(directory.resolve("tokenizer.json"), json.tokenizer());
        Json.write(directory.resolve("tokenizer_config.json"), json.config());
    }

    private ObjectNode tokenizer() {
        root.put("version", "1.0").putNull("truncation").putNull("padding");
        added(root.putArray("added_tokens"));
        String model = String.valueOf(file.string(KEY + "model"));
        switch (model) {
            case "gpt2" -> byteLevel();
            case "llama", "t5" -> sentencePiece(model.equals("t5"));
            default ->
                throw new ModelFormatException(
                        file.file(), "a tokenizer of the kind '" + model + "' cannot be written as tokenizer.json");
        }
        return root;
    }

    private void added(ArrayNode added) {
        boolean special = !"gpt2".equals(file.string(KEY + "model"));
        for (int id = 0; id < tokens.size(); id++) {
            Kind kind = kinds.get(id);
            boolean control = kind == Kind.CONTROL || special && kind == Kind.UNKNOWN;
            if (control || kind == Kind.USER_DEFINED) {
                ObjectNode node = added.addObject();
                node.put("id", id).put("content", tokens.get(id)).put("single_word", false);
                node.put("lstrip", false)
                        .put("rstrip", false)
                        .put("normalized", false)
                        .put("special", control);
            }
        }
    }

    private void byteLevel() {
        String pre = file.string(KEY + "pre");
        root.putNull("normalizer");
        ObjectNode splits = root.putObject("pre_tokenizer").put("type", "Sequence");
        ArrayNode steps = splits.putArray("pretokenizers");
        for (String pattern : GgufVocabulary.patterns(pre == null ? "default" : pre)) {
            ObjectNode split = steps.addObject().put("type", "Split");
            split.putObject("pattern").put("Regex", pattern);
            split.put("behavior", "Isolated").put("invert", false);
        }
        byteLevel(steps.addObject());
        around();
        byteLevel(root.putObject("decoder"));
        ObjectNode model = root.putObject("model");
        model.put("type", "BPE").putNull("dropout").putNull("unk_token");
        model.putNull("continuing_subword_prefix").putNull("end_of_word_suffix");
        model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", "llama-bpe".equals(pre));
        vocabulary().forEach(model.putObject("vocab")::put);
        ArrayNode merges = model.putArray("merges");
        for (String line : file.list(KEY + "merges", String.class)) {
            add(merges, TokenizerJson.merge(line));
        }
    }

    private static void byteLevel(ObjectNode node) {
        node.put("type", "ByteLevel")
                .put("add_prefix_space", false)
                .put("trim_offsets", true)
                .put("use_regex", false);
    }

    private static void add(ArrayNode merges, Bpe.Merge merge) {
        merges.addArray().add(merge.left()).add(merge.right());
    }

    private void sentencePiece(boolean unigram) {
        boolean prefix = file.flag(KEY + "add_space_prefix", true);
        ArrayNode normalizers =
                root.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
        if (file.metadata().get(KEY + "precompiled_charsmap") instanceof List<?> bytes) {
            String encoded = Base64.getEncoder().encodeToString(GgufVocabulary.bytes(bytes));
            normalizers.addObject().put("type", "Precompiled").put("precompiled_charsmap", encoded);
        }
        if (file.flag(KEY + "remove_extra_whitespaces", false)) {
            replace(normalizers.addObject(), "Regex", SentencePiece.EXTRA_SPACES, "");
        }
        if (prefix) {
            normalizers.addObject().put("type", "Prepend").put("prepend", SentencePiece.SPACE);
        }
        replace(normalizers.addObject(), "String", " ", SentencePiece.SPACE);
        root.putNull("pre_tokenizer");
        around();
        ArrayNode decoders = root.putObject("decoder").put("type", "Sequence").putArray("decoders");
        replace(decoders.addObject(), "String", SentencePiece.SPACE, " ");
        decoders.addObject().put("type", "ByteFallback");
        decoders.addObject().put("type", "Fuse");
        if (prefix) {
            decoders.addObject()
                    .put("type", "Strip")
                    .put("content", " ")
                    .put("start", 1)
                    .put("stop", 0);
        }
        List<Double> scores = file.list(KEY + "scores", Double.class);
        int unknown = Math.max(0, kinds.indexOf(Kind.UNKNOWN));
        ObjectNode model = root.putObject("model");
        if (unigram) {
            model.put("type", "Unigram").put("unk_id", unknown);
            ArrayNode vocabulary = model.putArray("vocab");
            for (int id = 0; id < tokens.size(); id++) {
                vocabulary.addArray().add(tokens.get(id)).add(scores.get(id));
            }
        } else {
            model.put("type", "BPE").putNull("dropout").put("unk_token", tokens.get(unknown));
            model.putNull("continuing_subword_prefix").putNull("end_of_word_suffix");
            model.put("fuse_unk", true);
            Map<String, Integer> vocabulary = vocabulary();
            vocabulary.forEach(model.putObject("vocab")::put);
            ArrayNode merges = model.putArray("merges");
            merges(vocabulary, scores).forEach(merge -> add(merges, merge));
        }
        model.put("byte_fallback", kinds.contains(Kind.BYTE));
    }

    private static void replace(ObjectNode node, String kind, String pattern, String content) {
        node.put("type", "Replace").putObject("pattern").put(kind, pattern);
        node.put("content", content);
    }

    /** Every way to make a token of two others, those of the highest score first. */
    private List<Bpe.Merge> merges(Map<String, Integer> vocabulary, List<Double> scores) {
        record Scored(Bpe.Merge merge, double score, int left, int right) {}
        List<Scored> merges = new ArrayList<>();
        // So that a very long token does not cost its length squared.
        BitSet lengths = new BitSet();
        vocabulary.keySet().forEach(token -> lengths.set(token.length()));
        for (Map.Entry<String, Integer> entry : vocabulary.entrySet()) {
            String token = entry.getKey();
            Kind kind = kinds.get(entry.getValue());
            if (kind != Kind.NORMAL && kind != Kind.BYTE || token.isEmpty()) {
                continue;
            }
            for (int at = token.offsetByCodePoints(0, 1); at < token.length(); at = token.offsetByCodePoints(at, 1)) {
                if (!lengths.get(at) || !lengths.get(token.length() - at)) {
                    continue;
                }
                Integer left = vocabulary.get(token.substring(0, at));
                Integer right = vocabulary.get(token.substring(at));
                if (left != null && right != null) {
                    Bpe.Merge merge = new Bpe.Merge(token.substring(0, at), token.substring(at));
                    merges.add(new Scored(merge, scores.get(entry.getValue()), left, right));
                }
            }
        }
        merges.sort(Comparator.comparingDouble((Scored m) -> -m.score)
                .thenComparingInt(Scored::left)
                .thenComparingInt(Scored::right));
        return merges.stream().map(Scored::merge).toList();
    }

    private Map<String, Integer> vocabulary() {
        Map<String, Integer> ids = new LinkedHashMap<>();
        for (int id = 0; id < tokens.size(); id++) {
            ids.putIfAbsent(tokens.get(id), id);
        }
        return ids;
    }

    /** The tokens around a text. */
    private void around() {
        int[] before = tokenizer.template().before();
        int[] behind = tokenizer.template().behind();
        if (before.length + behind.length == 0) {
            root.putNull("post_processor");
            return;
        }
        ObjectNode template = root.putObject("post_processor").put("type", "TemplateProcessing");
        for (String key : List.of("single", "pair")) {
            ArrayNode parts = template.putArray(key);
            for (int text = 0; text < (key.equals("single") ? 1 : 2); text++) {
                special(parts, before, text);
                parts.addObject()
                        .putObject("Sequence")
                        .put("id", text == 0 ? "A" : "B")
                        .put("type_id", text);
                special(parts, behind, text);
            }
        }
        ObjectNode named = template.putObject("special_tokens");
        for (int[] ids : List.of(before, behind)) {
            for (int id : ids) {
                ObjectNode token = named.putObject(tokens.get(id)).put("id", tokens.get(id));
                token.putArray("ids").add(id);
                token.putArray("tokens").add(tokens.get(id));
            }
        }
    }

    private void special(ArrayNode parts, int[] ids, int text) {
        for (int id : ids) {
            parts.addObject()
                    .putObject("SpecialToken")
                    .put("id", tokens.get(id))
                    .put("type_id", text);
        }
    }

    private ObjectNode config() {
        ObjectNode config = JsonNodeFactory.instance.objectNode();
        config.put("tokenizer_class", "PreTrainedTokenizerFast").put("clean_up_tokenization_spaces", false);
        put(config, "bos_token", tokenizer.bosTokenId());
        put(config, "eos_token", tokenizer.eosTokenId());
        put(config, "unk_token", file.integer(KEY + "unknown_token_id"));
        put(config, "pad_token", file.integer(KEY + "padding_token_id"));
        String template = file.string("tokenizer.chat_template");
        if (template != null) {
            config.put("chat_template", template);
        }
        return config;
    }

    private void put(ObjectNode config, String name, OptionalInt id) {
        if (id.isPresent() && id.getAsInt() >= 0 && id.getAsInt() < tokens.size()) {
            config.put(name, tokens.get(id.getAsInt()));
        }
    }
}
