/**
 * Datasets: JSON Lines of TRL's types, standard and conversational.
 *
 * <p>A {@link dev.isthmus.train.data.JsonLinesFile} finds its {@link dev.isthmus.train.data.Row rows}, a {@link
 * dev.isthmus.train.data.RowEncoder} makes tokens of their fields, a {@link dev.isthmus.train.data.Dataset} is all examples of some
 * files, and a {@link dev.isthmus.train.data.DataOrder} says which stands where in a run.
 */
@org.jspecify.annotations.NullMarked
package dev.isthmus.train.data;
