package dev.isthmus.train.supervised;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Example;
import dev.isthmus.train.loop.BaseConfig;
import dev.isthmus.train.loop.MicroBatch;
import dev.isthmus.train.loop.StepLog;
import dev.isthmus.train.loop.Training;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/** Learns the next token of examples from an {@link ExampleSource}. */
final class SupervisedTraining implements Training {
    private static final int SAMPLES = 3;
    private static final int SAMPLE_PROMPT = 16;
    private static final int SAMPLE_TOKENS = 200;
    private static final double SAMPLE_TEMPERATURE = 0.8;

    private final BaseConfig base;
    private final Decoder model;
    private final Tokenizer tokenizer;
    private final @Nullable Path tokenizerFiles;
    private final ExampleSource source;
    private final String dataId;
    private final boolean windows;
    private final List<Example> validation;

    /**
     * Training of {@code model}.
     *
     * @param tokenizerFiles where the files of the tokenizer lie; null for that of characters
     * @param windows whether examples are windows of a text, which begin anywhere
     */
    SupervisedTraining(
            BaseConfig base,
            Decoder model,
            Tokenizer tokenizer,
            @Nullable Path tokenizerFiles,
            ExampleSource source,
            String dataId,
            boolean windows) {
        this.base = base;
        this.model = model;
        this.tokenizer = tokenizer;
        this.tokenizerFiles = tokenizerFiles;
        this.source = source;
        this.dataId = dataId;
        this.windows = windows;
        validation = source.validation();
    }

    @Override
    public Decoder model() {
        return model;
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
        return dataId;
    }

    @Override
    public List<MicroBatch> microBatches(long step, StepLog log) {
        int size = base.perDeviceTrainBatchSize();
        List<List<Example>> batches = LongStream.range(0, base.gradientAccumulationSteps())
                .map(micro -> step * base.examplesPerStep() + micro * size)
                .mapToObj(first -> LongStream.range(first, first + size)
                        .mapToObj(source::example)
                        .toList())
                .toList();
        long learned = batches.stream().mapToLong(CompletionLoss::tokens).sum();
        return batches.stream()
                .map(batch -> new MicroBatch(
                        batch.stream().mapToLong(e -> e.tokens().length - 1).sum(),
                        () -> CompletionLoss.mean(model, batch, learned)))
                .toList();
    }

    /** The mean over the completion tokens of all held-out examples. */
    @Override
    public void evaluate(StepLog log) {
        long learned = CompletionLoss.tokens(validation);
        double sum = 0;
        int size = base.perDeviceEvalBatchSize();
        for (int i = 0; i < validation.size(); i += size) {
            List<Example> batch = validation.subList(i, Math.min(validation.size(), i + size));
            try (Scope scope = Scope.open()) {
                sum += Autograd.noGrad(
                        () -> CompletionLoss.mean(model, batch, learned).item());
            }
        }
        if (learned > 0) {
            log.put("loss", sum);
        }
    }

    @Override
    public void saveModel(Path directory) {
        Pretrained.save(model, directory);
        if (tokenizer instanceof CharTokenizer characters) {
            characters.save(directory);
        } else if (tokenizerFiles != null) {
            Tokenizers.copy(tokenizerFiles, directory);
        }
    }

    /** What the model makes of the beginnings of a few examples that it has not learned, if there are any. */
    @Override
    public List<LanguageModel.Text> samples() {
        List<Example> shown = validation.isEmpty()
                ? LongStream.range(0, Math.min(SAMPLES, source.epoch()))
                        .mapToObj(source::example)
                        .toList()
                : IntStream.range(0, Math.min(SAMPLES, validation.size()))
                        .mapToObj(i -> validation.get(i * validation.size() / SAMPLES))
                        .toList();
        return new LanguageModel(model, tokenizer)
                .complete(
                        shown.stream().map(this::prompt).toList(),
                        SamplingParams.temperature(SAMPLE_TEMPERATURE),
                        SAMPLE_TOKENS,
                        1,
                        Rng.of(base.seed()).split("samples"));
    }

    /** The prompt; of an example without one the first tokens, in a window of text those after the first line break. */
    private int[] prompt(Example example) {
        int[] tokens = example.tokens();
        if (example.promptLength() > 1) {
            return Arrays.copyOf(tokens, example.promptLength());
        }
        int length = Math.clamp(tokens.length / 4, 1, SAMPLE_PROMPT);
        String text = tokenizer.decode(tokens);
        String lines = text.substring(text.indexOf('\n') + 1).stripLeading();
        int[] whole = tokenizer.encode(lines, true);
        return Arrays.copyOf(windows && whole.length > length ? whole : tokens, length);
    }
}
