package dev.isthmus.train.loop;

import dev.isthmus.model.Parameter;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.io.ParameterNames;
import dev.isthmus.model.sample.NonFiniteLogitsException;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.NonFiniteException;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.loop.BaseConfig.NonFiniteLoss;
import dev.isthmus.train.run.Checkpoint;
import dev.isthmus.train.run.Interruption;
import dev.isthmus.train.run.Progress;
import dev.isthmus.train.run.RunDirectory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A run of any {@link TrainingMethod}, from its first step to its report: optimizer steps of several micro-batches, metrics under
 * TRL's keys, evaluation, checkpoints from which it goes on bit for bit, and the model at its end.
 */
public final class TrainingLoop {
    /** How long a step may still take when the process is asked to end: less than what Docker leaves it. */
    private static final Duration PATIENCE = Duration.ofSeconds(8);

    private final MethodConfig<?> config;
    private final Training training;
    private final RunDirectory directory;
    private final Progress progress;
    private final long steps;
    private final Trainer trainer;
    private final LoopTable table;
    /** Metrics since the last line of the log. */
    private final StepLog sums = new StepLog(_ -> {});
    /** The last means that were logged, and the last evaluation. */
    private final Map<String, Double> last = new LinkedHashMap<>();

    private long numTokens;
    /** The checksums of the models that stay as they are. */
    private final Map<String, String> models;

    private TrainingLoop(
            MethodConfig<?> config,
            Map<String, String> models,
            Training training,
            RunDirectory directory,
            Progress progress,
            Optional<Checkpoint> from) {
        this.config = config;
        this.models = models;
        this.training = training;
        this.directory = directory;
        this.progress = progress;
        BaseConfig base = config.base();
        training.model().setGradientCheckpointing(base.gradientCheckpointing());
        steps = base.steps(training.epoch());
        JsonNode state = from.map(Checkpoint::state).orElse(JsonNodeFactory.instance.missingNode());
        numTokens = state.path("num_tokens").asLong(0);
        sums.restore(state.path("sums"));
        state.path("last")
                .properties()
                .forEach(e -> last.put(e.getKey(), e.getValue().asDouble()));
        table = new LoopTable(
                progress, training.shown(), steps, state.path("seconds").asDouble(0));
        table.opening(config, training.description(), training.model(), trainable());
        trainer = new Trainer(training.model(), training.parameters(), base.arguments(steps));
        from.ifPresent(c -> trainer.restoreOptimizer(
                c.directory(), state.path("global_step").asLong()));
    }

    /**
     * Runs a new training to its end.
     *
     * @param out the run directory; null for the next free {@code runs/METHOD-SEED-NUMBER}
     * @param warnings takes a line for each thing the user should know but that does not stop the run
     * @return what {@code summary.json} says
     * @throws IsthmusException if data or model do not fit the settings; then no directory was made
     */
    public static <C extends Record> ObjectNode begin(
            TrainingMethod<C> method, MethodConfig<C> config, @Nullable Path out, Consumer<String> warnings) {
        try (Scope scope = Scope.open()) {
            Training training = method.prepare(config, Start.fresh(config.base()));
            try (RunDirectory directory =
                            RunDirectory.create(out, method.key(), config.base().seed(), config.yaml(), warnings);
                    Progress progress = new Progress()) {
                return new TrainingLoop(config, models(method, config), training, directory, progress, Optional.empty())
                        .run();
            }
        }
    }

