package dev.isthmus.rl.reward;

import dev.isthmus.model.Peft;
import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.data.Row;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.RowEncoder.Prompted;
import dev.isthmus.train.data.Truncation;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
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
    private static final String TASK = "task";

    private final String name;
    private final Judge judge;
    private final int maxLength;
    private final RowEncoder encoder;
    private final int batchSize;

    /** Gives texts their numbers. */
    @FunctionalInterface
    private interface Judge {
        /** {@code [N]} or {@code [N, 1]}, of texts of which the first tokens are a prompt; the tasks are null where nothing is said. */
        Tensor rewards(List<Prompted> texts, List<@Nullable String> tasks);
    }

    private RewardModel(String name, Judge judge, int maxLength, RowEncoder encoder, int batchSize) {
        this.name = name;
        this.judge = judge;
        this.maxLength = maxLength;
        this.encoder = encoder;
        this.batchSize = batchSize;
    }

    /** Whether a path is that of a directory in which a model, an adapter or {@linkplain RoutedExperts experts} lie. */
    public static boolean present(Path directory) {
        return Files.exists(directory.resolve("config.json"))
                || Peft.present(directory)
                || RoutedExperts.present(directory);
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
        RowEncoder encoder = new RowEncoder(Tokenizers.load(words), template);
        String name = own.getFileName().toString();
        if (RoutedExperts.present(own)) {
            RoutedExperts experts = RoutedExperts.load(own);
            int length = experts.base().config().maxPositionEmbeddings();
            return new RewardModel(name, (texts, tasks) -> routed(experts, texts, tasks), length, encoder, batchSize);
        }
        Classifier classifier = Classifier.load(own, 1, false);
        int length = classifier.decoder().config().maxPositionEmbeddings();
        return new RewardModel(name, (texts, _) -> classifier.last(tokens(texts)), length, encoder, batchSize);
    }

    private static List<int[]> tokens(List<Prompted> texts) {
        return texts.stream().map(Prompted::tokens).toList();
    }

    private static Tensor routed(RoutedExperts experts, List<Prompted> texts, List<@Nullable String> tasks) {
        List<int[]> prompts = texts.stream()
                .map(text -> Arrays.copyOf(text.tokens(), text.length()))
                .toList();
        return experts.rewards(tokens(texts), experts.tasksOf(prompts, tasks));
    }

    @Override
    public String name() {
        return name;
    }

    /**
     * One reward for each completion.
     *
     * @param columns {@code prompt} holds the messages of those prompts that are conversations, {@code task} what experts are asked, where
     *     it is known
     */
    @Override
    public double[] score(List<String> prompts, List<String> completions, Map<String, List<?>> columns) {
        List<?> conversations = columns.get(PROMPT);
        List<?> tasks = columns.get(TASK);
        List<Prompted> texts = new ArrayList<>();
        List<@Nullable String> said = new ArrayList<>();
        for (int i = 0; i < completions.size(); i++) {
            Object conversation = conversations == null ? null : conversations.get(i);
            texts.add(text(i, conversation, prompts.get(i), completions.get(i)));
            said.add(tasks != null && tasks.get(i) instanceof String task ? task : null);
        }
        double[] rewards = new double[texts.size()];
        for (int i = 0; i < rewards.length; i += batchSize) {
            int from = i;
            int to = Math.min(rewards.length, i + batchSize);
            try (Scope scope = Scope.open()) {
                double[] scored = Autograd.noGrad(() -> judge.rewards(texts.subList(from, to), said.subList(from, to)))
                        .toDoubles();
                System.arraycopy(scored, 0, rewards, i, scored.length);
            }
        }
        return rewards;
    }

    private Prompted text(int index, @Nullable Object conversation, String prompt, String completion) {
        ObjectNode json = JsonMapper.shared().createObjectNode();
        if (conversation == null) {
            json.put(PROMPT, prompt).put(COMPLETION, completion);
        } else {
            json.set(PROMPT, JsonMapper.shared().valueToTree(conversation));
            ArrayNode messages = json.putArray(COMPLETION);
            messages.addObject().put("role", "assistant").put("content", completion);
        }
        Prompted whole =
                encoder.promptCompletion(new Row("what " + name + " judges", index + 1, json), PROMPT, COMPLETION);
        int from = Truncation.KEEP_END.from(whole.tokens().length, maxLength);
        return new Prompted(Truncation.KEEP_END.cut(whole.tokens(), maxLength), Math.max(1, whole.length() - from));
    }
}
