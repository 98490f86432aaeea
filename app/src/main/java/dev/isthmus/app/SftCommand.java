package dev.isthmus.app;

import dev.isthmus.train.supervised.SupervisedConfig.Method;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Supervised fine-tuning. */
@Command(
        name = "sft",
        description = "Fine-tunes a model on completions of prompts, or on texts.",
        abbreviateSynopsis = true,
        defaultValueProvider = SupervisedCommand.Defaults.class)
final class SftCommand extends SupervisedCommand {
    @Option(
            names = "--data",
            order = FIRST,
            paramLabel = "FILE",
            description = "Rows in JSON Lines: {\"prompt\": ..., \"completion\": ...} or {\"text\": ...}.")
    private @Nullable String data;

    @Override
    Method method() {
        return Method.SFT;
    }
}
