package dev.isthmus.rl.offline;

import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;

/** Kahneman-Tversky optimization: a policy learns from completions that are good or bad by themselves. */
public final class Kto implements TrainingMethod<KtoConfig> {
    @Override
    public String key() {
        return "kto";
    }

    @Override
    public Class<KtoConfig> settings() {
        return KtoConfig.class;
    }

    @Override
    public Training prepare(MethodConfig<KtoConfig> config, Start start) {
        KtoConfig own = config.own();
        TrainedModel trained = TrainedModel.load(config, start);
        TrainingData<LabelledExample> data =
                Preparation.labelled(config, trained, own.maxLength(), own.truncationMode());
        ReferenceModel reference = Preparation.reference(config, own.refModel(), start, trained);
        int length = Preparation.length(trained, own.maxLength());
        return new LabelledTraining(trained, data, own.loss(), own.routerAuxLossCoef(), reference, length);
    }
}
