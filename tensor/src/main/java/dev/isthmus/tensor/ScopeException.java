package dev.isthmus.tensor;

/** A tensor used after its {@link Scope} closed, or scopes closed out of order. */
public final class ScopeException extends TensorException {
    private static final long serialVersionUID = 1;

    public ScopeException(String message) {
        super(message);
    }
}
