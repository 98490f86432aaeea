package dev.isthmus.model.chat;

import static dev.isthmus.model.chat.Values.UNDEFINED;
import static dev.isthmus.model.chat.Values.integer;
import static dev.isthmus.model.chat.Values.number;
import static dev.isthmus.model.chat.Values.repr;
import static dev.isthmus.model.chat.Values.text;
import static dev.isthmus.model.chat.Values.truthy;

import dev.isthmus.model.chat.Filters.Given;
import dev.isthmus.model.chat.Node.Arguments;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Runs a template. A template may come from anywhere: its steps and its output are limited, and it reaches nothing outside. */
final class Interpreter {
    private static final int MAX_OUTPUT = 20_000_000;
    private static final int MAX_STEPS = 10_000_000;
    private static final int MAX_CALLS = 100;

    private StringBuilder out = new StringBuilder();
    private final List<ChatTemplate.Span> generated = new ArrayList<>();
    private Scope scope;
    private int steps;
    private int calls;

    /** What happened in a body. */
    private enum Flow {
        ON,
        BREAK,
        CONTINUE
    }

    /** Names and their values; those of the scopes around it can be read. */
    private record Scope(
            Map<String, @Nullable Object> names, @Nullable Scope outer) {
        @Nullable
        Object get(String name) {
            for (Scope s = this; s != null; s = s.outer) {
                if (s.names.containsKey(name)) {
                    return s.names.get(name);
                }
            }
            return UNDEFINED;
        }
    }

    /** What {@code namespace(...)} makes: its members may be set from inside of loops. */
    private static final class Namespace extends LinkedHashMap<String, @Nullable Object> {
        private static final long serialVersionUID = 1;
    }

    private Interpreter(Map<String, @Nullable Object> variables) {
        scope = new Scope(new HashMap<>(globals()), null);
        scope = new Scope(new HashMap<>(variables), scope);
    }

    static ChatTemplate.Rendered run(List<Node> body, Map<String, @Nullable Object> variables) {
        Interpreter interpreter = new Interpreter(variables);
        try {
            interpreter.body(body);
        } catch (StackOverflowError e) {
            throw new TemplateException("the template is nested too deeply");
        }
        return new ChatTemplate.Rendered(interpreter.out.toString(), interpreter.generated);
    }

    private static Map<String, @Nullable Object> globals() {
        Map<String, @Nullable Object> globals = new HashMap<>();
        globals.put("raise_exception", (Values.Function) given -> {
            throw TemplateException.rejection(text(given.at(0)));
        });
        globals.put("namespace", (Values.Function) given -> {
            Namespace namespace = new Namespace();
            namespace.putAll(given.named());
            return namespace;
        });
        globals.put("dict", (Values.Function) given -> new LinkedHashMap<>(given.named()));
        globals.put("range", (Values.Function) Interpreter::range);
        return globals;
    }

    private static List<@Nullable Object> range(Given given) {
        List<@Nullable Object> arguments = given.positional();
        long start = arguments.size() > 1 ? integer(arguments.get(0)) : 0;
        long stop = integer(given.at(arguments.size() > 1 ? 1 : 0));
        long step = arguments.size() > 2 ? integer(arguments.get(2)) : 1;
        if (step == 0) {
            throw new TemplateException("range: a step of 0");
        }
        List<@Nullable Object> numbers = new ArrayList<>();
        for (long i = start; step > 0 ? i < stop : i > stop; i += step) {
            numbers.add(i);
            if (numbers.size() > MAX_STEPS) {
                throw new TemplateException("range: more than " + MAX_STEPS + " numbers");
            }
        }
        return numbers;
    }

    // ---- statements ------------------------------------------------------------------------------------------------

    private Flow body(List<Node> body) {
        for (Node node : body) {
            Flow flow = statement(node);
            if (flow != Flow.ON) {
                return flow;
            }
        }
        return Flow.ON;
    }

    private Flow statement(Node node) {
        step();
        switch (node) {
            case Node.Text n -> print(n.text());
            case Node.Print n -> print(at(n.line(), () -> text(value(n.value()))));
            case Node.If n -> {
                for (Node.Branch branch : n.branches()) {
                    if (truthy(value(branch.condition()))) {
                        return body(branch.body());
                    }
                }
                return body(n.otherwise());
            }
            case Node.For n -> {
                return loop(n);
            }
            case Node.Set n -> set(n);
            case Node.Macro n -> scope.names.put(n.name(), macro(n));
            case Node.FilterBlock n -> {
                String text = captured(() -> body(n.body()));
                print(text(at(n.line(), () -> Filters.apply(n.name(), text, given(n.arguments())))));
            }
            case Node.Generation n -> {
                int start = out.length();
                Flow flow = body(n.body());
                generated.add(new ChatTemplate.Span(start, out.length()));
                return flow;
            }
            case Node.Break _ -> {
                return Flow.BREAK;
            }
            case Node.Continue _ -> {
                return Flow.CONTINUE;
            }
            default -> throw new IllegalStateException("not a statement: " + node);
        }
        return Flow.ON;
    }

