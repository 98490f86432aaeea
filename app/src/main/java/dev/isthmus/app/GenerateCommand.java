package dev.isthmus.app;

import dev.isthmus.model.generate.BeamSearch;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Text from a model. */
@Command(name = "generate", description = "Goes on with a text as a model would.")
final class GenerateCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            required = true,
            description = "A directory with config.json, model.safetensors and tokenizer.json, or with a llama2.c model, or "
                    + "a .gguf file.")
    @SuppressWarnings("NullAway.Init")
    private Path model;

    @Option(
            names = "--prompt",
            paramLabel = "TEXT",
            description = "The text to go on from; none for models with a token that begins a text.",
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
            description = "With --num-beams: stop at the first N texts, when a better one is unlikely, or when none is left.",
            defaultValue = "false")
    private String earlyStopping = "false";

    @Option(
            names = "--num-return-sequences",
            paramLabel = "N",
            description = "How many texts to write.",
            defaultValue = "1")
    private int numReturnSequences;

    @Override
    public void run() {
        if (options.greedy) {
            options.requireNothingRandom("--greedy");
        }
        if (numBeams != 1) {
            options.requireNothingRandom("--num-beams");
        }
        PrintWriter out = spec.commandLine().getOut();
        try (Scope scope = Scope.open()) {
            LanguageModel language = LanguageModel.load(model);
            SamplingParams sampling = options.params(language);
            List<LanguageModel.Text> texts = numBeams == 1
                    ? language.complete(
                            prompt,
                            sampling,
                            options.maxNewTokens,
                            numReturnSequences,
                            options.stop,
                            Rng.of(options.seed))
                    : language.beams(
                            prompt,
                            sampling,
                            options.maxNewTokens,
                            options.stop,
                            new BeamSearch(numBeams, lengthPenalty, stopping(), numReturnSequences));
            for (int i = 0; i < texts.size(); i++) {
                if (texts.size() > 1) {
                    out.println((i == 0 ? "" : System.lineSeparator()) + "[" + (i + 1) + "]");
                }
                out.println(texts.get(i).prompt() + texts.get(i).completion());
            }
        }
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
