package dev.isthmus.model.sample;

import dev.isthmus.model.sample.Grammar.Bytes;
import dev.isthmus.model.sample.Grammar.Ref;
import dev.isthmus.model.sample.Grammar.Symbol;
import dev.isthmus.tensor.IsthmusException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads the characters of a grammar's source and makes its rules; what both notations have in common. */
abstract class GrammarBuilder {
    static final int MAX_CODE_POINT = Character.MAX_CODE_POINT;
    private static final int MAX_REPEAT = 1000;
    private static final int MAX_RULES = 100_000;
    private static final int MAX_DEPTH = 200;

    final String source;
    int at;
    private int depth;
    final List<List<Symbol[]>> rules = new ArrayList<>();

    GrammarBuilder(String source) {
        this.source = source;
    }

    /** An atom that an operator of repetition may follow; null at the end of a sequence. */
    abstract @Nullable Symbol atom();

    /** Skips what means nothing. */
    abstract void space();

    IsthmusException wrong(String what) {
        long line = source.substring(0, Math.min(at, source.length()))
                        .chars()
                        .filter(c -> c == '\n')
                        .count()
                + 1;
        int column = at - source.lastIndexOf('\n', Math.max(0, at - 1));
        return new IsthmusException(
                "the grammar is wrong in line " + line + ", column " + Math.max(1, column) + ": " + what);
    }

    int peek() {
        return at < source.length() ? source.codePointAt(at) : -1;
    }

    int take() {
        int c = peek();
        if (c < 0) {
            throw wrong("it ends too early");
        }
        at += Character.charCount(c);
        return c;
    }

    boolean takeIf(String text) {
        if (source.startsWith(text, at)) {
            at += text.length();
            return true;
        }
        return false;
    }

    void expect(String text) {
        if (!takeIf(text)) {
            throw wrong("'" + text + "' is expected here");
        }
    }

    int rule(List<Symbol[]> alternatives) {
        if (rules.size() >= MAX_RULES) {
            throw wrong("it is too large");
        }
        rules.add(alternatives);
        return rules.size() - 1;
    }

    /** Sequences with {@code |} between them. */
    List<Symbol[]> alternatives() {
        if (++depth > MAX_DEPTH) {
            throw wrong("groups stand in more than " + MAX_DEPTH + " others");
        }
        List<Symbol[]> alternatives = new ArrayList<>();
        do {
            space();
            List<Symbol> sequence = new ArrayList<>();
            for (Symbol atom = atom(); atom != null; atom = atom()) {
                space();
                repeated(atom, sequence);
                space();
            }
            alternatives.add(sequence.toArray(Symbol[]::new));
        } while (takeIf("|"));
        depth--;
        return alternatives;
    }

    private void repeated(Symbol symbol, List<Symbol> sequence) {
        Symbol result = symbol;
        while (true) {
            int min;
            int max;
            if (takeIf("*")) {
                min = 0;
                max = -1;
            } else if (takeIf("+")) {
                min = 1;
                max = -1;
            } else if (takeIf("?")) {
                min = 0;
                max = 1;
            } else if (takeIf("{")) {
                min = number();
                max = min;
                if (takeIf(",")) {
                    max = peek() == '}' ? -1 : number();
                }
                expect("}");
                if (max >= 0 && max < min) {
                    throw wrong("{" + min + "," + max + "} is no repetition");
                }
            } else {
                sequence.add(result);
                return;
            }
            afterRepetition();
            result = repeat(result, min, max);
            space();
        }
    }

    /** Skips what may follow an operator of repetition. */
    void afterRepetition() {}

    private int number() {
        int start = at;
        while (peek() >= '0' && peek() <= '9') {
            at++;
        }
        if (start == at || at - start > 4 || Integer.parseInt(source, start, at, 10) > MAX_REPEAT) {
            throw wrong("a number of at most " + MAX_REPEAT + " is expected here");
        }
        return Integer.parseInt(source, start, at, 10);
    }

    private Symbol repeat(Symbol symbol, int min, int max) {
        List<Symbol> sequence = new ArrayList<>();
        for (int i = 0; i < min; i++) {
            sequence.add(symbol);
        }
        if (max < 0) {
            List<Symbol[]> star = new ArrayList<>();
            Ref ref = new Ref(rule(star));
            star.add(new Symbol[] {symbol, ref});
            star.add(new Symbol[0]);
            sequence.add(ref);
        } else {
            List<Symbol[]> rest = List.<Symbol[]>of(new Symbol[0]);
            for (int i = min; i < max; i++) {
                rest = List.of(new Symbol[] {symbol, new Ref(rule(rest))}, new Symbol[0]);
            }
            sequence.add(new Ref(rule(rest)));
        }
        return new Ref(rule(List.<Symbol[]>of(sequence.toArray(Symbol[]::new))));
    }

