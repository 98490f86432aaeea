package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;

/** What the pairs of a batch count, {@code [N]}, without gradient. */
public final class PairWeights {
    private PairWeights() {}

    /**
     * How likely the policy is to write both completions of a pair: {@code w(y+) w(y-)} with {@code w(y) = exp(mean_t (lp_t -
     * log sum_v p(v)^2))} (WPO, Zhou et al. 2024, eq. 2, with its sampled alignment).
     *
     * @param logSumSquares {@code [N, T]}, {@link #logSumSquares} at every token
     */
    public static Tensor wpo(
            TokenLogps chosen, Tensor chosenLogSumSquares, TokenLogps rejected, Tensor rejectedLogSumSquares) {
        return Autograd.noGrad(() -> wpo(chosen, chosenLogSumSquares).mul(wpo(rejected, rejectedLogSumSquares)));
    }

    private static Tensor wpo(TokenLogps tokens, Tensor logSumSquares) {
        return tokens.total(tokens.logps().sub(logSumSquares))
                .div(tokens.lengths().clampMin(1))
                .exp();
    }

    /** {@code log sum_v p(v)^2} over the last dimension of {@code logits}. */
    public static Tensor logSumSquares(Tensor logits) {
        return Autograd.noGrad(() -> logits.mul(2)
                .logsumexp(-1, false)
                .sub(logits.logsumexp(-1, false).mul(2)));
    }
}
