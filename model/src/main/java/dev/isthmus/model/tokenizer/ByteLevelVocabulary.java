package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.Json;
import dev.isthmus.model.tokenizer.AddedTokens.AddedToken;
import dev.isthmus.model.tokenizer.PretrainedTokenizer.Ends;
import dev.isthmus.model.tokenizer.PretrainedTokenizer.Template;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** A byte-level vocabulary that was learned here: special tokens, the 256 bytes, and one token for each merge. */
public final class ByteLevelVocabulary {
    private final List<String> specialTokens;
    private final List<Bpe.Merge> merges;
    private final Map<String, Integer> ids = new LinkedHashMap<>();

    ByteLevelVocabulary(List<String> specialTokens, List<Bpe.Merge> merges) {
        this.specialTokens = specialTokens;
        this.merges = merges;
        specialTokens.forEach(this::add);
        for (char c = 0; c < 512; c++) {
            if (ByteAlphabet.value(c) >= 0) {
                add(String.valueOf(c));
            }
        }
        merges.forEach(merge -> add(merge.left() + merge.right()));
    }

    private void add(String token) {
        ids.putIfAbsent(token, ids.size());
    }

    /** The merges as {@code merges.txt} writes them, in the order in which they were learned. */
    public List<String> merges() {
        return merges.stream().map(merge -> merge.left() + " " + merge.right()).toList();
    }

    /** The ids of the tokens, the bytes written as GPT-2 does. */
    public Map<String, Integer> ids() {
        return Map.copyOf(ids);
    }

    /** The tokenizer of this vocabulary; the first special token, if there is one, ends a text. */
    public PretrainedTokenizer tokenizer() {
        List<AddedToken> added = new ArrayList<>();
        for (String token : specialTokens) {
            added.add(AddedToken.special(added.size(), token));
        }
        return new PretrainedTokenizer(
                added,
                Normalizer.NONE,
                PreTokenizer.byteLevel(false, true),
                new Bpe(new Vocabulary(ids), merges, Bpe.Options.byteLevel(false)),
                TokenDecoder.byteLevel(),
                Template.NONE,
                new Ends(OptionalInt.empty(), specialTokens.isEmpty() ? OptionalInt.empty() : OptionalInt.of(0)));
    }

    /** Writes {@code tokenizer.json} and {@code tokenizer_config.json}, which Hugging Face's tokenizers load. */
    public void save(Path directory) {
        JsonNodeFactory json = JsonNodeFactory.instance;
        ObjectNode root = json.objectNode();
        root.put("version", "1.0").putNull("truncation").putNull("padding");
        ArrayNode added = root.putArray("added_tokens");
        for (String token : specialTokens) {
            ObjectNode node = added.addObject();
            node.put("id", ids.get(token)).put("content", token).put("single_word", false);
            node.put("lstrip", false)
                    .put("rstrip", false)
                    .put("normalized", false)
                    .put("special", true);
        }
        root.putNull("normalizer");
        byteLevel(root.putObject("pre_tokenizer"));
        root.putNull("post_processor");
        byteLevel(root.putObject("decoder"));
        ObjectNode model = root.putObject("model");
        model.put("type", "BPE").putNull("dropout").putNull("unk_token");
        model.putNull("continuing_subword_prefix").putNull("end_of_word_suffix");
        model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
        ObjectNode vocab = model.putObject("vocab");
        ids.forEach(vocab::put);
        ArrayNode pairs = model.putArray("merges");
        merges.forEach(merge -> pairs.addArray().add(merge.left()).add(merge.right()));
        Json.write(directory.resolve("tokenizer.json"), root);

        ObjectNode config = json.objectNode();
        config.put("tokenizer_class", "PreTrainedTokenizerFast").put("clean_up_tokenization_spaces", false);
        if (!specialTokens.isEmpty()) {
            config.put("eos_token", specialTokens.getFirst());
        }
        Json.write(directory.resolve("tokenizer_config.json"), config);
    }

    private static void byteLevel(ObjectNode node) {
        node.put("type", "ByteLevel")
                .put("add_prefix_space", false)
                .put("trim_offsets", true)
                .put("use_regex", true);
    }
}
