package dev.isthmus.train.supervised;

import dev.isthmus.tensor.Rng;
import dev.isthmus.train.Sequence;
import dev.isthmus.train.data.DataOrder;
import dev.isthmus.train.data.Dataset;
import dev.isthmus.train.data.Packing;
import dev.isthmus.train.data.Packing.Piece;
import dev.isthmus.train.data.Row;
import dev.isthmus.train.data.RowEncoder;
import dev.isthmus.train.data.RowEncoder.Prompted;
import dev.isthmus.train.loop.BaseConfig;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Rows of TRL's types for supervised fine-tuning: {@code {"prompt", "completion"}}, of which the completion is learned, {@code
 * {"messages"}} or {@code {"text"}}; {@code "weight"} is what the loss of a row is multiplied by, 1 if there is none.
 */
final class SftRows implements SequenceSource {
    private final SftConfig settings;
    private final RowEncoder encoder;
    private final int length;
    private final Dataset<Sequence> train;
    private final @Nullable Dataset<Sequence> held;
    private final List<List<Piece>> packs;
    private final List<List<Piece>> heldPacks;
    private final DataOrder order;

    /**
     * The rows of the files that the settings name.
     *
     * @param length tokens that a model may read at most
     */
    SftRows(BaseConfig base, String data, SftConfig settings, RowEncoder encoder, int length, Rng rng) {
        this.settings = settings;
        this.encoder = encoder;
        this.length = length;
        train = Dataset.read(data, this::sequences, s -> s.tokens().length);
        String evalData = base.evalData();
        held = evalData == null ? null : Dataset.read(evalData, this::sequences, s -> s.tokens().length);
        packs = settings.packing() ? packs(train) : List.of();
        boolean packHeld = settings.packing() && !Boolean.FALSE.equals(settings.evalPacking());
        heldPacks = held != null && packHeld ? packs(held) : List.of();
        int[] sizes = settings.packing() ? new int[] {packs.size()} : train.sizes();
        order = DataOrder.of(base, sizes, rng.split("order"));
    }

    private List<Sequence> sequences(Row row) {
        Sequence whole = whole(row);
        int end = whole.tokens().length;
        if (!settings.packing() || settings.packingStrategy() == Packing.BFD) {
            int from = settings.truncationMode().from(end, length);
            return learning(part(whole, from, Math.min(end, from + length)));
        }
        if (settings.packingStrategy() == Packing.WRAPPED) {
            if (whole.weight() != 1) {
                throw row.wrong(
                        "\"weight\" has no meaning with packing_strategy wrapped, which reads rows as one text");
            }
            return List.of(whole);
        }
        return IntStream.iterate(0, from -> from < end, from -> from + length)
                .mapToObj(from -> learning(part(whole, from, Math.min(end, from + length))))
                .flatMap(List::stream)
                .toList();
    }

    private static List<Sequence> learning(Sequence sequence) {
        return sequence.learned().length == 0 ? List.of() : List.of(sequence);
    }

    private Sequence whole(Row row) {
        double weight = row.number("weight", 1);
        boolean prompted = row.has("prompt") || row.has("completion");
        if (settings.assistantOnlyLoss() && !row.has("messages")) {
            throw row.wrong("assistant_only_loss is for rows of \"messages\"; it has " + row.fields());
        }
        if (Boolean.TRUE.equals(settings.completionOnlyLoss()) && !prompted) {
            throw row.wrong(
                    "completion_only_loss is for rows of \"prompt\" and \"completion\"; it has " + row.fields());
        }
        if (prompted) {
            Prompted tokens = encoder.promptCompletion(row, "prompt", "completion");
            boolean all = Boolean.FALSE.equals(settings.completionOnlyLoss());
            return new Sequence(tokens.tokens(), from(all ? 1 : tokens.length(), tokens.tokens().length), weight);
        }
        if (row.has("messages")) {
            RowEncoder.Conversation conversation = encoder.conversation(row, "messages");
            int[] tokens = conversation.tokens();
            return new Sequence(
                    tokens,
                    settings.assistantOnlyLoss() ? assistant(row, conversation) : from(1, tokens.length),
                    weight);
        }
        if (row.has(settings.datasetTextField())) {
            int[] tokens = encoder.text(row, settings.datasetTextField());
            return new Sequence(tokens, from(1, tokens.length), weight);
        }
        throw row.wrong("has neither \"prompt\" and \"completion\" nor \"messages\" nor \""
                + settings.datasetTextField() + "\"; it has " + row.fields());
    }

