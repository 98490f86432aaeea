package dev.isthmus.rl.improve;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.generate.Ensemble;
import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.io.ParameterNames;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.rl.recipe.Recipe;
import dev.isthmus.rl.recipe.Recipes;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.rl.task.Split;
import dev.isthmus.rl.task.Task;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Epochs;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.run.Checkpoint;
import dev.isthmus.train.run.Interruption;
import dev.isthmus.train.run.Progress;
import dev.isthmus.train.run.RunDirectory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import tools.jackson.databind.node.ObjectNode;

/**
 * The main job: trains a base model, improves it by its own judged answers, measures it after every round, and leaves a run
 * directory.
 *
 * <p>A run is a row of stages: pre-training, then the improvement, then the same improvement once for each control, all from the
 * same base model. What a stage does is a function of the seed and its own step, and a checkpoint says how far the run has
 * come; so a run that was killed and resumed ends like one that was not.
 */
public final class SelfImprovement {
    private static final int PRETRAIN_CHECKPOINT = 100;
    private static final int SAMPLES_BETWEEN = 8;
    private static final String BASE = "base";

    private final RunDirectory directory;
    private final Recipe recipe;
    private final String yaml;
    private final Progress progress;
    private final Task task;
    private final CharTokenizer tokenizer;
    private final DecoderConfig config;
    private final Rng rng;
    private final List<Problem> heldOut;
    private final RunState state;
    private final ImproveTable table;

    /** The run of the recipe in {@code directory}, from its beginning or from its latest checkpoint. */
    public SelfImprovement(RunDirectory directory, Progress progress) {
        this.directory = directory;
        this.yaml = directory.config();
        this.recipe = Recipes.parse(yaml, directory.path() + "/config.yaml").recipe();
        this.progress = progress;
        task = recipe.makeTask();
        tokenizer = new CharTokenizer(task.alphabet(), true);
        int length = task.maxPromptLength() + task.maxCompletionLength() + 1;
        config = recipe.model().config(tokenizer.vocabSize(), length, tokenizer.eosTokenId());
        rng = Rng.of(recipe.seed());
        heldOut = HeldOut.of(recipe.eval(), task, progress::line);
        state = directory.resumedFrom().map(c -> RunState.fromCheckpoint(c)).orElseGet(RunState::new);
        table = new ImproveTable(progress, recipe, task, state);
    }

    /**
     * Tries whether there are the problems that a run of this recipe will ask for.
     *
     * @throws IsthmusException if there are too few to measure on, or none to train on
     */
    public static void check(Recipe recipe) {
        Task task = recipe.makeTask();
        HeldOut.of(recipe.eval(), task, _ -> {});
        dev(recipe.pretrain(), task);
        task.sample(Split.TRAIN, Rng.of(recipe.seed()));
    }

    /** The problems that tell when pre-training ends; none if it has no target. */
    private static List<Problem> dev(Recipe.Pretrain settings, Task task) {
        try {
            return settings.hasTarget() ? Split.DEV.first(task, Recipe.Pretrain.DEV_PROBLEMS) : List.of();
        } catch (IsthmusException e) {
            throw new IsthmusException(
                    "pretrain.target_accuracy cannot be looked for: " + e.getMessage()
                            + "\nA pretrain.target_accuracy above 1 trains for all of pretrain.max_steps.",
                    e);
        }
    }

    /** Runs to the end and returns what {@code summary.json} says. */
    public ObjectNode run() {
        try (Scope scope = Scope.open();
                Interruption interruption = new Interruption(directory, "improve", Duration.ZERO)) {
            table.opening(ParameterNames.count(config), directory.resumedFrom().isPresent());
            if (state.before == null) {
                pretrain();
            } else {
                table.soFar(state);
            }
            Decoder base = Pretrained.load(directory.path().resolve(BASE));
            improve(base, Control.NONE);
            for (Control control :
                    recipe.controls() ? Method.of(recipe.improve()).controls() : List.<Control>of()) {
                improve(base, control);
            }
        }
        ObjectNode summary = Summary.of(recipe, state, heldOut, table.seconds());
        directory.finish(summary, ImproveReport.html(recipe, yaml, state, heldOut, directory.metrics()));
        table.end(state, heldOut, directory.path());
        return summary;
    }

    private Policy policy(Decoder decoder) {
        return new Policy(Ensemble.of(decoder), tokenizer, task);
    }

    // ---- the base model -------------------------------------------------------------------------------------------

    private void pretrain() {
        Recipe.Pretrain settings = recipe.pretrain();
        try (Scope stage = Scope.open()) {
            Decoder model = new Decoder(config, DType.FLOAT32).initialize(rng.split("init"));
            Trainer trainer = new Trainer(model, settings.arguments());
            restore(trainer);
            Policy policy = policy(model);
            Rng labels = rng.split("labels");
            List<Example> examples = IntStream.range(0, settings.examples())
                    .mapToObj(i -> policy.demonstration(task.sample(Split.TRAIN, labels.split("problem", i))))
                    .toList();
            progress.stage("Pre-training", settings.maxSteps(), trainer.globalStep());
            Epochs epochs = new Epochs(examples.size(), rng.split("order"));
            List<Problem> dev = dev(settings, task);
            boolean learned = false;
            while (!learned && trainer.globalStep() < settings.maxSteps()) {
                List<Example> batch = epochs.batch(trainer.globalStep(), settings.batchSize())
                        .mapToObj(examples::get)
                        .toList();
                int tokens = CompletionLoss.tokens(batch);
                Trainer.Step done = trainer.step(List.of(() -> CompletionLoss.mean(model, batch, tokens)));
                Map<String, Double> metrics = done.metrics();
                if (settings.hasTarget() && done.globalStep() % settings.evalSteps() == 0) {
                    double solved = solved(policy, dev);
                    metrics.put("eval_accuracy", solved);
                    learned = solved >= settings.targetAccuracy();
                }
                log(tokens(batch), metrics, done.globalStep());
                if (!learned
                        && done.globalStep() % PRETRAIN_CHECKPOINT == 0
                        && done.globalStep() < settings.maxSteps()) {
                    save("pretrain", trainer);
                }
            }
            state.before = measure(model, recipe.eval().samples());
            Pretrained.save(model, directory.path().resolve(BASE));
            tokenizer.save(directory.path().resolve(BASE));
            state.trainerStep = 0;
            save(BASE, trainer);
        }
        table.before(state.before);
    }

