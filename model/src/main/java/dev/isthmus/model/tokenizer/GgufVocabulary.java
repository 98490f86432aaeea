package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.Gguf;
import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.model.tokenizer.AddedTokens.AddedToken;
import dev.isthmus.model.tokenizer.PreTokenizer.Behavior;
import dev.isthmus.model.tokenizer.PretrainedTokenizer.Ends;
import dev.isthmus.model.tokenizer.PretrainedTokenizer.Template;
import dev.isthmus.model.tokenizer.SentencePiece.Algorithm;
import dev.isthmus.model.tokenizer.SentencePiece.Kind;
import dev.isthmus.model.tokenizer.SentencePiece.Piece;
import dev.isthmus.model.tokenizer.SentencePiece.Spelling;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/** Makes the tokenizer that a GGUF file carries in its metadata. */
final class GgufVocabulary {
    static final String KEY = "tokenizer.ggml.";
    private static final int NORMAL = 1;
    private static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;

    private final Gguf file;
    private final List<String> tokens;
    private final List<Long> types;

    /**
     * The tokens of a file.
     *
     * @throws ModelFormatException if there are none, or their types do not fit them
     */
    GgufVocabulary(Gguf file) {
        this.file = file;
        tokens = file.list(KEY + "tokens", String.class);
        types = file.metadata().containsKey(KEY + "token_type")
                ? file.list(KEY + "token_type", Long.class)
                : tokens.stream().map(_ -> (long) NORMAL).toList();
        if (types.size() != tokens.size()) {
            throw new ModelFormatException(file.file(), types.size() + " types for " + tokens.size() + " tokens");
        }
    }

    /** Every token, by its id. */
    List<String> tokens() {
        return tokens;
    }

    /** For every token one of the numbers of {@link Kind}, or one that is not known. */
    List<Long> types() {
        return types;
    }

    /**
     * The tokenizer.
     *
     * @throws ModelFormatException if it is damaged or of a kind that is not known
     */
    static PretrainedTokenizer read(Gguf file) {
        GgufVocabulary vocabulary = new GgufVocabulary(file);
        String model = file.string(KEY + "model");
        try {
            return switch (model == null ? "" : model) {
                case "gpt2" -> vocabulary.byteLevel();
                case "llama" -> vocabulary.sentencePiece(Algorithm.BPE);
                case "t5" -> vocabulary.sentencePiece(Algorithm.UNIGRAM);
                case "bert" -> vocabulary.bert();
                default -> throw new IllegalArgumentException("a tokenizer of the kind '" + model + "' is not known");
            };
        } catch (IllegalArgumentException e) {
            throw new ModelFormatException(file.file(), String.valueOf(e.getMessage()), e);
        }
    }

    private PretrainedTokenizer byteLevel() {
        List<PreTokenizer> steps = new ArrayList<>();
        String pre = file.string(KEY + "pre");
        for (String pattern : patterns(pre == null ? "default" : pre)) {
            steps.add(PreTokenizer.regex(Patterns.compile(pattern), Behavior.ISOLATED, false));
        }
        steps.add(PreTokenizer.byteLevel(false, false));
        List<Bpe.Merge> merges = file.list(KEY + "merges", String.class).stream()
                .map(TokenizerJson::merge)
                .toList();
        boolean wholeFirst = "llama-bpe".equals(pre);
        return new PretrainedTokenizer(
                added(),
                Normalizer.NONE,
                PreTokenizer.sequence(steps),
                new Bpe(vocabulary(), merges, Bpe.Options.byteLevel(wholeFirst)),
                TokenDecoder.byteLevel(),
                template(wholeFirst),
                ends("bos_token_id", "eos_token_id"));
    }

    /** The patterns that llama.cpp splits with, one after the other, by the name it gives to a family. */
    static List<String> patterns(String pre) {
        return switch (pre) {
            case "llama3", "llama-v3", "llama-bpe" -> List.of(PreTokenizer.LLAMA3);
            case "qwen2", "deepseek-r1-qwen" -> List.of(PreTokenizer.QWEN2);
            case "gpt-2", "gpt2", "mpt", "olmo", "default" -> List.of(PreTokenizer.GPT2);
            case "starcoder", "refact", "command-r", "smollm", "codeshell" ->
                List.of(PreTokenizer.DIGITS, PreTokenizer.GPT2);
            case "falcon" -> List.of("[\\p{P}\\$\\+<=>\\^~\\|`]+", PreTokenizer.GPT2, "[0-9][0-9][0-9]");
            case "deepseek-llm" ->
                List.of(
                        "[\\r\\n]",
                        "\\s?[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF"
                                + "\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1"
                                + "\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5"
                                + "\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A"
                                + "\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D"
                                + "\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3"
                                + "\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115"
                                + "\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F"
                                + "\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3"
                                + "\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF"
                                + "\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\\x{10400}-\\x{1044F}"
                                + "\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}"
                                + "\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}]+",
                        "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+",
                        "\\s+$",
                        "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+",
                        "\\p{N}+");
            case "deepseek-coder" ->
                List.of(
                        "[\\r\\n]",
                        "\\s?\\p{L}+",
                        "\\s?\\p{P}+",
                        "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+",
                        "\\p{N}");
            default -> throw new IllegalArgumentException("the pre-tokenizer '" + pre + "' is not known");
        };
    }

