package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.preference.OrpoLoss;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;

/** Odds-ratio preference optimization: fine-tuning and preferences at once, without a reference. */
public final class Orpo implements TrainingMethod<OrpoConfig> {
    @Override
    public String key() {
        return "orpo";
    }

    @Override
    public Class<OrpoConfig> settings() {
        return OrpoConfig.class;
    }

    @Override
    public Training prepare(MethodConfig<OrpoConfig> config, Start start) {
        OrpoConfig own = config.own();
        TrainedModel trained = TrainedModel.load(config, start);
        return new ReferenceFreeTraining(
                trained,
                Preparation.pairs(config, trained, own.maxLength(), own.truncationMode()),
                new OrpoLoss(own.beta()),
                true);
    }
}
