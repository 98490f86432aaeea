/**
 * What a run leaves on disk and shows on the terminal: its directory, logs, checkpoints and progress.
 *
 * <p>Start with {@link dev.isthmus.train.run.RunDirectory}; the rest are its parts.
 */
@org.jspecify.annotations.NullMarked
package dev.isthmus.train.run;
