package dev.isthmus.rl.reward;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * A reward from several LoRA experts, each of which has learned one capability: {@code r = MLP([h_1; ...; h_K])}, the {@code h_k [C]}
 * being the hidden states of the last token (Quan 2024, DMoERM, the inner layer). All experts judge every text; only the MLP is trained.
 */
public final class ExpertMixture {
    private final Decoder decoder;
    private final int[] experts;
    private final MlpHead mlp;

    /**
     * A mixture with a new MLP in the current scope.
     *
     * @param decoder a model with adapters
     * @param experts which of its adapters they are
     * @param name what stands before the names of the MLP's layers
     */
    ExpertMixture(Decoder decoder, int[] experts, String name, Rng rng) {
        this.decoder = decoder;
        this.experts = experts.clone();
        int hidden = decoder.config().hiddenSize();
        mlp = MlpHead.initialize(name, decoder.dtype(), experts.length * hidden, hidden, 1, rng);
    }

    /** What is trained. */
    List<Parameter> parameters() {
        return mlp.parameters();
    }

    /** What the experts make of texts, side by side, without gradient: {@code [N, K C]}. */
    Tensor features(List<int[]> sequences) {
        List<int[]> read = new ArrayList<>();
        int[] adapters = new int[sequences.size() * experts.length];
        int[] last = new int[adapters.length];
        int tokens = 0;
        for (int[] sequence : sequences) {
            for (int expert : experts) {
                adapters[read.size()] = expert;
                tokens += sequence.length;
                last[read.size()] = tokens - 1;
                read.add(sequence);
            }
        }
        TokenBatch batch = TokenBatch.of(read).withAdapters(adapters);
        Tensor hidden = Autograd.noGrad(() -> Functional.embedding(decoder.hidden(batch), batch.tokensAt(last)));
        return hidden.reshape(sequences.size(), -1);
    }

    /** {@code [N]}: one reward for each of the texts. */
    Tensor rewards(List<int[]> sequences) {
        decoder.requireLength(sequences.stream().mapToInt(s -> s.length).max().orElse(0));
        return mlp.of(features(sequences)).reshape(-1);
    }
}
