package dev.isthmus.rl.offline;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.rl.objective.DistillationLoss;
import dev.isthmus.rl.reward.WeightAverage;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Sequence;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * The model that a policy is compared with. What it says of a sequence is computed once and remembered: a log-prob does not depend on what
 * else is in the batch, so it is the same number that would be computed again.
 */
final class ReferenceModel {
    /** Log-probs that are remembered at most. */
    private static final long ROOM = 1L << 26;

    private static final String DIRECTORY = "reference";

    private final Decoder model;
    private final Map<Long, float[]> known = new HashMap<>();
    private long room = ROOM;

    /** A reference that nobody else changes. */
    ReferenceModel(Decoder model) {
        this.model = model;
    }

    /** Loads what {@link #save} wrote. */
    static ReferenceModel load(Path checkpoint) {
        return new ReferenceModel(Pretrained.load(checkpoint.resolve(DIRECTORY)));
    }

    /**
     * The log-probs of the learned tokens of all sequences one after another: {@code [T]}.
     *
     * @param keys by which each is remembered
     */
    Tensor logps(long[] keys, List<Sequence> sequences) {
        List<Integer> missing = IntStream.range(0, keys.length)
                .filter(i -> !known.containsKey(keys[i]))
                .boxed()
                .toList();
        Map<Long, float[]> found = new HashMap<>();
        if (!missing.isEmpty()) {
            float[] computed = compute(missing.stream().map(sequences::get).toList());
            int start = 0;
            for (int i : missing) {
                int end = start + sequences.get(i).learned().length;
                found.put(keys[i], Arrays.copyOfRange(computed, start, end));
                start = end;
            }
        }
        float[] all =
                new float[sequences.stream().mapToInt(s -> s.learned().length).sum()];
        int n = 0;
        for (long key : keys) {
            float[] logps = Objects.requireNonNull(found.containsKey(key) ? found.get(key) : known.get(key));
            System.arraycopy(logps, 0, all, n, logps.length);
            n += logps.length;
        }
        found.forEach((key, logps) -> {
            if (logps.length <= room) {
                known.put(key, logps);
                room -= logps.length;
            }
        });
        return Tensor.of(all, all.length).to(model.dtype());
    }

    /** The same of sequences that will not be asked for again. */
    Tensor logps(List<Sequence> sequences) {
        float[] logps = compute(sequences);
        return Tensor.of(logps, logps.length).to(model.dtype());
    }

    /**
     * {@code sum_v p_ref(v) log(p_ref(v) / p(v))} at each learned token, one sequence after another: {@code [T]}, with gradient. Whole
     * distributions are not remembered.
     *
     * @param logits {@code [T, V]}, the policy's
     */
    Tensor divergences(List<Sequence> sequences, Tensor logits) {
        Tensor hidden;
        try (Scope scope = Scope.open()) {
            hidden = Autograd.noGrad(() -> CompletionLoss.hidden(model, sequences))
                    .keep();
        }
        return new DistillationLoss(0, 1).perToken(logits, hidden, model::logits);
    }

    private float[] compute(List<Sequence> sequences) {
        try (Scope scope = Scope.open()) {
            return Autograd.noGrad(() -> CompletionLoss.ofSequences(model, sequences, 1, false)
                    .loss()
                    .neg()
                    .toFloats());
        }
    }

    /** Moves the share {@code alpha} of its way to the policy: TRL's {@code ref_model_mixup_alpha}. */
    void follow(Decoder policy, double alpha) {
        WeightAverage.move(model.trained(), policy.trained(), alpha);
        known.clear();
        room = ROOM;
    }

    /** Writes the weights. */
    void save(Path checkpoint) {
        Pretrained.save(model, checkpoint.resolve(DIRECTORY));
    }
}
