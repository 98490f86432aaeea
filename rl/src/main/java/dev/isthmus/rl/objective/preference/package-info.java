/**
 * Losses on log-probs of completions that somebody or something has compared or judged: pairs, labelled ones, ranked lists.
 *
 * <p>A model's per-token log-probs are {@link dev.isthmus.rl.objective.preference.TokenLogps}; summed, with or without {@link
 * dev.isthmus.rl.objective.preference.TokenWeights weights}, they are {@link dev.isthmus.rl.objective.preference.Completions},
 * and two of those are {@link dev.isthmus.rl.objective.preference.Pairs}. In the formulas {@code lp(y)} is the log-prob of a
 * completion, {@code lr(y) = lp(y) - lp_ref(y)} its log-ratio, {@code y+} the chosen and {@code y-} the rejected one, {@code D =
 * lr(y+) - lr(y-)}, {@code |y|} the number of tokens, and {@code sg} the sigmoid. All losses are minimized.
 */
@NullMarked
package dev.isthmus.rl.objective.preference;

import org.jspecify.annotations.NullMarked;
