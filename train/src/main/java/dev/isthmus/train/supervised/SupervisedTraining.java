package dev.isthmus.train.supervised;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.io.ParameterNames;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.run.Checkpoint;
import dev.isthmus.train.run.Progress;
import dev.isthmus.train.run.RunDirectory;
import dev.isthmus.train.supervised.SupervisedConfig.Method;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Pre-training on a text or fine-tuning on rows of a dataset, from reading the data to the report.
 *
 * <p>What a step learns from is a function of the seed and its number, and a checkpoint holds all the rest; so a run that was
 * killed and resumed leaves, byte for byte, the metrics and the weights of one that was not.
 */
public final class SupervisedTraining {
    private static final int SAMPLES = 3;
    private static final int SAMPLE_PROMPT = 16;
    private static final int SAMPLE_TOKENS = 200;
    private static final double SAMPLE_TEMPERATURE = 0.8;

    private final SupervisedConfig config;
    private final String yaml;
    private final Optional<Checkpoint> from;
    private final @Nullable Path start;
    private final Tokenizer tokenizer;
    private final DecoderConfig model;
    private final ExampleSource source;
    private final String dataId;
    private final long steps;
    private final Rng rng;

    private SupervisedTraining(SupervisedConfig config, String yaml, Optional<Checkpoint> from) {
        this.config = config;
        this.yaml = yaml;
        this.from = from;
        String begin = config.model();
        start = from.map(Checkpoint::directory).orElse(begin == null ? null : Path.of(begin));
        DecoderConfig existing = start == null ? null : configOf(start);
        DataFile data = DataFile.read(config.data());
        String evalName = config.evalData();
        DataFile held = evalName == null ? null : DataFile.read(evalName);
        dataId = held == null ? data.crc32c() : data.crc32c() + held.crc32c();
        tokenizer = tokenizer(data, existing);
        rng = Rng.of(config.seed());
        int length = config.maxLength();
        if (config.size() != null) {
            model = config.size()
                    .config(tokenizer.vocabSize(), length)
                    .withTokens(
                            tokenizer.bosTokenId(),
                            tokenizer.eosTokenId().stream().boxed().toList());
        } else if (existing != null) {
            model = existing;
        } else {
            throw new IllegalStateException("a run has a model or a size");
        }
        LanguageModel.requireFit(model, tokenizer);
        if (config.method() == Method.PRETRAIN) {
            if (length > model.maxPositionEmbeddings()) {
                throw new IsthmusException("max_length " + length + " is longer than the model's "
                        + model.maxPositionEmbeddings() + " positions (max_position_embeddings)");
            }
            source = new TextWindows(data, held, tokenizer, length, rng.split("data"));
        } else {
            int readable = Math.min(length, model.maxPositionEmbeddings());
            source = new DatasetRows(data, held, tokenizer, readable, rng.split("data"));
        }
        steps = config.steps(source.epoch());
    }

    private static DecoderConfig configOf(Path model) {
        try (Arena arena = Arena.ofConfined()) {
            return dev.isthmus.model.io.Checkpoint.open(model, arena).config();
        }
    }

    private Tokenizer tokenizer(DataFile data, @Nullable DecoderConfig existing) {
        if (start == null || existing == null) {
            return new CharTokenizer(data.text(), false);
        }
        if (config.method() == Method.SFT || Tokenizers.present(start)) {
            return Tokenizers.load(start);
        }
        CharTokenizer characters = new CharTokenizer(data.text(), false);
        if (characters.vocabSize() != existing.vocabSize()) {
            throw new IsthmusException("there is no tokenizer in " + start + ", and " + data.name() + " has "
                    + characters.vocabSize() + " characters where the model has " + existing.vocabSize() + " tokens");
        }
        return characters;
    }

    /**
     * Reads and checks everything that a new run needs; nothing is written yet.
     *
     * @throws IsthmusException if data or model are missing, damaged, or do not fit the settings
     */
    public static SupervisedTraining prepare(SupervisedConfig.Complete complete) {
        return new SupervisedTraining(complete.config(), complete.yaml(), Optional.empty());
    }

