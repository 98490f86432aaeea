package dev.isthmus.model.chat;

import static dev.isthmus.model.chat.Values.integer;
import static dev.isthmus.model.chat.Values.text;

import dev.isthmus.model.chat.Filters.Given;
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
            case "strip" -> g -> strip(text, g, true, true);
            case "lstrip" -> g -> strip(text, g, true, false);
            case "rstrip" -> g -> strip(text, g, false, true);
            case "upper" -> _ -> text.toUpperCase(Locale.ROOT);
            case "lower" -> _ -> text.toLowerCase(Locale.ROOT);
            case "title" -> _ -> title(text);
            case "capitalize" -> _ -> capitalize(text);
            case "startswith" -> g -> affixes(g).stream().anyMatch(text::startsWith);
            case "endswith" -> g -> affixes(g).stream().anyMatch(text::endsWith);
            case "removeprefix" ->
                g -> text.startsWith(text(g.at(0)))
                        ? text.substring(text(g.at(0)).length())
                        : text;
            case "removesuffix" ->
                g -> text.endsWith(text(g.at(0)))
                        ? text.substring(0, text.length() - text(g.at(0)).length())
                        : text;
            case "replace" ->
                g -> replace(text, text(g.at(0)), text(g.at(1)), g.positional().size() > 2 ? integer(g.at(2)) : -1);
            case "split" -> g -> split(text, g);
            case "splitlines" -> _ -> new ArrayList<Object>(text.lines().toList());
            case "join" ->
                g -> String.join(
                        text, Values.items(g.at(0)).stream().map(Values::text).toList());
            case "find" -> g -> (long) text.indexOf(text(g.at(0)));
            case "rfind" -> g -> (long) text.lastIndexOf(text(g.at(0)));
            case "count" -> g -> count(text, text(g.at(0)));
            case "isdigit" -> _ -> !text.isEmpty() && text.codePoints().allMatch(Character::isDigit);
            case "isalpha" -> _ -> !text.isEmpty() && text.codePoints().allMatch(Character::isLetter);
            case "isspace" -> _ -> !text.isEmpty() && text.isBlank();
            default -> null;
        };
    }

    private static List<String> affixes(Given g) {
        return g.at(0) instanceof List<?> many ? many.stream().map(Values::text).toList() : List.of(text(g.at(0)));
    }

    private static String strip(String text, Given g, boolean left, boolean right) {
        Object of = g.get(0, "chars", null);
        return strip(text, of == null ? null : text(of), left, right);
    }

    /** A text without the characters of {@code of}, or whitespace if null, at its ends. */
    static String strip(String text, @Nullable String of, boolean left, boolean right) {
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

    private static List<@Nullable Object> split(String text, Given g) {
        Object separator = g.get(0, "sep", null);
        Object most = g.get(1, "maxsplit", null);
        int limit = most == null || integer(most) < 0 ? -1 : (int) Math.min(integer(most) + 1, Integer.MAX_VALUE);
        if (separator == null) {
            String trimmed = strip(text, (String) null, true, false);
            String[] parts = limit < 0 ? trimmed.split("\\s+") : trimmed.split("\\s+", limit);
            return new ArrayList<>(
                    Arrays.stream(parts).filter(part -> !part.isEmpty()).toList());
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
                : text.substring(0, 1).toUpperCase(Locale.ROOT)
                        + text.substring(1).toLowerCase(Locale.ROOT);
    }

    static String title(String text) {
        return Pattern.compile("\\p{L}+")
                .matcher(text)
                .replaceAll(word -> Matcher.quoteReplacement(capitalize(word.group())));
    }

    private static Values.@Nullable Function ofMap(Map<?, ?> map, String name) {
        return switch (name) {
            case "items" -> _ -> entries(map);
            case "keys" -> _ -> new ArrayList<Object>(map.keySet());
            case "values" -> _ -> new ArrayList<Object>(map.values());
            case "get" ->
                g -> map.containsKey(g.at(0))
                        ? map.get(g.at(0))
                        : g.positional().size() > 1 ? g.at(1) : null;
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
            case "index" ->
                g -> {
                    for (int i = 0; i < list.size(); i++) {
                        if (Values.equal(list.get(i), g.at(0))) {
                            return (long) i;
                        }
                    }
                    throw new TemplateException(Values.repr(g.at(0)) + " is not in the list");
                };
            case "count" ->
                g -> list.stream().filter(item -> Values.equal(item, g.at(0))).count();
            default -> null;
        };
    }
}
