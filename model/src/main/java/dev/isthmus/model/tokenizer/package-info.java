/** Text to tokens and back. */
@NullMarked
package dev.isthmus.model.tokenizer;

import org.jspecify.annotations.NullMarked;