    private static double solved(Policy policy, List<Problem> problems) {
        return policy.answer(problems, 1, SamplingParams.greedy(), Rng.of(0), null).stream()
                .mapToDouble(r -> r.verdict().correct() ? 1 : 0)
                .average()
                .orElse(0);
    }

    private Measurement measure(Decoder model, int samples) {
        progress.stage("Measuring", (long) heldOut.size() * (1 + samples));
        int[] base = new int[2];
        Generator.Progress report = (done, tokens) -> {
            base[0] = done < base[1] ? base[0] + heldOut.size() : base[0];
            base[1] = done;
            progress.update(base[0] + done, tokens, "");
        };
        return Measurement.of(policy(model), heldOut, samples, Rng.of(0).split("measure"), report);
    }

    // ---- improvement ----------------------------------------------------------------------------------------------

    private void improve(Decoder base, Control control) {
        Recipe.Improve settings = recipe.improve();
        List<Measurement> rounds = state.rounds.computeIfAbsent(control.key(), _ -> new ArrayList<>());
        if (rounds.size() == settings.rounds()) {
            return;
        }
        try (Scope stage = Scope.open()) {
            Decoder model = base.copy();
            Trainer trainer = new Trainer(model, settings.arguments());
            restore(trainer);
            Method method = Method.of(settings);
            Learner learner = new Learner(
                    policy(model), trainer, base, control, rng.split("improve"), log(control, method, trainer));
            while (rounds.size() < settings.rounds()) {
                int round = rounds.size() + 1;
                String name = control == Control.NONE ? "Round " + round : control.title() + ", round " + round;
                progress.stage(name, method.stepsPerRound());
                method.round(learner, round);
                int samples = recipe.eval().samples();
                Measurement after =
                        measure(model, round == settings.rounds() ? samples : Math.min(samples, SAMPLES_BETWEEN));
                rounds.add(after);
                table.round(control, round, after, lastMetrics);
                if (rounds.size() == settings.rounds()) {
                    if (control == Control.NONE) {
                        Path improved = directory.path().resolve("model");
                        Pretrained.save(model, improved);
                        tokenizer.save(improved);
                    }
                    state.trainerStep = 0;
                    save(control.key() + "-done", trainer);
                } else {
                    save(control.key() + "-round-" + round, trainer);
                }
            }
        }
    }

    private double lastSolved;
    private final Map<String, Double> lastMetrics = new LinkedHashMap<>();

    private static long tokens(List<Example> examples) {
        return examples.stream().mapToInt(e -> e.tokens().length).sum();
    }

    private Learner.Log log(Control control, Method method, Trainer trainer) {
        return new Learner.Log() {
            private int steps;

            @Override
            public void step(List<Example> examples, Map<String, Double> metrics) {
                Map<String, Double> line = new LinkedHashMap<>();
                String prefix = control == Control.NONE ? "" : control.key() + "/";
                metrics.forEach((key, value) -> line.put(prefix + key, value));
                lastMetrics.putAll(metrics);
                SelfImprovement.this.log(tokens(examples), line, steps++ % method.stepsPerRound() + 1);
            }

            @Override
            public void sample(Policy.Rollout rollout, double reward) {
                Map<String, Object> line = new LinkedHashMap<>();
                line.put("stage", control.key());
                line.put("step", state.globalStep);
                line.put("prompt", rollout.problem().prompt());
                line.put("completion", rollout.text());
                line.put("reward", reward);
                directory.sample(line);
            }
        };
    }

    private void log(long tokens, Map<String, Double> metrics, long stageStep) {
        state.globalStep++;
        state.numTokens += tokens;
        Map<String, Double> line = new LinkedHashMap<>(metrics);
        line.put("num_tokens", (double) state.numTokens);
        directory.log(state.globalStep, line);
        metrics.computeIfPresent("eval_accuracy", (_, solved) -> lastSolved = solved);
        String text = String.format(Locale.ROOT, "loss %.3f", metrics.getOrDefault("loss", Double.NaN));
        progress.update(
                stageStep,
                tokens,
                state.before == null && recipe.pretrain().targetAccuracy() <= 1
                        ? text + "  solved " + ImproveTable.percent(lastSolved)
                        : text);
    }

    // ---- checkpoints ----------------------------------------------------------------------------------------------

    private void restore(Trainer trainer) {
        Checkpoint from = state.restoreFrom;
        if (from != null && state.trainerStep > 0) {
            trainer.restore(from.directory(), state.trainerStep);
        }
        state.restoreFrom = null;
    }

    private void save(String label, Trainer trainer) {
        boolean inside = !label.equals(BASE) && !label.endsWith("-done");
        state.trainerStep = inside ? trainer.globalStep() : 0;
        state.seconds = table.seconds();
        directory.save(label, state.toJson(), inside ? trainer::save : _ -> {});
    }
}
