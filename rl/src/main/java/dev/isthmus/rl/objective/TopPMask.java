package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;

/**
 * Takes away the tokens that a copy of the policy, refreshed now and then, finds unlikely (Ramamurthy et al. 2023, NLPO, arXiv 2210.01241,
 * section 5): the policy that samples and learns is {@code pi} over the others, made to sum to 1; the loss is PPO's.
 *
 * @param topP the share of probability of the tokens that stay, the likeliest ones
 */
public record TopPMask(double topP) {
    public TopPMask {
        Require.within("top_mask", 0, topP, 1);
    }

    /** {@code [..., V]} logits of the policy, minus infinity where {@code maskLogits [..., V]} of the copy leave the token out. */
    public Tensor apply(Tensor logits, Tensor maskLogits) {
        return logits.maskedFill(removed(maskLogits), Double.NEGATIVE_INFINITY);
    }

    /** {@code [..., V]}: true for the tokens after the fewest whose probabilities sum to {@code topP}; at least one is left. */
    public Tensor removed(Tensor maskLogits) {
        return Autograd.noGrad(() -> {
            Tensor probabilities = maskLogits.detach().softmax(-1);
            Tensor.Sorted sorted = probabilities.sort(-1, true);
            Tensor before = sorted.values().cumsum(-1).sub(sorted.values());
            // The likeliest has none before it: it stays even at top_p 0.
            Tensor stays = before.lt(topP).logicalOr(before.le(0)).to(probabilities.dtype());
            return Tensor.zerosLike(probabilities)
                    .scatter(-1, sorted.indices(), stays)
                    .eq(0);
        });
    }
}
