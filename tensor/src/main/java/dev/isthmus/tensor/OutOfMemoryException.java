package dev.isthmus.tensor;

/** Native memory that could not be had; the message says how much was asked for, what is held, and what to do. */
public final class OutOfMemoryException extends TensorException {
    private static final long serialVersionUID = 1;

    public OutOfMemoryException(String message, Throwable cause) {
        super(message, cause);
    }
}
