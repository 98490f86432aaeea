@org.jspecify.annotations.NullMarked
package dev.isthmus.train;
