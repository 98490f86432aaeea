package dev.isthmus.rl.offline;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;
import java.util.List;

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
    public void check(MethodConfig<KtoConfig> config) {
        TrainingMethod.super.check(config);
        if (config.own().loss().usesMismatched() && config.base().examplesPerStep() < 2) {
            throw new IsthmusException("kto compares with completions of other prompts of the same step:"
                    + " per_device_train_batch_size x gradient_accumulation_steps must be at least 2");
        }
    }

    @Override
    public List<String> models(MethodConfig<KtoConfig> config) {
        String refModel = config.own().refModel();
        return List.of(refModel == null ? config.model() : refModel);
    }

    @Override
    public Training prepare(MethodConfig<KtoConfig> config, Start start) {
        KtoConfig own = config.own();
        TrainedModel trained = TrainedModel.load(config, start);
        TrainingData<LabelledExample> data =
                Preparation.labelled(config, trained, own.maxLength(), own.truncationMode());
        if (own.loss().usesMismatched() && data.epoch() < 2) {
            throw new IsthmusException("kto compares with completions of other prompts: " + config.data()
                    + " must have at least 2 examples");
        }
        ReferenceModel reference = Preparation.reference(config, own.refModel(), trained);
        int length = Preparation.length(trained, own.maxLength());
        return new KtoTraining(trained, data, own.loss(), own.routerAuxLossCoef(), reference, length);
    }
}
