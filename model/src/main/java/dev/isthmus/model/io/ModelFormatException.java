package dev.isthmus.model.io;

import dev.isthmus.tensor.IsthmusException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** A model file that is damaged, hostile, or of a kind this project cannot read. The message begins with the file. */
public final class ModelFormatException extends IsthmusException {
    private static final int MAX_PROBLEM = 600;

    private static final long serialVersionUID = 1;

    public ModelFormatException(Path file, String problem) {
        this(file, problem, null);
    }

    public ModelFormatException(Path file, String problem, @Nullable Throwable cause) {
        super(file + ": " + shortened(problem), cause);
    }

    /** What a file makes a problem say is not longer than what can be read. */
    private static String shortened(String problem) {
        return problem.length() <= MAX_PROBLEM ? problem : problem.substring(0, MAX_PROBLEM) + "...";
    }

    /** A name from a file, fit for a message: in quotes, shortened, without control characters. */
    public static String quote(String name) {
        String shown = name.length() <= 80 ? name : name.substring(0, 77) + "...";
        return "'" + shown.replaceAll("[\\p{Cntrl}\\p{Cs}]", "?") + "'";
    }
}
