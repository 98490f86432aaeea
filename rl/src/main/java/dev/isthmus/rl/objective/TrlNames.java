package dev.isthmus.rl.objective;

import dev.isthmus.tensor.IsthmusException;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** The names that TRL gives to choices: those of the constants, in lower case. */
public final class TrlNames {
    private TrlNames() {}

    /** The name of {@code choice}. */
    public static String of(Enum<?> choice) {
        return choice.name().toLowerCase(Locale.ROOT);
    }

    /**
     * The one of {@code choices} that is called {@code name}.
     *
     * @throws IsthmusException naming the option and listing the choices if there is none
     */
    public static <E extends Enum<E>> E find(String option, String name, E[] choices) {
        return Arrays.stream(choices)
                .filter(choice -> of(choice).equals(name))
                .findFirst()
                .orElseThrow(() -> new IsthmusException(option + " '" + name + "' is unknown; there are "
                        + Arrays.stream(choices).map(TrlNames::of).collect(Collectors.joining(", "))));
    }
}