    /**
     * Goes on with an interrupted run to its end.
     *
     * @return what {@code summary.json} says
     * @throws IsthmusException if the run has finished, or its data has changed
     */
    public static <C extends Record> ObjectNode resume(TrainingMethod<C> method, Path run, Consumer<String> warnings) {
        try (Scope scope = Scope.open();
                RunDirectory directory = RunDirectory.resume(run, warnings);
                Progress progress = new Progress()) {
            if (directory.summary().isPresent()) {
                throw new IsthmusException("the run in " + run + " has finished; see " + run.resolve("report.html"));
            }
            MethodConfig<C> config = MethodConfig.parse(method, directory.config(), run + "/config.yaml");
            Optional<Checkpoint> from = directory.resumedFrom();
            Map<String, String> models = models(method, config);
            from.ifPresent(c -> requireSame(models, c.state().path("models"), run));
            Training training =
                    method.prepare(config, from.map(c -> Start.from(c, config)).orElse(Start.fresh(config.base())));
            if (from.isPresent()
                    && !from.get().state().path("data_id").asString("").equals(training.dataId())) {
                throw new IsthmusException(config.base().data() + " is no longer the data that the run in " + run
                        + " began with.\nBring it back, or start anew with another --out.");
            }
            return new TrainingLoop(config, models, training, directory, progress, from).run();
        }
    }

    /** The checksums of the models that a run reads beside its checkpoint, that under an adapter among them. */
    private static <C extends Record> Map<String, String> models(TrainingMethod<C> method, MethodConfig<C> config) {
        Map<String, String> models = new TreeMap<>();
        method.models(config).forEach(name -> models.put(name, ModelFiles.crc32c(Path.of(name))));
        if (config.modelConfig().peft() != null) {
            models.computeIfAbsent(config.model(), name -> ModelFiles.crc32c(Path.of(name)));
        }
        return models;
    }

    private static void requireSame(Map<String, String> models, JsonNode begun, Path run) {
        models.forEach((name, found) -> {
            if (!begun.path(name).asString(found).equals(found)) {
                throw new IsthmusException(name + " is no longer the model that the run in " + run
                        + " began with.\nBring it back, or start anew with another --out.");
            }
        });
    }

    private ObjectNode run() {
        try (Interruption interruption =
                new Interruption(directory, config.base().method(), PATIENCE)) {
            progress.stage("Training", steps, trainer.globalStep());
            if (trainer.globalStep() == 0) {
                Map<String, Double> before = evaluate();
                if (!before.isEmpty()) {
                    directory.log(0, before);
                    table.row(0, Double.NaN, last, Double.NaN);
                }
            }
            while (trainer.globalStep() < steps) {
                step();
                saveBetweenSteps(interruption);
            }
            return finish();
        }
    }

    private void saveBetweenSteps(Interruption interruption) {
        long step = trainer.globalStep();
        if (step == steps) {
            return;
        }
        boolean stop = interruption.requested();
        if (stop || step % config.base().saveSteps() == 0) {
            directory.save("step-" + step, state(), this::save);
        }
        if (stop) {
            progress.close();
            interruption.end();
        }
    }

