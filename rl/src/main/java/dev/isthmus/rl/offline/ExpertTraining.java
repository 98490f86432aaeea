package dev.isthmus.rl.offline;

import dev.isthmus.model.Parameter;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.objective.RewardModelLoss;
import dev.isthmus.rl.reward.RoutedExperts;
import dev.isthmus.rl.reward.RoutedExperts.Expert;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.data.Row;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;

/** Teaches what joins LoRA experts to a reward which of two completions is better, and their router which task a prompt is of. */
final class ExpertTraining extends OfflineTraining<ExpertTraining.TaskPair> {
    private final RoutedExperts experts;
    private final RewardModelLoss loss;

    /**
     * A pair.
     *
     * @param task the number of its task among those of the experts
     */
    record TaskPair(PairExample pair, int task) {
        int[] prompt() {
            return Arrays.copyOf(pair.chosen().tokens(), pair.chosen().learned()[0]);
        }
    }

    private ExpertTraining(
            TrainedModel trained, TrainingData<TaskPair> data, RoutedExperts experts, RewardModelLoss loss) {
        super(trained, data);
        this.experts = experts;
        this.loss = loss;
    }

    static ExpertTraining prepare(MethodConfig<RewardConfig> config, Start start) {
        RewardConfig own = config.own();
        Path model = Path.of(config.model());
        // The model is not in the checkpoint: nothing of it is trained.
        TrainedModel trained = TrainedModel.load(config, new Start(model, start.state(), start.directory()));
        List<Expert> named = own.experts().stream().map(Expert::parse).toList();
        Rng rng = Rng.of(config.base().seed()).split("experts");
        RoutedExperts experts = RoutedExperts.initialize(trained.decoder(), model, named, rng);
        start.directory().ifPresent(experts::restore);
        int length = Preparation.length(trained, own.maxLength());
        Function<Row, List<PairExample>> pairs =
                PairExample.reader(RowEncoder.of(trained), length, own.truncationMode());
        return new ExpertTraining(
                trained,
                Preparation.data(
                        config,
                        row -> pairs.apply(row).stream()
                                .map(pair -> new TaskPair(pair, task(row, experts.tasks())))
                                .toList(),
                        example -> example.pair.tokens()),
                experts,
                own.loss());
    }

    private static int task(Row row, List<String> tasks) {
        if (tasks.size() == 1) {
            return 0;
        }
        int task = tasks.indexOf(row.string("task"));
        if (task < 0) {
            throw row.wrong("\"task\" must be one of those of the experts, " + tasks + ", found " + row.field("task"));
        }
        return task;
    }

    @Override
    PartLoss<TaskPair> step(Step<TaskPair> step, StepLog log) {
        return part -> {
            List<TaskPair> pairs = part.stream().map(Item::example).toList();
            int[] tasks = pairs.stream().mapToInt(TaskPair::task).toArray();
            List<int[]> texts = pairs.stream()
                    .flatMap(p -> Stream.of(
                            p.pair.chosen().tokens(), p.pair.rejected().tokens()))
                    .toList();
            Tensor rewards = experts.rewards(
                    texts,
                    pairs.stream()
                            .flatMapToInt(p -> Arrays.stream(new int[] {p.task, p.task}))
                            .toArray());
            long end = rewards.size(0);
            double[] margins = pairs.stream().mapToDouble(p -> p.pair.margin()).toArray();
            LossResult result = loss.compute(
                    rewards.slice(0, 0, end, 2),
                    rewards.slice(0, 1, end, 2),
                    Tensor.of(margins, margins.length).to(rewards.dtype()));
            log.putAll(result.metrics(), part.size());
            return experts.tasks().size() == 1 ? result.loss() : result.loss().add(routing(pairs, tasks, log));
        };
    }

    private Tensor routing(List<TaskPair> pairs, int[] tasks, StepLog log) {
        Tensor scores = experts.route(pairs.stream().map(TaskPair::prompt).toList());
        Tensor routing = Functional.crossEntropy(scores, Tensor.of(tasks, tasks.length));
        double[] found = scores.detach().argmax(1, false).toDoubles();
        int right = 0;
        for (int i = 0; i < tasks.length; i++) {
            right += found[i] == tasks[i] ? 1 : 0;
        }
        log.put("router_loss", routing.item(), tasks.length);
        log.put("router_accuracy", (double) right / tasks.length, tasks.length);
        return routing;
    }

    @Override
    long tokens(TaskPair example) {
        return example.pair.tokens();
    }

    @Override
    public List<Parameter> parameters() {
        return experts.parameters();
    }

    @Override
    public List<String> shown() {
        return experts.tasks().size() == 1 ? List.of("accuracy", "margin") : List.of("accuracy", "router_accuracy");
    }

    @Override
    public void saveModel(Path directory) {
        experts.save(directory);
        trained.saveTokenizer(directory);
    }
}
