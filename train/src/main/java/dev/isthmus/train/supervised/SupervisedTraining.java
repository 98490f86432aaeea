package dev.isthmus.train.supervised;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Functional.TokenLoss;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.CompletionLoss.Prediction;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.loop.BaseConfig;
import dev.isthmus.train.loop.MicroBatch;
import dev.isthmus.train.loop.RouterAuxLoss;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** Learns the next token of sequences from a {@link SequenceSource}. */
final class SupervisedTraining implements Training {
    private static final int SAMPLES = 3;
    private static final int SAMPLE_PROMPT = 16;
    private static final int SAMPLE_TOKENS = 200;
    private static final double SAMPLE_TEMPERATURE = 0.8;

    private final BaseConfig base;
    private final TrainedModel trained;
    private final SequenceSource source;
    private final LossType lossType;
    private final double routerAuxLossCoef;

    SupervisedTraining(
            BaseConfig base, TrainedModel trained, SequenceSource source, LossType lossType, double routerAuxLossCoef) {
        this.base = base;
        this.trained = trained;
        this.source = source;
        this.lossType = lossType;
        this.routerAuxLossCoef = routerAuxLossCoef;
    }

    @Override
    public Decoder model() {
        return trained.decoder();
    }

    @Override
    public long epoch() {
        return source.epoch();
    }

    @Override
    public String description() {
        return source.description();
    }

    @Override
    public String dataId() {
        return source.id();
    }

    @Override
    public List<MicroBatch> microBatches(long step, StepLog log) {
        int size = base.perDeviceTrainBatchSize();
        List<List<Sequence>> batches = LongStream.range(0, base.gradientAccumulationSteps())
                .map(micro -> step * base.examplesPerStep() + micro * size)
                .mapToObj(first -> LongStream.range(first, first + size)
                        .mapToObj(source::row)
                        .flatMap(List::stream)
                        .toList())
                .toList();
        long learned = batches.stream().mapToLong(SupervisedTraining::learned).sum();
        return batches.stream()
                .map(batch -> new MicroBatch(
                        batch.stream().mapToLong(s -> s.tokens().length - 1).sum(),
                        () -> loss(batch, learned, 1.0 / batches.size(), log)))
                .toList();
    }

    private static long learned(List<Sequence> batch) {
        return batch.stream().mapToLong(s -> s.learned().length).sum();
    }

    /**
     * The losses of all learned tokens of a batch.
     *
     * @param tokens what their sum is divided by
     * @param share what the batch counts in what is minimized
     */
    private Tensor loss(List<Sequence> batch, long tokens, double share, StepLog log) {
        RouterAuxLoss balance = new RouterAuxLoss(model(), routerAuxLossCoef);
        Tensor sum = sum(batch, CompletionLoss.predict(model(), batch, balance.trace()), log);
        return balance.addTo(sum.div(tokens), share, log);
    }

    private Tensor sum(List<Sequence> batch, Prediction prediction, StepLog log) {
        TokenLoss tokens = Functional.tokenLoss(prediction.logits(), prediction.targets(), 1, true, true);
        long learned = learned(batch);
        Autograd.noGrad(() -> {
            Tensor best = prediction.logits().detach().argmax(1, false).to(DType.INT32);
            log.put(
                    "mean_token_accuracy",
                    best.eq(prediction.targets()).to(DType.FLOAT64).mean().item(),
                    learned);
            log.put(
                    "entropy",
                    Objects.requireNonNull(tokens.entropy())
                            .to(DType.FLOAT64)
                            .mean()
                            .item(),
                    learned);
        });
        Tensor loss = lossType.of(tokens.loss());
        return weighted(loss, batch).sum();
    }

    private static Tensor weighted(Tensor loss, List<Sequence> batch) {
        if (batch.stream().allMatch(s -> s.weight() == 1)) {
            return loss;
        }
        double[] weights = batch.stream()
                .flatMapToDouble(s -> DoubleStream.generate(s::weight).limit(s.learned().length))
                .toArray();
        return loss.mul(Tensor.of(weights, weights.length).to(loss.dtype()));
    }

    /** The mean over the learned tokens of all that is held out. */
    @Override
    public void evaluate(StepLog log) {
        long learned = 0;
        double sum = 0;
        int size = base.perDeviceEvalBatchSize();
        for (int i = 0; i < source.heldOut(); i += size) {
            List<Sequence> batch = IntStream.range(i, Math.min(source.heldOut(), i + size))
                    .mapToObj(source::heldOut)
                    .flatMap(List::stream)
                    .toList();
            long tokens = learned(batch);
            try (Scope scope = Scope.open()) {
                sum += tokens
                        * Autograd.noGrad(() -> loss(batch, tokens, 1, log).item());
            }
            learned += tokens;
        }
        if (learned > 0) {
            log.put("loss", sum / learned);
        }
    }

    @Override
    public void saveModel(Path directory) {
        trained.save(directory);
    }

    /** What the model makes of the beginnings of a few examples that it has not learned, if there are any. */
    @Override
    public List<LanguageModel.Text> samples() {
        int held = source.heldOut();
        List<Sequence> shown = held == 0
                ? LongStream.range(0, Math.min(SAMPLES, source.epoch()))
                        .mapToObj(place -> source.row(place).getFirst())
                        .toList()
                : IntStream.range(0, Math.min(SAMPLES, held))
                        .mapToObj(i -> source.heldOut((int) ((long) i * held / SAMPLES))
                                .getFirst())
                        .toList();
        return new LanguageModel(model(), trained.tokenizer())
                .complete(
                        shown.stream().map(this::prompt).toList(),
                        SamplingParams.temperature(SAMPLE_TEMPERATURE),
                        SAMPLE_TOKENS,
                        1,
                        Rng.of(base.seed()).split("samples"));
    }

    /** The prompt; of a sequence without one the first tokens, in a window of text those after the first line break. */
    private int[] prompt(Sequence sequence) {
        int[] tokens = sequence.tokens();
        int prompt = sequence.learned()[0];
        if (prompt > 1) {
            return Arrays.copyOf(tokens, prompt);
        }
        int length = Math.clamp(tokens.length / 4, 1, SAMPLE_PROMPT);
        String text = trained.tokenizer().decode(tokens);
        String lines = text.substring(text.indexOf('\n') + 1).stripLeading();
        int[] whole = trained.tokenizer().encode(lines, true);
        boolean windows = source instanceof TextWindows;
        return Arrays.copyOf(windows && whole.length > length ? whole : tokens, length);
    }
}