    /**
     * Reads and checks everything that an interrupted run needs to go on.
     *
     * @throws IsthmusException as {@link #prepare} does, and if the data has changed
     */
    public static SupervisedTraining resume(RunDirectory directory) {
        SupervisedConfig config = SupervisedConfig.parse(directory.config(), directory.path() + "/config.yaml");
        SupervisedTraining training = new SupervisedTraining(config, directory.config(), directory.resumedFrom());
        boolean sameData = directory
                .resumedFrom()
                .map(c -> c.state().path("data_crc32c").asString("").equals(training.dataId))
                .orElse(true);
        if (!sameData) {
            throw new IsthmusException(config.data() + " is no longer the data that the run in " + directory.path()
                    + " began with.\nBring it back, or start anew with another --out.");
        }
        return training;
    }

    /** Trains to the end and returns what {@code summary.json} says. */
    public ObjectNode run(RunDirectory directory, Progress progress) {
        try (Scope scope = Scope.open()) {
            return new Run(directory, progress).toTheEnd();
        }
    }

    private final class Run {
        private final RunDirectory directory;
        private final Progress progress;
        private final SupervisedTable table;
        private final Trainer trainer;
        private final List<Example> validation = source.validation();
        private long numTokens;
        private double lossSum;
        private int lossSteps;
        private double loss = Double.NaN;
        private double evalLoss = Double.NaN;

        Run(RunDirectory directory, Progress progress) {
            this.directory = directory;
            this.progress = progress;
            JsonNode state = from.map(Checkpoint::state).orElse(JsonNodeFactory.instance.missingNode());
            numTokens = state.path("num_tokens").asLong(0);
            lossSum = state.path("loss_sum").asDouble(0);
            lossSteps = state.path("loss_steps").asInt(0);
            loss = state.path("loss").asDouble(Double.NaN);
            evalLoss = state.path("eval_loss").asDouble(Double.NaN);
            table = new SupervisedTable(progress, steps, state.path("seconds").asDouble(0));
            table.opening(config, source.description(), ParameterNames.count(model));
            Decoder decoder = start == null
                    ? new Decoder(model, DType.FLOAT32).initialize(rng.split("init"))
                    : Pretrained.load(start);
            trainer = new Trainer(decoder, config.arguments(steps));
            from.ifPresent(c ->
                    trainer.restore(c.directory(), state.path("global_step").asLong()));
        }

        ObjectNode toTheEnd() {
            progress.stage("Training", steps, trainer.globalStep());
            if (trainer.globalStep() == 0 && !validation.isEmpty()) {
                evaluate();
                directory.log(0, Map.of("eval_loss", evalLoss));
                table.row(0, Double.NaN, evalLoss, Double.NaN);
            }
            while (trainer.globalStep() < steps) {
                step();
            }
            Path improved = directory.path().resolve("model");
            saveModel(improved);
            List<LanguageModel.Text> samples = samples();
            ObjectNode summary = summary();
            directory.finish(summary, SupervisedReport.html(config, yaml, summary, directory.metrics(), samples));
            table.end(directory.path(), summary, samples);
            return summary;
        }

        private void step() {
            List<List<Example>> batches = batches(trainer.globalStep());
            List<Example> all = batches.stream().flatMap(List::stream).toList();
            long learned = CompletionLoss.tokens(all);
            List<Supplier<Tensor>> losses = new ArrayList<>();
            for (List<Example> batch : batches) {
                losses.add(() -> CompletionLoss.mean(trainer.model(), batch, learned));
            }
            Trainer.Step done = trainer.step(losses);
            long step = done.globalStep();
            long read = all.stream().mapToLong(e -> e.tokens().length - 1).sum();
            numTokens += read;
            lossSum += done.loss();
            lossSteps++;
            Map<String, Object> metrics = new LinkedHashMap<>();
            if (due(config.loggingSteps())) {
                loss = lossSum / lossSteps;
                lossSum = 0;
                lossSteps = 0;
                metrics.put("loss", loss);
                metrics.put("grad_norm", done.gradNorm());
                metrics.put("learning_rate", done.learningRate());
            }
            if (due(config.evalSteps()) && !validation.isEmpty()) {
                evaluate();
                metrics.put("eval_loss", evalLoss);
            }
            if (!metrics.isEmpty()) {
                metrics.put("num_tokens", numTokens);
                metrics.put("epoch", epoch());
                directory.log(step, metrics);
            }
            if (due(config.evalSteps())) {
                table.row(step, done.loss(), evalLoss, done.learningRate());
            }
            progress.update(step, read, SupervisedTable.losses(done.loss(), evalLoss));
            if (step % config.saveSteps() == 0 && step < steps) {
                directory.save("step-" + step, state(), this::saveCheckpoint);
            }
        }

