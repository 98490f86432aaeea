package dev.isthmus.model.chat;

import static dev.isthmus.model.chat.Values.UNDEFINED;
import static dev.isthmus.model.chat.Values.integer;
import static dev.isthmus.model.chat.Values.items;
import static dev.isthmus.model.chat.Values.number;
import static dev.isthmus.model.chat.Values.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Jinja's filters and tests. */
final class Filters {
    private Filters() {}

    /** The arguments of a filter or test, by place or by name. */
    record Given(List<@Nullable Object> positional, Map<String, @Nullable Object> named) {
        /** The argument at a place, which must be there. */
        @Nullable
        Object at(int place) {
            if (place >= positional.size()) {
                throw new TemplateException("a function lacks an argument");
            }
            return positional.get(place);
        }

        @Nullable
        Object get(int place, String name, @Nullable Object absent) {
            if (place < positional.size()) {
                return positional.get(place);
            }
            return named.containsKey(name) ? named.get(name) : absent;
        }
    }

    static @Nullable Object apply(String name, @Nullable Object value, Given given) {
        return switch (name) {
            case "tojson" -> {
                Object indent = given.get(0, "indent", null);
                yield Values.json(value, indent == null ? -1 : (int) Math.min(integer(indent), 16));
            }
            case "trim" -> {
                Object of = given.get(0, "chars", null);
                yield Members.strip(text(value), of == null ? null : text(of), true, true);
            }
            case "length", "count" ->
                value instanceof String text
                        ? (long) text.codePointCount(0, text.length())
                        : value instanceof Map<?, ?> map
                                ? (long) map.size()
                                : (long) items(value).size();
            case "string", "safe" -> text(value);
            case "e", "escape" ->
                text(value)
                        .replace("&", "&amp;")
                        .replace("<", "&lt;")
                        .replace(">", "&gt;")
                        .replace("'", "&#39;")
                        .replace("\"", "&#34;");
            case "upper" -> text(value).toUpperCase(Locale.ROOT);
            case "lower" -> text(value).toLowerCase(Locale.ROOT);
            case "capitalize" -> Members.capitalize(text(value));
            case "title" -> Members.title(text(value));
            case "replace" ->
                Members.replace(
                        text(value),
                        text(given.get(0, "old", "")),
                        text(given.get(1, "new", "")),
                        given.get(2, "count", -1L) instanceof Long n ? n : -1);
            case "join" -> {
                Object attribute = given.get(1, "attribute", null);
                yield String.join(
                        text(given.get(0, "d", "")),
                        items(value).stream()
                                .map(item -> text(attribute == null ? item : member(item, text(attribute))))
                                .toList());
            }
            case "default", "d" -> {
                boolean absent =
                        value == UNDEFINED || Values.truthy(given.get(1, "boolean", false)) && !Values.truthy(value);
                yield absent ? given.get(0, "default_value", "") : value;
            }
            case "first" -> items(value).isEmpty() ? UNDEFINED : items(value).getFirst();
            case "last" -> items(value).isEmpty() ? UNDEFINED : items(value).getLast();
            case "list" -> items(value);
            case "items" ->
                value == UNDEFINED ? List.of() : value instanceof Map<?, ?> map ? Members.entries(map) : items(value);
            case "dictsort" -> {
                List<Object> entries = value instanceof Map<?, ?> map ? Members.entries(map) : new ArrayList<>();
                entries.sort((a, b) -> Values.compare(((List<?>) a).get(0), ((List<?>) b).get(0)));
                yield entries;
            }
            case "reverse" -> {
                List<@Nullable Object> items = items(value);
                Collections.reverse(items);
                yield value instanceof String
                        ? String.join("", items.stream().map(Values::text).toList())
                        : items;
            }
            case "sort" -> {
                List<@Nullable Object> items = items(value);
                Object attribute = given.get(2, "attribute", null);
                boolean reverse = Values.truthy(given.get(0, "reverse", false));
                items.sort((a, b) -> {
                    int order = attribute == null
                            ? Values.compare(a, b)
                            : Values.compare(member(a, text(attribute)), member(b, text(attribute)));
                    return reverse ? -order : order;
                });
                yield items;
            }
            case "unique" -> {
                List<@Nullable Object> kept = new ArrayList<>();
                for (Object item : items(value)) {
                    if (!Values.contains(kept, item)) {
                        kept.add(item);
                    }
                }
                yield kept;
            }
            case "int" -> toInteger(value, given.get(0, "default", 0L));
            case "float" -> toReal(value, given.get(0, "default", 0.0));
            case "abs" -> value instanceof Double x ? (Object) Math.abs(x) : (Object) Math.abs(integer(value));
            case "round" -> {
                double scale = Math.pow(10, number(given.get(0, "precision", 0L)));
                yield Math.rint(number(value) * scale) / scale;
            }
            case "sum" -> {
                double sum = items(value).stream().mapToDouble(Values::number).sum();
                yield items(value).stream().allMatch(item -> item instanceof Long) ? (Object) (long) sum : (Object) sum;
            }
            case "min" -> items(value).stream().min(Values::compare).orElse(UNDEFINED);
            case "max" -> items(value).stream().max(Values::compare).orElse(UNDEFINED);
            case "indent" -> indent(text(value), given);
            case "map" -> {
                Object attribute = given.named.get("attribute");
                List<@Nullable Object> mapped = new ArrayList<>();
                for (Object item : items(value)) {
                    mapped.add(
                            attribute != null
                                    ? member(item, text(attribute))
                                    : apply(text(given.get(0, "filter", "")), item, rest(given, 1)));
                }
                yield mapped;
            }
            case "select" -> kept(value, given, 0, item -> item, true);
            case "reject" -> kept(value, given, 0, item -> item, false);
            case "selectattr" -> kept(value, given, 1, item -> member(item, text(given.get(0, "attr", ""))), true);
            case "rejectattr" -> kept(value, given, 1, item -> member(item, text(given.get(0, "attr", ""))), false);
            default -> throw new TemplateException("the filter '" + name + "' is not known");
        };
    }

