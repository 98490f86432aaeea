package dev.isthmus.tensor;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Those who see the gradient of one tensor before it goes on, and the gradient itself if it was asked to be kept. */
final class GradHooks {
    private final List<Hook> hooks = new CopyOnWriteArrayList<>(); // a hook may remove itself
    boolean retain;

    @Nullable
    Tensor kept;

    /** One registration: the same function registered twice is called twice. */
    private record Hook(UnaryOperator<Tensor> function, Object identity) {}

    RemovableHandle add(UnaryOperator<Tensor> function) {
        Hook hook = new Hook(function, new Object());
        hooks.add(hook);
        return () -> hooks.remove(hook);
    }

    boolean isEmpty() {
        return hooks.isEmpty();
    }

    /** The gradient that goes on in place of {@code grad}. Nobody writes to what was seen: a hook may have kept it. */
    Tensor see(Tensor grad) {
        Tensor g = grad;
        g.storage().gradOwners++;
        for (Hook hook : hooks) {
            Tensor next = hook.function.apply(g);
            if (next == null
                    || next.dtype() != g.dtype()
                    || !Arrays.equals(next.layout().shape(), g.layout().shape())) {
                throw new TensorException("registerHook: a hook returned "
                        + (next == null ? "null" : next.dtype() + " " + next.layout()) + " for a gradient of "
                        + g.dtype() + " "
                        + g.layout() + "; return the gradient it was given, or one of that type and shape");
            }
            if (next != g) {
                g = next.contiguous();
                g.storage().gradOwners++;
            }
        }
        if (retain) {
            Tensor before = kept;
            kept = before == null ? g.detach() : before.add(g);
        }
        return g;
    }
}
