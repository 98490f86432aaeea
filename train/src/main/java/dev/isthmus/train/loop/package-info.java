/**
 * The loop that every trainer runs in.
 *
 * <p>Start with {@link dev.isthmus.train.loop.TrainingLoop}. A kind of trainer is a {@link
 * dev.isthmus.train.loop.TrainingMethod}: a record of settings, and a {@link dev.isthmus.train.loop.Training} that says what the
 * micro-batches of a step are.
 */
@org.jspecify.annotations.NullMarked
package dev.isthmus.train.loop;
