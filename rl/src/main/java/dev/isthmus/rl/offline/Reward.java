package dev.isthmus.rl.offline;

import dev.isthmus.rl.reward.Classifier;
import dev.isthmus.rl.reward.RoutedExperts.Expert;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;
import java.util.List;

/** A reward model: a number for a prompt with its completion, higher for the better of two (Bradley and Terry 1952). */
public final class Reward implements TrainingMethod<RewardConfig> {
    @Override
    public String key() {
        return "reward";
    }

    @Override
    public Class<RewardConfig> settings() {
        return RewardConfig.class;
    }

    @Override
    public void check(MethodConfig<RewardConfig> config) {
        TrainingMethod.super.check(config);
        if (!config.own().experts().isEmpty() && config.modelConfig().peft() != null) {
            throw new IsthmusException("experts are adapters that are trained already; leave peft out");
        }
    }

    @Override
    public List<String> models(MethodConfig<RewardConfig> config) {
        return config.own().experts().stream()
                .map(expert -> Expert.parse(expert).adapter().toString())
                .toList();
    }

    @Override
    public Training prepare(MethodConfig<RewardConfig> config, Start start) {
        RewardConfig own = config.own();
        if (!own.experts().isEmpty()) {
            return ExpertTraining.prepare(config, start);
        }
        TrainedModel trained = TrainedModel.load(config, start);
        Classifier classifier = Preparation.classifier(config, start, trained, 1, false);
        return new RewardTraining(
                trained,
                Preparation.pairs(config, trained, own.maxLength(), own.truncationMode()),
                classifier,
                own.loss());
    }
}
