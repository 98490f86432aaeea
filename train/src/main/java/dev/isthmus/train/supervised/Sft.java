package dev.isthmus.train.supervised;

import dev.isthmus.tensor.Rng;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;

/** Supervised fine-tuning on completions of prompts, or on texts. */
public final class Sft implements TrainingMethod<SftConfig> {
    @Override
    public String key() {
        return "sft";
    }

    @Override
    public Class<SftConfig> settings() {
        return SftConfig.class;
    }

    @Override
    public Training prepare(MethodConfig<SftConfig> config, Start start) {
        Rng rng = Rng.of(config.base().seed());
        TrainedModel model = TrainedModel.load(config, start);
        int readable =
                Math.min(config.own().maxLength(), model.decoder().config().maxPositionEmbeddings());
        SftRows source = new SftRows(
                config.base(), config.data(), config.own(), RowEncoder.of(model), readable, rng.split("data"));
        return new SupervisedTraining(
                config.base(),
                model,
                source,
                config.own().lossType(),
                config.own().routerAuxLossCoef());
    }
}
