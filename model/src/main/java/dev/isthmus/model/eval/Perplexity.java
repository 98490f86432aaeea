package dev.isthmus.model.eval;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/**
 * How well a model predicts a text: every token but the first, each once.
 *
 * <p>The model reads windows of {@code maxLength} tokens that begin {@code stride} tokens apart; in each window the tokens count that
 * no window before it held, so that all but those of the first window have at least {@code maxLength - stride} tokens before them. These
 * are the numbers of transformers' recipe for models of fixed length.
 *
 * @param tokens the number of tokens that were predicted
 * @param bytes the length of the text in UTF-8
 * @param nll {@code -sum log p(token | the tokens before it in its window)}, in nats
 * @param maxLength the length of a window
 * @param stride from one window to the next
 */
public record Perplexity(long tokens, long bytes, double nll, int maxLength, int stride) {
    /** Logits are computed for as many tokens at a time as fill this many numbers. */
    private static final long LOGITS = 1 << 24;

    /**
     * The perplexity of a text under a model. The tokens that the tokenizer adds around a text are added.
     *
     * @param stride from 1 to {@code maxLength - 1}
     * @throws IsthmusException if the text is shorter than two tokens, or the stride or the length of a window is not possible
     */
    public static Perplexity of(LanguageModel model, String text, int maxLength, int stride) {
        Decoder decoder = model.decoder();
        decoder.requireLength(maxLength);
        if (stride < 1 || stride >= maxLength) {
            throw new IsthmusException("stride must be from 1 to max_length - 1 = " + (maxLength - 1) + ", found "
                    + stride + ": the first token of a window is predicted from nothing");
        }
        int[] ids = model.tokenizer().encode(text, true);
        if (ids.length < 2) {
            throw new IsthmusException("a text of " + ids.length + " tokens has none to predict from another");
        }
        double nll = 0;
        int done = 1;
        for (int start = 0; done < ids.length; start += stride) {
            int end = Math.min(ids.length, start + maxLength);
            int[] window = Arrays.copyOfRange(ids, start, end);
            int first = done - start;
            nll += Autograd.noGrad(() -> nll(model, window, first));
            done = end;
        }
        return new Perplexity(ids.length - 1L, text.getBytes(StandardCharsets.UTF_8).length, nll, maxLength, stride);
    }

    private static double nll(LanguageModel model, int[] window, int first) {
        Decoder decoder = model.decoder();
        double sum = 0;
        try (Scope scope = Scope.open()) {
            Tensor hidden = decoder.hidden(TokenBatch.of(List.of(Arrays.copyOf(window, window.length - 1))));
            int rows = (int) Math.max(1, LOGITS / decoder.config().vocabSize());
            for (int from = first; from < window.length; from += rows) {
                int n = Math.min(rows, window.length - from);
                try (Scope logits = Scope.open()) {
                    Tensor targets = Tensor.of(Arrays.copyOfRange(window, from, from + n), n);
                    Tensor predicted = model.head().logits(decoder, hidden.narrow(0, from - 1L, n));
                    float[] losses = Functional.tokenLoss(predicted, targets, 1, false)
                            .loss()
                            .toFloats();
                    for (float loss : losses) {
                        sum += loss;
                    }
                }
            }
        }
        return sum;
    }

    /** {@code exp} of the mean negative log-probability of a token. */
    public double perplexity() {
        return Math.exp(nats());
    }

    /** The mean negative log-probability of a token. */
    public double nats() {
        return nll / tokens;
    }

    /** The bits that the text takes when the model compresses it, divided by its bytes: what compares tokenizers, too. */
    public double bitsPerByte() {
        return nll / Math.log(2) / bytes;
    }
}
