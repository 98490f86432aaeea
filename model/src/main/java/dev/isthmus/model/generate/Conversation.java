package dev.isthmus.model.generate;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.sample.TokenSampler;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Completions of one growing text, such as the turns of a chat: what the model has read of it is not read again.
 *
 * <p>Lives in the scope in which it was made, which must be the current one whenever it completes a text. Not safe for several threads.
 */
public final class Conversation {
    /** Tokens behind what was read before are read in parts of this many. */
    private static final int PART = 256;

    private final Decoder decoder;
    private final Ensemble.Head head;
    private final KvCache cache;
    private final KvCache.Sequence sequence;
    private int[] read = new int[0];

    /** With a model that has read nothing yet. */
    public Conversation(Decoder decoder) {
        this(decoder, Decoder::logits);
    }

    /** With a model that has another head. */
    public Conversation(Decoder decoder, Ensemble.Head head) {
        this.head = head;
        this.decoder = decoder.packed();
        cache = new KvCache(this.decoder, 1);
        sequence = cache.open();
    }

    /** The number of tokens whose keys and values are there. */
    public int length() {
        return sequence.length();
    }

    /**
     * A completion of {@code prompt}, the same that {@link Generator#generate} writes for it alone. Of the prompt only those tokens are
     * read that stand behind the longest beginning that it has in common with the text before.
     *
     * @param config of one generation
     * @throws IsthmusException if the prompt is empty or leaves no room in the model's positions
     */
    public Completion complete(int[] prompt, GenerationConfig config, Rng rng) {
        if (prompt.length == 0) {
            throw new IsthmusException("a prompt is empty; start it with the model's begin-of-text token");
        }
        decoder.requireLength(prompt.length + 1);
        int room = decoder.config().maxPositionEmbeddings() - prompt.length;
        PartialCompletion text = new PartialCompletion(
                config,
                0,
                0,
                prompt,
                room,
                new TokenSampler(config.sampling(), decoder.config().vocabSize()),
                rng.split("sequence", 0, 0));
        Autograd.noGrad(() -> {
            reserve(prompt.length + Math.min(config.maxNewTokens(), room));
            int common = Arrays.mismatch(read, prompt);
            // The last token is read again if need be: the next one depends on its hidden state.
            int kept = Math.min(common < 0 ? prompt.length : common, prompt.length - 1);
            cache.rewind(sequence, kept);
            read = Arrays.copyOf(prompt, kept);
            write(text, prompt);
        });
        Completion completion = text.completion();
        // The last token was drawn, not read.
        read = Arrays.copyOf(prompt, sequence.length());
        System.arraycopy(completion.tokens(), 0, read, prompt.length, sequence.length() - prompt.length);
        return completion;
    }

    private void reserve(int tokens) {
        int missing = KvCache.pagesFor(tokens) - KvCache.pagesFor(sequence.length()) - cache.freePages();
        if (missing > 0) {
            int most = KvCache.pagesFor(decoder.config().maxPositionEmbeddings());
            int now = KvCache.pagesFor(sequence.length()) + cache.freePages();
            cache.grow(Math.max(missing, Math.min(now, most - now)));
        }
    }

    private void write(PartialCompletion text, int[] prompt) {
        int[] fresh = Arrays.copyOfRange(prompt, sequence.length(), prompt.length);
        while (true) {
            try (Scope pass = Scope.open()) {
                Tensor last = read(fresh);
                PartialCompletion.draw(List.of(text), head.logits(decoder, last));
            }
            if (text.done()) {
                return;
            }
            fresh = new int[] {text.last()};
        }
    }

    /** Reads tokens and returns the hidden state of the last one, {@code [1, C]}. */
    private Tensor read(int[] tokens) {
        if (sequence.length() == 0) {
            return cache.prefill(List.of(sequence), List.of(tokens)).narrow(0, tokens.length - 1, 1);
        }
        for (int from = 0; ; from += PART) {
            int to = Math.min(from + PART, tokens.length);
            int[] part = Arrays.copyOfRange(tokens, from, to);
            Tensor hidden = cache.step(Collections.nCopies(part.length, sequence), part);
            if (to == tokens.length) {
                return hidden.narrow(0, part.length - 1, 1);
            }
        }
    }
}
