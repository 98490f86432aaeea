/** Other engines that do the same work in the same run, each in a process of its own. */
@org.jspecify.annotations.NullMarked
package dev.isthmus.bench.peer;
