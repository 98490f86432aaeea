package dev.isthmus.tensor;

import org.jspecify.annotations.Nullable;

/** An operation that cannot be done; the message names the operation, the shapes and what was expected. */
public class TensorException extends IsthmusException {
    private static final long serialVersionUID = 1;

    public TensorException(String message) {
        super(message);
    }

    public TensorException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
