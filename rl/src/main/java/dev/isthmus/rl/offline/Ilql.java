package dev.isthmus.rl.offline;

import dev.isthmus.tensor.Rng;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;
import java.util.Objects;

/** Implicit language Q-learning: which tokens lead to reward, from completions that anyone wrote. */
public final class Ilql implements TrainingMethod<IlqlConfig> {
    @Override
    public String key() {
        return "ilql";
    }

    @Override
    public Class<IlqlConfig> settings() {
        return IlqlConfig.class;
    }

    @Override
    public Training prepare(MethodConfig<IlqlConfig> config, Start start) {
        IlqlConfig own = config.own();
        TrainedModel trained = TrainedModel.load(config, start);
        int length = Preparation.length(trained, own.maxLength());
        TrainingData<RewardedExample> data = Preparation.data(
                config,
                RewardedExample.reader(RowEncoder.of(trained), length, own.truncationMode()),
                RewardedExample::tokens);
        IlqlHeads heads = IlqlHeads.loadOrInitialize(
                trained.decoder(),
                start.directory().orElse(Objects.requireNonNull(start.weights())),
                own.twoQs(),
                Rng.of(config.base().seed()).split("head"));
        return new IlqlTraining(trained, data, own, heads);
    }
}