    private Flow loop(Node.For n) {
        List<@Nullable Object> items = at(n.line(), () -> Values.items(value(n.iterable())));
        Scope outer = scope;
        if (n.condition() != null) {
            List<@Nullable Object> kept = new ArrayList<>();
            for (Object item : items) {
                step();
                scope = new Scope(new HashMap<>(), outer);
                assign(n.targets(), item, n.line());
                if (truthy(value(n.condition()))) {
                    kept.add(item);
                }
            }
            items = kept;
        }
        try {
            for (int i = 0; i < items.size(); i++) {
                step();
                scope = new Scope(new HashMap<>(), outer);
                scope.names.put("loop", loop(items, i));
                assign(n.targets(), items.get(i), n.line());
                if (body(n.body()) == Flow.BREAK) {
                    break;
                }
            }
        } finally {
            scope = outer;
        }
        return items.isEmpty() ? body(n.otherwise()) : Flow.ON;
    }

    private static Map<String, @Nullable Object> loop(List<@Nullable Object> items, int i) {
        Map<String, @Nullable Object> loop = new HashMap<>();
        loop.put("index", i + 1L);
        loop.put("index0", (long) i);
        loop.put("revindex", (long) items.size() - i);
        loop.put("revindex0", items.size() - i - 1L);
        loop.put("first", i == 0);
        loop.put("last", i == items.size() - 1);
        loop.put("length", (long) items.size());
        loop.put("previtem", i > 0 ? items.get(i - 1) : UNDEFINED);
        loop.put("nextitem", i + 1 < items.size() ? items.get(i + 1) : UNDEFINED);
        loop.put("cycle", (Values.Function)
                given -> given.at(i % Math.max(1, given.positional().size())));
        return loop;
    }

    private void set(Node.Set n) {
        Node expression = n.value();
        Object value = expression == null ? captured(() -> body(n.body())) : at(n.line(), () -> value(expression));
        if (n.attribute() == null) {
            assign(n.targets(), value, n.line());
        } else if (scope.get(n.targets().getFirst()) instanceof Namespace namespace) {
            namespace.put(n.attribute(), value);
        } else {
            throw new TemplateException("line " + n.line() + ": '" + n.targets().getFirst() + "' is not a namespace");
        }
    }

    private void assign(List<String> targets, @Nullable Object value, int line) {
        if (targets.size() == 1) {
            scope.names.put(targets.getFirst(), value);
            return;
        }
        List<@Nullable Object> parts = at(line, () -> Values.items(value));
        if (parts.size() != targets.size()) {
            throw new TemplateException(
                    "line " + line + ": " + parts.size() + " values for " + targets.size() + " names");
        }
        for (int i = 0; i < parts.size(); i++) {
            scope.names.put(targets.get(i), parts.get(i));
        }
    }

    private Values.Function macro(Node.Macro n) {
        Scope defined = scope;
        return given -> {
            List<@Nullable Object> positional = given.positional();
            Map<String, @Nullable Object> named = given.named();
            if (++calls > MAX_CALLS) {
                throw new TemplateException("macros call each other more than " + MAX_CALLS + " deep");
            }
            Scope caller = scope;
            scope = new Scope(new HashMap<>(), defined);
            try {
                for (int i = 0; i < n.parameters().size(); i++) {
                    Node.Parameter parameter = n.parameters().get(i);
                    Object value = i < positional.size()
                            ? positional.get(i)
                            : named.containsKey(parameter.name())
                                    ? named.get(parameter.name())
                                    : parameter.defaultValue() == null ? UNDEFINED : value(parameter.defaultValue());
                    scope.names.put(parameter.name(), value);
                }
                return captured(() -> body(n.body()));
            } finally {
                scope = caller;
                calls--;
            }
        };
    }

    private String captured(Runnable body) {
        StringBuilder outer = out;
        out = new StringBuilder();
        try {
            body.run();
            return out.toString();
        } finally {
            out = outer;
        }
    }

