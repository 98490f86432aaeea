package dev.isthmus.model.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.model.sample.LogitsProcessors;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What the engine does beside drawing: forks, entropies, streams, beams. */
class EngineTests {
    private static final DecoderConfig CONFIG = DecoderConfig.llama(29, 36, 52, 2, 6, 3, 120, true);

    private static Decoder decoder(int seed) {
        return new Decoder(CONFIG, DType.FLOAT32).initialize(Rng.of(seed));
    }

    private static int[] tokens(int n, int seed) {
        return Rng.of(seed).ints(n, 0, 29).toArray();
    }

    /** As transformers loads one; the token that the model lacks is an error where it is read. */
    @Test
    void aTokenizerMayKnowMoreTokensThanTheModel() {
        try (Scope scope = Scope.open()) {
            Decoder decoder = decoder(3);
            int words = decoder.config().vocabSize();
            String characters = IntStream.range(0, words)
                    .mapToObj(i -> Character.toString('a' + i))
                    .collect(Collectors.joining());
            LanguageModel model = new LanguageModel(decoder, new CharTokenizer(characters, true));
            assertThat(model.tokenizer().vocabSize()).isGreaterThan(words);
            assertThat(model.complete("a", SamplingParams.greedy(), 2, 1, List.of(), Rng.of(1)))
                    .hasSize(1);
            int missing = model.tokenizer().vocabSize() - 1;
            assertThatThrownBy(() -> decoder.hidden(TokenBatch.of(List.of(new int[] {1, missing}))))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("token " + missing)
                    .hasMessageContaining("knows " + words);
        }
    }

    @Test
    void aTextThatIsReadAsItIsWrittenIsTheSame() {
        try (Scope scope = Scope.open()) {
            LanguageModel model =
                    new LanguageModel(decoder(3), new CharTokenizer("abcdefghijklmnopqrstuvwxyzAB", true));
            SamplingParams sampling = SamplingParams.temperature(1.5);
            String whole = model.complete("ab", sampling, 20, 1, List.of("s"), Rng.of(1)).stream()
                    .map(text -> text.prompt() + text.completion())
                    .collect(Collectors.joining());
            List<String> pieces = new ArrayList<>();
            model.stream("ab", sampling, 20, List.of("s"), Rng.of(1), pieces::add);
            assertThat(pieces).hasSizeGreaterThan(2).startsWith("ab");
            assertThat(String.join("", pieces)).isEqualTo(whole);
            assertThatThrownBy(() -> model.stream("a".repeat(999), sampling, 20, List.of(), Rng.of(1), pieces::add))
                    .isInstanceOf(IsthmusException.class);
            assertThat(String.join("", pieces)).isEqualTo(whole);
        }
    }

    @Test
    void forkedAndRewoundSequencesAreThoseThatWereReadAtOnce() {
        try (Scope scope = Scope.open()) {
            Decoder decoder = decoder(3);
            Autograd.noGrad(() -> {
                KvCache cache = new KvCache(decoder, 40);
                int[] text = tokens(75, 1);
                KvCache.Sequence trunk = cache.open();
                cache.prefill(List.of(trunk), List.of(text));
                // A branch at every kind of place in a page, and the trunk rewound behind and into shared pages.
                for (int at : new int[] {74, 64, 63, 33, 32, 31, 1}) {
                    KvCache.Sequence branch = cache.fork(trunk, at);
                    check(decoder, cache, branch, text, at, tokens(5, at));
                    cache.release(branch);
                }
                // Tokens that are read where they lie, by branches and a branch of those; forks before and behind them.
                for (int at : new int[] {48, 21, 16, 5}) {
                    KvCache.Sequence parent = cache.fork(trunk, at);
                    KvCache.Sequence branch = cache.share(parent);
                    KvCache.Sequence other = cache.share(parent);
                    check(decoder, cache, branch, text, at, tokens(20, at));
                    check(decoder, cache, other, text, at, tokens(3, 7));
                    check(decoder, cache, parent, text, at, tokens(3, 8));
                    KvCache.Sequence before = cache.fork(branch, at - 1);
                    cache.rewind(branch, at + 2);
                    KvCache.Sequence second = cache.share(branch);
                    int[] longer = Arrays.copyOf(text, at + 2);
                    System.arraycopy(tokens(20, at), 0, longer, at, 2);
                    check(decoder, cache, second, longer, at + 2, tokens(2, 9));
                    check(decoder, cache, before, text, at - 1, tokens(2, 10));
                    List.of(parent, branch, other, before, second).forEach(cache::release);
                }
                for (int at : new int[] {70, 64, 40, 32, 5}) {
                    KvCache.Sequence witness = cache.fork(trunk);
                    int length = trunk.length();
                    cache.rewind(trunk, at);
                    int[] branch = tokens(2, 100 + at);
                    check(decoder, cache, trunk, text, at, branch);
                    check(decoder, cache, witness, text, length, tokens(2, 50));
                    cache.release(witness);
                    cache.rewind(trunk, at);
                }
                cache.release(trunk);
                assertThat(cache.freePages()).isEqualTo(40);
                assertThatThrownBy(() -> cache.rewind(trunk, 1)).isInstanceOf(IsthmusException.class);
            });
        }
    }