    private PretrainedTokenizer sentencePiece(Algorithm algorithm) {
        List<Double> scores = file.list(KEY + "scores", Double.class);
        if (scores.size() != tokens.size()) {
            throw new IllegalArgumentException(scores.size() + " scores for " + tokens.size() + " tokens");
        }
        List<Piece> pieces = new ArrayList<>(tokens.size());
        for (int id = 0; id < tokens.size(); id++) {
            long type = types.get(id);
            if (type < 1 || type > Kind.values().length) {
                throw new IllegalArgumentException("a token of the type " + type);
            }
            pieces.add(new Piece(tokens.get(id), scores.get(id).floatValue(), Kind.values()[(int) type - 1]));
        }
        Normalizer rules = file.metadata().get(KEY + "precompiled_charsmap") instanceof List<?> bytes
                ? new CharsMap(bytes(bytes))
                : Normalizer.NONE;
        return SentencePiece.tokenizer(
                pieces,
                algorithm,
                new Spelling(
                        rules,
                        file.flag(KEY + "add_space_prefix", true),
                        file.flag(KEY + "remove_extra_whitespaces", false),
                        SentencePiece.SPACE),
                ends("bos_token_id", "eos_token_id"),
                file.flag(KEY + "add_bos_token", algorithm == Algorithm.BPE),
                file.flag(KEY + "add_eos_token", algorithm == Algorithm.UNIGRAM));
    }

    static byte[] bytes(List<?> values) {
        byte[] bytes = new byte[values.size()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = values.get(i) instanceof Long value ? value.byteValue() : 0;
        }
        return bytes;
    }

    /** BERT's, whose tokens GGUF writes with a sign of a space before a word instead of {@code ##} before a continuation. */
    private PretrainedTokenizer bert() {
        Map<String, Integer> ids = new HashMap<>();
        for (int id = 0; id < tokens.size(); id++) {
            String token = tokens.get(id);
            boolean word = token.startsWith(SentencePiece.SPACE);
            ids.putIfAbsent(word ? token.substring(1) : types.get(id) == NORMAL ? "##" + token : token, id);
        }
        String unknown = tokens.get(file.integer(KEY + "unknown_token_id").orElse(0));
        ids.putIfAbsent(unknown, file.integer(KEY + "unknown_token_id").orElse(0));
        Ends ends = ends(
                "cls_token_id",
                file.integer(KEY + "separator_token_id").isPresent()
                        ? "separator_token_id"
                        : "seperator_token_id"); // as llama.cpp spelled it
        return new PretrainedTokenizer(
                added(),
                Normalizer.bert(true, true, true, true),
                PreTokenizer.bert(),
                new WordPiece(new Vocabulary(ids), unknown, "##", 100),
                TokenDecoder.wordPiece("##", true),
                new Template(ends.bos().stream().toArray(), ends.eos().stream().toArray()),
                ends);
    }

    private Vocabulary vocabulary() {
        Map<String, Integer> ids = new HashMap<>();
        for (int id = 0; id < tokens.size(); id++) {
            ids.putIfAbsent(tokens.get(id), id);
        }
        return new Vocabulary(ids);
    }

    private List<AddedToken> added() {
        List<AddedToken> added = new ArrayList<>();
        for (int id = 0; id < tokens.size(); id++) {
            if (types.get(id) == CONTROL) {
                added.add(AddedToken.special(id, tokens.get(id)));
            } else if (types.get(id) == USER_DEFINED) {
                added.add(new AddedToken(id, tokens.get(id), false, false, false, false, false));
            }
        }
        return added;
    }

    private Template template(boolean addBos) {
        Ends ends = ends("bos_token_id", "eos_token_id");
        return new Template(
                file.flag(KEY + "add_bos_token", addBos) ? ends.bos().stream().toArray() : new int[0],
                file.flag(KEY + "add_eos_token", false) ? ends.eos().stream().toArray() : new int[0]);
    }

    private Ends ends(String bos, String eos) {
        return new Ends(known(file.integer(KEY + bos)), known(file.integer(KEY + eos)));
    }

    private OptionalInt known(OptionalInt id) {
        return id.isPresent() && id.getAsInt() >= 0 && id.getAsInt() < tokens.size() ? id : OptionalInt.empty();
    }
}
