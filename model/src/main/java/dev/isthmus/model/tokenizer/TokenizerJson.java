package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.model.tokenizer.AddedTokens.AddedToken;
import dev.isthmus.model.tokenizer.PreTokenizer.Behavior;
import dev.isthmus.model.tokenizer.PreTokenizer.PrependScheme;
import dev.isthmus.model.tokenizer.PretrainedTokenizer.Ends;
import dev.isthmus.model.tokenizer.PretrainedTokenizer.Template;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.Normalizer.Form;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * Reads the {@code tokenizer.json} of Hugging Face's tokenizers, and who begins and ends a text from the {@code
 * tokenizer_config.json} beside it.
 *
 * <p>The blocks {@code truncation} and {@code padding}, which training scripts leave there, are not applied.
 */
final class TokenizerJson {
    private final Path file;

    private TokenizerJson(Path file) {
        this.file = file;
    }

    /**
     * A tokenizer.
     *
     * @throws ModelFormatException if the file is damaged or asks for what is not known; the message names it
     */
    static PretrainedTokenizer read(Path file, JsonNode root) {
        try {
            return new TokenizerJson(file).tokenizer(root);
        } catch (IllegalArgumentException e) {
            throw new ModelFormatException(file, String.valueOf(e.getMessage()), e);
        }
    }

    private PretrainedTokenizer tokenizer(JsonNode root) {
        List<AddedToken> added = new ArrayList<>();
        for (JsonNode token : root.path("added_tokens")) {
            added.add(new AddedToken(
                    integer(token, "id"),
                    string(token, "content"),
                    token.path("single_word").asBoolean(false),
                    token.path("lstrip").asBoolean(false),
                    token.path("rstrip").asBoolean(false),
                    token.path("normalized").asBoolean(true),
                    token.path("special").asBoolean(false)));
        }
        TokenModel model = model(root.path("model"));
        boolean whole = absent(root.path("pre_tokenizer")) && model instanceof Bpe bpe && bpe.joinsAlike();
        PretrainedTokenizer tokenizer = new PretrainedTokenizer(
                added,
                normalizer(root.path("normalizer")),
                whole
                        ? SentencePiece.words(model.vocabulary(), SentencePiece.SPACE)
                        : preTokenizer(root.path("pre_tokenizer")),
                model,
                decoder(root.path("decoder")),
                template(root.path("post_processor")),
                Ends.NONE);
        return tokenizer.withEnds(ends(file.resolveSibling("tokenizer_config.json"), tokenizer));
    }

    /** Who begins and ends a text, from a {@code tokenizer_config.json} if it is there. */
    static Ends ends(Path config, PretrainedTokenizer tokenizer) {
        if (!Files.exists(config)) {
            return Ends.NONE;
        }
        JsonNode root = Json.read(config);
        return new Ends(end(root.path("bos_token"), tokenizer), end(root.path("eos_token"), tokenizer));
    }

    private static OptionalInt end(JsonNode token, PretrainedTokenizer tokenizer) {
        String text = token.isObject() ? token.path("content").asString("") : token.asString("");
        return text.isEmpty() ? OptionalInt.empty() : tokenizer.tokenId(text);
    }

    // ---- model ----------------------------------------------------------------------------------------------------

    private TokenModel model(JsonNode model) {
        // Old files name no type; it follows from what they hold.
        String type = model.path("type").asString(model.has("merges") ? "BPE" : "");
        return switch (type) {
            case "BPE" -> {
                if (model.path("dropout").asDouble(0) != 0) {
                    throw bad("a model with dropout");
                }
                yield new Bpe(
                        vocabulary(model.path("vocab")),
                        merges(model.path("merges")),
                        new Bpe.Options(
                                model.path("unk_token").isString()
                                        ? model.path("unk_token").stringValue()
                                        : null,
                                model.path("continuing_subword_prefix").asString(""),
                                model.path("end_of_word_suffix").asString(""),
                                model.path("fuse_unk").asBoolean(false),
                                model.path("byte_fallback").asBoolean(false),
                                model.path("ignore_merges").asBoolean(false)));
            }
            case "WordPiece" ->
                new WordPiece(
                        vocabulary(model.path("vocab")),
                        model.path("unk_token").asString("[UNK]"),
                        model.path("continuing_subword_prefix").asString("##"),
                        model.path("max_input_chars_per_word").asInt(100));
            case "WordLevel" ->
                new WordLevel(
                        vocabulary(model.path("vocab")), model.path("unk_token").asString(""));
            case "Unigram" -> {
                List<String> tokens = new ArrayList<>();
                double[] scores = new double[model.path("vocab").size()];
                for (JsonNode entry : model.path("vocab")) {
                    scores[tokens.size()] = entry.path(1).asDouble(Double.NaN);
                    tokens.add(entry.path(0).asString(""));
                }
                yield new Unigram(
                        tokens,
                        scores,
                        integer(model, "unk_id"),
                        model.path("byte_fallback").asBoolean(false));
            }
            default -> throw bad("a model of the type " + ModelFormatException.quote(type));
        };
    }

