/** Training on what the model writes itself: rollouts, their rewards, and the trainers that learn from them. */
@NullMarked
package dev.isthmus.rl.online;

import org.jspecify.annotations.NullMarked;
