package dev.isthmus.rl.online;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.generate.Completion;
import dev.isthmus.model.generate.Ensemble;
import dev.isthmus.model.generate.GenerationConfig;
import dev.isthmus.model.generate.Generator;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.io.HfGenerationConfig;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.rl.online.PromptRows.Row;
import dev.isthmus.rl.reward.RewardFunction;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.Epochs;
import dev.isthmus.train.loop.BaseConfig;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** A model in training, and the prompts of a run that it answers. */
final class PromptedModel {
    private static final int SAMPLES = 3;

    private final BaseConfig base;
    private final Decoder model;
    private final Tokenizer tokenizer;
    private final Path tokenizerFiles;
    private final PromptRows prompts;
    private final Optional<PromptRows> held;
    private final OnlineSettings settings;
    private final Epochs order;
    private final Rng rng;

    /** A completion and its text. */
    record Answer(Row row, Completion completion, String text, boolean byPolicy) {
        Rollout rollout() {
            float[] logps = byPolicy ? completion.logProbs() : new float[0];
            return Rollout.of(row.tokens(), completion.tokens(), logps, completion.finished());
        }
    }

    private PromptedModel(
            BaseConfig base,
            Path files,
            Decoder model,
            Tokenizer tokenizer,
            PromptRows prompts,
            Optional<PromptRows> held,
            OnlineSettings settings) {
        this.base = base;
        this.model = model;
        this.tokenizer = tokenizer;
        this.prompts = prompts;
        this.held = held;
        this.settings = settings;
        tokenizerFiles = files;
        rng = Rng.of(base.seed());
        order = new Epochs(prompts.rows().size(), rng.split("order"));
    }

    /**
     * Loads model, tokenizer and prompts into the current scope.
     *
     * @throws IsthmusException if one is missing, or they do not fit each other
     */
    static PromptedModel load(MethodConfig<?> config, Start start, OnlineSettings settings) {
        Path weights = Objects.requireNonNull(start.weights());
        Decoder model = config.load(start);
        Tokenizer tokenizer = Tokenizers.load(weights);
        LanguageModel.requireFit(model.config(), tokenizer);
        Optional<ChatTemplate> template = ChatTemplate.load(weights);
        // What is written after a prompt has at least one token.
        int room = model.config().maxPositionEmbeddings() - 1;
        PromptRows prompts = PromptRows.read(Path.of(config.data()), tokenizer, template, room);
        String evalData = config.base().evalData();
        Optional<PromptRows> held = evalData == null
                ? Optional.empty()
                : Optional.of(PromptRows.read(Path.of(evalData), tokenizer, template, room));
        return new PromptedModel(config.base(), weights, model, tokenizer, prompts, held, settings);
    }

    Decoder model() {
        return model;
    }

    /**
     * Throws unless another model reads the same tokens, as far as their number tells.
     *
     * @param option what says which model it is
     */
    void requireVocabulary(String option, Decoder other) {
        int found = other.config().vocabSize();
        if (found != model.config().vocabSize()) {
            throw new IsthmusException(
                    option + " is a model of " + found + " tokens, and the model that is trained has "
                            + model.config().vocabSize() + "; they need the same vocabulary");
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
        if (prompts.rows().stream().anyMatch(row -> row.completion().length == 0)) {
            throw new IsthmusException(
                    base.data() + " has prompts without a \"completion\"; with lmbda 1 or seq_kd none are needed");
        }
    }

    int size() {
        return prompts.rows().size();
    }

    String description() {
        return prompts.description();
    }

    String dataId() {
        return prompts.crc32c() + held.map(PromptRows::crc32c).orElse("");
    }

    List<Row> heldOut() {
        return held.map(PromptRows::rows).orElse(List.of());
    }

    /** {@code count} prompts, the first of which stands at {@code place} of the endless order. */
    List<Row> prompts(long place, int count) {
        return LongStream.range(place, place + count)
                .mapToObj(p -> prompts.rows().get(order.at(p)))
                .toList();
    }

    /** The model's answers to each prompt, those to the first prompt first. */
    List<Answer> answer(List<Row> rows, int count, Rng stream) {
        return write(Ensemble.of(model), rows, count, stream);
    }

    /** The answers of other models, or of several together; their log-probabilities are not the policy's and are left out. */
    List<Answer> answer(Ensemble by, List<Row> rows, int count, Rng stream) {
        return write(by, rows, count, stream).stream()
                .map(a -> new Answer(a.row, a.completion, a.text, false))
                .toList();
    }

    private List<Answer> write(Ensemble by, List<Row> rows, int count, Rng stream) {
        GenerationConfig config =
                new GenerationConfig(settings.sampling().params(), settings.maxNewTokens(), eosTokenIds(), count);
        List<int[]> tokens = rows.stream().map(Row::tokens).toList();
        List<Answer> answers = new ArrayList<>();
        for (Completion completion : Generator.generate(by, tokens, config, stream, null)) {
            answers.add(
                    new Answer(rows.get(completion.prompt()), completion, tokenizer.decode(completion.tokens()), true));
        }
        return answers;
    }

    private List<Integer> eosTokenIds() {
        return new LanguageModel(model, tokenizer).eosTokenIds();
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
        Pretrained.save(model, directory);
        if (tokenizer instanceof CharTokenizer characters) {
            characters.save(directory);
        } else {
            Tokenizers.copy(tokenizerFiles, directory);
        }
        if (model.adapters().isEmpty()) {
            HfGenerationConfig.copy(tokenizerFiles, directory);
        }
    }

    /** What the model makes of a few prompts. */
    List<LanguageModel.Text> samples() {
        List<Row> from = heldOut().isEmpty() ? prompts.rows() : heldOut();
        List<Row> shown = IntStream.range(0, Math.min(SAMPLES, from.size()))
                .mapToObj(i -> from.get(i * from.size() / SAMPLES))
                .toList();
        return answer(shown, 1, rng.split("samples")).stream()
                .map(a -> new LanguageModel.Text(a.row.problem().prompt(), a.text))
                .toList();
    }
}
