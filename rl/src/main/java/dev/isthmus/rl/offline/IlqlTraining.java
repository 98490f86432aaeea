package dev.isthmus.rl.offline;

import dev.isthmus.model.Parameter;
import dev.isthmus.rl.objective.IlqlLoss;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.QValueLoss;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.RouterAuxLoss;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Teaches a model which tokens lead to reward. */
final class IlqlTraining extends OfflineTraining<RewardedExample> {
    private final IlqlConfig settings;
    private final IlqlLoss loss;
    private final IlqlHeads heads;

    IlqlTraining(TrainedModel trained, TrainingData<RewardedExample> data, IlqlConfig settings, IlqlHeads heads) {
        super(trained, data);
        this.settings = settings;
        this.heads = heads;
        loss = settings.loss();
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> parameters = new ArrayList<>(super.parameters());
        parameters.addAll(heads.parameters());
        return parameters;
    }

    @Override
    PartLoss<RewardedExample> step(Step<RewardedExample> step, StepLog log) {
        return part -> {
            List<RewardedExample> examples = part.stream().map(Item::example).toList();
            List<Sequence> sequences =
                    examples.stream().map(RewardedExample::sequence).toList();
            RouterAuxLoss balance = new RouterAuxLoss(model(), settings.routerAuxLossCoef());
            Tensor hidden = CompletionLoss.hidden(model(), sequences, balance.trace());
            Tensor tokens = tokens(sequences);
            Tensor logps = Functional.selectiveLogSoftmax(model().logits(hidden), tokens);
            LossResult result = loss.compute(transitions(examples, hidden, tokens), row(logps));
            log.putAll(result.metrics(), actions(part));
            double share = (double) actions(part) / actions(step.items()) * step.size() / part.size();
            return balance.addTo(result.loss().mul(share), 1, log);
        };
    }

    /** The tokens of all completions one after another, each the action of the state before it, {@code [1, T]}. */
    private QValueLoss.Inputs transitions(List<RewardedExample> examples, Tensor hidden, Tensor tokens) {
        int actions = (int) tokens.count();
        double[] rewards = new double[actions];
        double[] ends = new double[actions];
        int n = 0;
        for (RewardedExample example : examples) {
            n += example.sequence().learned().length;
            rewards[n - 1] = example.reward();
            ends[n - 1] = 1;
        }
        List<Tensor> q = heads.q(hidden);
        Tensor values = row(heads.values(hidden));
        Tensor nextValues =
                Autograd.noGrad(() -> Tensor.cat(1, values.detach().slice(1, 1), Tensor.zeros(values.dtype(), 1, 1)));
        return new QValueLoss.Inputs(
                q.stream().map(each -> of(each, tokens)).toList(),
                Autograd.noGrad(() -> heads.targetQ(hidden).stream()
                        .map(each -> of(each, tokens))
                        .toList()),
                values,
                nextValues,
                row(Tensor.of(rewards, actions).to(values.dtype())),
                row(Tensor.of(ends, actions).to(values.dtype())),
                settings.cqlScale() == 0
                        ? null
                        : q.stream()
                                .map(each -> row(Functional.selectiveLogSoftmax(each, tokens)))
                                .toList(),
                Tensor.full(values.dtype(), 1, 1, actions));
    }

    /** {@code Q(s, a)} of {@code q [T, V]}. */
    private static Tensor of(Tensor q, Tensor tokens) {
        return row(q.takeAlongDim(tokens.unsqueeze(-1), -1));
    }

    private static Tensor row(Tensor values) {
        return values.reshape(1, -1);
    }

    private static Tensor tokens(List<Sequence> sequences) {
        int[] tokens = sequences.stream()
                .flatMapToInt(s -> Arrays.stream(s.learned()).map(t -> s.tokens()[t]))
                .toArray();
        return Tensor.of(tokens, tokens.length);
    }

    private static long actions(List<Item<RewardedExample>> items) {
        return items.stream()
                .mapToLong(item -> item.example().sequence().learned().length)
                .sum();
    }

    @Override
    long tokens(RewardedExample example) {
        return example.tokens();
    }

    @Override
    public void stepped(long globalStep, StepLog log) {
        if (globalStep % settings.stepsForTargetQSync() == 0) {
            heads.syncTargets(settings.alpha());
        }
    }

    @Override
    public List<String> shown() {
        return List.of("losses/loss_q", "losses/loss_v", "losses/loss_awac");
    }

    @Override
    public void saveModel(Path directory) {
        super.saveModel(directory);
        heads.save(directory);
    }
}
