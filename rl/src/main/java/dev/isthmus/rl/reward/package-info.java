/**
 * From completions to numbers: reward functions in TRL's contract, and the advantages made of them.
 */
@org.jspecify.annotations.NullMarked
package dev.isthmus.rl.reward;
