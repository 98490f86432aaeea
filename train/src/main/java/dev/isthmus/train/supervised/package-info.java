/**
 * Pre-training and supervised fine-tuning: one trainer whose examples come from a text or from rows of a dataset.
 *
 * <p>Start with {@link dev.isthmus.train.supervised.SupervisedTraining}.
 */
@org.jspecify.annotations.NullMarked
package dev.isthmus.train.supervised;
