/** Optimizers. */
@NullMarked
package dev.isthmus.train.optim;

import org.jspecify.annotations.NullMarked;
