package dev.isthmus.rl.offline;

import dev.isthmus.rl.reward.Classifier;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;

/** A process reward model: whether each step of a solution is right (Lightman et al. 2023). */
public final class Prm implements TrainingMethod<PrmConfig> {
    @Override
    public String key() {
        return "prm";
    }

    @Override
    public Class<PrmConfig> settings() {
        return PrmConfig.class;
    }

    @Override
    public Training prepare(MethodConfig<PrmConfig> config, Start start) {
        PrmConfig own = config.own();
        TrainedModel trained = TrainedModel.load(config, start);
        if (trained.tokenizer().encode(own.stepSeparator()).length == 0) {
            throw new IsthmusException(
                    "prm: step_separator must have at least one token, found \"" + own.stepSeparator() + "\"");
        }
        Classifier classifier = Preparation.classifier(config, start, trained, 2, true);
        TrainingData<StepwiseExample> data = Preparation.data(
                config,
                StepwiseExample.reader(
                        RowEncoder.of(trained),
                        Preparation.length(trained, own.maxLength()),
                        own.stepSeparator(),
                        own.trainOnLastStepOnly()),
                e -> e.tokens().length);
        return new StepwiseTraining(trained, data, classifier);
    }
}
