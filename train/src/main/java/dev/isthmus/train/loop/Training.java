package dev.isthmus.train.loop;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.generate.LanguageModel;
import java.nio.file.Path;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * What one kind of training does at each step of a {@link TrainingLoop}, on a model and data.
 *
 * <p>What a step learns from must be a function of the seed, of the number of the step, and of what {@link #save} and {@link #state}
 * keep; then a run that was killed and resumed ends, byte for byte, like one that was not.
 */
public interface Training {
    /** The model that is trained. */
    Decoder model();

    /** All that is trained: the weights of the model or of its adapter, and of what hangs on it. */
    default List<Parameter> parameters() {
        return model().trainable();
    }

    /** After how many examples all data has been seen. */
    long epoch();

    /** What there is to learn from, for people. */
    String description();

    /** Tells whether the data is still the same when a run goes on. */
    String dataId();

    /**
     * The parts of the optimizer step that follows {@code step} steps. Tensors made here live until the step is over.
     *
     * @param log takes the metrics of this step, here and when the losses are computed, and samples
     */
    List<MicroBatch> microBatches(long step, StepLog log);

    /** Told that nothing is learned from the step, whose loss was no number: before {@link #stepped}. */
    default void skipped() {}

    /** Told that {@code globalStep} steps have been taken, before a checkpoint may be written. */
    default void stepped(long globalStep, StepLog log) {}

    /** Puts the metrics of what is held out, without {@code eval_}; nothing if nothing is. */
    default void evaluate(StepLog log) {}

    /** The metrics, beside losses, that the terminal shows. */
    default List<String> shown() {
        return List.of();
    }

    /** Writes the model for use, a Hugging Face directory with its tokenizer; of one with an adapter only that, as PEFT does. */
    void saveModel(Path directory);

    /** Writes what a resumed run needs: the model, unless told otherwise. */
    default void save(Path directory) {
        saveModel(directory);
    }

    /** Puts the few numbers that a resumed run needs. */
    default void state(ObjectNode state) {}

    /** What the model writes when the run is over, for people; may be empty. */
    default List<LanguageModel.Text> samples() {
        return List.of();
    }
}
