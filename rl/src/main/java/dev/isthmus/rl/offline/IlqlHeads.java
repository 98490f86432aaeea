package dev.isthmus.rl.offline;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.generate.Ensemble;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.rl.objective.QValueLoss;
import dev.isthmus.rl.objective.Require;
import dev.isthmus.rl.reward.MlpHead;
import dev.isthmus.rl.reward.WeightAverage;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * What a decoder's hidden states {@code h [N, C]} are worth, {@code V(s)}, and each token after them, {@code Q(s, a)}, of one network or two
 * and of the target networks that follow them; each is {@code W_2 relu(W_0 h + b_0) + b_2}, trlX's ILQLHeads.
 */
public final class IlqlHeads {
    private static final String FILE = "ilql_heads.safetensors";

    private final Decoder decoder;
    private final MlpHead v;
    private final List<MlpHead> q;
    private final List<MlpHead> targetQ;

    private IlqlHeads(Decoder decoder, int networks, Rng rng) {
        this.decoder = decoder;
        int vocabSize = decoder.config().vocabSize();
        v = head("v_head", decoder, 1, rng);
        q = heads("q_heads", decoder, vocabSize, networks, rng);
        targetQ = heads("target_q_heads", decoder, vocabSize, networks, rng);
        syncTargets(1);
    }

    private static MlpHead head(String name, Decoder decoder, int outputs, Rng rng) {
        int hidden = decoder.config().hiddenSize();
        return MlpHead.initialize("ilql_heads." + name, decoder.dtype(), hidden, 2 * hidden, outputs, rng);
    }

    private static List<MlpHead> heads(String name, Decoder decoder, int outputs, int networks, Rng rng) {
        return IntStream.range(0, networks)
                .mapToObj(i -> head(name + "." + i, decoder, outputs, rng))
                .toList();
    }

    /**
     * The heads that were saved beside a decoder, or else new ones, in the current scope.
     *
     * @throws IsthmusException if those that are there do not fit
     */
    static IlqlHeads loadOrInitialize(Decoder decoder, Path files, boolean twoQs, Rng rng) {
        IlqlHeads heads = new IlqlHeads(decoder, twoQs ? 2 : 1, rng);
        if (present(files)) {
            try (Arena arena = Arena.ofConfined()) {
                Pretrained.fill(heads.all(), SafeTensors.open(files.resolve(FILE), arena), files.resolve(FILE));
            }
        }
        return heads;
    }

    /**
     * Loads the heads beside a decoder, or its adapter, into the current scope.
     *
     * @throws IsthmusException if there are none, or they do not fit
     */
    public static IlqlHeads load(Decoder decoder, Path files) {
        if (!present(files)) {
            throw new IsthmusException(files + " has no " + FILE + ": no ilql run wrote it");
        }
        try (Arena arena = Arena.ofConfined()) {
            SafeTensors saved = SafeTensors.open(files.resolve(FILE), arena);
            boolean twoQs = saved.tensors().containsKey("ilql_heads.q_heads.1.0.weight");
            IlqlHeads heads = new IlqlHeads(decoder, twoQs ? 2 : 1, Rng.of(0));
            Pretrained.fill(heads.all(), saved, files.resolve(FILE));
            return heads;
        }
    }

    /** Writes the heads, those of the target networks too. */
    void save(Path directory) {
        SafeTensors.write(directory.resolve(FILE), Pretrained.entries(all()));
    }

    /** The model under the heads. */
    public Decoder decoder() {
        return decoder;
    }

    /** What is trained: all but the target networks. */
    List<Parameter> parameters() {
        return Stream.concat(Stream.of(v), q.stream())
                .flatMap(head -> head.parameters().stream())
                .toList();
    }

    /** What is saved. */
    List<Parameter> all() {
        return Stream.concat(parameters().stream(), targetQ.stream().flatMap(head -> head.parameters().stream()))
                .toList();
    }

    /** The target networks become {@code alpha Q + (1 - alpha) Q'}. */
    void syncTargets(double alpha) {
        WeightAverage.move(tensors(targetQ), tensors(q), alpha);
    }

    private static List<Tensor> tensors(List<MlpHead> heads) {
        return heads.stream()
                .flatMap(head -> head.parameters().stream())
                .map(Parameter::tensor)
                .toList();
    }

    /** {@code V(s) [N, 1]}. */
    Tensor values(Tensor hidden) {
        return v.of(hidden);
    }

    /** {@code Q(s, .) [N, V]} of each network. */
    List<Tensor> q(Tensor hidden) {
        return q.stream().map(head -> head.of(hidden)).toList();
    }

    /** {@code Q'(s, .) [N, V]} of each target network. */
    List<Tensor> targetQ(Tensor hidden) {
        return targetQ.stream().map(head -> head.of(hidden)).toList();
    }

    /**
     * The policy {@code softmax(log pi(a|s) + beta (Q'(s, a) - V(s)))}, with the lesser of two Q': the model alone if {@code beta} is 0, and
     * the greediest for reward if it is large.
     *
     * @throws IsthmusException if {@code beta} is negative
     */
    public Ensemble.Head policy(double beta) {
        Require.notNegative("beta", beta);
        return (model, hidden) -> {
            Tensor least = targetQ(hidden).stream().reduce(Tensor::minimum).orElseThrow();
            return QValueLoss.guide(model.logits(hidden), least, values(hidden).squeeze(-1), beta);
        };
    }

    /** Whether there are heads beside a decoder, or its adapter. */
    public static boolean present(Path files) {
        return Files.exists(files.resolve(FILE));
    }
}
