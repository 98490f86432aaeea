package dev.isthmus.train.data;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.Epochs;
import dev.isthmus.train.loop.BaseConfig;
import dev.isthmus.train.loop.BaseConfig.SamplingStrategy;
import java.util.Arrays;

/** Which example stands at which place of a run: a function of the seed and the place, so that nothing is saved. */
@FunctionalInterface
public interface DataOrder {
    /** The example at a place, both counted from 0. */
    int at(long place);

    /**
     * The order that the settings ask for: as the files have it, all together shuffled anew each epoch, or each file shuffled by
     * itself and mixed by given shares.
     *
     * @param sizes the number of examples of each file
     * @throws IsthmusException if shares do not fit the files
     */
    static DataOrder of(BaseConfig base, int[] sizes, Rng rng) {
        int size = Arrays.stream(sizes).sum();
        if (!base.dataProbabilities().isEmpty()) {
            return new MixedOrder(sizes, base.dataProbabilities(), rng);
        }
        return base.trainSamplingStrategy() == SamplingStrategy.SEQUENTIAL
                ? place -> (int) (place % size)
                : new Epochs(size, rng)::at;
    }
}
