/**
 * The CPU devices: the scalar twin, which says what each kernel call means, and the vector twin, which is fast.
 */
@NullMarked
package dev.isthmus.tensor.cpu;

import org.jspecify.annotations.NullMarked;
