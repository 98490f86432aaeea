package dev.isthmus.rl.online;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.model.io.StoredType;
import dev.isthmus.model.io.TensorEntry;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Example;
import dev.isthmus.train.Sequence;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** A decoder with a head of one number: what the state before each token of a completion is worth. */
final class Critic {
    private static final String DIRECTORY = "value";
    private static final String HEAD = "score.weight";
    private static final String FILE = "score.safetensors";

    private final Decoder model;
    private final Tensor head;

    private Critic(Decoder model) {
        this.model = model;
        head = Tensor.zeros(DType.FLOAT32, 1, model.config().hiddenSize()).requireGrad();
    }

    /**
     * The critic of a run that begins, which finds every state worth 0, or of one that goes on.
     *
     * @param begun the model that it begins as
     */
    static Critic load(Path begun, Optional<Path> checkpoint) {
        Optional<Path> saved = checkpoint.map(c -> c.resolve(DIRECTORY));
        Critic critic = new Critic(Pretrained.load(saved.orElse(begun)));
        saved.ifPresent(directory -> {
            try (Arena arena = Arena.ofConfined()) {
                TensorEntry entry =
                        SafeTensors.open(directory.resolve(FILE), arena).get(HEAD);
                critic.head.segment().copyFrom(entry.data());
            }
        });
        return critic;
    }

    void save(Path checkpoint) {
        Path directory = checkpoint.resolve(DIRECTORY);
        Pretrained.save(model, directory);
        SafeTensors.write(
                directory.resolve(FILE), List.of(new TensorEntry(HEAD, StoredType.F32, head.shape(), head.segment())));
    }

    Decoder model() {
        return model;
    }

    /** What is trained, under names that are not those of the policy. */
    List<Parameter> parameters() {
        return Stream.concat(model.trainable().stream(), Stream.of(new Parameter(HEAD, head, 0, 1)))
                .map(p -> new Parameter(DIRECTORY + "." + p.name(), p.tensor(), p.start(), p.rows()))
                .toList();
    }

    /** {@code [B, T]}: the values of the states before each token, with gradient. */
    Tensor values(RolloutBatch batch) {
        return batch.pad(values(batch.examples()));
    }

    private Tensor values(List<Example> examples) {
        List<Sequence> sequences = examples.stream().map(Sequence::of).toList();
        return Functional.linear(CompletionLoss.hidden(model, sequences), head, null)
                .reshape(-1);
    }

    /** The values of the states before each token of each rollout, {@code batchSize} rollouts at once. */
    double[][] values(List<Rollout> rollouts, int batchSize) {
        List<double[]> values = new ArrayList<>();
        for (int i = 0; i < rollouts.size(); i += batchSize) {
            List<Rollout> some = rollouts.subList(i, Math.min(rollouts.size(), i + batchSize));
            try (Scope scope = Scope.open()) {
                double[] all = Autograd.noGrad(() ->
                        values(some.stream().map(Rollout::example).toList()).toDoubles());
                int at = 0;
                for (Rollout rollout : some) {
                    int length = rollout.completion().length;
                    values.add(Arrays.copyOfRange(all, at, at + length));
                    at += length;
                }
            }
        }
        return values.toArray(double[][]::new);
    }
}
