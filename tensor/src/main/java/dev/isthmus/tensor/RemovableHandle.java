package dev.isthmus.tensor;

/** Takes back a hook, as {@code torch.utils.hooks.RemovableHandle} does. */
@FunctionalInterface
public interface RemovableHandle {
    /** The hook is not called again; a second time does nothing. */
    void remove();
}
