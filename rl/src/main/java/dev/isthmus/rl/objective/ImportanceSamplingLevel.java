package dev.isthmus.rl.objective;

/** What a ratio of two policies is taken of. */
public enum ImportanceSamplingLevel {
    /** Each token. */
    TOKEN,
    /** The geometric mean over the tokens of a sequence (GSPO, Zheng et al. 2025, arXiv 2507.18071, eq. 7). */
    SEQUENCE
}
