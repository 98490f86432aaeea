package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * {@code N} pairs of completions of the same prompts.
 *
 * @param weights {@code [N]}, what each pair counts, without gradient, or null for 1 ({@link PairWeights})
 * @param targets {@code [N]}, the probability that the chosen one is better, without gradient, or null for 1
 * @param nll a number with gradient: the mean negative log-prob of the tokens of the chosen completions, and where the
 *     objective says so of their prompts; null for that which follows from {@code chosen}
 * @param partners where pairs are a part of a batch, those that the whole batch gives them; null where they are the batch
 */
public record Pairs(
        Completions chosen,
        Completions rejected,
        @Nullable Tensor weights,
        @Nullable Tensor targets,
        @Nullable Tensor nll,
        @Nullable Partners partners) {
    public Pairs {
        Completions.sameShape("rejected logps", rejected.logps(), chosen.logps());
        Completions.sameShape("weights", weights, chosen.logps());
        Completions.sameShape("targets", targets, chosen.logps());
    }

    /** Pairs that all count the same and are certain. */
    public static Pairs of(Completions chosen, Completions rejected) {
        return new Pairs(chosen, rejected, null, null, null, null);
    }

    /** These pairs with the weights {@code [N]}. */
    public Pairs withWeights(Tensor weights) {
        return new Pairs(chosen, rejected, weights, targets, nll, partners);
    }

    /** These pairs with the probabilities {@code [N]}. */
    public Pairs withTargets(Tensor targets) {
        return new Pairs(chosen, rejected, weights, targets, nll, partners);
    }

    /** These pairs with the negative log-prob of what is to be imitated. */
    public Pairs withNll(Tensor nll) {
        return new Pairs(chosen, rejected, weights, targets, nll, partners);
    }

    /** These pairs as a part of a batch. */
    public Pairs withPartners(@Nullable Partners partners) {
        return new Pairs(chosen, rejected, weights, targets, nll, partners);
    }

    /** Those of the batch. */
    Partners batchPartners() {
        return partners == null ? Partners.of(List.of(this)) : partners;
    }

    /** These pairs with the divergences {@code [N]} of both sides. */
    public Pairs withDivergences(Tensor ofChosen, Tensor ofRejected) {
        return new Pairs(chosen.withSeqKl(ofChosen), rejected.withSeqKl(ofRejected), weights, targets, nll, partners);
    }

    /** These pairs with the scores {@code [N]} of both sides. */
    public Pairs withScores(Tensor ofChosen, Tensor ofRejected) {
        return new Pairs(chosen.withScores(ofChosen), rejected.withScores(ofRejected), weights, targets, nll, partners);
    }

    /** The log-probs of these pairs, in the scope around this one. */
    public Pairs keep() {
        return of(chosen.keep(), rejected.keep());
    }

    /** {@code D = lr(y+) - lr(y-)}: {@code [N]}. */
    public Tensor margins() {
        return chosen.logRatios().sub(rejected.logRatios());
    }

    /** {@code -sum lp(y+) / sum |y+|}, or the number given. */
    Tensor chosenNll() {
        return nll != null
                ? nll
                : chosen.logps().sum().neg().div(chosen.lengths().sum().clampMin(1));
    }

    /** The mean over the pairs of {@code losses}, {@code [N]} or one number, each times its weight. */
    Tensor mean(Tensor losses) {
        return (weights == null ? losses : losses.mul(weights)).mean();
    }
}
