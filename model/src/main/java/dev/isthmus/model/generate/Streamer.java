package dev.isthmus.model.generate;

/** Told each token as it is drawn, and may end a completion. */
@FunctionalInterface
public interface Streamer {
    /**
     * @param prompt the index of the prompt
     * @param sample which of its completions
     * @param token the new token
     * @return true if the completion ends with it
     */
    boolean put(int prompt, int sample, int token);
}
