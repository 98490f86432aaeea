package dev.isthmus.train;

import dev.isthmus.tensor.IsthmusException;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** The constants that a user gives to something chosen by name, and which of them it has asked for. */
public final class KeywordArguments {
    private final String setting;
    private final String owner;
    private final Map<String, String> given = new TreeMap<>();
    private final TreeSet<String> known = new TreeSet<>();

    /**
     * The constants of one choice.
     *
     * @param setting the setting that holds them, such as {@code optim_args}
     * @param owner what they are given to, such as {@code sgd}
     */
    public KeywordArguments(String setting, String owner, Map<String, ?> given) {
        this.setting = setting;
        this.owner = owner;
        given.forEach((key, value) -> this.given.put(key, String.valueOf(value)));
    }

    /** Whether there is a value for this one. */
    public boolean has(String key) {
        return ask(key) != null;
    }

    /**
     * A number.
     *
     * @throws IsthmusException if it is something else
     */
    public double number(String key, double otherwise) {
        String value = ask(key);
        try {
            return value == null ? otherwise : Double.parseDouble(value);
        } catch (NumberFormatException _) {
            throw unfit(key, value, "a number");
        }
    }

    /**
     * A number of steps.
     *
     * @throws IsthmusException if it is not a whole number, or below {@code least}
     */
    public long steps(String key, long least, long otherwise) {
        String value = ask(key);
        try {
            long steps = value == null ? otherwise : Long.parseLong(value);
            if (value == null || steps >= least) {
                return steps;
            }
        } catch (NumberFormatException _) {
            // Said below.
        }
        throw unfit(key, value, "a whole number from " + least + " on");
    }

    /**
     * True or false.
     *
     * @throws IsthmusException if it is something else
     */
    public boolean flag(String key, boolean otherwise) {
        String value = ask(key);
        return switch (value == null ? "" : value.toLowerCase(Locale.ROOT)) {
            case "" -> otherwise;
            case "true" -> true;
            case "false" -> false;
            default -> throw unfit(key, value, "true or false");
        };
    }

    /**
     * One of the constants of an enum, by what they are called, in lower case.
     *
     * @throws IsthmusException if it is none of them
     */
    public <E extends Enum<E>> E choice(String key, Class<E> type, E otherwise) {
        String value = ask(key);
        if (value == null) {
            return otherwise;
        }
        TreeSet<String> names = new TreeSet<>();
        for (E each : type.getEnumConstants()) {
            String name = each.toString().toLowerCase(Locale.ROOT);
            if (name.equals(value)) {
                return each;
            }
            names.add(name);
        }
        throw unfit(key, value, String.join(" or ", names));
    }

    /**
     * Ends the asking.
     *
     * @throws IsthmusException if something was given that nobody asked for
     */
    public void requireKnown() {
        for (String key : given.keySet()) {
            if (!known.contains(key)) {
                throw new IsthmusException(setting + ": " + owner + " has no constant '" + key + "'; it has "
                        + (known.isEmpty() ? "none" : String.join(", ", known)));
            }
        }
    }

    private @Nullable String ask(String key) {
        known.add(key);
        return given.get(key);
    }

    private IsthmusException unfit(String key, @Nullable String value, String wanted) {
        return new IsthmusException(setting + ": " + key + " must be " + wanted + ", found '" + value + "'");
    }
}