        private boolean due(int every) {
            return trainer.globalStep() % every == 0 || trainer.globalStep() == steps;
        }

        private double epoch() {
            return (double) (trainer.globalStep() * config.examplesPerStep()) / source.epoch();
        }

        private List<List<Example>> batches(long step) {
            int size = config.perDeviceTrainBatchSize();
            return LongStream.range(0, config.gradientAccumulationSteps())
                    .map(micro -> step * config.examplesPerStep() + micro * size)
                    .mapToObj(first -> LongStream.range(first, first + size)
                            .mapToObj(source::example)
                            .toList())
                    .toList();
        }

        /** The mean over the completion tokens of all held-out examples. */
        private void evaluate() {
            long learned = CompletionLoss.tokens(validation);
            double sum = 0;
            for (int i = 0; i < validation.size(); i += config.perDeviceTrainBatchSize()) {
                List<Example> batch =
                        validation.subList(i, Math.min(validation.size(), i + config.perDeviceTrainBatchSize()));
                try (Scope scope = Scope.open()) {
                    sum += Autograd.noGrad(() ->
                            CompletionLoss.mean(trainer.model(), batch, learned).item());
                }
            }
            evalLoss = sum;
        }

        private ObjectNode state() {
            ObjectNode state = JsonNodeFactory.instance.objectNode();
            state.put("global_step", trainer.globalStep()).put("num_tokens", numTokens);
            state.put("loss_sum", lossSum).put("loss_steps", lossSteps);
            putIfNumber(state, "loss", loss);
            putIfNumber(state, "eval_loss", evalLoss);
            return state.put("seconds", table.seconds()).put("data_crc32c", dataId);
        }

        private void saveCheckpoint(Path to) {
            trainer.save(to);
            saveTokenizer(to);
        }

        private void saveModel(Path to) {
            Pretrained.save(trainer.model(), to);
            saveTokenizer(to);
        }

        private void saveTokenizer(Path to) {
            if (tokenizer instanceof CharTokenizer characters) {
                characters.save(to);
            } else if (start != null) {
                Tokenizers.copy(start, to);
            }
        }

        /** What the model makes of the beginnings of a few examples that it has not learned, if there are any. */
        private List<LanguageModel.Text> samples() {
            List<Example> shown = validation.isEmpty()
                    ? LongStream.range(0, Math.min(SAMPLES, source.epoch()))
                            .mapToObj(source::example)
                            .toList()
                    : IntStream.range(0, Math.min(SAMPLES, validation.size()))
                            .mapToObj(i -> validation.get(i * validation.size() / SAMPLES))
                            .toList();
            List<int[]> prompts = shown.stream().map(this::prompt).toList();
            List<LanguageModel.Text> texts = new LanguageModel(trainer.model(), tokenizer)
                    .complete(
                            prompts,
                            SamplingParams.temperature(SAMPLE_TEMPERATURE),
                            SAMPLE_TOKENS,
                            1,
                            rng.split("samples"));
            for (LanguageModel.Text text : texts) {
                Map<String, Object> line = new LinkedHashMap<>();
                line.put("step", trainer.globalStep());
                line.put("prompt", text.prompt());
                line.put("completion", text.completion());
                directory.sample(line);
            }
            return texts;
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
            return Arrays.copyOf(config.method() == Method.PRETRAIN && whole.length > length ? whole : tokens, length);
        }

        private ObjectNode summary() {
            ObjectNode summary = JsonNodeFactory.instance.objectNode();
            summary.put("method", config.method().key())
                    .put("seed", config.seed())
                    .put("seconds", table.seconds());
            summary.put("parameters", ParameterNames.count(model)).put("global_step", steps);
            summary.put("epoch", epoch()).put("num_tokens", numTokens).put("loss", loss);
            putIfNumber(summary, "eval_loss", evalLoss);
            return summary;
        }

        private static void putIfNumber(ObjectNode json, String key, double value) {
            if (!Double.isNaN(value)) {
                json.put(key, value);
            }
        }
    }
}
