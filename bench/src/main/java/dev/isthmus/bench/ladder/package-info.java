/** From plain loops to kernels near the peak, one step at a time: the code of docs/kernels.md. */
@org.jspecify.annotations.NullMarked
package dev.isthmus.bench.ladder;
