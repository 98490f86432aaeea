/** Pre-training and supervised fine-tuning: they differ in where examples come from. */
@org.jspecify.annotations.NullMarked
package dev.isthmus.train.supervised;
