/** How the learning rate moves over a training run. */
@org.jspecify.annotations.NullMarked
package dev.isthmus.train.schedule;
