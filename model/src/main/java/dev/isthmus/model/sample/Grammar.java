package dev.isthmus.model.sample;

import dev.isthmus.tensor.IsthmusException;
import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A context-free grammar over the bytes of UTF-8, read byte by byte: a text is held as the set of all ways in which the grammar could
 * go on, each a stack of what is still to come.
 */
public final class Grammar {
    private static final int MAX_STACKS = 20_000;

    private final List<List<Symbol[]>> rules;
    private final State start;

    /** What an alternative of a rule consists of. */
    sealed interface Symbol {}

    /** One byte out of a set. */
    record Bytes(BitSet set) implements Symbol {}

    /** What another rule describes. */
    record Ref(int rule) implements Symbol {}

    /** What is left of an alternative, at least one symbol, and what comes behind it. */
    private static final class Stack {
        final Symbol[] alternative;
        final int at;
        final @Nullable Stack behind;
        final int hash;

        Stack(Symbol[] alternative, int at, @Nullable Stack behind) {
            this.alternative = alternative;
            this.at = at;
            this.behind = behind;
            hash = 31 * (31 * System.identityHashCode(alternative) + at) + (behind == null ? 0 : behind.hash);
        }

        Symbol symbol() {
            return alternative[at];
        }

        @Nullable
        Stack rest() {
            return at + 1 < alternative.length ? new Stack(alternative, at + 1, behind) : behind;
        }

        @Override
        public int hashCode() {
            return hash;
        }

        @Override
        public boolean equals(@Nullable Object other) {
            Stack a = this;
            Object b = other;
            while (b instanceof Stack that
                    && a.hash == that.hash
                    && a.at == that.at
                    && a.alternative == that.alternative) {
                if (a.behind == that.behind) {
                    return true;
                }
                if (a.behind == null) {
                    return false;
                }
                a = a.behind;
                b = that.behind;
            }
            return false;
        }
    }

    /** How far a text has come in a grammar. */
    public static final class State {
        private final Set<Stack> stacks;
        private final boolean complete;

        private State(Set<Stack> stacks, boolean complete) {
            this.stacks = stacks;
            this.complete = complete;
        }

        /** Whether the text may end here. */
        public boolean complete() {
            return complete;
        }

        /** Whether no text of the grammar begins like this one. */
        public boolean failed() {
            return stacks.isEmpty() && !complete;
        }

        @Override
        public int hashCode() {
            return stacks.hashCode();
        }

        @Override
        public boolean equals(@Nullable Object other) {
            return other instanceof State that && complete == that.complete && stacks.equals(that.stacks);
        }
    }

    Grammar(List<List<Symbol[]>> rules, int root) {
        this.rules = rules;
        start = close(List.of(new Stack(new Symbol[] {new Ref(root)}, 0, null)), false);
    }

    /**
     * A grammar in the notation of llama.cpp (GBNF): rules {@code name ::= ...}, of which {@code root} is the text; literals {@code "a"},
     * characters {@code [a-z]} and {@code [^"]}, any character {@code .}, groups, {@code |}, {@code * + ? {m,n}}, comments from {@code #}.
     *
     * @throws IsthmusException saying where it is wrong; also if a rule begins with itself
     */
    public static Grammar gbnf(String source) {
        return new GbnfParser(source).parse();
    }

    /**
     * The texts that match a regular expression as a whole: characters, classes, {@code . \d \w \s}, groups, {@code |}, {@code * + ? {m,n}}.
     *
     * @throws IsthmusException saying where it is wrong, or uses what is not a regular language
     */
    public static Grammar regex(String pattern) {
        return new RegexParser(pattern).parse();
    }

    /** Before the first byte. */
    public State start() {
        return start;
    }

    /** After one more byte. */
    public State next(State state, byte b) {
        List<Stack> moved = state.stacks.stream()
                .filter(stack -> ((Bytes) stack.symbol()).set.get(b & 0xff))
                .toList();
        Set<Stack> opened = new HashSet<>();
        boolean complete = false;
        for (Stack stack : moved) {
            Stack rest = stack.rest();
            if (rest == null) {
                complete = true;
            } else {
                opened.add(rest);
            }
        }
        return close(List.copyOf(opened), complete);
    }

    /** Opens the rules that stand on top until bytes do. */
    private State close(List<Stack> open, boolean complete) {
        ArrayDeque<Stack> work = new ArrayDeque<>(open);
        Set<Stack> seen = new HashSet<>(open);
        Set<Stack> stacks = new HashSet<>();
        boolean ends = complete;
        while (!work.isEmpty()) {
            Stack stack = work.pop();
            if (!(stack.symbol() instanceof Ref ref)) {
                stacks.add(stack);
                continue;
            }
            Stack rest = stack.rest();
            for (Symbol[] alternative : rules.get(ref.rule)) {
                Stack next = alternative.length == 0 ? rest : new Stack(alternative, 0, rest);
                if (next == null) {
                    ends = true;
                } else if (seen.add(next)) {
                    work.push(next);
                }
            }
            if (seen.size() > MAX_STACKS) {
                throw new IsthmusException(
                        "the grammar goes on in more than " + MAX_STACKS + " ways at one place; a rule that "
                                + "begins with itself must be written the other way round: list ::= item list | item");
            }
        }
        return new State(stacks, ends);
    }
}
