package dev.isthmus.app;

import dev.isthmus.rl.offline.Bco;
import dev.isthmus.rl.offline.Cpo;
import dev.isthmus.rl.offline.Dpo;
import dev.isthmus.rl.offline.Ilql;
import dev.isthmus.rl.offline.Kto;
import dev.isthmus.rl.offline.Orpo;
import dev.isthmus.rl.offline.Prm;
import dev.isthmus.rl.offline.Reward;
import dev.isthmus.rl.online.OnlineTrainer;
import dev.isthmus.train.supervised.Sft;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;

/** The commands that train: one for each kind of trainer. */
final class TrainerCommands {
    private static final String PAIRS =
            "Rows in JSON Lines: {\"prompt\", \"chosen\", \"rejected\"} or {\"chosen\", \"rejected\"}.";

    private static final String LABELLED =
            "Rows in JSON Lines: {\"prompt\", \"completion\", \"label\"}, or pairs as for dpo.";

    private static final String PROMPTS =
            "Rows in JSON Lines: {\"prompt\": ...} and the columns that reward functions look at.";

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
                                "Rows in JSON Lines: {\"prompt\", \"completion\"}, {\"messages\"} or {\"text\"}; several files with commas.",
                                "Fine-tunes a model on completions of prompts, on conversations, or on texts."),
                new TrainerCommand(new Dpo())
                        .spec(
                                PAIRS,
                                "Teaches a model which of two completions is better, by direct preference optimization."),
                new TrainerCommand(new Kto())
                        .spec(LABELLED, "Teaches a model by completions that are good or bad by themselves."),
                new TrainerCommand(new Bco())
                        .spec(LABELLED, "The same by telling good from bad: binary classifier optimization."),
                new TrainerCommand(new Orpo())
                        .spec(
                                PAIRS,
                                "Fine-tunes on the better of two completions by the ratio of their odds; no reference."),
                new TrainerCommand(new Cpo())
                        .spec(PAIRS, "Contrastive preference optimization, SimPO and AlphaPO; no reference."),
                new TrainerCommand(new Reward())
                        .spec(PAIRS, "Trains a reward model: a number, higher for the better of two completions."),
                new TrainerCommand(new Prm())
                        .spec(
                                "Rows in JSON Lines: {\"prompt\", \"completions\": [...], \"labels\": [...]}.",
                                "Trains a process reward model: whether each step of a solution is right."),
                new TrainerCommand(new Ilql())
                        .spec(
                                "Rows in JSON Lines: {\"prompt\", \"completion\", \"reward\"}.",
                                "Learns from rewarded completions of any quality which tokens lead to reward, by implicit language Q-learning."),
                new TrainerCommand(OnlineTrainer.GRPO)
                        .spec(
                                PROMPTS,
                                "Learns from its own rewarded completions by group relative policy optimization."),
                new TrainerCommand(OnlineTrainer.RLOO)
                        .spec(PROMPTS, "Learns from its own rewarded completions by REINFORCE with leave-one-out."),
                new TrainerCommand(OnlineTrainer.PPO)
                        .spec(
                                PROMPTS,
                                "Learns from its own rewarded completions by proximal policy optimization with a value model."),
                new TrainerCommand(OnlineTrainer.ONLINE_DPO)
                        .spec(PROMPTS, "Learns to prefer the better of two completions of its own."),
                new TrainerCommand(OnlineTrainer.NASH_MD)
                        .spec(PROMPTS, "Learns to win against a mixture of itself and the model that it began as."),
                new TrainerCommand(OnlineTrainer.XPO)
                        .spec(
                                PROMPTS,
                                "Learns to prefer the better of its own completion and one of the model that it began as, and explores."),
                new TrainerCommand(OnlineTrainer.GKD)
                        .spec(
                                "Rows in JSON Lines: {\"prompt\": ..., \"completion\": ...}; with --lmbda 1 no completions are needed.",
                                "Learns a teacher's distributions on completions that it writes itself or that are given."),
                new TrainerCommand(OnlineTrainer.MINILLM)
                        .spec(PROMPTS, "Learns from a teacher by the reverse KL divergence on its own completions."));
    }
}