    private void print(String text) {
        if (out.length() + (long) text.length() > MAX_OUTPUT) {
            throw new TemplateException("the template writes more than " + MAX_OUTPUT + " characters");
        }
        out.append(text);
    }

    private void step() {
        if (++steps > MAX_STEPS) {
            throw new TemplateException("the template takes more than " + MAX_STEPS + " steps");
        }
    }

    // ---- expressions -----------------------------------------------------------------------------------------------

    private @Nullable Object value(Node node) {
        step();
        return switch (node) {
            case Node.Literal n -> n.value();
            case Node.Name n -> scope.get(n.name());
            case Node.ListLiteral n -> {
                List<@Nullable Object> items = new ArrayList<>();
                n.items().forEach(item -> items.add(value(item)));
                yield items;
            }
            case Node.MapLiteral n -> {
                Map<@Nullable Object, @Nullable Object> map = new LinkedHashMap<>();
                n.entries().forEach(entry -> map.put(value(entry.getKey()), value(entry.getValue())));
                yield map;
            }
            case Node.Unary n -> {
                Object value = value(n.value());
                yield n.op().equals("not")
                        ? (Object) !truthy(value)
                        : value instanceof Double x ? (Object) (-x) : (Object) (-integer(value));
            }
            case Node.Binary n -> at(n.line(), () -> binary(n));
            case Node.Compare n -> at(n.line(), () -> compare(n));
            case Node.Conditional n ->
                truthy(value(n.condition()))
                        ? value(n.then())
                        : n.otherwise() == null ? UNDEFINED : value(n.otherwise());
            case Node.Attribute n -> at(n.line(), () -> attribute(value(n.object()), n.name(), n.object()));
            case Node.Index n -> at(n.line(), () -> index(value(n.object()), value(n.index()), n.object()));
            case Node.Slice n -> at(n.line(), () -> slice(n));
            case Node.Call n ->
                at(n.line(), () -> {
                    if (value(n.function()) instanceof Values.Function function) {
                        return function.call(given(n.arguments()));
                    }
                    throw new TemplateException(described(n.function()) + " is not a function");
                });
            case Node.Filter n -> at(n.line(), () -> Filters.apply(n.name(), value(n.value()), given(n.arguments())));
            case Node.Test n ->
                at(n.line(), () -> Filters.test(n.name(), value(n.value()), given(n.arguments())) != n.negated());
            default -> throw new IllegalStateException("not an expression: " + node);
        };
    }

    private Given given(Arguments arguments) {
        List<@Nullable Object> positional = new ArrayList<>();
        arguments.positional().forEach(argument -> positional.add(value(argument)));
        Map<String, @Nullable Object> named = new LinkedHashMap<>();
        arguments.named().forEach((name, argument) -> named.put(name, value(argument)));
        return new Given(positional, named);
    }

    private @Nullable Object binary(Node.Binary n) {
        Object left = value(n.left());
        if (n.op().equals("and")) {
            return truthy(left) ? value(n.right()) : left;
        }
        if (n.op().equals("or")) {
            return truthy(left) ? left : value(n.right());
        }
        Object right = value(n.right());
        if (n.op().equals("~")) {
            return text(left) + text(right);
        }
        if (n.op().equals("+") && left instanceof String a && right instanceof String b) {
            if ((long) a.length() + b.length() > MAX_OUTPUT) {
                throw new TemplateException("a text of more than " + MAX_OUTPUT + " characters");
            }
            return a + b;
        }
        if (n.op().equals("+") && left instanceof List<?> a && right instanceof List<?> b) {
            List<@Nullable Object> both = new ArrayList<>(a);
            both.addAll(b);
            if (both.size() > MAX_STEPS) {
                throw new TemplateException("a list of more than " + MAX_STEPS + " items");
            }
            return both;
        }
        if (n.op().equals("*") && left instanceof String text && right instanceof Long times) {
            if (text.length() * Math.max(0, (double) times) > MAX_OUTPUT) {
                throw new TemplateException("a text of more than " + MAX_OUTPUT + " characters");
            }
            return text.repeat((int) Math.max(0, times));
        }
        if (!Values.isNumber(left) || !Values.isNumber(right)) {
            throw new TemplateException(
                    "'" + n.op() + "' of " + described(left, n.left()) + " and " + described(right, n.right()));
        }
        boolean whole = !(left instanceof Double) && !(right instanceof Double);
        double a = number(left);
        double b = number(right);
        if (b == 0 && (n.op().equals("/") || n.op().equals("//") || n.op().equals("%"))) {
            throw new TemplateException("division by zero");
        }
        return switch (n.op()) {
            case "+" -> whole ? (Object) (integer(left) + integer(right)) : (Object) (a + b);
            case "-" -> whole ? (Object) (integer(left) - integer(right)) : (Object) (a - b);
            case "*" -> whole ? (Object) (integer(left) * integer(right)) : (Object) (a * b);
            case "/" -> a / b;
            case "//" -> whole ? (Object) Math.floorDiv(integer(left), integer(right)) : (Object) Math.floor(a / b);
            case "%" ->
                whole ? (Object) Math.floorMod(integer(left), integer(right)) : (Object) (a - b * Math.floor(a / b));
            default -> whole && b >= 0 ? (Object) (long) Math.pow(a, b) : (Object) Math.pow(a, b);
        };
    }