    private static int[] assistant(Row row, RowEncoder.Conversation conversation) {
        if (conversation.generated().isEmpty()) {
            throw row.wrong("assistant_only_loss needs a chat template that marks what the assistant says by"
                    + " {% generation %}, and an assistant in \"messages\"");
        }
        return conversation.generated().stream()
                .flatMapToInt(span -> IntStream.range(Math.max(1, span.from()), span.to()))
                .toArray();
    }

    /** Of a text without a token that begins it, the first token cannot be told from anything before it. */
    private static int[] from(int first, int end) {
        return IntStream.range(Math.max(1, first), Math.max(1, end)).toArray();
    }

    private static Sequence part(Sequence whole, int from, int to) {
        if (from == 0 && to == whole.tokens().length) {
            return whole;
        }
        int[] learned = IntStream.of(whole.learned())
                .filter(t -> t > from && t < to)
                .map(t -> t - from)
                .toArray();
        int[] tokens = Arrays.copyOfRange(whole.tokens(), from, to);
        return new Sequence(tokens, learned, whole.weight());
    }

    private List<List<Piece>> packs(Dataset<Sequence> data) {
        List<List<Piece>> rows = settings.packingStrategy().pack(data.lengths(), length);
        return settings.packingStrategy() == Packing.WRAPPED
                ? rows.stream().filter(row -> !packed(data, row).isEmpty()).toList()
                : rows;
    }

    @Override
    public List<Sequence> row(long place) {
        int index = order.at(place);
        return settings.packing() ? packed(train, packs.get(index)) : List.of(train.get(index));
    }

    private List<Sequence> packed(Dataset<Sequence> data, List<Piece> pieces) {
        List<Sequence> parts = pieces.stream()
                .map(piece -> part(data.get(piece.example()), piece.from(), piece.to()))
                .toList();
        return settings.packingStrategy() == Packing.WRAPPED ? learning(joined(parts)) : parts;
    }

    /** Sequences as one, in which each sees those before it. */
    private static Sequence joined(List<Sequence> parts) {
        IntStream.Builder tokens = IntStream.builder();
        IntStream.Builder learned = IntStream.builder();
        int start = 0;
        for (Sequence part : parts) {
            IntStream.of(part.tokens()).forEach(tokens);
            int first = start;
            IntStream.of(part.learned()).forEach(t -> learned.add(first + t));
            start += part.tokens().length;
        }
        return new Sequence(tokens.build().toArray(), learned.build().toArray(), 1);
    }

    @Override
    public long epoch() {
        return settings.packing() ? packs.size() : train.size();
    }

    @Override
    public int heldOut() {
        return held == null ? 0 : heldPacks.isEmpty() ? held.size() : heldPacks.size();
    }

    @Override
    public List<Sequence> heldOut(int index) {
        Dataset<Sequence> data = Objects.requireNonNull(held);
        return heldPacks.isEmpty() ? List.of(data.get(index)) : packed(data, heldPacks.get(index));
    }

    @Override
    public String description() {
        String rows = settings.packing()
                ? String.format(
                        Locale.ROOT,
                        " in %,d rows of %,d tokens, %.1f%% full",
                        packs.size(),
                        length,
                        100.0 * IntStream.of(train.lengths()).asLongStream().sum() / ((double) packs.size() * length))
                : "";
        return train.description() + rows;
    }

    @Override
    public String id() {
        return train.id() + (held == null ? "" : held.id());
    }
}
