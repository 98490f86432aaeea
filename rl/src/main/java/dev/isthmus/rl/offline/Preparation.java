package dev.isthmus.rl.offline;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.rl.reward.Classifier;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.data.PreferenceRows;
import dev.isthmus.train.data.Row;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.Truncation;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/** What trainers on files load before they begin. */
final class Preparation {
    private Preparation() {}

    /** The model with a head of {@code labels} numbers: that of its files, else a new one. */
    static Classifier classifier(
            MethodConfig<?> config, Start start, TrainedModel trained, int labels, boolean withBias) {
        return Classifier.loadOrInitialize(
                trained.decoder(),
                start.directory().orElse(Objects.requireNonNull(start.weights())),
                labels,
                withBias,
                Rng.of(config.base().seed()).split("head"));
    }

    /** As much of {@code maxLength} as the model can read. */
    static int length(TrainedModel trained, int maxLength) {
        return Math.min(maxLength, trained.decoder().config().maxPositionEmbeddings());
    }

    /** The examples that {@code reader} makes of the rows. */
    static <E> TrainingData<E> data(MethodConfig<?> config, Function<Row, List<E>> reader, ToIntFunction<E> tokens) {
        Rng rng = Rng.of(config.base().seed()).split("data").split("order");
        return new TrainingData<>(config.base(), config.data(), reader, tokens, rng);
    }

    /** Rows of a prompt with a better and a worse completion. */
    static TrainingData<PairExample> pairs(
            MethodConfig<?> config, TrainedModel trained, int maxLength, Truncation truncation) {
        return pairs(config, trained, maxLength, truncation, false);
    }

    /** The same, of which each must have a {@code margin} if the loss reads it. */
    static TrainingData<PairExample> pairs(
            MethodConfig<?> config, TrainedModel trained, int maxLength, Truncation truncation, boolean withMargins) {
        int length = length(trained, maxLength);
        Function<Row, List<PairExample>> reader = PairExample.reader(RowEncoder.of(trained), length, truncation);
        return data(
                config,
                row -> {
                    if (withMargins) {
                        row.field("margin");
                    }
                    return reader.apply(row);
                },
                PairExample::tokens);
    }

    /** Rows of completions that are good or bad by themselves, or of pairs, of which one is good and one bad. */
    static TrainingData<LabelledExample> labelled(
            MethodConfig<?> config, TrainedModel trained, int maxLength, Truncation truncation) {
        int length = length(trained, maxLength);
        Function<Row, List<PairExample>> pairs = PairExample.reader(RowEncoder.of(trained), length, truncation);
        Function<Row, List<LabelledExample>> singles =
                LabelledExample.reader(RowEncoder.of(trained), length, truncation);
        return data(
                config,
                row -> PreferenceRows.matches(row)
                        ? pairs.apply(row).stream().flatMap(LabelledExample::of).toList()
                        : singles.apply(row),
                LabelledExample::tokens);
    }

    /**
     * The frozen reference of a run: {@code refModel}, or the model that the run began with; of a policy that adapters change, the
     * model under them, of which there is no copy.
     *
     * @throws IsthmusException if it cannot be loaded
     */
    static ReferenceModel reference(MethodConfig<?> config, @Nullable String refModel, TrainedModel trained) {
        Decoder policy = trained.decoder();
        String name = refModel == null ? config.model() : refModel;
        boolean adapted = refModel == null && !policy.adapters().isEmpty();
        return new ReferenceModel(adapted ? policy.base() : Pretrained.load(Path.of(name)));
    }
}
