package dev.isthmus.app;

import dev.isthmus.rl.online.OnlineTrainer;
import dev.isthmus.train.supervised.Sft;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;

/** The commands that train: one for each kind of trainer. */
final class TrainerCommands {
    private TrainerCommands() {}

    /** All of them, in the order of the help. */
    static List<CommandSpec> all() {
        return List.of(
                new PretrainCommand()
                        .spec(
                                "The text.",
                                "Trains a model to go on with a text: a new one that reads characters, or --model with its own tokenizer.",
                                "Nine tenths of the text are learned, the last tenth is held out."),
                new TrainerCommand(new Sft())
                        .spec(
                                "Rows in JSON Lines: {\"prompt\": ..., \"completion\": ...} or {\"text\": ...}.",
                                "Fine-tunes a model on completions of prompts, or on texts."),
                new TrainerCommand(OnlineTrainer.GRPO)
                        .spec(
                                "Rows in JSON Lines: {\"prompt\": ...} and the columns that reward functions look at.",
                                "Learns from its own rewarded completions by group relative policy optimization."));
    }
}
