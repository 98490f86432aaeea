package dev.isthmus.tensor;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The root of every error this project reports on purpose.
 *
 * <p>The message is written for the person at the terminal: one or two lines that say what was asked, what was found and
 * what to do. The command line prints it as it is; anything that is not an {@code IsthmusException} is a bug.
 */
public class IsthmusException extends RuntimeException {
    private static final long serialVersionUID = 1;

    public IsthmusException(String message) {
        super(message);
    }

    public IsthmusException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }

    /** What to tell the person; there always is something. */
    @Override
    public String getMessage() {
        return Objects.requireNonNull(super.getMessage());
    }
}
