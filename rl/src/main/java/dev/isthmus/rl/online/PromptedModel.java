package dev.isthmus.rl.online;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.generate.Completion;
import dev.isthmus.model.generate.Ensemble;
import dev.isthmus.model.generate.GenerationConfig;
import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.rl.reward.RewardFunction;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.BaseConfig;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/** A model in training, and the prompts of a run that it answers. */
final class PromptedModel {
    private static final int SAMPLES = 3;

    private final BaseConfig base;
    private final TrainedModel trained;
    private final TrainingData<Prompt> data;
    private final List<Prompt> heldOut;
    private final OnlineSettings settings;
    private final Rng rng;

    /** A completion and its text. */
    record Answer(Prompt row, Completion completion, String text, boolean byPolicy) {
        Rollout rollout() {
            float[] logps = byPolicy ? completion.logProbs() : new float[0];
            return Rollout.of(row.tokens(), completion.tokens(), logps, completion.finished());
        }
    }

    private PromptedModel(BaseConfig base, TrainedModel trained, TrainingData<Prompt> data, OnlineSettings settings) {
        this.base = base;
        this.trained = trained;
        this.data = data;
        heldOut = all(data.heldOut()).toList();
        this.settings = settings;
        rng = Rng.of(base.seed());
    }

    /**
     * Loads model, tokenizer and prompts into the current scope.
     *
     * @throws IsthmusException if one is missing, or they do not fit each other
     */
    static PromptedModel load(MethodConfig<?> config, Start start, OnlineSettings settings) {
        TrainedModel trained = TrainedModel.load(config, start);
        // What is written after a prompt has at least one token.
        int room = trained.decoder().config().maxPositionEmbeddings() - 1;
        TrainingData<Prompt> data = new TrainingData<>(
                config.base(),
                config.data(),
                Prompt.reader(RowEncoder.of(trained), room),
                prompt -> prompt.tokens().length + prompt.completion().length,
                Rng.of(config.base().seed()).split("order"));
        return new PromptedModel(config.base(), trained, data, settings);
    }

    private static Stream<Prompt> all(Iterable<List<Item<Prompt>>> batches) {
        return StreamSupport.stream(batches.spliterator(), false)
                .flatMap(List::stream)
                .map(Item::example);
    }

    Decoder model() {
        return trained.decoder();
    }

    /**
     * Throws unless another model reads the same tokens, as far as their number tells.
     *
     * @param option what says which model it is
     */
    void requireVocabulary(String option, Decoder other) {
        int found = other.config().vocabSize();
        if (found != model().config().vocabSize()) {
            throw new IsthmusException(
                    option + " is a model of " + found + " tokens, and the model that is trained has "
                            + model().config().vocabSize() + "; they need the same vocabulary");
        }
    }

    OnlineSettings settings() {
        return settings;
    }

    Rng rng() {
        return rng;
    }

    /** Throws unless every prompt has a completion. */
    void requireCompletions() {
        if (all(data.all()).anyMatch(row -> row.completion().length == 0)) {
            throw new IsthmusException(
                    base.data() + " has prompts without a \"completion\"; with lmbda 1 or seq_kd none are needed");
        }
    }

    /** Throws if a reward function would find no prompt's solution. */
    void requireSolutions(String function) {
        if (all(data.all()).allMatch(row -> row.problem().answer().isEmpty())) {
            throw new IsthmusException(function + " compares with the column \"solution\", which no row of "
                    + base.data() + " has; reward_funcs may name others");
        }
    }

    long size() {
        return data.epoch();
    }

    String description() {
        return data.description();
    }

    String dataId() {
        return data.id();
    }

    List<Prompt> heldOut() {
        return heldOut;
    }

    /** {@code count} prompts, the first of which stands at {@code place} of the endless order. */
    List<Prompt> prompts(long place, int count) {
        return LongStream.range(place, place + count).mapToObj(data::at).toList();
    }

    /** The model's answers to each prompt, those to the first prompt first. */
    List<Answer> answer(List<Prompt> rows, int count, Rng stream) {
        return write(Ensemble.of(model()), rows, count, stream);
    }

    /** The answers of other models, or of several together; their log-probabilities are not the policy's and are left out. */
    List<Answer> answer(Ensemble by, List<Prompt> rows, int count, Rng stream) {
        return write(by, rows, count, stream).stream()
                .map(a -> new Answer(a.row, a.completion, a.text, false))
                .toList();
    }

    /** The likeliest token each time: one answer to each prompt. */
    List<Answer> greedy(List<Prompt> rows) {
        return write(Ensemble.of(model()), rows, SamplingParams.greedy(), 1, rng);
    }

    private List<Answer> write(Ensemble by, List<Prompt> rows, int count, Rng stream) {
        return write(by, rows, settings.sampling().params(), count, stream);
    }

    private List<Answer> write(Ensemble by, List<Prompt> rows, SamplingParams params, int count, Rng stream) {
        GenerationConfig config = new GenerationConfig(params, settings.maxNewTokens(), eosTokenIds(), count);
        List<int[]> tokens = rows.stream().map(Prompt::tokens).toList();
        List<Answer> answers = new ArrayList<>();
        for (Completion completion : Generator.generate(by, tokens, config, stream, null)) {
            answers.add(new Answer(
                    rows.get(completion.prompt()),
                    completion,
                    trained.tokenizer().decode(completion.tokens()),
                    true));
        }
        return answers;
    }

    private List<Integer> eosTokenIds() {
        return new LanguageModel(model(), trained.tokenizer()).eosTokenIds();
    }

    /** {@code [answer][function]}. */
    static double[][] score(List<RewardFunction> functions, List<Answer> answers) {
        List<Problem> problems = answers.stream().map(a -> a.row.problem()).toList();
        return RewardFunction.scoreAll(
                functions,
                problems.stream().map(Problem::prompt).toList(),
                answers.stream().map(Answer::text).toList(),
                RewardFunction.columns(
                        problems,
                        answers.stream().map(a -> a.completion.tokens()).toList()));
    }

    void save(Path directory) {
        trained.save(directory);
    }

    /** What the model makes of a few prompts. */
    List<LanguageModel.Text> samples() {
        List<Prompt> shown = heldOut.isEmpty()
                ? prompts(0, (int) Math.min(SAMPLES, size()))
                : heldOut.stream().limit(SAMPLES).toList();
        return answer(shown, 1, rng.split("samples")).stream()
                .map(a -> new LanguageModel.Text(a.row.problem().prompt(), a.text))
                .toList();
    }
}
