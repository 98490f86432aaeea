package dev.isthmus.train.data;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.loop.BaseConfig;
import java.util.List;
import java.util.function.Function;
import java.util.function.IntUnaryOperator;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * The examples of a run: those that are learned, in their order, and those that are held out.
 *
 * @param <T> an example
 */
public final class TrainingData<T> {
    private final BaseConfig base;
    private final Dataset<T> train;
    private final @Nullable Dataset<T> held;
    private final DataOrder order;

    /**
     * An example and its number, by which what is known of it can be found again; of those that are held out it is negative.
     *
     * @param <T> an example
     */
    public record Item<T>(int number, T example) {}

    /**
     * Reads the files that the settings name.
     *
     * @param data the files to learn from
     * @param encoder makes the examples of a row, none if there is nothing to learn from it
     * @param tokens the number of tokens of an example
     * @throws IsthmusException that names file, line and field if a row is wrong, or if nothing is left
     */
    public TrainingData(
            BaseConfig base, String data, Function<Row, List<T>> encoder, ToIntFunction<T> tokens, Rng rng) {
        this.base = base;
        train = Dataset.read(data, encoder, tokens);
        String evalData = base.evalData();
        held = evalData == null ? null : Dataset.read(evalData, encoder, tokens);
        order = DataOrder.of(base, train.sizes(), rng);
    }

    /** The examples that the optimizer step after {@code step} steps learns from, by micro-batch. */
    public List<List<Item<T>>> step(long step) {
        int size = base.perDeviceTrainBatchSize();
        return LongStream.range(0, base.gradientAccumulationSteps())
                .map(micro -> step * base.examplesPerStep() + micro * size)
                .mapToObj(first -> LongStream.range(first, first + size)
                        .mapToInt(order::at)
                        .mapToObj(this::item)
                        .toList())
                .toList();
    }

    /** The example at a place of the endless order, both counted from 0. */
    public T at(long place) {
        return train.get(order.at(place));
    }

    private Item<T> item(int index) {
        return new Item<>(index, train.get(index));
    }

    /** All examples that are learned, each once, in batches of the size of evaluation. */
    public Iterable<List<Item<T>>> all() {
        return batches(train, i -> i);
    }

    /** All examples that are held out, in batches of almost the same size: none has a single example if it need not. */
    public Iterable<List<Item<T>>> heldOut() {
        return held == null ? List.of() : batches(held, i -> -1 - i);
    }

    private Iterable<List<Item<T>>> batches(Dataset<T> data, IntUnaryOperator number) {
        int size = data.size();
        int batches = Math.ceilDiv(size, base.perDeviceEvalBatchSize());
        return () -> IntStream.range(0, batches)
                .mapToObj(b -> IntStream.range((int) ((long) b * size / batches), (int) ((b + 1L) * size / batches))
                        .mapToObj(i -> new Item<>(number.applyAsInt(i), data.get(i)))
                        .toList())
                .iterator();
    }

    /** The number of examples that are learned. */
    public long epoch() {
        return train.size();
    }

    /** What there is, for people. */
    public String description() {
        return train.description() + (held == null ? "" : "; held out " + held.description());
    }

    /** Tells whether the files are still the same. */
    public String id() {
        return train.id() + (held == null ? "" : held.id());
    }
}
