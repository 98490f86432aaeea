/** How the next token is chosen from the logits. */
@NullMarked
package dev.isthmus.model.sample;

import org.jspecify.annotations.NullMarked;
