package dev.isthmus.app;

import dev.isthmus.model.Peft;
import dev.isthmus.model.StoredDtype;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.tokenizer.Tokenizers;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The model that a command runs, with its tokenizer. */
final class ModelOptions {
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

    /** The model in the current scope, changed by the adapter if there is one. */
    LanguageModel load() {
        LanguageModel loaded = load(model);
        return adapter == null ? loaded : loaded.withAdapter(adapter);
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
