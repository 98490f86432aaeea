package dev.isthmus.rl.online;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.rl.objective.DistillationLoss;
import dev.isthmus.rl.reward.WeightAverage;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.Example;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A model that is only asked: a reference, or a teacher. */
final class FrozenModel {
    private static final String DIRECTORY = "reference";
    private static final String TEACHER = "teacher_model_name_or_path";

    private final Decoder model;
    private final boolean shared;
    private boolean moved;

    private FrozenModel(Decoder model, boolean shared, boolean moved) {
        this.model = model;
        this.shared = shared;
        this.moved = moved;
    }

    /** A model from a directory. */
    static FrozenModel load(Path directory) {
        return new FrozenModel(Pretrained.load(directory), false, false);
    }

    /**
     * The model that another learns from.
     *
     * @throws IsthmusException if it is missing or has another vocabulary
     */
    static FrozenModel teacher(@Nullable String directory, PromptedModel student) {
        FrozenModel teacher = load(Path.of(requireTeacher(directory)));
        student.requireVocabulary(TEACHER, teacher.model);
        return teacher;
    }

    /** Throws if no teacher is named. */
    static String requireTeacher(@Nullable String directory) {
        if (directory == null) {
            throw new IsthmusException(TEACHER + " is missing: the directory of the model to learn from");
        }
        return directory;
    }

    /** {@code [T]}: how far the policy is from it at all completion tokens of a batch one after another, with gradient. */
    Tensor divergences(DistillationLoss loss, RolloutBatch batch) {
        Tensor hidden;
        try (Scope scope = Scope.open()) {
            hidden = Autograd.noGrad(() -> batch.hidden(model)).keep();
        }
        return loss.perToken(batch.logits(batch.policy()), hidden, model::logits);
    }

    /**
     * The reference of a run that begins or goes on: the model that the run began with, unless it has moved since. If adapters are
     * trained it is the policy without them, and nothing is copied.
     *
     * @param begun the model that the run began with
     */
    static FrozenModel reference(Decoder policy, Path begun, Optional<Path> checkpoint) {
        if (!policy.adapters().isEmpty()) {
            return new FrozenModel(policy.base(), true, false);
        }
        Path saved = checkpoint.map(c -> c.resolve(DIRECTORY)).orElse(begun);
        boolean moved = checkpoint.isPresent() && Files.isDirectory(saved);
        return new FrozenModel(Pretrained.load(moved ? saved : begun), false, moved);
    }

    /** Whether its weights are those of the policy. */
    boolean shared() {
        return shared;
    }

    Decoder model() {
        return model;
    }

    /** Moves the share {@code alpha} of its way to the policy: TRL's {@code ref_model_mixup_alpha}. */
    void follow(Decoder policy, double alpha) {
        moved = true;
        WeightAverage.move(model.trained(), policy.trained(), alpha);
    }

    /** Writes the model into a checkpoint if it is no longer the one that the run began with. */
    void save(Path checkpoint) {
        if (moved) {
            Pretrained.save(model, checkpoint.resolve(DIRECTORY));
        }
    }

    /** The log-probabilities of the completion tokens of each example, {@code batchSize} examples at once. */
    List<float[]> logps(List<Example> examples, double temperature, int batchSize) {
        return logps(model, examples, temperature, batchSize);
    }

    /** The same of any model. */
    static List<float[]> logps(Decoder model, List<Example> examples, double temperature, int batchSize) {
        List<float[]> all = new ArrayList<>();
        for (int i = 0; i < examples.size(); i += batchSize) {
            List<Example> batch = examples.subList(i, Math.min(examples.size(), i + batchSize));
            try (Scope scope = Scope.open()) {
                CompletionBatch completions = new CompletionBatch(batch);
                float[] padded = Autograd.noGrad(() ->
                        completions.scores(model, temperature, false).logps().toFloats());
                int columns = padded.length / batch.size();
                for (int b = 0; b < batch.size(); b++) {
                    int from = b * columns;
                    all.add(Arrays.copyOfRange(padded, from, from + batch.get(b).completionLength()));
                }
            }
        }
        return all;
    }
}