    /** The bytes of a text, one after the other. */
    Symbol literal(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        Symbol[] sequence = new Symbol[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            sequence[i] = range(bytes[i] & 0xff, bytes[i] & 0xff);
        }
        return sequence.length == 1 ? sequence[0] : new Ref(rule(List.<Symbol[]>of(sequence)));
    }

    /** One character out of a set. */
    Symbol characters(BitSet set) {
        BitSet ascii = set.get(0, 0x80);
        List<Symbol[]> alternatives = new ArrayList<>();
        if (!ascii.isEmpty()) {
            alternatives.add(new Symbol[] {new Bytes(ascii)});
        }
        for (int lo = set.nextSetBit(0x80); lo >= 0; ) {
            int hi = set.nextClearBit(lo) - 1;
            utf8(lo, hi, alternatives);
            lo = set.nextSetBit(hi + 1);
        }
        return alternatives.size() == 1 && alternatives.getFirst().length == 1
                ? alternatives.getFirst()[0]
                : new Ref(rule(alternatives));
    }

    static BitSet between(int lo, int hi) {
        BitSet set = new BitSet();
        set.set(lo, hi + 1);
        return set;
    }

    /** All characters that are not in a set. */
    static BitSet not(BitSet set) {
        BitSet rest = between(0, MAX_CODE_POINT);
        rest.andNot(set);
        return rest;
    }

    /** Appends the sequences of ranges of bytes that are the characters from {@code lo} to {@code hi}, without surrogates. */
    private static void utf8(int lo, int hi, List<Symbol[]> out) {
        if (lo > hi) {
            return;
        }
        if (lo <= Character.MAX_SURROGATE && hi >= Character.MIN_SURROGATE) {
            utf8(lo, Character.MIN_SURROGATE - 1, out);
            utf8(Character.MAX_SURROGATE + 1, hi, out);
            return;
        }
        for (int limit : new int[] {0x7f, 0x7ff, 0xffff}) {
            if (lo <= limit && hi > limit) {
                utf8(lo, limit, out);
                utf8(limit + 1, hi, out);
                return;
            }
        }
        int length = hi <= 0x7f ? 1 : hi <= 0x7ff ? 2 : hi <= 0xffff ? 3 : 4;
        for (int i = 1; i < length; i++) {
            int low = (1 << 6 * i) - 1;
            if ((lo & ~low) != (hi & ~low)) {
                if ((lo & low) != 0) {
                    utf8(lo, lo | low, out);
                    utf8((lo | low) + 1, hi, out);
                    return;
                }
                if ((hi & low) != low) {
                    utf8(lo, (hi & ~low) - 1, out);
                    utf8(hi & ~low, hi, out);
                    return;
                }
            }
        }
        byte[] first = Character.toString(lo).getBytes(StandardCharsets.UTF_8);
        byte[] last = Character.toString(hi).getBytes(StandardCharsets.UTF_8);
        Symbol[] sequence = new Symbol[length];
        for (int i = 0; i < length; i++) {
            sequence[i] = range(first[i] & 0xff, last[i] & 0xff);
        }
        out.add(sequence);
    }

    private static Bytes range(int lo, int hi) {
        return new Bytes(between(lo, hi));
    }

    /** A class of characters behind its {@code [}. */
    Symbol characterClass() {
        boolean negated = takeIf("^");
        BitSet set = new BitSet();
        while (!takeIf("]")) {
            BitSet shorthand = peek() == '\\' ? shorthand() : null;
            if (shorthand != null) {
                set.or(shorthand);
                continue;
            }
            int lo = character();
            int hi = lo;
            if (peek() == '-' && !source.startsWith("-]", at)) {
                at++;
                hi = character();
            }
            if (hi < lo) {
                throw wrong("the range runs backwards");
            }
            set.set(lo, hi + 1);
        }
        if (set.isEmpty() && !negated) {
            throw wrong("the class is empty");
        }
        return characters(negated ? not(set) : set);
    }

    /** The set that an escape stands for, such as {@code \d}; null, and nothing taken, if it stands for a character. */
    @Nullable
    BitSet shorthand() {
        return null;
    }

    /** A character, maybe escaped. */
    int character() {
        int c = take();
        if (c != '\\') {
            return c;
        }
        c = take();
        return switch (c) {
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'f' -> '\f';
            case 'x' -> hex(2);
            case 'u' -> hex(4);
            case 'U' -> hex(8);
            default -> {
                if (Character.isLetterOrDigit(c)) {
                    throw wrong("the escape \\" + Character.toString(c) + " is not known");
                }
                yield c;
            }
        };
    }

    private int hex(int digits) {
        int end = at + digits;
        if (end <= source.length()
                && source.substring(at, end).chars().allMatch(c -> Character.digit(c, 16) >= 0 && c < 0x80)) {
            long value = Long.parseLong(source, at, end, 16);
            if (value <= MAX_CODE_POINT) {
                at = end;
                return (int) value;
            }
        }
        throw wrong(digits + " hexadecimal digits of a character are expected here");
    }
}
