package dev.isthmus.rl;

import static java.util.Map.entry;

import dev.isthmus.rl.online.GrpoConfig;
import dev.isthmus.rl.online.OnlineTrainer;
import dev.isthmus.rl.reward.RewardFunction;
import dev.isthmus.train.loop.TrainingLoop;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Teaches a model to add: GrpoScript MODEL OUT STEPS. */
public final class GrpoScript {
    public static void main(String[] args) throws IOException {
        // Prompts, one JSON object a line; reward functions find the other columns by name.
        Path prompts = Files.createTempFile("sums", ".jsonl");
        Files.write(
                prompts,
                IntStream.range(0, 10_000)
                        .mapToObj(i -> "{\"prompt\": \"" + i / 100 + "+" + i % 100 + "=\", \"sum\": "
                                + (i / 100 + i % 100) + "}")
                        .toList());

        // A reward function sees the completions of a whole batch and returns a number for each.
        RewardFunction correct = RewardFunction.of("correct", (_, completions, columns) -> {
            List<?> sums = columns.get("sum");
            return IntStream.range(0, completions.size())
                    .mapToDouble(i -> completions.get(i).equals("" + sums.get(i)) ? 1 : 0)
                    .toArray();
        });

        // Names and defaults are those of TRL's GRPOConfig.
        OnlineTrainer<GrpoConfig> grpo = OnlineTrainer.GRPO.withRewards(correct);
        Map<String, Object> settings = Map.ofEntries(
                entry("model", args[0]),
                entry("data", prompts.toString()),
                entry("reward_funcs", List.of("correct")),
                entry("num_generations", 8),
                entry("per_device_train_batch_size", 128),
                entry("max_completion_length", 4),
                entry("learning_rate", 1e-4),
                entry("max_steps", Integer.parseInt(args[2])));
        TrainingLoop.begin(grpo, grpo.configure(null, settings), Path.of(args[1]), System.err::println);
    }
}
