package dev.isthmus.rl.offline;

import dev.isthmus.rl.objective.preference.Completions;
import dev.isthmus.rl.objective.preference.KtoLoss;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.TrainedModel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** Learns from good and bad completions, compared with completions of other prompts. */
class KtoTraining extends LabelledTraining {
    private final KtoLoss loss;
    private final int length;

    /**
     * Training of {@code trained}.
     *
     * @param length tokens of a sequence at most
     */
    KtoTraining(
            TrainedModel trained,
            TrainingData<LabelledExample> data,
            KtoLoss loss,
            double routerAuxLossCoef,
            ReferenceModel reference,
            int length) {
        super(trained, data, loss, routerAuxLossCoef, reference);
        this.loss = loss;
        this.length = length;
    }

    @Override
    ToDoubleFunction<Completions> baseline(Step<LabelledExample> step) {
        if (!loss.usesMismatched()) {
            return _ -> 0;
        }
        List<Sequence> mismatched = mismatched(step.items());
        if (mismatched.isEmpty()) {
            throw new IsthmusException(
                    "kto compares with completions of other prompts, and there is only one example at once: held-out data"
                            + " must have at least 2 rows, and per_device_eval_batch_size be at least 2");
        }
        int atOnce = step.parts().getFirst().size();
        double sum = 0;
        for (int i = 0; i < mismatched.size(); i += atOnce) {
            List<Sequence> some = mismatched.subList(i, Math.min(i + atOnce, mismatched.size()));
            sum += sumOfLogRatios(some, () -> reference.logps(some));
        }
        double kl = KtoLoss.kl(sum / mismatched.size());
        return _ -> kl;
    }

    /**
     * Each prompt of a step with the completion of the one before it: {@code (x_1, y_N), (x_2, y_1), ...}. In TRL they are those of a
     * micro-batch; here it does not matter how a step is divided.
     */
    List<Sequence> mismatched(List<Item<LabelledExample>> step) {
        List<Sequence> sequences = new ArrayList<>();
        for (int i = 0; i < step.size() && step.size() > 1; i++) {
            Sequence own = step.get(i).example().sequence();
            Sequence other =
                    step.get((i + step.size() - 1) % step.size()).example().sequence();
            int prompt = own.learned()[0];
            int completion = Math.min(other.learned().length, length - prompt);
            if (completion > 0) {
                int[] tokens = Arrays.copyOf(own.tokens(), prompt + completion);
                System.arraycopy(other.tokens(), other.learned()[0], tokens, prompt, completion);
                sequences.add(Sequence.of(tokens, prompt));
            }
        }
        return sequences;
    }
}
