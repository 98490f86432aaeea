package dev.isthmus.rl.reward;

import dev.isthmus.model.Peft;
import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.data.Row;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.Truncation;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * What {@code reward} trained, as a reward function: TRL's path of a model among {@code reward_funcs}.
 *
 * <p>A completion is read as the trainer reads a row of its data, by the model's own tokenizer and chat template, with the token that
 * ends a text; so it gets the same number. What is longer than the model can read loses its beginning.
 */
public final class RewardModel implements RewardFunction {
    private static final String PROMPT = "prompt";
    private static final String COMPLETION = "completion";

    private final String name;
    private final Classifier classifier;
    private final RowEncoder encoder;
    private final int batchSize;

    private RewardModel(String name, Classifier classifier, RowEncoder encoder, int batchSize) {
        this.name = name;
        this.classifier = classifier;
        this.encoder = encoder;
        this.batchSize = batchSize;
    }

    /** Whether a path is that of a directory in which a model or an adapter lies. */
    public static boolean present(Path directory) {
        return Files.exists(directory.resolve("config.json")) || Peft.present(directory);
    }

    /**
     * Loads a reward model, or an adapter that is one with the model that it names, into the current scope.
     *
     * @param batchSize completions that are read at once
     * @throws dev.isthmus.tensor.IsthmusException if it is damaged, or a model of another kind
     */
    public static RewardModel load(Path directory, int batchSize) {
        Path own = directory.toAbsolutePath().normalize();
        Path words = Tokenizers.present(own) || !Peft.present(own) ? own : Peft.base(own);
        ChatTemplate template = ChatTemplate.load(words).orElse(null);
        return new RewardModel(
                own.getFileName().toString(),
                Classifier.load(own, 1, false),
                new RowEncoder(Tokenizers.load(words), template),
                batchSize);
    }

    @Override
    public String name() {
        return name;
    }

    /**
     * One reward for each completion.
     *
     * @param columns {@code prompt} holds the messages of those prompts that are conversations
     */
    @Override
    public double[] score(List<String> prompts, List<String> completions, Map<String, List<?>> columns) {
        List<?> conversations = columns.get(PROMPT);
        List<int[]> sequences = IntStream.range(0, completions.size())
                .mapToObj(i -> tokens(
                        i, conversations == null ? null : conversations.get(i), prompts.get(i), completions.get(i)))
                .toList();
        double[] rewards = new double[sequences.size()];
        for (int i = 0; i < rewards.length; i += batchSize) {
            List<int[]> batch = sequences.subList(i, Math.min(rewards.length, i + batchSize));
            try (Scope scope = Scope.open()) {
                double[] scored = Autograd.noGrad(() -> classifier.last(batch)).toDoubles();
                System.arraycopy(scored, 0, rewards, i, scored.length);
            }
        }
        return rewards;
    }

    private int[] tokens(int index, @Nullable Object conversation, String prompt, String completion) {
        ObjectNode json = JsonMapper.shared().createObjectNode();
        if (conversation == null) {
            json.put(PROMPT, prompt).put(COMPLETION, completion);
        } else {
            json.set(PROMPT, JsonMapper.shared().valueToTree(conversation));
            ArrayNode messages = json.putArray(COMPLETION);
            messages.addObject().put("role", "assistant").put("content", completion);
        }
        Row row = new Row("what " + name + " judges", index + 1, json);
        return Truncation.KEEP_END.cut(
                encoder.promptCompletion(row, PROMPT, COMPLETION).tokens(),
                classifier.decoder().config().maxPositionEmbeddings());
    }
}