    private static List<@Nullable Object> kept(
            @Nullable Object value, Given given, int place, UnaryOperator<@Nullable Object> of, boolean wanted) {
        Object name = given.get(place, "test", null);
        Predicate<@Nullable Object> test =
                item -> name == null ? Values.truthy(item) : test(text(name), item, rest(given, place + 1));
        List<@Nullable Object> result = new ArrayList<>();
        for (Object item : items(value)) {
            if (test.test(of.apply(item)) == wanted) {
                result.add(item);
            }
        }
        return result;
    }

    private static Given rest(Given given, int from) {
        List<@Nullable Object> positional = given.positional;
        return new Given(positional.subList(Math.min(from, positional.size()), positional.size()), given.named);
    }

    /** {@code a.b} of a path that may have several steps. */
    private static @Nullable Object member(@Nullable Object object, String path) {
        Object value = object;
        for (String name : path.split("\\.")) {
            value = value instanceof Map<?, ?> map && map.containsKey(name) ? map.get(name) : UNDEFINED;
        }
        return value;
    }

    private static @Nullable Object toInteger(@Nullable Object value, @Nullable Object absent) {
        if (Values.isNumber(value)) {
            return (long) number(value);
        }
        try {
            return value instanceof String text ? (Object) (long) Double.parseDouble(text.strip()) : absent;
        } catch (NumberFormatException e) {
            return absent;
        }
    }

    private static @Nullable Object toReal(@Nullable Object value, @Nullable Object absent) {
        if (Values.isNumber(value)) {
            return number(value);
        }
        try {
            return value instanceof String text ? (Object) Double.parseDouble(text.strip()) : absent;
        } catch (NumberFormatException e) {
            return absent;
        }
    }

    private static String indent(String text, Given given) {
        Object width = given.get(0, "width", 4L);
        String space = width instanceof String s ? s : " ".repeat((int) Math.clamp(integer(width), 0, 100));
        boolean first = Values.truthy(given.get(1, "first", false));
        boolean blank = Values.truthy(given.get(2, "blank", false));
        String[] lines = text.split("\n", -1);
        for (int i = first ? 0 : 1; i < lines.length; i++) {
            if (blank || !lines[i].isEmpty()) {
                lines[i] = space + lines[i];
            }
        }
        return String.join("\n", Arrays.asList(lines));
    }

    static boolean test(String name, @Nullable Object value, Given given) {
        return switch (name) {
            case "defined" -> value != UNDEFINED;
            case "undefined" -> value == UNDEFINED;
            case "none" -> value == null;
            case "string" -> value instanceof String;
            case "boolean" -> value instanceof Boolean;
            case "true" -> Boolean.TRUE.equals(value);
            case "false" -> Boolean.FALSE.equals(value);
            case "integer" -> value instanceof Long;
            case "float" -> value instanceof Double;
            case "number" -> Values.isNumber(value);
            case "mapping" -> value instanceof Map;
            case "sequence" -> value instanceof String || value instanceof Collection || value instanceof Map;
            case "iterable" ->
                value instanceof String || value instanceof Collection || value instanceof Map || value == UNDEFINED;
            case "callable" -> value instanceof Values.Function;
            case "odd" -> Math.floorMod(integer(value), 2L) == 1;
            case "even" -> Math.floorMod(integer(value), 2L) == 0;
            case "divisibleby" -> Math.floorMod(integer(value), integer(given.get(0, "num", 1L))) == 0;
            case "eq", "equalto", "sameas" -> Values.equal(value, given.get(0, "other", null));
            case "ne" -> !Values.equal(value, given.get(0, "other", null));
            case "lt", "lessthan" -> Values.compare(value, given.get(0, "other", null)) < 0;
            case "le" -> Values.compare(value, given.get(0, "other", null)) <= 0;
            case "gt", "greaterthan" -> Values.compare(value, given.get(0, "other", null)) > 0;
            case "ge" -> Values.compare(value, given.get(0, "other", null)) >= 0;
            case "in" -> Values.contains(given.get(0, "seq", null), value);
            case "upper" -> text(value).equals(text(value).toUpperCase(Locale.ROOT));
            case "lower" -> text(value).equals(text(value).toLowerCase(Locale.ROOT));
            default -> throw new TemplateException("the test '" + name + "' is not known");
        };
    }
}
