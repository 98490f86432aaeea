package dev.isthmus.app;

import dev.isthmus.model.Peft;
import dev.isthmus.model.StoredDtype;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.rl.offline.IlqlHeads;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The model that a command runs, with its tokenizer. */
final class ModelOptions {
    /** That of trlX's generation. */
    private static final double DEFAULT_BETA = 1;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            required = true,
            description =
                    "A Hugging Face directory, a .gguf file, a llama2.c file with its tokenizer beside it, or an adapter's"
                            + " directory that names its model.")
    @SuppressWarnings("NullAway.Init")
    Path model;

    @Option(
            names = "--adapter",
            paramLabel = "DIR",
            description = "Changes the model: an adapter that PEFT or a trainer wrote.")
    private @Nullable Path adapter;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            description =
                    "How the weights lie in memory: ${COMPLETION-CANDIDATES}; auto is as the file holds them, mapped.",
            defaultValue = "auto")
    private StoredDtype dtype = StoredDtype.auto;

    @Option(
            names = "--beta",
            paramLabel = "B",
            description =
                    "How much the values count that 'ilql' trained beside the model: log pi + B (Q - V); 0 for the"
                            + " model alone (default: " + DEFAULT_BETA + " where there are values).")
    private @Nullable Double beta;

    /** The model in the current scope, changed by the adapter if there is one, and guided by the values beside it. */
    LanguageModel load() {
        LanguageModel loaded = load(model);
        LanguageModel adapted = adapter == null ? loaded : loaded.withAdapter(adapter);
        return guided()
                ? adapted.withHead(
                        IlqlHeads.load(adapted.decoder(), values()).policy(beta == null ? DEFAULT_BETA : beta))
                : adapted;
    }

    /** Whether values have a say in what the model writes. */
    boolean guided() {
        return beta == null ? IlqlHeads.present(values()) : beta != 0;
    }

    private Path values() {
        return adapter == null ? model : adapter;
    }

    /** Where its tokenizer is: an adapter may leave that to the model that it changes. */
    Path tokenizer() {
        return Peft.present(model) && !Tokenizers.present(model) ? Peft.base(model) : model;
    }

    /** Another model in the same form. */
    LanguageModel load(Path other) {
        return LanguageModel.loadStored(other, dtype.format());
    }
}
