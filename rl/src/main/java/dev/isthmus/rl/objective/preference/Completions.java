package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * {@code N} completions, one number each.
 *
 * @param logps {@code [N]}, the log-probs under the policy, with gradient
 * @param refLogps {@code [N]}, the log-probs under the reference, or null where there is none
 * @param lengths {@code [N]}, the tokens, in the dtype of {@code logps}
 * @param scores {@code [N]}, what a reward model, judge or verifier gives, or null
 * @param seqKl {@code [N]}, the sum over the tokens of the KL divergence from reference to policy, with gradient, or null
 */
public record Completions(
        Tensor logps,
        @Nullable Tensor refLogps,
        Tensor lengths,
        @Nullable Tensor scores,
        @Nullable Tensor seqKl) {
    public Completions {
        sameShape("ref_logps", refLogps, logps);
        sameShape("lengths", lengths, logps);
        sameShape("scores", scores, logps);
        sameShape("seq_kl", seqKl, logps);
    }

    static void sameShape(String name, @Nullable Tensor found, Tensor expected) {
        if (found != null && !Arrays.equals(found.shape(), expected.shape())) {
            throw new IsthmusException(name + " has shape " + Arrays.toString(found.shape())
                    + "; expected that of logps, " + Arrays.toString(expected.shape()));
        }
    }

    /** Completions without scores. */
    public static Completions of(Tensor logps, @Nullable Tensor refLogps, Tensor lengths) {
        return new Completions(logps, refLogps, lengths, null, null);
    }

    /** These completions with the scores {@code [N]}. */
    public Completions withScores(Tensor scores) {
        return new Completions(logps, refLogps, lengths, scores, seqKl);
    }

    /** These completions with the divergences {@code [N]}. */
    public Completions withSeqKl(Tensor seqKl) {
        return new Completions(logps, refLogps, lengths, scores, seqKl);
    }

    /** These completions against another reference {@code [N]}. */
    public Completions withReference(Tensor refLogps) {
        return new Completions(logps, refLogps, lengths, scores, seqKl);
    }

    /** The log-probs of these completions, in the scope around this one. */
    Completions keep() {
        return of(logps.keep(), refLogps == null ? null : refLogps.keep(), lengths.keep());
    }

    /** {@code lr(y) = lp(y) - lp_ref(y)}: {@code [N]}. */
    public Tensor logRatios() {
        return logps.sub(reference());
    }

    /** {@code lp(y) / |y|}: {@code [N]}. */
    public Tensor averageLogps() {
        return perToken(logps);
    }

    /** {@code values / |y|}; an empty completion counts as one token. */
    Tensor perToken(Tensor values) {
        return values.div(lengths.clampMin(1));
    }

    /**
     * The log-probs under the reference: {@code [N]}.
     *
     * @throws dev.isthmus.tensor.IsthmusException if there is none
     */
    public Tensor reference() {
        return given(refLogps, "the log-probs of a reference model");
    }

    /**
     * {@link #scores}.
     *
     * @throws IsthmusException if there are none
     */
    public Tensor scored() {
        return given(scores, "a score for every completion");
    }

    /**
     * {@link #seqKl}.
     *
     * @throws IsthmusException if there are none
     */
    public Tensor divergences() {
        return given(seqKl, "the KL divergence of every completion's tokens");
    }

    static Tensor given(@Nullable Tensor value, String what) {
        if (value == null) {
            throw new IsthmusException("the objective needs " + what + ", and the batch has none");
        }
        return value;
    }
}
