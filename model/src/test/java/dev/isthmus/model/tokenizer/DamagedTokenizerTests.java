package dev.isthmus.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.testing.Mutations;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every file that a tokenizer may come in, damaged; what is accepted encodes and decodes. */
class DamagedTokenizerTests {
    private static final String TEXT = "The cat's 12345 hats, ab  abba\u00e9 \u6771\u4eac\n\uD83D\uDE00 <s>x</s>";

    @TempDir
    Path dir;

    static Stream<Object[]> tokenizerJsons() {
        String added =
                "\"version\": \"1.0\", \"truncation\": {\"max_length\": 5}, \"padding\": null, \"added_tokens\": [{\"id\": 0,"
                        + " \"content\": \"<unk>\", \"special\": true}, {\"id\": 1, \"content\": \"<s>\", \"single_word\": false, \"lstrip\": true,"
                        + " \"rstrip\": true, \"normalized\": false, \"special\": true}, {\"id\": 2, \"content\": \"ab\", \"normalized\": true}],";
        String around =
                "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}},"
                        + " {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], \"special_tokens\": {\"<s>\": {\"id\": \"<s>\", \"ids\": [1]}}},";
        return Stream.of(
                new Object[] {
                    "BPE",
                    "{" + added + around
                            + "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFKC\"}, {\"type\": \"Lowercase\"},"
                            + " {\"type\": \"Replace\", \"pattern\": {\"Regex\": \" {2,}\"}, \"content\": \" \"}, {\"type\": \"StripAccents\"}]},"
                            + " \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\":"
                            + " \"\\\\p{N}{1,3}|[^\\\\s\\\\p{L}]?\\\\p{L}+\"}, \"behavior\": \"MergedWithPrevious\", \"invert\": false},"
                            + " {\"type\": \"Digits\", \"individual_digits\": true}, {\"type\": \"ByteLevel\", \"add_prefix_space\": true,"
                            + " \"use_regex\": true}]}, \"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"unk_token\":"
                            + " \"<unk>\", \"byte_fallback\": true, \"fuse_unk\": true, \"ignore_merges\": true, \"vocab\": {\"<unk>\": 0,"
                            + " \"<s>\": 1, \"ab\": 2, \"a\": 3, \"b\": 4, \"t\": 5, \"c\": 6, \"at\": 7, \"cat\": 8, \"<0xC3>\": 9},"
                            + " \"merges\": [[\"a\", \"t\"], \"c at\", [\"a\", \"b\"]]}}"
                },
                new Object[] {
                    "Unigram",
                    "{" + added + around
                            + "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Precompiled\","
                            + " \"precompiled_charsmap\": \"CAAAAAAAAAAAAAAAYQA=\"}, {\"type\": \"Strip\", \"strip_left\": true,"
                            + " \"strip_right\": true}]}, \"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"\u2581\","
                            + " \"prepend_scheme\": \"always\", \"split\": true}, \"decoder\": {\"type\": \"Metaspace\", \"replacement\":"
                            + " \"\u2581\", \"prepend_scheme\": \"always\"}, \"model\": {\"type\": \"Unigram\", \"unk_id\": 0,"
                            + " \"byte_fallback\": false, \"vocab\": [[\"<unk>\", 0.0], [\"<s>\", 0.0], [\"\u2581\", -2.5], [\"a\", -3.0],"
                            + " [\"b\", -3.25], [\"\u2581c\", -4.0], [\"at\", -4.5], [\"\u2581cat\", -1e1]]}}"
                },
                new Object[] {
                    "WordPiece",
                    "{" + added
                            + "\"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"<s>\", 1], \"cls\": [\"<s>\", 1]},"
                            + " \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": true,"
                            + " \"strip_accents\": null, \"lowercase\": true}, \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},"
                            + " \"decoder\": {\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true}, \"model\": {\"type\":"
                            + " \"WordPiece\", \"unk_token\": \"<unk>\", \"continuing_subword_prefix\": \"##\", \"max_input_chars_per_word\":"
                            + " 100, \"vocab\": {\"<unk>\": 0, \"<s>\": 1, \"ab\": 2, \"the\": 3, \"c\": 4, \"##at\": 5, \"##b\": 6, \"##a\":"
                            + " 7, \"'\": 8, \"s\": 9}}}"
                },
                new Object[] {
                    "SentencePiece BPE",
                    "{" + added + around
                            + "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", \"prepend\":"
                            + " \"\u2581\"}, {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"\u2581\"}]},"
                            + " \"pre_tokenizer\": null, \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\","
                            + " \"pattern\": {\"String\": \"\u2581\"}, \"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"},"
                            + " {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}]}, \"model\": {\"type\": \"BPE\","
                            + " \"unk_token\": \"<unk>\", \"byte_fallback\": true, \"fuse_unk\": true, \"vocab\": {\"<unk>\": 0, \"<s>\": 1,"
                            + " \"ab\": 2, \"a\": 3, \"b\": 4, \"\u2581\": 5, \"\u2581a\": 6, \"\u2581ab\": 7, \"<0xC3>\": 8, \"<0xA9>\": 9},"
                            + " \"merges\": [\"\u2581 a\", \"a b\", \"\u2581a b\"]}}"
                });
    }

    @ParameterizedTest
    @MethodSource("tokenizerJsons")
    void survivesDamageOfTokenizerJson(String model, String json) throws IOException {
        Files.writeString(dir.resolve("tokenizer.json"), json);
        use(Tokenizers.load(dir));
        survives("tokenizer.json of " + model, "tokenizer.json");
    }

    @Test
    void survivesDamageOfTokenizerConfig() throws IOException {
        new BpeTrainer(List.of("<s>", "</s>"))
                .add("the cat sat on the mat")
                .train(270)
                .save(dir);
        Files.writeString(
                dir.resolve("tokenizer_config.json"),
                "{\"tokenizer_class\": \"Qwen2Tokenizer\", \"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"</s>\","
                        + " \"added_tokens_decoder\": {\"271\": {\"content\": \"<x>\", \"special\": true}}, \"chat_template\":"
                        + " \"{% for m in messages %}{{ m.content | trim }}{{ eos_token }}{% endfor %}\"}");
        survives("tokenizer_config.json", "tokenizer_config.json");
    }

    @ParameterizedTest
    @ValueSource(strings = {"vocab.json", "merges.txt"})
    void survivesDamageOfVocabAndMerges(String file) throws IOException {
        ByteLevelVocabulary learned = new BpeTrainer(List.of("<|endoftext|>"))
                .add("the cat sat on the mat")
                .train(264);
        StringBuilder vocab = new StringBuilder();
        learned.ids().entrySet().stream()
                .sorted(java.util.Map.Entry.comparingByValue())
                .forEach(entry -> vocab.append(vocab.isEmpty() ? "{" : ", ")
                        .append('"')
                        .append(entry.getKey().replace("\\", "\\\\").replace("\"", "\\\""))
                        .append("\": ")
                        .append(entry.getValue()));
        Files.writeString(dir.resolve("vocab.json"), vocab.append('}'));
        Files.writeString(dir.resolve("merges.txt"), "#version: 0.2\n" + String.join("\n", learned.merges()) + "\n");
        survives(file, file);
    }

    @Test
    void survivesDamageOfVocabTxt() throws IOException {
        Files.writeString(dir.resolve("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\nc\n##at\n'\ns\na\n##b\n");
        survives("vocab.txt", "vocab.txt");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void survivesDamageOfASentencePieceModel(int algorithm) throws IOException {
        ByteArrayOutputStream model = new ByteArrayOutputStream();
        List<String> pieces =
                List.of("<unk>", "<s>", "</s>", "<0xC3>", "\u2581", "a", "b", "\u2581a", "\u2581ab", "cat");
        for (int id = 0; id < pieces.size(); id++) {
            ByteArrayOutputStream piece = new ByteArrayOutputStream();
            field(piece, 1, pieces.get(id).getBytes(StandardCharsets.UTF_8));
            piece.write(2 << 3 | 5);
            piece.writeBytes(ByteBuffer.allocate(4)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putFloat(-id)
                    .array());
            piece.write(3 << 3);
            piece.write(id == 0 ? 2 : id < 3 ? 3 : id == 3 ? 6 : 1);
            field(model, 1, piece.toByteArray());
        }
        field(model, 2, new byte[] {3 << 3, (byte) algorithm});
        ByteArrayOutputStream spelling = new ByteArrayOutputStream();
        field(spelling, 2, new byte[] {8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 'a', 0});
        spelling.writeBytes(new byte[] {3 << 3, 1, 4 << 3, 1});
        field(model, 3, spelling.toByteArray());
        Files.write(dir.resolve("tokenizer.model"), model.toByteArray());
        survives(algorithm == 1 ? "tokenizer.model, unigram" : "tokenizer.model, BPE", "tokenizer.model");
    }

    private static void field(ByteArrayOutputStream out, int number, byte[] content) {
        out.write(number << 3 | 2);
        out.write(content.length);
        out.writeBytes(content);
    }

    private void survives(String what, String name) throws IOException {
        Path file = dir.resolve(name);
        byte[] good = Files.readAllBytes(file);
        Mutations.assertSurvives(what, good, good.length, bytes -> {
            Files.write(file, bytes);
            use(Tokenizers.load(dir));
            ChatTemplate.load(dir)
                    .ifPresent(template -> template.render(List.of(ChatTemplate.message("user", "x")), true));
        });
    }

    private static void use(Tokenizer tokenizer) {
        int[] ids = tokenizer.encode(TEXT, true);
        assertThat(Arrays.stream(ids)).allMatch(id -> id >= 0 && id < tokenizer.vocabSize());
        tokenizer.decode(ids, false);
        Arrays.stream(ids).limit(10).forEach(tokenizer::bytes);
    }
}