    private boolean compare(Node.Compare n) {
        Object left = value(n.first());
        for (Node.Comparison comparison : n.rest()) {
            Object right = value(comparison.value());
            boolean holds = switch (comparison.op()) {
                case "==" -> Values.equal(left, right);
                case "!=" -> !Values.equal(left, right);
                case "in" -> Values.contains(right, left);
                case "not in" -> !Values.contains(right, left);
                case "<" -> Values.compare(left, right) < 0;
                case "<=" -> Values.compare(left, right) <= 0;
                case ">" -> Values.compare(left, right) > 0;
                default -> Values.compare(left, right) >= 0;
            };
            if (!holds) {
                return false;
            }
            left = right;
        }
        return true;
    }

    private static @Nullable Object attribute(@Nullable Object object, String name, Node source) {
        if (object == UNDEFINED) {
            throw new TemplateException(described(source) + " is undefined");
        }
        Values.Function method = Members.method(object, name);
        if (method != null) {
            return method;
        }
        return object instanceof Map<?, ?> map && map.containsKey(name) ? map.get(name) : UNDEFINED;
    }

    private static @Nullable Object index(@Nullable Object object, @Nullable Object index, Node source) {
        if (object == UNDEFINED) {
            throw new TemplateException(described(source) + " is undefined");
        }
        if (object instanceof Map<?, ?> map) {
            return map.containsKey(index)
                    ? map.get(index)
                    : index instanceof String name ? attribute(object, name, source) : UNDEFINED;
        }
        if (index instanceof Long place && (object instanceof List || object instanceof String)) {
            List<@Nullable Object> items = Values.items(object);
            long i = place < 0 ? place + items.size() : place;
            return i < 0 || i >= items.size() ? UNDEFINED : items.get((int) i);
        }
        return index instanceof String name ? attribute(object, name, source) : UNDEFINED;
    }

    private @Nullable Object slice(Node.Slice n) {
        Object object = value(n.object());
        if (object == UNDEFINED) {
            throw new TemplateException(described(n.object()) + " is undefined");
        }
        List<@Nullable Object> items = Values.items(object);
        Long start = bound(n.start());
        Long stop = bound(n.stop());
        long step = n.step() == null ? 1 : integer(value(n.step()));
        if (step == 0) {
            throw new TemplateException("a slice with a step of 0");
        }
        long size = items.size();
        long low = step > 0 ? 0 : -1;
        long high = step > 0 ? size : size - 1;
        long from = start == null ? step > 0 ? low : high : Math.clamp(start < 0 ? start + size : start, low, high);
        long to = stop == null ? step > 0 ? high : low : Math.clamp(stop < 0 ? stop + size : stop, low, high);
        List<@Nullable Object> picked = new ArrayList<>();
        for (long i = from; step > 0 ? i < to : i > to; i += step) {
            picked.add(items.get((int) i));
        }
        return object instanceof String
                ? String.join("", picked.stream().map(Values::text).toList())
                : picked;
    }

    private @Nullable Long bound(@Nullable Node node) {
        Object value = node == null ? null : value(node);
        return value == null ? null : (Long) integer(value);
    }

    private static String described(@Nullable Object value, Node source) {
        return value == UNDEFINED ? described(source) + ", which is undefined," : repr(value);
    }

    private static String described(Node node) {
        return switch (node) {
            case Node.Name n -> "'" + n.name() + "'";
            case Node.Attribute n -> "'" + n.name() + "'";
            case Node.Index n when n.index() instanceof Node.Literal(Object value) -> repr(value);
            default -> "a value";
        };
    }

    /** What a template may go wrong with, said with its line. */
    private static <T extends @Nullable Object> T at(int line, Supplier<T> body) {
        try {
            return body.get();
        } catch (TemplateException e) {
            throw e.at(line);
        }
    }
}
