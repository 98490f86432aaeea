package dev.isthmus.model.tokenizer;

import dev.isthmus.model.tokenizer.AddedTokens.AddedToken;
import dev.isthmus.tensor.IsthmusException;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;

/**
 * A tokenizer from the ecosystem's files, in the steps of Hugging Face's tokenizers: added tokens are found, the text between
 * them is normalized and split, a model turns each piece into ids, and the tokens that a model wants around a text are added.
 *
 * <p>Immutable; threads may share one.
 */
public final class PretrainedTokenizer implements Tokenizer {
    /** Ids may be left out before an added token, but not so many that they are a mistake. */
    private static final int MOST_ADDED = 1_000_000;

    private static final int CACHED_PIECES = 1 << 16;
    private static final int LONGEST_CACHED = 64;

    private final Normalizer normalizer;
    private final PreTokenizer preTokenizer;
    private final TokenModel model;
    private final TokenDecoder decoder;
    private final Template template;
    private final Ends ends;
    private final AddedTokens raw;
    private final AddedTokens ordinary;
    private final AddedTokens normalized;
    private final Map<Integer, AddedToken> added = new HashMap<>();
    private final int size;
    private final Map<String, int[]> cache = new ConcurrentHashMap<>();

    /** What stands before and behind a text. */
    record Template(int[] before, int[] behind) {
        static final Template NONE = new Template(new int[0], new int[0]);
    }

    /** The tokens that begin and end a text, where there are such. */
    record Ends(OptionalInt bos, OptionalInt eos) {
        static final Ends NONE = new Ends(OptionalInt.empty(), OptionalInt.empty());
    }

    /**
     * A tokenizer.
     *
     * @throws IllegalArgumentException if an added token, or one around a text, has an id that cannot be
     */
    PretrainedTokenizer(
            List<AddedToken> addedTokens,
            Normalizer normalizer,
            PreTokenizer preTokenizer,
            TokenModel model,
            TokenDecoder decoder,
            Template template,
            Ends ends) {
        this.normalizer = normalizer;
        this.preTokenizer = preTokenizer;
        this.model = model;
        this.decoder = decoder;
        this.template = template;
        this.ends = ends;
        List<AddedToken> exact =
                addedTokens.stream().filter(t -> t.special() || !t.normalized()).toList();
        raw = new AddedTokens(exact, Normalizer.NONE);
        ordinary = new AddedTokens(exact.stream().filter(t -> !t.special()).toList(), Normalizer.NONE);
        normalized = new AddedTokens(
                addedTokens.stream().filter(t -> !exact.contains(t)).toList(), normalizer);
        int largest = model.vocabulary().size();
        for (AddedToken token : addedTokens) {
            if (token.id() < 0 || token.id() > model.vocabulary().size() + MOST_ADDED) {
                throw new IllegalArgumentException("the added token " + token.content() + " has the id " + token.id()
                        + " beside " + model.vocabulary().size() + " others");
            }
            added.put(token.id(), token);
            largest = Math.max(largest, token.id() + 1);
        }
        size = largest;
        for (int id : IntStream.concat(IntStream.of(template.before), IntStream.of(template.behind))
                .toArray()) {
            if (id < 0 || id >= size) {
                throw new IllegalArgumentException(
                        "the token " + id + " around a text is outside the vocabulary of " + size);
            }
        }
    }

    Template template() {
        return template;
    }

    TokenModel model() {
        return model;
    }

    /** This tokenizer with other tokens for the begin and the end of a text. */
    PretrainedTokenizer withEnds(Ends ends) {
        return new PretrainedTokenizer(
                List.copyOf(added.values()), normalizer, preTokenizer, model, decoder, template, ends);
    }

    @Override
    public int[] encode(String text) {
        return encode(text, raw);
    }

    /** The ids of a text in which the names of special tokens are text like any other: for what a stranger wrote. */
    public int[] encodeOrdinary(String text) {
        return encode(text, ordinary);
    }

    private int[] encode(String text, AddedTokens before) {
        IntList ids = new IntList();
        try {
            before.split(
                    text,
                    true,
                    (part, first) -> normalized.split(
                            normalizer.normalize(part),
                            first,
                            (rest, f) -> preTokenizer.split(rest, f, (piece, _) -> piece(piece, ids)),
                            ids::add),
                    ids::add);
        } catch (StackOverflowError e) {
            throw new IsthmusException("a pattern of the tokenizer nests too deeply for this text", e);
        }
        return ids.toArray();
    }

    private void piece(String piece, IntList ids) {
        if (piece.length() > LONGEST_CACHED) {
            model.encode(piece, ids);
            return;
        }
        int[] known = cache.get(piece);
        if (known == null) {
            IntList found = new IntList();
            model.encode(piece, found);
            known = found.toArray();
            if (cache.size() < CACHED_PIECES) {
                cache.put(piece, known);
            }
        }
        ids.addAll(known);
    }

    @Override
    public int[] encode(String text, boolean addSpecialTokens) {
        if (!addSpecialTokens) {
            return encode(text);
        }
        IntList ids = new IntList();
        ids.addAll(template.before);
        ids.addAll(encode(text));
        ids.addAll(template.behind);
        return ids.toArray();
    }

    @Override
    public String decode(int[] ids, boolean skipSpecialTokens) {
        List<String> tokens = new ArrayList<>(ids.length);
        for (int id : ids) {
            AddedToken special = added.get(id);
            String token = special == null ? model.vocabulary().token(id) : special.content();
            if (token != null && (special == null || !special.special() || !skipSpecialTokens)) {
                tokens.add(token);
            }
        }
        return String.join("", decoder.decode(tokens));
    }

    @Override
    public byte[] bytes(int id) {
        String token = model.vocabulary().token(id);
        if (token == null || added.containsKey(id) || decode(new int[] {id}).indexOf('\uFFFD') < 0) {
            return Tokenizer.super.bytes(id);
        }
        int fallback = Vocabulary.byteOf(token);
        if (fallback >= 0) {
            return new byte[] {(byte) fallback};
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ByteAlphabet.decode(token, bytes);
        return bytes.toByteArray();
    }

    /** The id of a token's text, or empty if there is no such token. */
    public OptionalInt tokenId(String token) {
        for (AddedToken special : added.values()) {
            if (special.content().equals(token)) {
                return OptionalInt.of(special.id());
            }
        }
        int id = model.vocabulary().id(token);
        return id < 0 ? OptionalInt.empty() : OptionalInt.of(id);
    }

    @Override
    public int vocabSize() {
        return size;
    }

    @Override
    public OptionalInt bosTokenId() {
        return ends.bos;
    }

    @Override
    public OptionalInt eosTokenId() {
        return ends.eos;
    }
}
