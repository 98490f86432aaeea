package dev.isthmus.model.generate;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.KernelCall;
import dev.isthmus.tensor.KernelCall.CachedAttention;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.KvAppend;
import dev.isthmus.tensor.KernelCall.KvPages;
import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The keys and values that a decoder has computed, in pages that sequences share after a fork (Kwon et al. 2023, section
 * 4).
 *
 * <p>Lives in the scope in which it was made. Not safe for several threads.
 */
public final class KvCache {
    private final Decoder decoder;
    private final Heads heads;
    private final List<KvPages> layers = new ArrayList<>();
    private final List<Tensor> stores = new ArrayList<>();
    private int[] owners = new int[0];
    private int[] free = new int[0];
    private int freeCount;

    /** Where a sequence is changed by all adapters of the decoder. */
    private static final int ALL_ADAPTERS = Integer.MIN_VALUE;

    /** A sequence's place in the cache. */
    public static final class Sequence {
        private final int adapter;
        private int[] pages = new int[0];
        private int shared;
        private int length;

        private Sequence(int adapter) {
            this.adapter = adapter;
        }

        /** The number of tokens whose keys and values are cached. */
        public int length() {
            return length;
        }

        /** Whether the next token begins a page. */
        private boolean endsPage() {
            return KvPages.slot(length, shared) == 0;
        }

        private void keep(Sequence from, int tokens) {
            length = tokens;
            shared = from.shared <= tokens ? from.shared : 0;
            pages = Arrays.copyOf(from.pages, tokens == 0 ? 0 : KvPages.page(tokens - 1, shared) + 1);
        }
    }

    /** A cache of {@code pages} pages of {@value KvPages#PAGE} tokens for each block of {@code decoder}. */
    public KvCache(Decoder decoder, int pages) {
        this.decoder = decoder;
        this.heads = decoder.heads(0);
        grow(pages);
    }

    /** Makes room for {@code more} pages more; the memory is taken from the current scope. */
    public void grow(int more) {
        int before = owners.length;
        int pages = before + more;
        long size = pageSize(decoder);
        layers.clear();
        for (int i = 0; i < 2 * decoder.config().numHiddenLayers(); i++) {
            Tensor store = Tensor.empty(decoder.dtype(), pages * size);
            if (before > 0) {
                store.narrow(0, 0, before * size).copyFrom(stores.removeFirst());
            }
            stores.add(store);
            if (i % 2 == 1) {
                layers.add(new KvPages(stores.get(stores.size() - 2).buffer(), store.buffer()));
            }
        }
        owners = Arrays.copyOf(owners, pages);
        free = Arrays.copyOf(free, pages);
        for (int page = pages - 1; page >= before; page--) {
            free[freeCount++] = page;
        }
    }

    /** The pages that {@code tokens} tokens take. */
    public static int pagesFor(int tokens) {
        return (tokens + KvPages.PAGE - 1) / KvPages.PAGE;
    }

    /** The bytes of {@code pages} pages for all blocks of {@code decoder}. */
    static long bytes(Decoder decoder, int pages) {
        int stores = 2 * decoder.config().numHiddenLayers();
        return stores * pages * pageSize(decoder) * decoder.dtype().bytes();
    }

    /** The keys or values of a page and a block. */
    private static long pageSize(Decoder decoder) {
        return (long) decoder.config().keyValueSize() * KvPages.PAGE;
    }

    /** The number of pages that no sequence holds. */
    public int freePages() {
        return freeCount;
    }

    /** An empty sequence. */
    public Sequence open() {
        return new Sequence(ALL_ADAPTERS);
    }

    /** An empty sequence for which one of the decoder's adapters changes the model, none if the index is negative. */
    public Sequence open(int adapter) {
        return new Sequence(Math.max(-1, adapter));
    }

    /** {@code batch} with the adapters of its sequences, which say so all or none. */
    private static TokenBatch changed(TokenBatch batch, List<Sequence> sequences) {
        return sequences.getFirst().adapter == ALL_ADAPTERS
                ? batch
                : batch.withAdapters(sequences.stream().mapToInt(s -> s.adapter).toArray());
    }

    /** A sequence that continues {@code parent}: full pages are shared, the last one is copied. */
    public Sequence fork(Sequence parent) {
        return fork(parent, parent.length);
    }

    /**
     * A sequence that continues the first {@code length} tokens of {@code parent}.
     *
     * @throws IsthmusException if {@code parent} is shorter
     */
    public Sequence fork(Sequence parent, int length) {
        requireLength(parent, length);
        Sequence child = new Sequence(parent.adapter);
        child.keep(parent, length);
        for (int page : child.pages) {
            owners[page]++;
        }
        ownLastPage(child);
        return child;
    }

    /**
     * A sequence that continues {@code parent}, whose tokens it reads where they lie: both write what follows into other pages. Where
     * many continue one, they are read from memory once.
     */
    public Sequence share(Sequence parent) {
        if (parent.shared == 0) {
            parent.shared = parent.length;
        }
        return fork(parent);
    }

    /**
     * Forgets all but the first {@code length} tokens.
     *
     * @throws IsthmusException if the sequence is shorter
     */
    public void rewind(Sequence sequence, int length) {
        requireLength(sequence, length);
        int[] pages = sequence.pages;
        sequence.keep(sequence, length);
        for (int i = sequence.pages.length; i < pages.length; i++) {
            giveBack(pages[i]);
        }
        ownLastPage(sequence);
    }

