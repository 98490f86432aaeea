package dev.isthmus.rl.task;

/** Judges a completion of a problem. */
@FunctionalInterface
public interface Verifier {
    /** The verdict on a completion, which may be any text at all; never an exception for what a model wrote. */
    Verdict verify(Problem problem, String completion);
}