    private static Vocabulary vocabulary(JsonNode vocab) {
        if (!vocab.isObject() || vocab.isEmpty()) {
            throw new IllegalArgumentException("the model has no vocab, an object from tokens to ids");
        }
        Map<String, Integer> ids = new HashMap<>();
        for (Map.Entry<String, JsonNode> entry : vocab.properties()) {
            ids.put(entry.getKey(), entry.getValue().isInt() ? entry.getValue().intValue() : -1);
        }
        return new Vocabulary(ids);
    }

    private List<Bpe.Merge> merges(JsonNode merges) {
        List<Bpe.Merge> all = new ArrayList<>(merges.size());
        for (JsonNode merge : merges) {
            if (merge.isArray() && merge.size() == 2) {
                all.add(new Bpe.Merge(merge.path(0).asString(""), merge.path(1).asString("")));
            } else {
                all.add(merge(merge.asString("")));
            }
        }
        return all;
    }

    /** A merge written as two tokens with a space between. */
    static Bpe.Merge merge(String line) {
        int space = line.indexOf(' ', 1);
        if (space < 0) {
            throw new IllegalArgumentException("a merge must be two tokens, found '" + line + "'");
        }
        return new Bpe.Merge(line.substring(0, space), line.substring(space + 1));
    }

    // ---- text ------------------------------------------------------------------------------------------------------

    private Normalizer normalizer(JsonNode n) {
        if (absent(n)) {
            return Normalizer.NONE;
        }
        return switch (type(n)) {
            case "Sequence" -> Normalizer.sequence(all(n.path("normalizers"), this::normalizer));
            case "NFC" -> Normalizer.unicode(Form.NFC);
            case "NFD" -> Normalizer.unicode(Form.NFD);
            case "NFKC" -> Normalizer.unicode(Form.NFKC);
            case "NFKD" -> Normalizer.unicode(Form.NFKD);
            case "Lowercase" -> Normalizer.lowercase();
            case "StripAccents" -> Normalizer.stripAccents();
            case "Strip" ->
                Normalizer.strip(
                        n.path("strip_left").asBoolean(true),
                        n.path("strip_right").asBoolean(true));
            case "Prepend" -> Normalizer.prepend(string(n, "prepend"));
            case "Replace" -> Normalizer.replace(pattern(n.path("pattern")), string(n, "content"));
            case "Precompiled" -> new CharsMap(Base64.getDecoder().decode(string(n, "precompiled_charsmap")));
            case "BertNormalizer" -> {
                boolean lowercase = n.path("lowercase").asBoolean(true);
                yield Normalizer.bert(
                        n.path("clean_text").asBoolean(true),
                        n.path("handle_chinese_chars").asBoolean(true),
                        n.path("strip_accents").asBoolean(lowercase),
                        lowercase);
            }
            default -> throw bad("a normalizer of the type " + ModelFormatException.quote(type(n)));
        };
    }

    private PreTokenizer preTokenizer(JsonNode p) {
        if (absent(p)) {
            return PreTokenizer.NONE;
        }
        return switch (type(p)) {
            case "Sequence" -> PreTokenizer.sequence(all(p.path("pretokenizers"), this::preTokenizer));
            case "ByteLevel" ->
                PreTokenizer.byteLevel(
                        p.path("add_prefix_space").asBoolean(true),
                        p.path("use_regex").asBoolean(true));
            case "Split" ->
                PreTokenizer.regex(
                        pattern(p.path("pattern")),
                        behavior(string(p, "behavior")),
                        p.path("invert").asBoolean(false));
            case "Digits" ->
                PreTokenizer.characters(
                        Characters::isNumeric,
                        p.path("individual_digits").asBoolean(false) ? Behavior.ISOLATED : Behavior.CONTIGUOUS);
            case "Punctuation" ->
                PreTokenizer.characters(
                        Characters::isPunctuation, behavior(p.path("behavior").asString("Isolated")));
            case "Whitespace" -> PreTokenizer.regex(Patterns.compile("\\w+|[^\\w\\s]+"), Behavior.REMOVED, true);
            case "WhitespaceSplit" -> PreTokenizer.characters(Characters::isWhitespace, Behavior.REMOVED);
            case "CharDelimiterSplit" -> {
                int delimiter = string(p, "delimiter").codePointAt(0);
                yield PreTokenizer.characters(c -> c == delimiter, Behavior.REMOVED);
            }
            case "BertPreTokenizer" -> PreTokenizer.bert();
            case "Metaspace" ->
                PreTokenizer.metaspace(
                        p.path("replacement").asString("\u2581"),
                        scheme(p),
                        p.path("split").asBoolean(true));
            default -> throw bad("a pre-tokenizer of the type " + ModelFormatException.quote(type(p)));
        };
    }