    private ObjectNode finish() {
        training.saveModel(directory.path().resolve("model"));
        List<LanguageModel.Text> samples = training.samples();
        for (LanguageModel.Text text : samples) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("step", trainer.globalStep());
            line.put("prompt", text.prompt());
            line.put("completion", text.completion());
            directory.sample(line);
        }
        ObjectNode summary = summary();
        directory.finish(summary, LoopReport.html(config, summary, directory.metrics(), samples));
        table.end(directory.path(), samples);
        return summary;
    }

    private void step() {
        StepLog log = new StepLog(directory::sample);
        Trainer.Step done;
        long read;
        try (Scope scope = Scope.open()) {
            List<MicroBatch> batches = microBatches(log);
            read = batches.stream().mapToLong(MicroBatch::tokens).sum();
            List<Supplier<Tensor>> losses = IntStream.range(0, batches.size())
                    .mapToObj(i -> dropping(i, batches.get(i).loss()))
                    .toList();
            try {
                done = trainer.step(losses);
            } catch (NonFiniteException e) {
                if (config.base().nonfiniteLoss() == NonFiniteLoss.STOP) {
                    throw NonFiniteDump.write(directory, trainer, e, losses.get(e.microBatch()));
                }
                progress.line("step " + (trainer.globalStep() + 1) + " is skipped: " + firstClause(e.getMessage()));
                log.clear();
                training.skipped();
                done = trainer.skip();
            } finally {
                training.model().adapters().forEach(adapter -> adapter.train(null));
            }
        }
        long step = done.globalStep();
        numTokens += read;
        sums.put("loss", done.loss());
        sums.addAll(log);
        training.stepped(step, sums);
        Map<String, Object> metrics = new LinkedHashMap<>();
        if (due(config.base().loggingSteps())) {
            Map<String, Double> means = sums.means();
            sums.clear();
            last.putAll(means);
            metrics.putAll(first(means, "loss"));
            putIfNumber(metrics, "grad_norm", done.gradNorm());
            metrics.put("learning_rate", done.learningRate());
            means.forEach(metrics::putIfAbsent);
        }
        boolean evaluated = due(config.base().evalSteps());
        if (evaluated) {
            metrics.putAll(evaluate());
        }
        if (!metrics.isEmpty()) {
            metrics.put("num_tokens", numTokens);
            metrics.put("epoch", epoch());
            directory.log(step, metrics);
        }
        if (evaluated) {
            table.row(step, done.loss(), last, done.learningRate());
        }
        progress.update(step, read, table.losses(done.loss(), last));
    }

    private List<MicroBatch> microBatches(StepLog log) {
        try {
            return training.microBatches(trainer.globalStep(), log);
        } catch (NonFiniteLogitsException e) {
            throw NonFiniteDump.write(
                    directory, trainer, e, () -> training.microBatches(trainer.globalStep(), new StepLog(_ -> {})));
        }
    }

    /** The loss with what drops out of the adapters' inputs: a function of seed, step and micro-batch. */
    private Supplier<Tensor> dropping(int microBatch, Supplier<Tensor> loss) {
        if (config.modelConfig().disableDropout()) {
            return loss;
        }
        Rng rng = Rng.of(config.base().seed()).split("dropout", trainer.globalStep(), microBatch);
        return () -> {
            training.model().adapters().forEach(adapter -> adapter.train(rng));
            return loss.get();
        };
    }

    private static String firstClause(String message) {
        return message.substring(0, message.indexOf(';'));
    }

    private static Map<String, Double> first(Map<String, Double> metrics, String key) {
        Double value = metrics.get(key);
        return value == null ? Map.of() : Map.of(key, value);
    }

    private static void putIfNumber(Map<String, Object> metrics, String key, double value) {
        if (!Double.isNaN(value)) {
            metrics.put(key, value);
        }
    }

    private boolean due(int every) {
        return trainer.globalStep() % every == 0 || trainer.globalStep() == steps;
    }

    private double epoch() {
        return (double) (trainer.globalStep() * config.base().examplesPerStep()) / training.epoch();
    }

    /** The metrics of what is held out, which are also remembered. */
    private Map<String, Double> evaluate() {
        StepLog log = new StepLog(directory::sample);
        training.evaluate(log);
        Map<String, Double> metrics = new LinkedHashMap<>();
        log.means().forEach((key, value) -> metrics.put("eval_" + key, value));
        last.putAll(metrics);
        return metrics;
    }

    private ObjectNode state() {
        ObjectNode state = JsonNodeFactory.instance.objectNode();
        state.put("global_step", trainer.globalStep()).put("num_tokens", numTokens);
        sums.save(state.putObject("sums"));
        ObjectNode remembered = state.putObject("last");
        last.forEach(remembered::put);
        ObjectNode checksums = state.putObject("models");
        models.forEach(checksums::put);
        training.state(state.putObject("training"));
        return state.put("seconds", table.seconds()).put("data_id", training.dataId());
    }

    private void save(Path to) {
        training.save(to);
        trainer.saveOptimizer(to);
    }

    private long trainable() {
        return training.parameters().stream()
                .map(Parameter::tensor)
                .distinct()
                .mapToLong(Tensor::count)
                .sum();
    }

    private ObjectNode summary() {
        ObjectNode summary = JsonNodeFactory.instance.objectNode();
        summary.put("method", config.base().method())
                .put("seed", config.base().seed())
                .put("seconds", table.seconds());
        summary.put("parameters", ParameterNames.count(training.model().config()))
                .put("trainable_parameters", trainable())
                .put("global_step", steps);
        summary.put("epoch", epoch()).put("num_tokens", numTokens);
        last.forEach(summary::put);
        return summary;
    }
}
