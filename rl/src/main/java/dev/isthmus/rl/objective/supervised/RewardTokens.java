package dev.isthmus.rl.objective.supervised;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.Example;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Control tokens that say before a prompt how good its completion is; training on all levels and asking for the best is conditioning
 * on reward (Quark, Lu et al. 2022, arXiv 2205.13636, section 2; with two levels, LeTI's {@code <good>} and {@code <bad>}, Wang et al.
 * 2023, arXiv 2305.10314).
 *
 * <p>The levels are the {@code K} quantiles of a pool of rewards: the level of {@code r} is {@code floor(K (n_< + n_= / 2) / n)}, with
 * {@code n_<} of the pool's {@code n} rewards below {@code r} and {@code n_=} equal to it, so that equal rewards have one level.
 *
 * @param tokens {@code K} token ids, that of the worst level first
 * @param pool rewards of what has been sampled so far, in ascending order
 */
public record RewardTokens(int[] tokens, double[] pool) {
    /**
     * Copies both, and sorts the pool.
     *
     * @throws IsthmusException if there is no token, no reward, or a reward is NaN
     */
    public RewardTokens {
        tokens = tokens.clone();
        pool = pool.clone();
        Arrays.sort(pool);
        if (tokens.length == 0 || pool.length == 0 || Double.isNaN(pool[pool.length - 1])) {
            throw new IsthmusException("reward tokens need a token for each level and rewards that are numbers, found "
                    + tokens.length + " tokens and the rewards " + Arrays.toString(pool));
        }
    }

    /** The level of a reward, from 0 for the worst. */
    public int level(double reward) {
        long below = Arrays.stream(pool).filter(r -> r < reward).count();
        long equal = Arrays.stream(pool).filter(r -> r == reward).count();
        // In whole numbers: K (2 n_< + n_=) / (2 n); a reward above all of the pool is of the best level.
        return (int) Math.min(tokens.length - 1, tokens.length * (2 * below + equal) / (2L * pool.length));
    }

    /** The example with the token of its reward before the prompt, to be learned. */
    public Example condition(Example example, double reward) {
        return new Example(before(tokens[level(reward)], example.tokens()), example.promptLength() + 1);
    }

    /** The prompt with the token of the best level before it, to be completed. */
    public int[] best(int[] prompt) {
        return before(tokens[tokens.length - 1], prompt);
    }

    private static int[] before(int token, int[] tokens) {
        return IntStream.concat(IntStream.of(token), Arrays.stream(tokens)).toArray();
    }
}
