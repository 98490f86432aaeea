package dev.isthmus.model.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.tokenizer.PretrainedTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.testing.Fixtures;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;

class GrammarTests {
    private static final String JSON = """
            # JSON without white space
            root   ::= value
            value  ::= object | array | string | number | "true" | "false" | "null"
            object ::= "{" ( pair ("," pair)* )? "}"
            pair   ::= string ":" value
            array  ::= "[" ( value ("," value)* )? "]"
            string ::= "\\"" ( [^"\\\\\\x00-\\x1f] | "\\\\" ["\\\\/bfnrt] | "\\\\u" [0-9a-fA-F]{4} )* "\\""
            number ::= "-"? ("0" | [1-9] [0-9]{0,3}) ("." [0-9]+)?
            """;

    /** A vocabulary of single bytes, of a few longer strings, and an end. */
    private record Bytes(List<String> more) implements Tokenizer {
        @Override
        public int[] encode(String text) {
            throw new UnsupportedOperationException();
        }

        @Override
        public String decode(int[] ids, boolean skipSpecialTokens) {
            throw new UnsupportedOperationException();
        }

        @Override
        public byte[] bytes(int id) {
            return id < 256
                    ? new byte[] {(byte) id}
                    : id < 256 + more.size() ? more.get(id - 256).getBytes(StandardCharsets.UTF_8) : new byte[0];
        }

        @Override
        public int vocabSize() {
            return 257 + more.size();
        }

        @Override
        public OptionalInt bosTokenId() {
            return OptionalInt.empty();
        }

        @Override
        public OptionalInt eosTokenId() {
            return OptionalInt.of(256 + more.size());
        }
    }