    private static void check(
            Decoder decoder, KvCache cache, KvCache.Sequence sequence, int[] text, int at, int[] more) {
        float[] read =
                cache.step(Collections.nCopies(more.length, sequence), more).toFloats();
        int[] whole = Arrays.copyOf(text, at + more.length);
        System.arraycopy(more, 0, whole, at, more.length);
        Tensor hidden = decoder.hidden(TokenBatch.of(List.of(whole)));
        assertThat(read).isEqualTo(hidden.narrow(0, at, more.length).toFloats());
    }

    @Test
    void entropiesAreThoseOfTheDistribution() {
        try (Scope scope = Scope.open()) {
            Decoder decoder = decoder(3);
            int[] prompt = tokens(7, 2);
            GenerationConfig config =
                    new GenerationConfig(SamplingParams.temperature(0.6), 20, List.of(), 2).withEntropies();
            Completion completion = Generator.generate(decoder, List.of(prompt), config, Rng.of(1))
                    .getLast();
            assertThat(completion.entropies()).hasSize(20);
            int[] whole = IntStream.concat(IntStream.of(prompt), IntStream.of(completion.tokens()))
                    .toArray();
            float[] logits = Autograd.noGrad(() -> decoder.logits(decoder.hidden(TokenBatch.of(List.of(whole))))
                    .toFloats());
            for (int t = 0; t < 20; t++) {
                int row = prompt.length + t - 1;
                double[] p = new double[29];
                double sum = 0;
                for (int i = 0; i < 29; i++) {
                    p[i] = Math.exp(logits[row * 29 + i] / 0.6);
                    sum += p[i];
                }
                double entropy = 0;
                for (double w : p) {
                    entropy -= w / sum * Math.log(w / sum);
                }
                assertThat((double) completion.entropies()[t]).isCloseTo(entropy, within(1e-5));
            }
        }
    }

    @Test
    void samplesDoNotDependOnWhatElseIsInTheBatch() {
        try (Scope scope = Scope.open()) {
            Decoder decoder = decoder(3);
            List<int[]> prompts =
                    IntStream.range(0, 9).mapToObj(i -> tokens(3 + 5 * i, i)).toList();
            SamplingParams sampling = new SamplingParams(true, 0.9, 12, 0.95, 0.01, 1.2)
                    .withProcessors(List.of(LogitsProcessors.noRepeatNgram(3)))
                    .withWarpers(List.of(LogitsProcessors.mirostat(3, 0.2)));
            GenerationConfig four = new GenerationConfig(sampling, 25, List.of(4), 4);
            GenerationConfig one = new GenerationConfig(sampling, 25, List.of(4), 1);
            List<Completion> all = Generator.generate(decoder, prompts, four, Rng.of(5));
            for (int n = 1; n < 9; n += 3) {
                List<Completion> few = Generator.generate(decoder, prompts.subList(0, n), one, Rng.of(5));
                for (int p = 0; p < n; p++) {
                    assertThat(all.get(4 * p).tokens()).isEqualTo(few.get(p).tokens());
                    assertThat(all.get(4 * p).logProbs()).isEqualTo(few.get(p).logProbs());
                }
            }
        }
    }

