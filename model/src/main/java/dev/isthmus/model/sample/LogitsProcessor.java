package dev.isthmus.model.sample;

/** One step from a model's logits to the distribution that the next token is drawn from; {@link LogitsProcessors} has the known ones. */
@FunctionalInterface
public interface LogitsProcessor {
    /** Changes the scores of what may come after {@code history}, or takes tokens out. */
    void process(Candidates candidates, History history);

    /**
     * The processor for one more text: itself, unless it keeps something from token to token. It is called once for each
     * token of that text in order, or again for an earlier one if the text was rewound.
     */
    default LogitsProcessor forSequence() {
        return this;
    }
}
