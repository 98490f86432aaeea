/**
 * What a model is asked and how an answer is judged: read {@link dev.isthmus.rl.task.Task} first.
 */
@org.jspecify.annotations.NullMarked
package dev.isthmus.rl.task;
