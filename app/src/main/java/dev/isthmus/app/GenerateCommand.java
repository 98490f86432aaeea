package dev.isthmus.app;

import dev.isthmus.model.generate.BeamSearch;
import dev.isthmus.model.generate.Draft;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Text from a model. */
@Command(name = "generate", description = "Goes on with a text as a model would.")
final class GenerateCommand implements Runnable {
    private static final int MAX_MATCHING_NGRAM_SIZE = 2;

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Mixin
    @SuppressWarnings("NullAway.Init")
    private ModelOptions model;

    @Option(
            names = "--prompt",
            paramLabel = "TEXT",
            description =
                    "The text to go on from; none for models with a token that begins a text, - for standard input.",
            defaultValue = "")
    private String prompt = "";

    @Mixin
    @SuppressWarnings("NullAway.Init")
    private SamplingOptions options;

    @Option(
            names = "--num-beams",
            paramLabel = "N",
            description = "Above 1, look for the most probable text with this many beginnings at a time.",
            defaultValue = "1")
    private int numBeams;

    @Option(
            names = "--length-penalty",
            paramLabel = "P",
            description = "With --num-beams: above 0 favours long texts, below 0 short ones.",
            defaultValue = "1.0")
    private double lengthPenalty;

    @Option(
            names = "--early-stopping",
            paramLabel = "true|false|never",
            description =
                    "With --num-beams: stop at the first N texts, when a better one is unlikely, or when none is left.",
            defaultValue = "false")
    private String earlyStopping = "false";

    @Option(
            names = "--num-return-sequences",
            paramLabel = "N",
            description = "How many texts to write.",
            defaultValue = "1")
    private int numReturnSequences;

    @Option(
            names = "--assistant-model",
            paramLabel = "DIR",
            description =
                    "A smaller model with the same tokens that writes ahead; this one checks it, and the texts are its own.")
    private @Nullable Path assistantModel;

    @Option(
            names = "--prompt-lookup-num-tokens",
            paramLabel = "N",
            description = "Guess up to N tokens at a time from what followed the last ones where they stood before.")
    private @Nullable Integer promptLookupNumTokens;

    @Option(
            names = "--num-assistant-tokens",
            paramLabel = "N",
            description = "Tokens that --assistant-model writes ahead at most.",
            defaultValue = "5")
    private int numAssistantTokens;

    @Override
    public void run() {
        if (options.greedy) {
            options.requireNothingRandom("--greedy");
        }
        if (numBeams != 1) {
            options.requireNothingRandom("--num-beams");
        }
        requireOneWay();
        if (prompt.equals("-")) {
            prompt = StandardInput.read();
        }
        PrintWriter out = spec.commandLine().getOut();
        try (Scope scope = Scope.open()) {
            LanguageModel language = model.load();
            SamplingParams sampling = options.params(language);
            if (numReturnSequences == 1 && numBeams == 1 && !guessesAhead()) {
                language.stream(
                        prompt, sampling, options.maxNewTokens(language), options.stop, Rng.of(options.seed), piece -> {
                            out.print(piece);
                            out.flush();
                        });
                out.println();
                return;
            }
            List<LanguageModel.Text> texts = write(language, sampling);
            for (int i = 0; i < texts.size(); i++) {
                if (texts.size() > 1) {
                    out.println((i == 0 ? "" : System.lineSeparator()) + "[" + (i + 1) + "]");
                }
                out.println(texts.get(i).prompt() + texts.get(i).completion());
            }
        }
    }

    private List<LanguageModel.Text> write(LanguageModel language, SamplingParams sampling) {
        if (numBeams != 1) {
            BeamSearch search = new BeamSearch(numBeams, lengthPenalty, stopping(), numReturnSequences);
            return language.beams(prompt, sampling, options.maxNewTokens(language), options.stop, search);
        }
        Rng rng = Rng.of(options.seed);
        if (!guessesAhead()) {
            return language.complete(
                    prompt, sampling, options.maxNewTokens(language), numReturnSequences, options.stop, rng);
        }
        Draft draft = draft(language, sampling);
        int ahead = promptLookupNumTokens == null ? numAssistantTokens : promptLookupNumTokens;
        return IntStream.range(0, numReturnSequences)
                .mapToObj(i -> language.assisted(
                        prompt,
                        sampling,
                        options.maxNewTokens(language),
                        options.stop,
                        draft,
                        ahead,
                        rng.split("sequence", i)))
                .toList();
    }

    private Draft draft(LanguageModel language, SamplingParams sampling) {
        if (assistantModel == null) {
            return Draft.promptLookup(MAX_MATCHING_NGRAM_SIZE);
        }
        LanguageModel assistant = model.load(assistantModel);
        int size = language.decoder().config().vocabSize();
        int other = assistant.decoder().config().vocabSize();
        if (size != other) {
            throw new IsthmusException(
                    "--assistant-model has " + other + " tokens and --model " + size + "; both need the same");
        }
        return Draft.model(assistant.decoder(), sampling);
    }

    private void requireOneWay() {
        if (numReturnSequences < 1) {
            throw new ParameterException(spec.commandLine(), "--num-return-sequences must be at least 1");
        }
        if (options.greedy && numBeams == 1 && numReturnSequences > 1) {
            throw new ParameterException(
                    spec.commandLine(), "--greedy writes one text, so --num-return-sequences cannot go with it");
        }
        if (assistantModel != null && promptLookupNumTokens != null) {
            throw new ParameterException(
                    spec.commandLine(), "--assistant-model and --prompt-lookup-num-tokens cannot go together");
        }
        if (numBeams != 1 && guessesAhead()) {
            throw new ParameterException(spec.commandLine(), "--num-beams cannot go together with guessing ahead");
        }
        if (model.guided() && (numBeams != 1 || guessesAhead())) {
            throw new ParameterException(
                    spec.commandLine(),
                    "--num-beams and guessing ahead go by the model alone; --beta 0 leaves the values of ilql out");
        }
        if (numAssistantTokens < 1 || promptLookupNumTokens != null && promptLookupNumTokens < 1) {
            throw new ParameterException(spec.commandLine(), "at least one token must be guessed at a time");
        }
    }

    private boolean guessesAhead() {
        return assistantModel != null || promptLookupNumTokens != null;
    }

    private BeamSearch.EarlyStopping stopping() {
        return switch (earlyStopping) {
            case "true" -> BeamSearch.EarlyStopping.TRUE;
            case "false" -> BeamSearch.EarlyStopping.FALSE;
            case "never" -> BeamSearch.EarlyStopping.NEVER;
            default ->
                throw new ParameterException(
                        spec.commandLine(), "--early-stopping must be true, false or never, not " + earlyStopping);
        };
    }
}
