package dev.isthmus.rl.reward;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig.ModelType;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Peft;
import dev.isthmus.model.Peft.TaskType;
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
        Tensor weight = Tensor.randn(decoder.dtype(), rng.split("score.weight"), INITIALIZER_RANGE, labels, hidden);
        Tensor bias = withBias ? Tensor.zeros(decoder.dtype(), labels).requireGrad() : null;
        return new Classifier(decoder, weight.requireGrad(), bias);
    }

    /**
     * A decoder with the head that {@link #save} wrote, or else a new one.
     *
     * @param files a model, or an adapter that brings a head
     */
    public static Classifier loadOrInitialize(Decoder decoder, Path files, int labels, boolean withBias, Rng rng) {
        Classifier classifier = initialize(decoder, labels, withBias, rng);
        try (Arena arena = Arena.ofConfined()) {
            classifier.fill(tensors(files, arena), files);
        }
        return classifier;
    }

    /**
     * Loads a decoder, or an adapter with the model that it names, and its head into the current scope.
     *
     * @throws IsthmusException if there is no head
     */
    public static Classifier load(Path files, int labels, boolean withBias) {
        Classifier classifier = initialize(decoder(files), labels, withBias, Rng.of(0));
        try (Arena arena = Arena.ofConfined()) {
            if (!classifier.fill(tensors(files, arena), files)) {
                throw new IsthmusException(files + " has no " + classifier.name() + ".weight: it is no reward model");
            }
        }
        return classifier;
    }

    private static Decoder decoder(Path files) {
        if (!Peft.present(files)) {
            return Pretrained.loadClassifier(files);
        }
        Decoder base = Pretrained.loadClassifier(Peft.base(files));
        return base.with(Peft.loadWithoutModules(files, base));
    }

    private static Map<String, TensorEntry> tensors(Path files, Arena arena) {
        if (Peft.present(files)) {
            return Peft.modules(files, arena);
        }
        return Files.exists(files.resolve("config.json"))
                ? SafeTensors.openDirectory(files, arena).tensors()
                : Map.of();
    }

    /** Whether the head was there. */
    private boolean fill(Map<String, TensorEntry> tensors, Path files) {
        for (Parameter p : head()) {
            TensorEntry entry = tensors.get(p.name());
            if (entry == null) {
                return false;
            }
            Pretrained.fill(p, entry, files);
        }
        return true;
    }

    /** The model under the head. */
    public Decoder decoder() {
        return decoder;
    }

    private List<Parameter> head() {
        Parameter weights = new Parameter(name() + ".weight", weight, 0, weight.size(0));
        return bias == null
                ? List.of(weights)
                : List.of(weights, new Parameter(name() + ".bias", bias, 0, bias.size(0)));
    }

    /** What transformers calls the head: its GPT2ForTokenClassification is the only one that names it otherwise. */
    private String name() {
        return bias != null && decoder.config().modelType() == ModelType.GPT2 ? "classifier" : "score";
    }

    /** All that is trained: the decoder or its adapter, without the head that says words, and the head that says numbers. */
    public List<Parameter> parameters() {
        List<Parameter> parameters = new ArrayList<>(decoder.trainable());
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

    /**
     * Writes a Hugging Face directory, with the head beside the decoder's weights; of a decoder with an adapter only that, with the
     * head as PEFT's {@code modules_to_save}.
     */
    public void save(Path directory) {
        if (!decoder.adapters().isEmpty()) {
            TaskType task = bias == null ? TaskType.SEQ_CLS : TaskType.TOKEN_CLS;
            Peft.save(decoder.adapters().getFirst(), decoder, directory, task, head());
            return;
        }
        List<TensorEntry> entries = new ArrayList<>(Pretrained.entries(decoder));
        for (Parameter p : head()) {
            entries.add(new TensorEntry(
                    p.name(), StoredType.F32, p.tensor().shape(), p.tensor().segment()));
        }
        Checkpoint.save(directory, decoder.config(), entries);
    }
}
