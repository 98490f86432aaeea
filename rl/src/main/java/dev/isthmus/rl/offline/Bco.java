package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.preference.BcoLoss;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

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
    public Training prepare(MethodConfig<BcoConfig> config, Start start) {
        BcoConfig own = config.own();
        TrainedModel trained = TrainedModel.load(config, start);
        TrainingData<LabelledExample> data =
                Preparation.labelled(config, trained, own.maxLength(), own.truncationMode());
        ReferenceModel reference = Preparation.reference(config, own.refModel(), start, trained);
        BcoLoss loss = new BcoLoss(own.beta());
        JsonNode delta = start.state().path("delta");
        if (delta.isNumber()) {
            loss.restore(new BcoLoss.State(
                    delta.asDouble(), start.state().path("delta_count").asLong()));
        }
        int length = Preparation.length(trained, own.maxLength());
        return new LabelledTraining(trained, data, loss, 0, reference, length) {
            /** As it was before the step that is being taken. */
            private BcoLoss.State before = loss.state();

            @Override
            public void stepped(long globalStep, StepLog log) {
                if (!Double.isFinite(loss.state().delta())) {
                    loss.restore(before);
                }
                before = loss.state();
            }

            @Override
            public void evaluate(StepLog log) {
                BcoLoss.State trainedOn = loss.state();
                super.evaluate(log);
                loss.restore(trainedOn);
            }

            @Override
            public void state(ObjectNode state) {
                super.state(state);
                state.put("delta", loss.state().delta())
                        .put("delta_count", loss.state().count());
            }
        };
    }
}
