package dev.isthmus.rl.offline;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.rl.objective.preference.BcoLoss;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;
import java.nio.file.Path;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** Binary classifier optimization: a policy learns to tell good completions from bad ones by its own log-ratios. */
public final class Bco implements TrainingMethod<BcoConfig> {
    @Override
    public String key() {
        return "bco";
    }

    @Override
    public Class<BcoConfig> settings() {
        return BcoConfig.class;
    }

    @Override
    public List<String> models(MethodConfig<BcoConfig> config) {
        String refModel = config.own().refModel();
        String embeddingModel = config.own().embeddingModel();
        String reference = refModel == null ? config.model() : refModel;
        return embeddingModel == null ? List.of(reference) : List.of(reference, embeddingModel);
    }

    @Override
    public Training prepare(MethodConfig<BcoConfig> config, Start start) {
        BcoConfig own = config.own();
        TrainedModel trained = TrainedModel.load(config, start);
        TrainingData<LabelledExample> data =
                Preparation.labelled(config, trained, own.maxLength(), own.truncationMode());
        ReferenceModel reference = Preparation.reference(config, own.refModel(), trained);
        JsonNode state = start.state();
        BcoLoss.Mean rewards = state.has("delta")
                ? new BcoLoss.Mean(
                        state.path("delta").asDouble(),
                        state.path("delta_count").asLong())
                : BcoLoss.Mean.NONE;
        DensityRatios ratios =
                own.embeddingModel() == null ? null : ratios(config, own.embeddingModel(), trained, data);
        return new BcoTraining(trained, data, new BcoLoss(own.beta()), rewards, ratios, reference);
    }

    private static DensityRatios ratios(
            MethodConfig<BcoConfig> config, String name, TrainedModel trained, TrainingData<LabelledExample> data) {
        BcoConfig own = config.own();
        try (Scope scope = Scope.open()) {
            Decoder model = Pretrained.load(Path.of(name));
            int words = trained.decoder().config().vocabSize();
            if (model.config().vocabSize() != words) {
                throw new IsthmusException("embedding_model is a model of "
                        + model.config().vocabSize() + " tokens, and the model that is trained has " + words
                        + "; they need the same vocabulary");
            }
            Rng rng = Rng.of(config.base().seed()).split("prompts");
            return DensityRatios.of(
                    model, data, own.promptSampleSize(), own.minDensityRatio(), own.maxDensityRatio(), rng);
        }
    }
}
