package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;

/** What the tokens of a completion count, {@code [N, T]}, for {@link TokenLogps#sum(Tensor)}. */
public final class TokenWeights {
    private TokenWeights() {}

    /**
     * 1 for as many tokens as both completions of a pair have, {@code ldAlpha} for the rest of the longer (LD-DPO, Liu et al.
     * 2024).
     *
     * @param mask {@code [N, T]}, of one side of the pairs
     * @param otherLengths {@code [N]}, of the other side
     */
    public static Tensor lengthDesensitized(Tensor mask, Tensor otherLengths, double ldAlpha) {
        return Autograd.noGrad(() ->
                Tensor.onesLike(mask).maskedFill(mask.cumsum(1).gt(otherLengths.reshape(-1, 1)), ldAlpha));
    }

    /**
     * 1 for the tokens that are not part of the longest common subsequence of both completions, 0 for the others: where an injected
     * error stands, or stood (Xu et al. 2024, RISE).
     *
     * @param tokens the completion that is weighed
     * @param other the one that it is compared with
     */
    public static double[] differing(int[] tokens, int[] other) {
        int[][] common = new int[tokens.length + 1][other.length + 1];
        for (int i = tokens.length - 1; i >= 0; i--) {
            for (int j = other.length - 1; j >= 0; j--) {
                common[i][j] =
                        tokens[i] == other[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
            }
        }
        double[] weights = new double[tokens.length];
        for (int i = 0, j = 0; i < tokens.length; ) {
            if (j < other.length && tokens[i] == other[j]) {
                i++;
                j++;
            } else if (j < other.length && common[i][j + 1] >= common[i + 1][j]) {
                j++;
            } else {
                weights[i++] = 1;
            }
        }
        return weights;
    }

    /**
     * {@code 1 + cos(h, h')} for every token of a step, {@code h} a state of that step and {@code h'} that of the step it is compared
     * with (TPO, Liao et al. 2024; the constants are unsure).
     *
     * @param states {@code [N, T, C]}, at every token the state of its step
     * @param others {@code [N, T, C]}, at every token the state of the other completion's step
     */
    public static Tensor steps(Tensor states, Tensor others) {
        return Autograd.noGrad(() -> {
            Tensor lengths = states.norm(2, -1, false).mul(others.norm(2, -1, false));
            return states.mul(others).sum(-1, false).div(lengths.clampMin(1e-8)).add(1);
        });
    }
}
