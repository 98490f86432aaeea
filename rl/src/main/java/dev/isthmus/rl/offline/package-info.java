/**
 * Trainers on examples that are there before they begin: preferences, labelled completions, reward models.
 *
 * <p>Each is a {@link dev.isthmus.train.loop.TrainingMethod} with a record of settings, and a loss of the parts of a step.
 */
@org.jspecify.annotations.NullMarked
package dev.isthmus.rl.offline;
