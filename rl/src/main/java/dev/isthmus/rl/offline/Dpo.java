package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.preference.DpoLossType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;
import java.util.List;

/** Direct preference optimization: a policy learns which of two completions is better, and stays near a reference. */
public final class Dpo implements TrainingMethod<DpoConfig> {
    @Override
    public String key() {
        return "dpo";
    }

    @Override
    public Class<DpoConfig> settings() {
        return DpoConfig.class;
    }

    @Override
    public List<String> models(MethodConfig<DpoConfig> config) {
        DpoConfig own = config.own();
        if (own.syncRefModel()) {
            // The reference is in the checkpoint.
            return List.of();
        }
        return List.of(own.refModel() == null ? config.model() : own.refModel());
    }

    @Override
    public Training prepare(MethodConfig<DpoConfig> config, Start start) {
        DpoConfig own = config.own();
        TrainedModel trained = TrainedModel.load(config, start);
        TrainingData<PairExample> data =
                Preparation.pairs(config, trained, own.maxLength(), own.truncationMode(), own.usesMargins());
        if (own.syncRefModel() && start.directory().isPresent()) {
            ReferenceModel moved = ReferenceModel.load(start.directory().get());
            return new DpoTraining(trained, data, own, moved);
        }
        ReferenceModel reference;
        if (own.precomputeRefLogProbs()) {
            try (Scope scope = Scope.open()) {
                reference = Preparation.reference(config, own.refModel(), trained);
                DpoTraining.precompute(reference, data);
            }
        } else {
            reference = Preparation.reference(config, own.refModel(), trained);
        }
        return new DpoTraining(trained, data, own, reference);
    }

    @Override
    public void check(MethodConfig<DpoConfig> config) {
        TrainingMethod.super.check(config);
        if (config.own().loss().usesPartners() && config.own().useWeighting()) {
            throw new IsthmusException("dpo: loss_type aot sorts the pairs of a batch, so use_weighting must be off");
        }
        if (config.own().labelSmoothing() != 0
                && config.own().lossType().stream().noneMatch(DpoLossType::usesLabelSmoothing)) {
            throw new IsthmusException("dpo: label_smoothing means nothing to loss_type "
                    + config.own().lossType() + "; exo_pair, robust, cdpo, aot and aot_unpaired know of it");
        }
    }
}
