package dev.isthmus.app;

import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Text from a model. */
@Command(name = "generate", description = "Goes on with a text as a model would.")
final class GenerateCommand implements Runnable {
    private static final List<String> RANDOM = List.of("--temperature", "--top-k", "--top-p", "--min-p", "--seed");

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            required = true,
            description =
                    "A directory with config.json, model.safetensors and tokenizer.json, or with a llama2.c model.")
    @SuppressWarnings("NullAway.Init")
    private Path model;

    @Option(
            names = "--prompt",
            paramLabel = "TEXT",
            description = "The text to go on from; none for models with a token that begins a text.",
            defaultValue = "")
    private String prompt = "";

    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            description = "Tokens to write at most.",
            defaultValue = "256")
    private int maxNewTokens;

    @Option(names = "--greedy", description = "Take the most probable token each time, instead of drawing one.")
    private boolean greedy;

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
            names = "--repetition-penalty",
            paramLabel = "R",
            description = "Above 1 makes tokens less probable that are there already.",
            defaultValue = "1.0")
    private double repetitionPenalty;

    @Option(
            names = "--num-return-sequences",
            paramLabel = "N",
            description = "How many texts to write.",
            defaultValue = "1")
    private int numReturnSequences;

    @Option(names = "--seed", paramLabel = "N", description = "The same seed draws the same text.", defaultValue = "42")
    private long seed;

    @Override
    public void run() {
        SamplingParams sampling = sampling();
        PrintWriter out = spec.commandLine().getOut();
        try (Scope scope = Scope.open()) {
            List<LanguageModel.Text> texts = LanguageModel.load(model)
                    .complete(prompt, sampling, maxNewTokens, numReturnSequences, Rng.of(seed));
            for (int i = 0; i < texts.size(); i++) {
                if (texts.size() > 1) {
                    out.println((i == 0 ? "" : System.lineSeparator()) + "[" + (i + 1) + "]");
                }
                out.println(texts.get(i).prompt() + texts.get(i).completion());
            }
        }
    }

    private SamplingParams sampling() {
        String useless =
                greedy ? RANDOM.stream().filter(this::given).findFirst().orElse(null) : null;
        if (useless != null) {
            throw new ParameterException(
                    spec.commandLine(), "--greedy draws nothing at random, so " + useless + " cannot go with it");
        }
        return new SamplingParams(!greedy, temperature, topK, topP, minP, repetitionPenalty);
    }

    private boolean given(String option) {
        return spec.commandLine().getParseResult().hasMatchedOption(option);
    }
}
