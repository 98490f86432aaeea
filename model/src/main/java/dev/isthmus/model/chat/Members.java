package dev.isthmus.model.chat;

import static dev.isthmus.model.chat.Values.integer;
import static dev.isthmus.model.chat.Values.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The methods of Python's texts, lists and dictionaries that templates call. */
final class Members {
    private Members() {}

    /** A method of {@code object}, or null if it has none of that name. */
    static Values.@Nullable Function method(@Nullable Object object, String name) {
        return switch (object) {
            case String text -> ofText(text, name);
            case Map<?, ?> map -> ofMap(map, name);
            case List<?> list -> ofList(list, name);
            case null, default -> null;
        };
    }

    private static Values.@Nullable Function ofText(String text, String name) {
        return switch (name) {
            case "strip" -> (a, _) -> strip(text, a, true, true);
            case "lstrip" -> (a, _) -> strip(text, a, true, false);
            case "rstrip" -> (a, _) -> strip(text, a, false, true);
            case "upper" -> (_, _) -> text.toUpperCase(Locale.ROOT);
            case "lower" -> (_, _) -> text.toLowerCase(Locale.ROOT);
            case "title" -> (_, _) -> title(text);
            case "capitalize" -> (_, _) -> capitalize(text);
            case "startswith" -> (a, _) -> affixes(a).stream().anyMatch(text::startsWith);
            case "endswith" -> (a, _) -> affixes(a).stream().anyMatch(text::endsWith);
            case "removeprefix" -> (a, _) -> text.startsWith(text(a.get(0))) ? text.substring(text(a.get(0)).length()) : text;
            case "removesuffix" -> (a, _) -> text.endsWith(text(a.get(0)))
                    ? text.substring(0, text.length() - text(a.get(0)).length())
                    : text;
            case "replace" -> (a, _) -> replace(text, text(a.get(0)), text(a.get(1)), a.size() > 2 ? integer(a.get(2)) : -1);
            case "split" -> (a, n) -> split(text, a, n);
            case "splitlines" -> (_, _) -> new ArrayList<Object>(text.lines().toList());
            case "join" -> (a, _) -> String.join(
                    text, Values.items(a.get(0)).stream().map(Values::text).toList());
            case "find" -> (a, _) -> (long) text.indexOf(text(a.get(0)));
            case "rfind" -> (a, _) -> (long) text.lastIndexOf(text(a.get(0)));
            case "count" -> (a, _) -> count(text, text(a.get(0)));
            case "isdigit" -> (_, _) -> !text.isEmpty() && text.codePoints().allMatch(Character::isDigit);
            case "isalpha" -> (_, _) -> !text.isEmpty() && text.codePoints().allMatch(Character::isLetter);
            case "isspace" -> (_, _) -> !text.isEmpty() && text.isBlank();
            default -> null;
        };
    }

    private static List<String> affixes(List<@Nullable Object> arguments) {
        return arguments.get(0) instanceof List<?> many
                ? many.stream().map(Values::text).toList()
                : List.of(text(arguments.get(0)));
    }

    static String strip(String text, List<@Nullable Object> arguments, boolean left, boolean right) {
        String of = arguments.isEmpty() || arguments.get(0) == null ? null : text(arguments.get(0));
        int start = 0;
        int end = text.length();
        while (left && start < end && stripped(text.charAt(start), of)) {
            start++;
        }
        while (right && end > start && stripped(text.charAt(end - 1), of)) {
            end--;
        }
        return text.substring(start, end);
    }

    private static boolean stripped(char c, @Nullable String of) {
        return of == null ? Character.isWhitespace(c) || Character.isSpaceChar(c) : of.indexOf(c) >= 0;
    }

    static String replace(String text, String from, String to, long most) {
        if (most < 0) {
            return text.replace(from, to);
        }
        String result = text;
        int at = 0;
        for (long i = 0; i < most && (at = result.indexOf(from, at)) >= 0; i++) {
            result = result.substring(0, at) + to + result.substring(at + from.length());
            at += to.length() + (from.isEmpty() ? 1 : 0);
            if (at > result.length()) {
                break;
            }
        }
        return result;
    }

    private static List<@Nullable Object> split(
            String text, List<@Nullable Object> arguments, Map<String, @Nullable Object> named) {
        Object separator = arguments.isEmpty() ? named.get("sep") : arguments.get(0);
        Object most = arguments.size() > 1 ? arguments.get(1) : named.get("maxsplit");
        int limit = most == null || integer(most) < 0 ? -1 : (int) Math.min(integer(most) + 1, Integer.MAX_VALUE);
        if (separator == null) {
            String trimmed = strip(text, List.of(), true, false);
            String[] parts = limit < 0 ? trimmed.split("\\s+") : trimmed.split("\\s+", limit);
            return new ArrayList<>(Arrays.stream(parts).filter(part -> !part.isEmpty()).toList());
        }
        if (text(separator).isEmpty()) {
            throw new TemplateException("split: an empty separator");
        }
        return new ArrayList<>(Arrays.asList((Object[]) text.split(Pattern.quote(text(separator)), limit)));
    }

    static long count(String text, String part) {
        if (part.isEmpty()) {
            return text.length() + 1L;
        }
        Matcher matcher = Pattern.compile(Pattern.quote(part)).matcher(text);
        return matcher.results().count();
    }

    static String capitalize(String text) {
        return text.isEmpty()
                ? text
                : text.substring(0, 1).toUpperCase(Locale.ROOT) + text.substring(1).toLowerCase(Locale.ROOT);
    }

    static String title(String text) {
        return Pattern.compile("\\p{L}+")
                .matcher(text)
                .replaceAll(word -> Matcher.quoteReplacement(capitalize(word.group())));
    }

    private static Values.@Nullable Function ofMap(Map<?, ?> map, String name) {
        return switch (name) {
            case "items" -> (_, _) -> entries(map);
            case "keys" -> (_, _) -> new ArrayList<Object>(map.keySet());
            case "values" -> (_, _) -> new ArrayList<Object>(map.values());
            case "get" -> (a, _) -> map.containsKey(a.get(0)) ? map.get(a.get(0)) : a.size() > 1 ? a.get(1) : null;
            default -> null;
        };
    }

    /** Pairs of a key and a value. */
    static List<Object> entries(Map<?, ?> map) {
        List<Object> entries = new ArrayList<>();
        map.forEach((key, value) -> entries.add(Collections.unmodifiableList(Arrays.asList(key, value))));
        return entries;
    }

    private static Values.@Nullable Function ofList(List<?> list, String name) {
        return switch (name) {
            case "index" -> (a, _) -> {
                for (int i = 0; i < list.size(); i++) {
                    if (Values.equal(list.get(i), a.get(0))) {
                        return (long) i;
                    }
                }
                throw new TemplateException(Values.repr(a.get(0)) + " is not in the list");
            };
            case "count" -> (a, _) -> list.stream()
                    .filter(item -> Values.equal(item, a.get(0)))
                    .count();
            default -> null;
        };
    }
}
