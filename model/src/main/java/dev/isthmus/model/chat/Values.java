package dev.isthmus.model.chat;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What templates compute with, as Python would: null, Boolean, Long, Double, String, List, Map, functions, and {@link #UNDEFINED} for
 * what is not there.
 */
final class Values {
    /** A name or a member that does not exist: false, empty, and an error when it is used for more. */
    static final Object UNDEFINED = new Object() {
        @Override
        public String toString() {
            return "";
        }
    };

    /** A function of a template. */
    @FunctionalInterface
    interface Function {
        @Nullable
        Object call(Filters.Given given);
    }

    private Values() {}

    static boolean truthy(@Nullable Object value) {
        return switch (value) {
            case null -> false;
            case Boolean b -> b;
            case Long n -> n != 0;
            case Double x -> x != 0;
            case String text -> !text.isEmpty();
            case Collection<?> items -> !items.isEmpty();
            case Map<?, ?> map -> !map.isEmpty();
            default -> value != UNDEFINED;
        };
    }

    static boolean equal(@Nullable Object a, @Nullable Object b) {
        if (isNumber(a) && isNumber(b)) {
            return number(a) == number(b);
        }
        if (a instanceof List<?> x && b instanceof List<?> y) {
            if (x.size() != y.size()) {
                return false;
            }
            Iterator<?> other = y.iterator();
            return x.stream().allMatch(item -> equal(item, other.next()));
        }
        return Objects.equals(a, b);
    }

    /** Python counts truth values among the numbers. */
    static boolean isNumber(@Nullable Object value) {
        return value instanceof Long || value instanceof Double || value instanceof Boolean;
    }

    static double number(@Nullable Object value) {
        return switch (value) {
            case Long n -> n;
            case Double x -> x;
            case Boolean b -> b ? 1 : 0;
            case null, default -> throw new TemplateException("expected a number, found " + repr(value));
        };
    }

    static long integer(@Nullable Object value) {
        return switch (value) {
            case Long n -> n;
            case Boolean b -> b ? 1 : 0;
            case null, default -> throw new TemplateException("expected a whole number, found " + repr(value));
        };
    }

    static int compare(@Nullable Object a, @Nullable Object b) {
        if (a instanceof String x && b instanceof String y) {
            return x.compareTo(y);
        }
        if (isNumber(a) && isNumber(b)) {
            return Double.compare(number(a), number(b));
        }
        throw new TemplateException("cannot order " + repr(a) + " and " + repr(b));
    }

    /** The items of a list, the keys of a map, the characters of a text, nothing of what is not there. */
    static List<@Nullable Object> items(@Nullable Object value) {
        return switch (value) {
            case Collection<?> items -> new ArrayList<>(items);
            case Map<?, ?> map -> new ArrayList<>(map.keySet());
            case String text ->
                new ArrayList<>(text.codePoints().mapToObj(Character::toString).toList());
            case null, default -> {
                if (value == UNDEFINED) {
                    yield new ArrayList<>();
                }
                throw new TemplateException(repr(value) + " cannot be iterated");
            }
        };
    }

    static boolean contains(@Nullable Object container, @Nullable Object item) {
        return switch (container) {
            case String text -> item instanceof String part && text.contains(part);
            case Collection<?> items -> items.stream().anyMatch(other -> equal(other, item));
            case Map<?, ?> map -> map.containsKey(item);
            case null, default -> {
                if (container == UNDEFINED) {
                    yield false;
                }
                throw new TemplateException(repr(container) + " contains nothing");
            }
        };
    }

    /** Python's {@code str}. */
    static String text(@Nullable Object value) {
        return value instanceof String text ? text : value == UNDEFINED ? "" : repr(value);
    }

    /** Python's {@code repr}. */
    static String repr(@Nullable Object value) {
        return switch (value) {
            case null -> "None";
            case Boolean b -> b ? "True" : "False";
            case Double x -> real(x);
            case String text -> quoted(text);
            case Collection<?> items -> {
                StringBuilder out = new StringBuilder("[");
                for (Object item : items) {
                    out.append(out.length() == 1 ? "" : ", ").append(repr(item));
                }
                yield out.append(']').toString();
            }
            case Map<?, ?> map -> {
                StringBuilder out = new StringBuilder("{");
                map.forEach((key, item) -> out.append(out.length() == 1 ? "" : ", ")
                        .append(repr(key))
                        .append(": ")
                        .append(repr(item)));
                yield out.append('}').toString();
            }
            case Function _ -> "<function>";
            default -> value == UNDEFINED ? "Undefined" : value.toString();
        };
    }

    private static String quoted(String text) {
        char quote = text.contains("'") && !text.contains("\"") ? '"' : '\'';
        StringBuilder out = new StringBuilder().append(quote);
        text.codePoints().forEach(c -> {
            switch (c) {
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> {
                    if (c == quote) {
                        out.append('\\').append(quote);
                    } else if (c < 32 || c == 127) {
                        out.append(String.format(Locale.ROOT, "\\x%02x", c));
                    } else {
                        out.appendCodePoint(c);
                    }
                }
            }
        });
        return out.append(quote).toString();
    }

    private static String real(double x) {
        if (Double.isNaN(x)) {
            return "nan";
        }
        if (Double.isInfinite(x)) {
            return x > 0 ? "inf" : "-inf";
        }
        double size = Math.abs(x);
        if (size == 0 || size >= 1e-4 && size < 1e16) {
            String plain =
                    new BigDecimal(Double.toString(x)).stripTrailingZeros().toPlainString();
            return plain.contains(".") ? plain : plain + ".0";
        }
        String[] parts = Double.toString(x).split("E");
        int exponent = Integer.parseInt(parts[1]);
        String digits = parts[0].endsWith(".0") ? parts[0].substring(0, parts[0].length() - 2) : parts[0];
        return digits + "e" + (exponent < 0 ? "-" : "+") + (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
    }

    /**
     * Python's {@code json.dumps} without escapes beyond ASCII, as transformers sets it.
     *
     * @param indent the spaces a level, or negative for one line
     */
    static String json(@Nullable Object value, int indent) {
        StringBuilder out = new StringBuilder();
        json(value, indent, 0, out);
        return out.toString();
    }

    private static void json(@Nullable Object value, int indent, int level, StringBuilder out) {
        if (level > 100) {
            throw new TemplateException("tojson: nested deeper than 100");
        }
        switch (value) {
            case null -> out.append("null");
            case Boolean b -> out.append(b);
            case Long n -> out.append(n);
            case Double x ->
                out.append(x.isNaN() ? "NaN" : x.isInfinite() ? x > 0 ? "Infinity" : "-Infinity" : real(x));
            case String text -> jsonText(text, out);
            case Collection<?> items -> {
                out.append('[');
                boolean first = true;
                for (Object item : items) {
                    separate(first, indent, level + 1, out);
                    json(item, indent, level + 1, out);
                    first = false;
                }
                close(first, indent, level, out).append(']');
            }
            case Map<?, ?> map -> {
                out.append('{');
                boolean first = true;
                for (Map.Entry<?, ?> entry : map.entrySet()) {
                    separate(first, indent, level + 1, out);
                    jsonText(text(entry.getKey()), out);
                    out.append(": ");
                    json(entry.getValue(), indent, level + 1, out);
                    first = false;
                }
                close(first, indent, level, out).append('}');
            }
            default -> throw new TemplateException("tojson: " + repr(value) + " cannot be written");
        }
    }

    private static void separate(boolean first, int indent, int level, StringBuilder out) {
        out.append(first ? "" : indent < 0 ? ", " : ",");
        if (indent >= 0) {
            out.append('\n').repeat(" ", indent * level);
        }
    }

    private static StringBuilder close(boolean empty, int indent, int level, StringBuilder out) {
        return empty || indent < 0 ? out : out.append('\n').repeat(" ", indent * level);
    }

    private static void jsonText(String text, StringBuilder out) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\b' -> out.append("\\b");
                case '\f' -> out.append("\\f");
                default -> {
                    if (c < 32) {
                        out.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }
}
