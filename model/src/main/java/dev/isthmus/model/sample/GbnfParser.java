package dev.isthmus.model.sample;

import dev.isthmus.model.sample.Grammar.Ref;
import dev.isthmus.model.sample.Grammar.Symbol;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Grammars in the notation of llama.cpp. A name with {@code ::=} behind it begins a rule, wherever it stands. */
final class GbnfParser extends GrammarBuilder {
    private final Map<String, Integer> names = new HashMap<>();

    GbnfParser(String source) {
        super(source);
    }

    Grammar parse() {
        space();
        while (at < source.length()) {
            String name = name();
            if (name.isEmpty()) {
                throw wrong("the name of a rule is expected here");
            }
            space();
            expect("::=");
            List<Symbol[]> rule = rules.get(named(name));
            if (!rule.isEmpty()) {
                throw wrong("the rule " + name + " is there twice");
            }
            rule.addAll(alternatives());
        }
        names.forEach((name, rule) -> {
            if (rules.get(rule).isEmpty()) {
                throw wrong("the rule " + name + " is missing");
            }
        });
        if (!names.containsKey("root")) {
            throw wrong("there is no rule named root");
        }
        return new Grammar(rules, named("root"));
    }

    private int named(String name) {
        Integer known = names.get(name);
        if (known != null) {
            return known;
        }
        int rule = rule(new ArrayList<>());
        names.put(name, rule);
        return rule;
    }

    private String name() {
        int start = at;
        while (peek() < 0x80 && (Character.isLetterOrDigit(peek()) || peek() == '-' || peek() == '_')) {
            at++;
        }
        return source.substring(start, at);
    }

    @Override
    void space() {
        while (peek() == '#' || Character.isWhitespace(peek())) {
            if (take() == '#') {
                while (at < source.length() && peek() != '\n') {
                    take();
                }
            }
        }
    }

    @Override
    @Nullable
    Symbol atom() {
        switch (peek()) {
            case '"' -> {
                at++;
                StringBuilder text = new StringBuilder();
                while (!takeIf("\"")) {
                    text.appendCodePoint(character());
                }
                return literal(text.toString());
            }
            case '[' -> {
                at++;
                return characterClass();
            }
            case '.' -> {
                at++;
                return characters(between(0, MAX_CODE_POINT));
            }
            case '(' -> {
                at++;
                Ref group = new Ref(rule(alternatives()));
                expect(")");
                return group;
            }
            default -> {
                int start = at;
                String name = name();
                if (name.isEmpty()) {
                    return null;
                }
                space();
                if (source.startsWith("::=", at)) {
                    at = start;
                    return null;
                }
                return new Ref(named(name));
            }
        }
    }
}
