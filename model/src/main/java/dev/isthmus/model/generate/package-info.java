/** Generation: the cache of keys and values, and the loop that samples many sequences at once. */
@NullMarked
package dev.isthmus.model.generate;

import org.jspecify.annotations.NullMarked;
