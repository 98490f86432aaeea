package dev.isthmus.rl.offline;

import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;

/** Contrastive preference optimization, SimPO and AlphaPO: preferences without a reference. */
public final class Cpo implements TrainingMethod<CpoConfig> {
    @Override
    public String key() {
        return "cpo";
    }

    @Override
    public Class<CpoConfig> settings() {
        return CpoConfig.class;
    }

    @Override
    public Training prepare(MethodConfig<CpoConfig> config, Start start) {
        CpoConfig own = config.own();
        TrainedModel trained = TrainedModel.load(config, start);
        return new ReferenceFreeTraining(
                trained, Preparation.pairs(config, trained, own.maxLength(), own.truncationMode()), own.loss(), false);
    }
}
