/**
 * Imitation of completions that were selected, weighed or labelled by a reward.
 *
 * <p>In the formulas {@code lp(y)} is the log-prob of a completion, {@code |y|} the number of its tokens and {@code r} its reward.
 */
@NullMarked
package dev.isthmus.rl.objective.supervised;

import org.jspecify.annotations.NullMarked;
