package dev.isthmus.tensor;

/** What a loss makes of its elements. */
public enum Reduction {
    /** The elements themselves. */
    NONE,
    /** Their mean; in losses of classes the weighted mean of those that are not ignored. */
    MEAN,
    /** Their sum. */
    SUM,
    /** Their sum divided by the size of the first dimension. */
    BATCHMEAN
}
