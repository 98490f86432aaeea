package dev.isthmus.model.sample;

import dev.isthmus.model.sample.Grammar.State;
import dev.isthmus.model.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Takes out the tokens after which what was written would be no beginning of a text of a grammar, and the end before it is one. */
final class GrammarMask implements LogitsProcessor {
    private static final int REMEMBERED = 256;

    private final Grammar grammar;
    private final List<Integer> eosTokenIds;
    private final byte[][] bytes;
    /** The tokens in the order of their bytes, so that those with the same beginning are read together. */
    private final int[] order;

    /** How many bytes a token of {@link #order} has in common with the one before. */
    private final int[] shared;
    /** The tokens that may follow; states come back often. */
    private final Map<State, BitSet> masks = new HashMap<>();

    private State state;
    private int read;

    GrammarMask(Grammar grammar, Tokenizer tokenizer, Collection<Integer> eosTokenIds) {
        this.grammar = grammar;
        this.eosTokenIds = List.copyOf(eosTokenIds);
        bytes = new byte[tokenizer.vocabSize()][];
        Arrays.setAll(bytes, tokenizer::bytes);
        order = IntStream.range(0, bytes.length)
                .boxed()
                .sorted((a, b) -> Arrays.compareUnsigned(bytes[a], bytes[b]))
                .mapToInt(i -> i)
                .toArray();
        shared = new int[order.length];
        for (int i = 1; i < order.length; i++) {
            int mismatch = Arrays.mismatch(bytes[order[i - 1]], bytes[order[i]]);
            shared[i] = mismatch < 0 ? bytes[order[i]].length : mismatch;
        }
        state = grammar.start();
    }

    private GrammarMask(GrammarMask other) {
        grammar = other.grammar;
        eosTokenIds = other.eosTokenIds;
        bytes = other.bytes;
        order = other.order;
        shared = other.shared;
        state = grammar.start();
    }

    @Override
    public LogitsProcessor forSequence() {
        return new GrammarMask(this);
    }

    @Override
    public void process(Candidates candidates, History history) {
        if (history.written() < read) {
            state = grammar.start();
            read = 0;
        }
        for (; read < history.written(); read++) {
            for (byte b : bytes[history.tokens()[history.promptLength() + read]]) {
                state = grammar.next(state, b);
            }
        }
        if (masks.size() == REMEMBERED) {
            masks.clear();
        }
        BitSet allowed = masks.computeIfAbsent(state, this::allowed);
        for (int token = allowed.nextClearBit(0);
                token < candidates.vocabSize();
                token = allowed.nextClearBit(token + 1)) {
            candidates.remove(token);
        }
    }

    private BitSet allowed(State from) {
        BitSet allowed = new BitSet();
        int longest = Arrays.stream(bytes).mapToInt(b -> b.length).max().orElse(0);
        State[] after = new State[longest + 1];
        after[0] = from;
        int failed = Integer.MAX_VALUE;
        for (int i = 0; i < order.length; i++) {
            byte[] token = bytes[order[i]];
            if (token.length == 0 || shared[i] >= failed) {
                continue;
            }
            failed = Integer.MAX_VALUE;
            for (int k = shared[i]; k < token.length && failed == Integer.MAX_VALUE; k++) {
                after[k + 1] = grammar.next(after[k], token[k]);
                failed = after[k + 1].failed() ? k + 1 : failed;
            }
            allowed.set(order[i], failed == Integer.MAX_VALUE);
        }
        eosTokenIds.forEach(end -> allowed.set(end, from.complete()));
        return allowed;
    }
}