    private static PrependScheme scheme(JsonNode metaspace) {
        return PrependScheme.valueOf(metaspace
                .path("prepend_scheme")
                .asString(metaspace.path("add_prefix_space").asBoolean(true) ? "always" : "never")
                .toUpperCase(Locale.ROOT));
    }

    private static Behavior behavior(String name) {
        return Behavior.valueOf(name.replaceAll("(?<=[a-z])(?=[A-Z])", "_").toUpperCase(Locale.ROOT));
    }

    private Pattern pattern(JsonNode pattern) {
        return pattern.has("Regex")
                ? Patterns.compile(string(pattern, "Regex"))
                : Pattern.compile(Pattern.quote(string(pattern, "String")));
    }

    private TokenDecoder decoder(JsonNode d) {
        if (absent(d)) {
            return tokens -> List.of(String.join(" ", tokens));
        }
        return switch (type(d)) {
            case "Sequence" -> TokenDecoder.sequence(all(d.path("decoders"), this::decoder));
            case "ByteLevel" -> TokenDecoder.byteLevel();
            case "ByteFallback" -> TokenDecoder.byteFallback();
            case "Fuse" -> TokenDecoder.fuse();
            case "Strip" -> TokenDecoder.strip(string(d, "content").charAt(0), integer(d, "start"), integer(d, "stop"));
            case "Replace" -> TokenDecoder.replace(pattern(d.path("pattern")), string(d, "content"));
            case "Metaspace" ->
                TokenDecoder.metaspace(d.path("replacement").asString("\u2581"), scheme(d) != PrependScheme.NEVER);
            case "WordPiece" ->
                TokenDecoder.wordPiece(
                        d.path("prefix").asString("##"), d.path("cleanup").asBoolean(true));
            case "BPEDecoder" -> TokenDecoder.bpe(d.path("suffix").asString("</w>"));
            default -> throw bad("a decoder of the type " + ModelFormatException.quote(type(d)));
        };
    }

    // ---- the tokens around a text ----------------------------------------------------------------------------------

    private Template template(JsonNode p) {
        if (absent(p)) {
            return Template.NONE;
        }
        return switch (type(p)) {
            case "ByteLevel" -> Template.NONE;
            case "BertProcessing", "RobertaProcessing" ->
                new Template(
                        new int[] {p.path("cls").path(1).asInt(-1)},
                        new int[] {p.path("sep").path(1).asInt(-1)});
            case "Sequence" -> {
                Template found = Template.NONE;
                for (JsonNode processor : p.path("processors")) {
                    Template next = template(processor);
                    found = next == Template.NONE ? found : next;
                }
                yield found;
            }
            case "TemplateProcessing" -> {
                IntList before = new IntList();
                IntList behind = new IntList();
                boolean afterText = false;
                for (JsonNode part : p.path("single")) {
                    if (part.has("SpecialToken")) {
                        String name = part.path("SpecialToken").path("id").asString("");
                        for (JsonNode id : p.path("special_tokens").path(name).path("ids")) {
                            (afterText ? behind : before).add(id.asInt(-1));
                        }
                    } else {
                        afterText = true;
                    }
                }
                yield new Template(before.toArray(), behind.toArray());
            }
            default -> throw bad("a post-processor of the type " + ModelFormatException.quote(type(p)));
        };
    }

    // ---- JSON ------------------------------------------------------------------------------------------------------

    private static <T> List<T> all(JsonNode nodes, Function<JsonNode, T> read) {
        return nodes.valueStream().map(read).toList();
    }

    private static boolean absent(@Nullable JsonNode node) {
        return node == null || node.isMissingNode() || node.isNull();
    }

    private static String type(JsonNode node) {
        return node.path("type").asString("");
    }

    private String string(JsonNode node, String key) {
        JsonNode value = node.path(key);
        if (!value.isString() || value.stringValue().isEmpty() && !key.equals("content")) {
            throw new ModelFormatException(file, "expected a text at '" + key + "', found " + value);
        }
        return value.stringValue();
    }

    private int integer(JsonNode node, String key) {
        JsonNode value = node.path(key);
        if (!value.isInt() || value.intValue() < 0) {
            throw new ModelFormatException(
                    file, "expected a number that is not negative at '" + key + "', found " + value);
        }
        return value.intValue();
    }

    private ModelFormatException bad(String what) {
        return new ModelFormatException(file, what + " is not known");
    }
}
