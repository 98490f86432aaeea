package dev.isthmus.model.sample;

import dev.isthmus.model.sample.Grammar.Ref;
import dev.isthmus.model.sample.Grammar.Symbol;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Regular expressions as grammars. */
final class RegexParser extends GrammarBuilder {
    RegexParser(String source) {
        super(source);
    }

    Grammar parse() {
        takeIf("^");
        int root = rule(alternatives());
        takeIf("$");
        if (at < source.length()) {
            throw wrong(
                    peek() == ')' ? "')' closes nothing" : "'" + Character.toString(peek()) + "' is not known here");
        }
        return new Grammar(rules, root);
    }

    @Override
    void space() {}

    // Which of several matches is found first makes no difference to which texts match.
    @Override
    void afterRepetition() {
        takeIf("?");
    }

    @Override
    @Nullable
    Symbol atom() {
        int c = peek();
        switch (c) {
            case -1, '|', ')', '$', '^', '*', '+', '?', '{' -> {
                return null;
            }
            case '(' -> {
                at++;
                if (takeIf("?") && !takeIf(":")) {
                    throw wrong("only groups (...) and (?:...) are known");
                }
                Ref group = new Ref(rule(alternatives()));
                expect(")");
                return group;
            }
            case '[' -> {
                at++;
                return characterClass();
            }
            case '.' -> {
                at++;
                return characters(not(between('\n', '\n')));
            }
            default -> {
                BitSet shorthand = c == '\\' ? shorthand() : null;
                return shorthand != null ? characters(shorthand) : literal(Character.toString(character()));
            }
        }
    }

    @Override
    @Nullable
    BitSet shorthand() {
        int letter = at + 1 < source.length() ? source.charAt(at + 1) : -1;
        BitSet set = new BitSet();
        switch (Character.toLowerCase(letter)) {
            case 'd' -> set.set('0', '9' + 1);
            case 'w' -> {
                set.set('0', '9' + 1);
                set.set('A', 'Z' + 1);
                set.set('a', 'z' + 1);
                set.set('_');
            }
            case 's' -> List.of(' ', '\t', '\n', '\r', '\f', '\u000b').forEach(set::set);
            default -> {
                return null;
            }
        }
        at += 2;
        return Character.isUpperCase(letter) ? not(set) : set;
    }
}
