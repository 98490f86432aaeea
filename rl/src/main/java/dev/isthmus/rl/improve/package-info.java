/** Self-improvement: the loop of generating, judging, selecting and training, and its measurement. */
@NullMarked
package dev.isthmus.rl.improve;

import org.jspecify.annotations.NullMarked;