    @Test
    void aStreamerSeesEveryTokenAndMayEndATextThere() {
        try (Scope scope = Scope.open()) {
            List<List<Integer>> seen = List.of(new ArrayList<>(), new ArrayList<>());
            Streamer streamer = (_, sample, token) -> {
                seen.get(sample).add(token);
                return sample == 1 && seen.get(1).size() == 6;
            };
            GenerationConfig config =
                    new GenerationConfig(SamplingParams.temperature(1), 15, List.of(), 2).withStreamer(streamer);
            List<Completion> completions = Generator.generate(decoder(3), List.of(tokens(4, 1)), config, Rng.of(2));
            for (int s = 0; s < 2; s++) {
                assertThat(completions.get(s).tokens())
                        .isEqualTo(seen.get(s).stream().mapToInt(i -> i).toArray())
                        .hasSize(s == 0 ? 15 : 6);
                assertThat(completions.get(s).finished()).isEqualTo(s == 1);
            }
        }
    }

    @Test
    void theTextEndsBeforeAStopStringAndNothingOfItIsGivenOut() {
        CharTokenizer tokenizer = new CharTokenizer("abcdefgh ", false);
        String written = "ab abc abcd efgh";
        for (List<String> stops : List.of(
                List.of("abcd"),
                List.of("cd e", "abcd e"),
                List.of("zz"),
                List.<String>of(),
                List.of("h"),
                List.of("a"))) {
            StringBuilder given = new StringBuilder();
            TextStream stream = new TextStream(tokenizer, new int[0], stops, piece -> {
                given.append(piece);
                stops.forEach(stop -> assertThat(given.toString()).doesNotContain(stop));
            });
            int read = 0;
            for (int token : tokenizer.encode(written)) {
                read++;
                if (stream.put(token)) {
                    break;
                }
            }
            stream.finish();
            int cut = stops.stream()
                    .mapToInt(written::indexOf)
                    .filter(i -> i >= 0)
                    .min()
                    .orElse(written.length());
            assertThat(stream.text()).isEqualTo(written.substring(0, cut)).isEqualTo(given.toString());
            assertThat(stream.stopped()).isEqualTo(cut < written.length());
            if (stops.equals(List.of("abcd"))) {
                assertThat(read).isEqualTo("ab abc abcd".length());
            }
        }
    }

    @Tag("fixture")
    @Test
    void whatIsStreamedNeverEndsInsideOfACharacter() {
        Tokenizer tokenizer = Tokenizers.load(
                Fixtures.data("tokenizers/smollm2/tokenizer.json").getParent());
        String text = "naïve \uD83D\uDE80\uD83E\uDDEA 東京 ꙮ!";
        List<String> pieces = new ArrayList<>();
        TextStream stream = new TextStream(tokenizer, tokenizer.encode("x"), List.of("ꙮ?", "京 !"), pieces::add);
        Arrays.stream(tokenizer.encode(text)).forEach(stream::put);
        stream.finish();
        assertThat(stream.text()).isEqualTo(text);
        assertThat(pieces).hasSizeGreaterThan(5).allSatisfy(piece -> {
            assertThat(piece).doesNotContain("\uFFFD");
            assertThat(Character.isLowSurrogate(piece.charAt(0))).isFalse();
        });
    }

    static Stream<JsonNode> beams() {
        return JsonMapper.shared()
                .readTree(Fixtures.resource("ops/transformers_beams.json"))
                .get("cases")
                .valueStream();
    }

    @Tag("fixture")
    @ParameterizedTest
    @MethodSource("beams")
    void beamsAreThoseOfTransformers(JsonNode c) {
        try (Scope scope = Scope.open()) {
            Decoder decoder =
                    Pretrained.load(Fixtures.resource("models/" + c.get("model").asString()));
            BeamSearch beams = new BeamSearch(
                    c.get("num_beams").asInt(),
                    c.get("length_penalty").asDouble(),
                    BeamSearch.EarlyStopping.valueOf(c.get("early_stopping").asString()),
                    2);
            SamplingParams sampling = new SamplingParams(
                    false, 1, 0, 1, 0, c.get("repetition_penalty").asDouble());
            List<Integer> eos = c.get("eos").valueStream().map(JsonNode::asInt).toList();
            List<BeamSearch.Scored> found =
                    beams.search(decoder, ints(c.get("prompt")), new GenerationConfig(sampling, 12, eos, 1));
            for (int i = 0; i < 2; i++) {
                assertThat(found.get(i).completion().tokens())
                        .isEqualTo(ints(c.get("sequences").get(i)));
                assertThat(found.get(i).score())
                        .isCloseTo(c.get("scores").get(i).asDouble(), within(2e-5));
            }
        }
    }

    private static int[] ints(JsonNode node) {
        return node.valueStream().mapToInt(JsonNode::asInt).toArray();
    }
}
