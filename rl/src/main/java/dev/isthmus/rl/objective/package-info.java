/** Objectives: what a trainer minimizes, each a small piece with its formula and its paper. */
@NullMarked
package dev.isthmus.rl.objective;

import org.jspecify.annotations.NullMarked;
