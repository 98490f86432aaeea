/**
 * How good a model is, and how sure we are: accuracy, pass@k, maj@k and bootstrap intervals.
 */
@org.jspecify.annotations.NullMarked
package dev.isthmus.rl.eval;
