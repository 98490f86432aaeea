/** What a model makes of a text. */
@NullMarked
package dev.isthmus.model.eval;

import org.jspecify.annotations.NullMarked;
