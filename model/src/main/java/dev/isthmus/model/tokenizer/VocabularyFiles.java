package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.model.tokenizer.AddedTokens.AddedToken;
import dev.isthmus.model.tokenizer.PreTokenizer.Behavior;
import dev.isthmus.model.tokenizer.PretrainedTokenizer.Ends;
import dev.isthmus.model.tokenizer.PretrainedTokenizer.Template;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import tools.jackson.databind.JsonNode;

/** Reads the vocabularies that are older than tokenizer.json: {@code vocab.json} with {@code merges.txt}, and {@code vocab.txt}. */
final class VocabularyFiles {
    private static final List<String> BERT_TOKENS = List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]");

    private VocabularyFiles() {}

    /**
     * Byte-level BPE.
     *
     * @param vocab ids by token, a JSON object
     * @param merges a merge a line, after a line that begins with {@code #version}
     */
    static PretrainedTokenizer byteLevel(Path vocab, Path merges) {
        Map<String, Integer> ids = new HashMap<>();
        for (Map.Entry<String, JsonNode> entry : Json.read(vocab).properties()) {
            ids.put(entry.getKey(), entry.getValue().isInt() ? entry.getValue().intValue() : -1);
        }
        List<Bpe.Merge> rules = new ArrayList<>();
        List<AddedToken> added = new ArrayList<>();
        ids.forEach((token, id) -> {
            if (token.startsWith("<|") && token.endsWith("|>")) {
                added.add(AddedToken.special(id, token));
            }
        });
        Path config = vocab.resolveSibling("tokenizer_config.json");
        boolean qwen = Files.exists(config)
                && Json.read(config).path("tokenizer_class").asString("").startsWith("Qwen2");
        if (Files.exists(config)) {
            Json.read(config).path("added_tokens_decoder").properties().forEach(entry -> {
                if (entry.getKey().matches("\\d{1,9}")) {
                    JsonNode token = entry.getValue();
                    added.add(new AddedToken(
                            Integer.parseInt(entry.getKey()),
                            token.path("content").asString(""),
                            token.path("single_word").asBoolean(false),
                            token.path("lstrip").asBoolean(false),
                            token.path("rstrip").asBoolean(false),
                            token.path("normalized").asBoolean(false),
                            token.path("special").asBoolean(false)));
                }
            });
        }
        try {
            for (String line : lines(merges)) {
                if (!line.startsWith("#version") && !line.isEmpty()) {
                    rules.add(TokenizerJson.merge(line));
                }
            }
            PretrainedTokenizer tokenizer = new PretrainedTokenizer(
                    added,
                    qwen ? Normalizer.unicode(java.text.Normalizer.Form.NFC) : Normalizer.NONE,
                    PreTokenizer.sequence(List.of(
                            PreTokenizer.regex(
                                    Patterns.compile(qwen ? PreTokenizer.QWEN2 : PreTokenizer.GPT2),
                                    Behavior.ISOLATED,
                                    false),
                            PreTokenizer.byteLevel(false, false))),
                    new Bpe(new Vocabulary(ids), rules, Bpe.Options.byteLevel(false)),
                    TokenDecoder.byteLevel(),
                    Template.NONE,
                    Ends.NONE);
            return tokenizer.withEnds(
                    Files.exists(config)
                            ? TokenizerJson.ends(config, tokenizer)
                            : new Ends(tokenizer.tokenId("<|endoftext|>"), tokenizer.tokenId("<|endoftext|>")));
        } catch (IllegalArgumentException e) {
            throw new ModelFormatException(merges, String.valueOf(e.getMessage()), e);
        }
    }

    /**
     * BERT's WordPiece.
     *
     * @param vocab a token a line
     */
    static PretrainedTokenizer wordPiece(Path vocab) {
        List<String> tokens = lines(vocab);
        Map<String, Integer> ids = new HashMap<>();
        for (int id = 0; id < tokens.size(); id++) {
            ids.putIfAbsent(tokens.get(id), id);
        }
        Path config = vocab.resolveSibling("tokenizer_config.json");
        boolean lowercase =
                !Files.exists(config) || Json.read(config).path("do_lower_case").asBoolean(true);
        List<AddedToken> added = BERT_TOKENS.stream()
                .filter(ids::containsKey)
                .map(token -> AddedToken.special(ids.getOrDefault(token, 0), token))
                .toList();
        Ends ends = new Ends(id(ids, "[CLS]"), id(ids, "[SEP]"));
        try {
            return new PretrainedTokenizer(
                    added,
                    Normalizer.bert(true, true, lowercase, lowercase),
                    PreTokenizer.bert(),
                    new WordPiece(new Vocabulary(ids), "[UNK]", "##", 100),
                    TokenDecoder.wordPiece("##", true),
                    new Template(
                            ends.bos().stream().toArray(), ends.eos().stream().toArray()),
                    ends);
        } catch (IllegalArgumentException e) {
            throw new ModelFormatException(vocab, String.valueOf(e.getMessage()), e);
        }
    }

    private static OptionalInt id(Map<String, Integer> ids, String token) {
        Integer id = ids.get(token);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    private static List<String> lines(Path file) {
        try {
            // Not readAllLines: tokens may hold characters that end a line elsewhere.
            return List.of(Files.readString(file, StandardCharsets.UTF_8).split("\r?\n", 0));
        } catch (IOException e) {
            throw new IsthmusException("Cannot read " + file + ": " + e, e);
        }
    }
}
