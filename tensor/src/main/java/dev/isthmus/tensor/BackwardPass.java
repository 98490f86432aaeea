package dev.isthmus.tensor;

import dev.isthmus.tensor.Autograd.Node;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;

/**
 * One run of the rules from some roots to the leaves, the latest operation first.
 *
 * <p>Gradients go straight to the leaves, except where something stands between: a leaf with hooks gets this pass's gradient in
 * one piece when all of it is there, and {@link Autograd#grad} leaves the gradients of leaves as they are.
 */
final class BackwardPass {
    private final PriorityQueue<Tensor> ready =
            new PriorityQueue<>(Comparator.comparingLong((Tensor t) -> -t.recorded().order));
    private final Map<Tensor, Tensor> arriving = new LinkedHashMap<>();
    private final Map<Tensor, @Nullable Tensor> wanted = new LinkedHashMap<>();
    private final Scope scope = Scope.current();
    private final Autograd.State state;
    private final boolean retainGraph;
    private final boolean fillsLeaves;

    /**
     * A pass that fills the gradients of leaves, or if {@code inputs} are given one that only finds theirs.
     *
     * @param retainGraph whether the rules are kept for another pass
     */
    BackwardPass(Autograd.State state, boolean retainGraph, Tensor... inputs) {
        this.state = state;
        this.retainGraph = retainGraph;
        this.fillsLeaves = inputs.length == 0;
        for (Tensor input : inputs) {
            wanted.put(input, null);
        }
    }

    boolean retainsGraph() {
        return retainGraph;
    }

    /** Adds the gradient of {@code output}, and puts it in line. */
    void start(Tensor output, Tensor grad) {
        output.addGrad(grad);
        push(output);
    }

    private void push(Tensor t) {
        Node node = t.lastNode();
        if (node != null && node.pass != this) {
            node.pass = this;
            ready.add(t);
        }
    }

    /** Runs all rules of nodes recorded at {@code first} or later. */
    void runDownTo(long first) {
        while (true) {
            Tensor output = ready.peek();
            if (output == null || output.recorded().order < first) {
                return;
            }
            ready.remove();
            run(output);
        }
    }

    private void run(Tensor output) {
        Node node = output.recorded();
        if (node.rule == null) {
            throw new TensorException(
                    "backward: the graph of '" + node.op + "' was already used, and what it kept is gone; compute"
                            + " the loss again, or give retainGraph = true to the first backward");
        }
        Tensor grad = output.arrived();
        if (grad != null) {
            GradHooks hooks = output.hooks();
            if (hooks != null) {
                grad = hooks.see(grad);
            }
            if (!wanted.isEmpty() && wanted.containsKey(output)) {
                grad.storage().gradOwners++;
                wanted.put(output, grad);
            }
            long outer = state.rule;
            state.rule = node.order;
            state.op = node.op;
            try {
                node.rule.accept(grad);
            } finally {
                state.rule = outer;
            }
            output.releaseGrad();
        }
        if (!retainGraph) {
            node.rule = null;
        }
        for (Tensor input : node.inputs) {
            push(input.asOf(node.order));
        }
    }

    /** Where the gradient of a leaf goes in this pass. */
    Tensor slot(Tensor leaf) {
        GradHooks hooks = leaf.hooks();
        if (fillsLeaves && (hooks == null || hooks.isEmpty())) {
            return leaf;
        }
        return arriving.computeIfAbsent(leaf, l -> {
            Tensor arrival = l.detach();
            arrival.setNode(new Node("leaf", -1, new Tensor[0], _ -> {}, scope));
            return arrival;
        });
    }

    /** Shows what arrived at leaves with hooks, and adds what they make of it. */
    void finish() {
        arriving.forEach((leaf, arrival) -> {
            Tensor grad = arrival.arrived();
            GradHooks hooks = leaf.hooks();
            if (grad != null && hooks != null) {
                grad = hooks.see(grad);
            }
            if (fillsLeaves && grad != null) {
                leaf.accumulate(grad);
            } else if (wanted.containsKey(leaf)) {
                wanted.put(leaf, grad);
            }
        });
        arriving.clear();
    }

    /** The gradient of one of the inputs; null if none arrived. */
    @Nullable
    Tensor found(Tensor input) {
        return wanted.get(input);
    }
}
