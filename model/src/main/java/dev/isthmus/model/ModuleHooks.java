package dev.isthmus.model;

import dev.isthmus.tensor.RemovableHandle;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * Those who look at the modules of a model while it runs; modules are called as Hugging Face calls them, such as {@code
 * model.layers.0.self_attn.q_proj}.
 *
 * <p>Projections that are one matrix product are shown one by one, at the price of copies. Nothing is spent where nobody looks.
 */
public final class ModuleHooks {
    private final List<ForwardHook> hooks = new CopyOnWriteArrayList<>(); // a hook may remove itself

    ModuleHooks() {}

    /** Sees what a module computes. */
    @FunctionalInterface
    public interface ForwardHook {
        /** Given the output {@code [N, C]} of {@code module}, returns what goes on in its place, usually the same. */
        Tensor forward(String module, Tensor output);
    }

    /** Sees the gradient of what a module computes. */
    @FunctionalInterface
    public interface BackwardHook {
        /** Given {@code dL/doutput} of {@code module}, returns what goes on in its place, usually the same. */
        Tensor backward(String module, Tensor gradOutput);
    }

    /** Calls {@code hook} with the output of every module, in the order of computation. */
    public RemovableHandle registerForwardHook(ForwardHook hook) {
        ForwardHook own = hook::forward; // so that one hook registered twice is removed once
        hooks.add(own);
        return () -> hooks.remove(own);
    }

    /** Calls {@code hook} with the gradient of every module's output, in each backward pass. */
    public RemovableHandle registerBackwardHook(BackwardHook hook) {
        return registerForwardHook((module, output) -> {
            if (output.requiresGrad()) {
                output.registerHook(grad -> hook.backward(module, grad));
            }
            return output;
        });
    }

    /** What goes on in place of the output of {@code module + part}. */
    Tensor see(String module, String part, Tensor output) {
        if (hooks.isEmpty()) {
            return output;
        }
        Tensor y = output;
        for (ForwardHook hook : hooks) {
            y = hook.forward(module + part, y);
        }
        return y;
    }

    /** The same for several modules whose outputs stand side by side in {@code output [N, sum of sizes]}. */
    Tensor see(String[] modules, int[] sizes, Tensor output) {
        if (hooks.isEmpty() || modules.length == 1) {
            return see(modules[0], "", output);
        }
        Tensor[] parts = new Tensor[modules.length];
        long start = 0;
        for (int i = 0; i < parts.length; i++) {
            parts[i] = see(modules[i], "", output.narrow(1, start, sizes[i]).contiguous());
            start += sizes[i];
        }
        return Tensor.cat(1, parts);
    }
}
