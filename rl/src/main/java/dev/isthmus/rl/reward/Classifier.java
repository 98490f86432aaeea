package dev.isthmus.rl.reward;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.model.io.Checkpoint;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.model.io.StoredType;
import dev.isthmus.model.io.TensorEntry;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A decoder that says numbers instead of words: {@code score(h)} of the hidden state of a token, by Hugging Face's name.
 *
 * <p>With one label and no bias it is a reward model ({@code ForSequenceClassification}), with two and a bias a judge of steps
 * ({@code ForTokenClassification}).
 */
public final class Classifier {
    private static final String WEIGHT = "score.weight";
    private static final String BIAS = "score.bias";
    private static final double INITIALIZER_RANGE = 0.02;

    private final Decoder decoder;
    private final Tensor weight;
    private final @Nullable Tensor bias;

    private Classifier(Decoder decoder, Tensor weight, @Nullable Tensor bias) {
        this.decoder = decoder;
        this.weight = weight;
        this.bias = bias;
    }

    /** A decoder with a new head in the current scope. */
    public static Classifier initialize(Decoder decoder, int labels, boolean withBias, Rng rng) {
        int hidden = decoder.config().hiddenSize();
        Tensor weight = Tensor.randn(decoder.dtype(), rng.split(WEIGHT), INITIALIZER_RANGE, labels, hidden);
        Tensor bias = withBias ? Tensor.zeros(decoder.dtype(), labels).requireGrad() : null;
        return new Classifier(decoder, weight.requireGrad(), bias);
    }

    /** A decoder with the head that {@link #save} wrote, or else a new one. */
    public static Classifier loadOrInitialize(Decoder decoder, Path model, int labels, boolean withBias, Rng rng) {
        Classifier classifier = initialize(decoder, labels, withBias, rng);
        if (!Files.exists(model.resolve("config.json"))) {
            return classifier;
        }
        try (Arena arena = Arena.ofConfined()) {
            Map<String, TensorEntry> tensors =
                    SafeTensors.openDirectory(model, arena).tensors();
            for (Parameter p : classifier.head()) {
                TensorEntry entry = tensors.get(p.name());
                if (entry == null) {
                    return classifier;
                }
                if (entry.elements() != p.tensor().count()) {
                    throw new IsthmusException(
                            model + " has a " + entry + " where " + p.tensor().layout() + " is expected");
                }
                entry.copyTo(p.tensor().segment());
            }
        }
        return classifier;
    }

    /** Loads a decoder and its head into the current scope. */
    public static Classifier load(Path model, int labels, boolean withBias) {
        return loadOrInitialize(Pretrained.load(model), model, labels, withBias, Rng.of(0));
    }

    /** The model under the head. */
    public Decoder decoder() {
        return decoder;
    }

    private List<Parameter> head() {
        Parameter weights = new Parameter(WEIGHT, weight, 0, weight.size(0));
        return bias == null ? List.of(weights) : List.of(weights, new Parameter(BIAS, bias, 0, bias.size(0)));
    }

    /** All that is trained: the decoder without the head that says words, and the head that says numbers. */
    public List<Parameter> parameters() {
        List<Parameter> parameters = new ArrayList<>(decoder.parameters());
        parameters.removeIf(p -> p.name().equals("lm_head.weight"));
        parameters.addAll(head());
        return parameters;
    }

    /**
     * The numbers at some tokens of sequences: {@code [P, labels]}.
     *
     * @param places of each sequence, all after another
     */
    public Tensor at(List<int[]> sequences, List<int[]> places) {
        decoder.requireLength(sequences.stream().mapToInt(s -> s.length).max().orElse(0));
        TokenBatch batch = TokenBatch.of(sequences);
        int[] rows = new int[places.stream().mapToInt(p -> p.length).sum()];
        int n = 0;
        for (int s = 0; s < places.size(); s++) {
            for (int place : places.get(s)) {
                rows[n++] = batch.ragged().starts()[s] + place;
            }
        }
        Tensor hidden = Functional.embedding(decoder.hidden(batch), batch.tokensAt(rows));
        return Functional.linear(hidden, weight, bias);
    }

    /** The numbers at the last token of each sequence: {@code [N, labels]}. */
    public Tensor last(List<int[]> sequences) {
        return at(
                sequences, sequences.stream().map(s -> new int[] {s.length - 1}).toList());
    }

    /** Writes a Hugging Face directory, with the head beside the decoder's weights. */
    public void save(Path directory) {
        List<TensorEntry> entries = new ArrayList<>(Pretrained.entries(decoder));
        for (Parameter p : head()) {
            entries.add(new TensorEntry(
                    p.name(), StoredType.F32, p.tensor().shape(), p.tensor().segment()));
        }
        Checkpoint.save(directory, decoder.config(), entries);
    }
}
