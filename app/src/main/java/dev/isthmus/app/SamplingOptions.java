package dev.isthmus.app;

import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.io.HfGenerationConfig;
import dev.isthmus.model.sample.Grammar;
import dev.isthmus.model.sample.LogitsProcessor;
import dev.isthmus.model.sample.LogitsProcessors;
import dev.isthmus.model.sample.SamplingParams;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * How tokens are chosen, under the names of Hugging Face's generation config where it has them. What is not asked for is as the model's
 * generation_config.json says, if it does.
 */
final class SamplingOptions {
    private static final List<String> RANDOM = List.of(
            "--temperature",
            "--top-k",
            "--top-p",
            "--min-p",
            "--typical-p",
            "--top-n-sigma",
            "--mirostat-tau",
            "--mirostat-eta",
            "--seed");

    @Spec(Spec.Target.MIXEE)
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            description = "Tokens to write at most.",
            defaultValue = "256")
    private int maxNewTokens;

    @Option(
            names = "--min-new-tokens",
            paramLabel = "N",
            description = "Tokens to write at least before the text may end.",
            defaultValue = "0")
    private int minNewTokens;

    @Option(names = "--stop", paramLabel = "TEXT", description = "End before this text; may be given several times.")
    List<String> stop = new ArrayList<>();

    @Option(names = "--greedy", description = "Take the most probable token each time, instead of drawing one.")
    boolean greedy;

    @Option(
            names = "--temperature",
            paramLabel = "T",
            description = "Below 1 for likelier texts, above 1 for stranger ones.",
            defaultValue = "1.0")
    private double temperature;

    @Option(
            names = "--top-k",
            paramLabel = "K",
            description = "Draw from the K most probable tokens only; 0 for all.",
            defaultValue = "0")
    private int topK;

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description = "Draw from the fewest tokens that have this probability together.",
            defaultValue = "1.0")
    private double topP;

    @Option(
            names = "--min-p",
            paramLabel = "P",
            description = "Leave out tokens below this share of the most probable one's probability.",
            defaultValue = "0.0")
    private double minP;

    @Option(
            names = "--typical-p",
            paramLabel = "P",
            description = "Draw from the tokens of the most usual surprise that have this probability together.",
            defaultValue = "1.0")
    private double typicalP;

    @Option(
            names = "--top-n-sigma",
            paramLabel = "N",
            description = "Leave out tokens whose logit is more than N deviations below the highest; 0 for none.",
            defaultValue = "0.0")
    private double topNSigma;

    @Option(
            names = "--mirostat-tau",
            paramLabel = "T",
            description = "Keep the surprise near T bits a token (Mirostat 2.0); 0 turns it off.",
            defaultValue = "0.0")
    private double mirostatTau;

    @Option(
            names = "--mirostat-eta",
            paramLabel = "E",
            description = "How fast Mirostat follows.",
            defaultValue = "0.1")
    private double mirostatEta;

    @Option(
            names = "--repetition-penalty",
            paramLabel = "R",
            description = "Above 1 makes tokens less probable that are there already.",
            defaultValue = "1.0")
    private double repetitionPenalty;

    @Option(
            names = "--no-repeat-ngram-size",
            paramLabel = "N",
            description = "Write no N tokens in a row twice; 0 for no such rule.",
            defaultValue = "0")
    private int noRepeatNgramSize;

    @Option(
            names = "--dry-multiplier",
            paramLabel = "M",
            description = "Penalty on going on with a repetition (DRY); 0 turns it off.",
            defaultValue = "0.0")
    private double dryMultiplier;

    @Option(
            names = "--bad-words",
            paramLabel = "TEXT",
            description = "Do not write these tokens in a row; may be given several times.")
    private List<String> badWords = new ArrayList<>();

    @Option(names = "--regex", paramLabel = "PATTERN", description = "Write only what matches as a whole.")
    @Nullable
    private String regex;

    @Option(
            names = "--grammar",
            paramLabel = "FILE",
            description = "Write only what this grammar describes, in llama.cpp's notation (GBNF).")
    @Nullable
    private Path grammar;

    @Option(names = "--seed", paramLabel = "N", description = "The same seed draws the same text.", defaultValue = "42")
    long seed;

    boolean given(String option) {
        return spec.commandLine().getParseResult().hasMatchedOption(option);
    }

    /** Throws if options are given that do nothing together with one that draws nothing at random. */
    void requireNothingRandom(String because) {
        RANDOM.stream().filter(this::given).findFirst().ifPresent(useless -> {
            throw new ParameterException(
                    spec.commandLine(), because + " draws nothing at random, so " + useless + " cannot go with it");
        });
    }

    /** What was typed; else what the model says, if it says anything; else the default. */
    private <T> T value(String option, T typed, @Nullable T said) {
        return said == null || given(option) ? typed : said;
    }

    int maxNewTokens(LanguageModel model) {
        return value("--max-new-tokens", maxNewTokens, model.generation().maxNewTokens());
    }

    SamplingParams params(LanguageModel model) {
        HfGenerationConfig said = model.generation();
        List<LogitsProcessor> processors = new ArrayList<>();
        int ngram = value("--no-repeat-ngram-size", noRepeatNgramSize, said.noRepeatNgramSize());
        if (ngram != 0) {
            processors.add(LogitsProcessors.noRepeatNgram(ngram));
        }
        if (dryMultiplier != 0) {
            processors.add(LogitsProcessors.dry(dryMultiplier, 1.75, 2, List.of()));
        }
        if (!badWords.isEmpty()) {
            processors.add(LogitsProcessors.badWords(
                    badWords.stream().map(model.tokenizer()::encode).toList()));
        }
        int least = value("--min-new-tokens", minNewTokens, said.minNewTokens());
        if (least > 0) {
            processors.add(LogitsProcessors.minNewTokens(least, model.eosTokenIds()));
        }
        Grammar language = language();
        if (language != null) {
            processors.add(LogitsProcessors.grammar(language, model.tokenizer(), model.eosTokenIds()));
        }
        double penalty = value("--repetition-penalty", repetitionPenalty, said.repetitionPenalty());
        boolean draws = !greedy && (RANDOM.stream().anyMatch(this::given) || value("--greedy", true, said.doSample()));
        if (!draws) {
            return new SamplingParams(false, 1, 0, 1, 0, penalty, processors, List.of());
        }
        List<LogitsProcessor> warpers = new ArrayList<>();
        double typical = value("--typical-p", typicalP, said.typicalP());
        if (typical != 1) {
            warpers.add(LogitsProcessors.typicalP(typical));
        }
        if (topNSigma != 0) {
            warpers.add(LogitsProcessors.topNSigma(topNSigma));
        }
        if (mirostatTau != 0) {
            warpers.add(LogitsProcessors.mirostat(mirostatTau, mirostatEta));
        }
        return new SamplingParams(
                true,
                value("--temperature", temperature, said.temperature()),
                value("--top-k", topK, said.topK()),
                value("--top-p", topP, said.topP()),
                value("--min-p", minP, said.minP()),
                penalty,
                processors,
                warpers);
    }

    private @Nullable Grammar language() {
        if (regex != null && grammar != null) {
            throw new ParameterException(spec.commandLine(), "--regex and --grammar cannot go together");
        }
        if (grammar != null) {
            try {
                return Grammar.gbnf(Files.readString(grammar));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        return regex == null ? null : Grammar.regex(regex);
    }
}