    /** What is written behind the last token must not reach another sequence that has its page. */
    private void ownLastPage(Sequence sequence) {
        int last = sequence.pages.length - 1;
        if (!sequence.endsPage() && owners[sequence.pages[last]] > 1) {
            int own = take();
            copyPage(sequence.pages[last], own);
            owners[sequence.pages[last]]--;
            sequence.pages[last] = own;
        }
    }

    private static void requireLength(Sequence sequence, int length) {
        if (length < 0 || length > sequence.length) {
            throw new IsthmusException("a sequence of " + sequence.length + " cached tokens has no first " + length);
        }
    }

    /** Gives the pages of a sequence back. */
    public void release(Sequence sequence) {
        for (int page : sequence.pages) {
            giveBack(page);
        }
        sequence.keep(sequence, 0);
    }

    private void giveBack(int page) {
        if (--owners[page] == 0) {
            free[freeCount++] = page;
        }
    }

    /** Reads whole prompts into empty sequences and returns the hidden states of all their tokens, {@code [N, C]}. */
    public Tensor prefill(List<Sequence> sequences, List<int[]> prompts) {
        TokenBatch batch = changed(TokenBatch.of(prompts), sequences);
        int[] page = new int[batch.tokens()];
        int[] slot = new int[batch.tokens()];
        for (int s = 0, row = 0; s < prompts.size(); s++) {
            for (int t = 0; t < prompts.get(s).length; t++, row++) {
                reserve(sequences.get(s), page, slot, row);
            }
        }
        return decoder.hidden(
                batch,
                (layer, qkv) -> {
                    run(append(layer, qkv, page, slot));
                    return Functional.attention(qkv, batch.ragged(), decoder.heads(layer));
                },
                null);
    }

    /**
     * Reads one more token of each sequence and returns its hidden state, {@code [sequences, C]}. A sequence that stands there several
     * times reads several tokens, one after the other.
     */
    public Tensor step(List<Sequence> sequences, int[] tokens) {
        int rows = tokens.length;
        int[] page = new int[rows];
        int[] slot = new int[rows];
        int[] positions = new int[rows];
        int[] lengths = new int[rows];
        int[][] pages = new int[rows][];
        int[] shared = new int[rows];
        int[] starts = new int[rows + 1];
        for (int i = 0; i < rows; i++) {
            Sequence sequence = sequences.get(i);
            positions[i] = sequence.length;
            reserve(sequence, page, slot, i);
            lengths[i] = sequence.length;
            starts[i + 1] = i + 1;
        }
        boolean distinct = true;
        for (int i = 0; i < rows; i++) {
            pages[i] = sequences.get(i).pages;
            shared[i] = sequences.get(i).shared;
            distinct &= lengths[i] == sequences.get(i).length;
        }
        boolean atOnce = distinct;
        TokenBatch read = new TokenBatch(Tensor.of(tokens, rows), Tensor.of(positions, rows), new Ragged(starts));
        TokenBatch batch = changed(read, sequences);
        int width = heads.heads() * heads.headDim();
        return decoder.hidden(
                batch,
                (layer, qkv) -> {
                    KvAppend append = append(layer, qkv, page, slot);
                    if (!atOnce) {
                        run(append);
                    }
                    Tensor out = Tensor.empty(qkv.dtype(), rows, width);
                    run(new CachedAttention(
                            rows,
                            decoder.heads(layer),
                            qkv.buffer(),
                            qkv.size(1),
                            layers.get(layer),
                            pages,
                            shared,
                            lengths,
                            atOnce ? append : null,
                            out.buffer(),
                            width));
                    return out;
                },
                null);
    }

    private static void run(KernelCall call) {
        Scope.current().device().run(call);
    }

    private KvAppend append(int layer, Tensor qkv, int[] page, int[] slot) {
        long ld = qkv.size(1);
        Buffer k = qkv.buffer().plus((long) heads.heads() * heads.headDim());
        Buffer v = k.plus((long) heads.kvHeads() * heads.headDim());
        return new KvAppend(page.length, heads.kvHeads(), heads.headDim(), k, ld, v, ld, layers.get(layer), page, slot);
    }

    private void reserve(Sequence sequence, int[] page, int[] slot, int row) {
        if (sequence.endsPage()) {
            sequence.pages = Arrays.copyOf(sequence.pages, sequence.pages.length + 1);
            sequence.pages[sequence.pages.length - 1] = takeEmpty();
        }
        page[row] = sequence.pages[KvPages.page(sequence.length, sequence.shared)];
        slot[row] = KvPages.slot(sequence.length, sequence.shared);
        sequence.length++;
    }

    private int take() {
        if (freeCount == 0) {
            throw new IsthmusException("the cache of " + owners.length + " pages of " + KvPages.PAGE
                    + " tokens is full; release sequences, or make a larger one");
        }
        int page = free[--freeCount];
        owners[page] = 1;
        return page;
    }

    /** A page of zeros: slots that no token has reached yet are read and multiplied by zero, so they must be finite. */
    private int takeEmpty() {
        int page = take();
        for (Tensor store : stores) {
            page(store, page).fill(0);
        }
        return page;
    }

    private void copyPage(int from, int to) {
        for (Tensor store : stores) {
            page(store, to).copyFrom(page(store, from));
        }
    }

    private Tensor page(Tensor store, int page) {
        long size = pageSize(decoder);
        return store.narrow(0, page * size, size);
    }
}