    private static boolean matches(Grammar grammar, String text) {
        Grammar.State state = grammar.start();
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
            state = grammar.next(state, b);
        }
        return state.complete();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a(b|c)*d?",
                "(?:ab|a)(bc)?",
                "[a-c]{2,3}x?",
                "(a*)*b",
                "a{0,2}(b|)c+",
                "[^a]b|\\w\\d",
                "a.c|é[à-ÿ]?",
                "^(a|b)+?c$",
                "\\W|\\S{2}",
            })
    void regularExpressionsMatchAsJavaSays(String pattern) {
        Grammar grammar = Grammar.regex(pattern);
        Pattern java = Pattern.compile(pattern);
        Rng rng = Rng.of(3);
        String[] alphabet = {"a", "b", "c", "d", "x", "1", "é", "ü", "€", "\n"};
        int matched = 0;
        for (int i = 0; i < 4000; i++) {
            StringBuilder text = new StringBuilder();
            for (int n = rng.nextInt(6); n > 0; n--) {
                text.append(alphabet[rng.nextInt(i % 2 == 0 ? 3 : alphabet.length)]);
            }
            boolean expected = java.matcher(text).matches();
            matched += expected ? 1 : 0;
            assertThat(matches(grammar, text.toString()))
                    .as("%s on '%s'", pattern, text)
                    .isEqualTo(expected);
        }
        assertThat(matched).isPositive();
    }

    @Test
    void charactersOfEveryLengthInUtf8() {
        Grammar most = Grammar.regex("[^\\u0080-\\u00ff\\U00010000-\\U0001F600]");
        for (int c = 0; c <= Character.MAX_CODE_POINT; c += c < 0x3000 ? 1 : 97) {
            if (c < Character.MIN_SURROGATE || c > Character.MAX_SURROGATE) {
                boolean expected = !(c >= 0x80 && c <= 0xff || c >= 0x10000 && c <= 0x1F600);
                assertThat(matches(most, Character.toString(c)))
                        .as(Integer.toHexString(c))
                        .isEqualTo(expected);
            }
        }
    }

    @Test
    void gbnfReadsJson() {
        Grammar grammar = Grammar.gbnf(JSON);
        for (String yes : List.of("{}", "[1,-2.5,{\"a\":[null,\"\\u00e9é\"]}]", "0", "\"\"")) {
            assertThat(matches(grammar, yes)).as(yes).isTrue();
        }
        for (String no : List.of("", "{", "[1,]", "01", "{\"a\"}", "\"\n\"", "12345")) {
            assertThat(matches(grammar, no)).as(no).isFalse();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"(yes|no), [a-z]{1,8}(é|€)+!", "-?\\d{1,3}(\\.\\d+)?", "JSON"})
    void whatIsDrawnAlwaysMatches(String source) {
        Bytes tokenizer = new Bytes(List.of("yes", "no, ", "{\"", "\":", "12", "é!", "null", ".5", "[]"));
        int end = tokenizer.eosTokenId().orElseThrow();
        Grammar grammar = source.equals("JSON") ? Grammar.gbnf(JSON) : Grammar.regex(source);
        LogitsProcessor mask = LogitsProcessors.grammar(grammar, tokenizer, List.of(end));
        SamplingParams params = SamplingParams.temperature(1).withProcessors(List.of(mask));
        int whole = 0;
        for (int seed = 0; seed < 60; seed++) {
            Rng rng = Rng.of(seed);
            TokenSampler sampler = new TokenSampler(params, tokenizer.vocabSize());
            int[] tokens = new int[200];
            tokens[0] = 5;
            int length = 1;
            ByteArrayOutputStream text = new ByteArrayOutputStream();
            while (length < tokens.length) {
                float[] logits = new float[tokenizer.vocabSize()];
                for (int i = 0; i < logits.length; i++) {
                    logits[i] = (float) rng.nextGaussian();
                }
                logits[end] = 3;
                int token = sampler.sample(logits, 0, new History(tokens, 1, length), rng);
                tokens[length++] = token;
                if (token == end) {
                    String drawn = text.toString(StandardCharsets.UTF_8);
                    assertThat(matches(grammar, drawn)).as(drawn).isTrue();
                    if (source.equals("JSON")) {
                        JsonMapper.shared().readTree(drawn);
                    } else {
                        assertThat(drawn).matches(source);
                    }
                    whole++;
                    break;
                }
                text.writeBytes(tokenizer.bytes(token));
            }
        }
        assertThat(whole).isGreaterThan(30);
    }

    @Test
    void aTextThatIsRewoundIsReadAgain() {
        Bytes tokenizer = new Bytes(List.of());
        LogitsProcessor mask = LogitsProcessors.grammar(Grammar.regex("ab|cd"), tokenizer, List.of(256))
                .forSequence();
        TokenSampler sampler = new TokenSampler(SamplingParams.greedy().withProcessors(List.of(mask)), 257);
        int[] tokens = {'c', 0};
        assertThat(sampler.scores(new float[257], 0, new History(tokens, 0, 1))['d'])
                .isZero();
        assertThat(sampler.scores(new float[257], 0, new History(tokens, 0, 0))['d'])
                .isNegative();
        assertThat(sampler.sample(new float[257], 0, new History(tokens, 0, 0), Rng.of(1)))
                .isEqualTo('a');
        assertThat(sampler.sample(new float[257], 0, new History(new int[] {'a', 'b'}, 0, 2), Rng.of(1)))
                .isEqualTo(256);
    }

    @Tag("fixture")
    @ParameterizedTest
    @ValueSource(strings = {"smollm2", "llama2", "gpt2", "llama3.2"})
    void theBytesOfTokensMakeTheTextOfAll(String name) {
        Tokenizer tokenizer = Tokenizers.load(
                Fixtures.data("tokenizers/" + name + "/tokenizer.json").getParent());
        assertThat(tokenizer).isInstanceOf(PretrainedTokenizer.class);
        String text = "Ça va? 東京 \uD83D\uDE80\uD83E\uDDEA\n\tif (x == 1) {}  naïve ꙮ";
        int[] ids = tokenizer.encode("x " + text);
        int[] first = tokenizer.encode("x");
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Arrays.stream(ids).skip(first.length).forEach(id -> bytes.writeBytes(tokenizer.bytes(id)));
        assertThat(bytes.toString(StandardCharsets.UTF_8)).isEqualTo(" " + text);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "root ::= a; the rule a is missing",
                "a ::= \"x\"; there is no rule named root",
                "root ::= root \"x\" | \"x\"; begins with itself",
                "root ::= (\"x\"; ')' is expected",
                "root ::= \"x; ends too early",
                "root ::= [z-a]; runs backwards",
                "root ::= \"a\"{5,2}; is no repetition",
                "root ::= \"a\"{99999}; at most 1000",
                "root = 1; '::=' is expected",
            })
    void mistakesAreShown(String source, String problem) {
        assertThatThrownBy(() -> Grammar.gbnf(source))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining(problem);
    }

    @ParameterizedTest
    @ValueSource(strings = {"(a", "a)", "*a", "(?=a)", "[a", "a\\b", "\\u12", "a{1001}"})
    void expressionsThatAreWrongAreShown(String pattern) {
        assertThatThrownBy(() -> Grammar.regex(pattern))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("line 1");
    }
}
