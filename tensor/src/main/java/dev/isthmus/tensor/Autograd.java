package dev.isthmus.tensor;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Reverse-mode differentiation over a tape of operations.
 *
 * <p>Each differentiable operation {@linkplain #record records} a node: its inputs, and a rule that turns the gradient of its
 * output into kernel calls that add to the gradients of its inputs. {@link Tensor#backward()} runs the rules of all nodes a
 * loss depends on, the latest first. The rules stand next to the forward rules, in the classes of the operations.
 */
public final class Autograd {
    private static final ThreadLocal<State> STATE = ThreadLocal.withInitial(State::new);

    private Autograd() {}

    private static final class State {
        boolean off;
        long nodes;
    }

    /** One recorded operation. */
    static final class Node {
        final String op;
        final long order;
        final Tensor[] inputs;
        @Nullable Consumer<Tensor> rule;

        Node(String op, long order, Tensor[] inputs, Consumer<Tensor> rule) {
            this.op = op;
            this.order = order;
            this.inputs = inputs;
            this.rule = rule;
        }
    }

    /** Runs {@code body} without recording: its results do not require gradients. */
    public static <T> T noGrad(Supplier<T> body) {
        State state = STATE.get();
        boolean before = state.off;
        state.off = true;
        try {
            return body.get();
        } finally {
            state.off = before;
        }
    }

    /** Runs {@code body} without recording. */
    public static void noGrad(Runnable body) {
        noGrad(() -> {
            body.run();
            return null;
        });
    }

    /**
     * Records how {@code output} was made, if one of {@code inputs} requires a gradient.
     *
     * @param rule given {@code dL/doutput}, adds to the gradients of the inputs through {@link Tensor#addGrad} and {@link
     *     Tensor#gradInto}; called at most once
     * @return {@code output}
     */
    public static Tensor record(String op, Tensor output, Consumer<Tensor> rule, Tensor... inputs) {
        State state = STATE.get();
        if (state.off) {
            return output;
        }
        for (Tensor input : inputs) {
            if (input.requiresGrad()) {
                output.setNode(new Node(op, state.nodes++, inputs, rule));
                return output;
            }
        }
        return output;
    }

    static void backward(Tensor root, Tensor seed) {
        if (root.node() == null) {
            throw new TensorException(
                    root.requiresGrad()
                            ? "backward: this tensor is a parameter, not the result of an operation"
                            : "backward: no tensor that this one depends on requires a gradient");
        }
        noGrad(() -> {
            root.addGrad(seed);
            PriorityQueue<Tensor> ready =
                    new PriorityQueue<>(Comparator.comparingLong((Tensor t) -> -orderOf(t)));
            Map<Node, Boolean> seen = new IdentityHashMap<>();
            push(root, ready, seen);
            List<Tensor> inputs = new ArrayList<>();
            while (!ready.isEmpty()) {
                Tensor output = ready.poll();
                Node node = output.node();
                if (node == null || node.rule == null) {
                    throw new TensorException(
                            "backward: the graph of " + (node == null ? "this tensor" : node.op)
                                    + " was already used; compute the loss again before a second backward");
                }
                Tensor grad = output.grad();
                if (grad != null) {
                    node.rule.accept(grad);
                    output.releaseGrad();
                }
                node.rule = null;
                for (Tensor input : node.inputs) {
                    if (input.node() != null) {
                        inputs.add(input);
                    }
                }
                inputs.forEach(t -> push(t, ready, seen));
                inputs.clear();
            }
        });
    }

    private static long orderOf(Tensor t) {
        Node node = t.node();
        return node == null ? -1 : node.order;
    }

    private static void push(Tensor t, PriorityQueue<Tensor> ready, Map<Node, Boolean> seen) {
        Node node = t.node();
        if (node != null && seen.put(node, true) == null) {
            ready.add(t);
        }
    }
}
