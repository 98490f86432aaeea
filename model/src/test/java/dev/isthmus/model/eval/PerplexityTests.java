package dev.isthmus.model.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.testing.Fixtures;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PerplexityTests {
    private static final CharTokenizer TOKENIZER = new CharTokenizer("abcdefg", false);

    private static LanguageModel model() {
        DecoderConfig config = DecoderConfig.llama(TOKENIZER.vocabSize(), 16, 24, 2, 2, 2, 16, false);
        return new LanguageModel(new Decoder(config, DType.FLOAT32).initialize(Rng.of(3)), TOKENIZER);
    }

    @Test
    void aModelThatKnowsNothingTakesTheLogarithmOfItsVocabularyForEveryToken() {
        try (Scope scope = Scope.open()) {
            LanguageModel model = model();
            model.decoder().parameters().forEach(p -> p.value().fill(0));
            Perplexity found = Perplexity.of(model, "abcabcabcdabcdefg", 8, 4);
            assertThat(found.tokens()).isEqualTo(16);
            assertThat(found.bytes()).isEqualTo(17);
            assertThat(found.perplexity()).isCloseTo(TOKENIZER.vocabSize(), within(1e-5));
            assertThat(found.nats()).isCloseTo(Math.log(TOKENIZER.vocabSize()), within(1e-6));
            assertThat(found.bitsPerByte())
                    .isCloseTo(16 * Math.log(TOKENIZER.vocabSize()) / Math.log(2) / 17, within(1e-6));
        }
    }

    /** The definition, token by token: which window a token counts in, and softmax by hand. */
    @ParameterizedTest
    @CsvSource({"16, 8", "8, 1", "8, 7", "7, 3", "5, 4"})
    void everyTokenCountsOnceInTheFirstWindowThatHoldsIt(int maxLength, int stride) {
        String text = "abcdefgfedcbaabcabcggfdeabcdefggg";
        int[] ids = TOKENIZER.encode(text);
        try (Scope scope = Scope.open()) {
            LanguageModel model = model();
            double nll = 0;
            for (int token = 1; token < ids.length; token++) {
                int start = 0;
                while (start + maxLength <= token) {
                    start += stride;
                }
                nll += nll(model.decoder(), Arrays.copyOfRange(ids, start, token + 1));
            }
            Perplexity found = Perplexity.of(model, text, maxLength, stride);
            assertThat(found.tokens()).isEqualTo(ids.length - 1);
            assertThat(found.nll()).isCloseTo(nll, within(1e-4));
        }
    }

    private static double nll(Decoder decoder, int[] tokens) {
        int[] read = Arrays.copyOf(tokens, tokens.length - 1);
        double[] logits = Autograd.noGrad(() -> decoder.logits(decoder.hidden(TokenBatch.of(List.of(read)))))
                .toDoubles();
        int vocabulary = decoder.config().vocabSize();
        double[] last = Arrays.copyOfRange(logits, logits.length - vocabulary, logits.length);
        double sum = Arrays.stream(last).map(Math::exp).sum();
        return Math.log(sum) - last[tokens[read.length]];
    }

    /** Recorded with transformers 5.18 in float64, by the loop of its page on the perplexity of models of fixed length. */
    @Tag("fixture")
    @ParameterizedTest
    @CsvSource({"512, 256, 9.061494909370236", "128, 64, 6.2067527015434845", "100, 37, 6.1611530381948665"})
    void equalsTransformersOnStories(int maxLength, int stride, double perplexity) throws IOException {
        byte[] stories = Files.readAllBytes(Fixtures.data("text/tinystories_sample_2MB.txt"));
        String text = new String(stories, 0, 20_000, StandardCharsets.UTF_8);
        try (Scope scope = Scope.open()) {
            LanguageModel model = LanguageModel.load(Fixtures.data("models/stories260K"));
            Perplexity found = Perplexity.of(model, text, maxLength, stride);
            assertThat(found.tokens()).isEqualTo(9612);
            assertThat(found.perplexity()).isCloseTo(perplexity, within(2e-6 * perplexity));
        }
    }

    @Test
    void whatCannotBeMeasuredIsSaid() {
        try (Scope scope = Scope.open()) {
            LanguageModel model = model();
            assertThatThrownBy(() -> Perplexity.of(model, "abc", 17, 8))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("17")
                    .hasMessageContaining("16");
            assertThatThrownBy(() -> Perplexity.of(model, "abc", 8, 8))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("stride must be from 1 to max_length - 1 = 7");
            assertThatThrownBy(() -> Perplexity.of(model, "a", 8, 4))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("a text of 1 tokens");
        }
    }
}
