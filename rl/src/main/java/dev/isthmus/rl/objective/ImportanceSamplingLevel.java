package dev.isthmus.rl.objective;

/** What a ratio of two policies is taken of. */
public enum ImportanceSamplingLevel {
    /** Each token. */
    TOKEN,
    /** The geometric mean over the tokens of a sequence (GSPO, Zheng et al. 2025, arXiv 2507.18071, eq. 7). */
    SEQUENCE,
    /**
     * The number is that of the sequence, the gradient that of each token, which may have an advantage of its own (GSPO-token, eq. 14:
     * {@code sg(s) pi / sg(pi)}, sg without gradient).
     */
    SEQUENCE_TOKEN
}
