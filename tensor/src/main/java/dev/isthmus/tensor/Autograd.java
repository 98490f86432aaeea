package dev.isthmus.tensor;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Reverse-mode differentiation over a tape of operations.
 *
 * <p>Each differentiable operation {@linkplain #record records} a node: its inputs, and a rule that turns the gradient of its
 * output into kernel calls that add to the gradients of its inputs. {@link Tensor#backward()} runs the rules of all nodes a
 * loss depends on, the latest first. The rules stand next to the forward rules, in the classes of the operations.
 *
 * <p>Nodes are numbered in the order in which they are recorded, and memory that is changed in place carries the number at
 * which that happened. So a rule that reads what was changed after its operation is caught when it runs.
 */
public final class Autograd {
    private static final ThreadLocal<State> STATE = ThreadLocal.withInitial(State::new);

    /** The number of the next node; one for all threads, so that a graph may be built by several. */
    private static final AtomicLong NEXT = new AtomicLong(1);

    private static final long NO_RULE = Long.MAX_VALUE;

    private Autograd() {}

    /** What a thread is doing. */
    static final class State {
        boolean off;

        /** Whether an operation went unrecorded although it needs a gradient. */
        boolean skipped;

        /** The number of the node whose rule runs, and its operation. */
        long rule = NO_RULE;

        String op = "";

        @Nullable
        BackwardPass pass;
    }

    /** One recorded operation. */
    static final class Node {
        final String op;
        final long order;
        final Tensor[] inputs;

        /** Where the gradient of the result lives. */
        final Scope scope;

        @Nullable
        Consumer<Tensor> rule;

        @Nullable
        BackwardPass pass;

        Node(String op, long order, Tensor[] inputs, Consumer<Tensor> rule, Scope scope) {
            this.op = op;
            this.order = order;
            this.inputs = inputs;
            this.rule = rule;
            this.scope = scope;
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

    /** Whether operations are recorded here: not within {@link #noGrad}, nor within rules and hooks. */
    public static boolean isGradEnabled() {
        return !STATE.get().off;
    }

    /**
     * Records how {@code output} was made, if one of {@code inputs} requires a gradient.
     *
     * <p>An output in the memory of its first input is a view of it. A rule reads tensors through {@link Tensor#buffer()}, or
     * operations that do, at the time it runs; that is where a change after the operation is noticed.
     *
     * @param rule given {@code dL/doutput}, adds to the gradients of the inputs through {@link Tensor#addGrad} and {@link
     *     Tensor#gradInto}; called once for each backward pass
     * @return {@code output}
     */
    public static Tensor record(String op, Tensor output, Consumer<Tensor> rule, Tensor... inputs) {
        boolean view = inputs.length > 0 && output.storage() == inputs[0].storage();
        if (view) {
            output.viewOf(inputs[0]);
        }
        if (needed(inputs)) {
            Scope scope = view ? Scope.current() : output.storage().scope();
            output.setNode(new Node(op, NEXT.getAndIncrement(), inputs, rule, scope));
        }
        return output;
    }

    /** Whether an operation on {@code inputs} is to be recorded. */
    static boolean needed(Tensor... inputs) {
        boolean any = false;
        for (Tensor input : inputs) {
            any |= input.requiresGrad(); // asks all: views follow what they view here
        }
        if (any) {
            State state = STATE.get();
            any = !state.off;
            state.skipped |= state.off;
        }
        return any;
    }

    /**
     * Adds the gradients of {@code sum(roots[i] * seeds[i])} to all leaves that the roots depend on, in one pass, as {@code
     * torch.autograd.backward} does.
     *
     * @param retainGraph whether another backward through the same graph will follow; otherwise it is freed on the way
     * @throws TensorException if a root depends on nothing that requires a gradient, if the graph was used already, or if a
     *     tensor whose value a rule needs was changed in place
     */
    public static void backward(List<Tensor> roots, List<Tensor> seeds, boolean retainGraph) {
        run(new BackwardPass(STATE.get(), retainGraph), roots, seeds);
    }

    /**
     * The gradients of {@code sum(output * seed)} with respect to {@code inputs}, leaves or results; no tensor's {@link
     * Tensor#grad()} changes.
     *
     * @throws TensorException if {@code output} does not depend on one of {@code inputs}; otherwise as {@link #backward}
     */
    public static List<Tensor> grad(Tensor output, Tensor seed, boolean retainGraph, Tensor... inputs) {
        if (inputs.length == 0) {
            throw new TensorException("grad: no inputs given");
        }
        BackwardPass pass = new BackwardPass(STATE.get(), retainGraph, inputs);
        run(pass, List.of(output), List.of(seed));
        return Arrays.stream(inputs)
                .map(input -> {
                    Tensor found = pass.found(input);
                    if (found == null) {
                        throw new TensorException("grad: the output does not depend on the input of " + input.layout());
                    }
                    return found;
                })
                .toList();
    }

    /** The gradients of a number with respect to {@code inputs}; no tensor's {@link Tensor#grad()} changes. */
    public static List<Tensor> grad(Tensor output, Tensor... inputs) {
        return grad(output, output.one(), false, inputs);
    }

    private static void run(BackwardPass pass, List<Tensor> roots, List<Tensor> seeds) {
        if (roots.size() != seeds.size()) {
            throw new TensorException(
                    "backward: " + roots.size() + " tensors and " + seeds.size() + " gradients for them");
        }
        State state = STATE.get();
        BackwardPass outerPass = state.pass;
        long outerRule = state.rule;
        state.pass = pass;
        state.rule = NO_RULE;
        try {
            noGrad(() -> {
                for (int i = 0; i < roots.size(); i++) {
                    Tensor root = roots.get(i).alive();
                    Tensor seed = seeds.get(i);
                    if (!root.requiresGrad()) {
                        throw new TensorException(
                                "backward: no tensor that this one depends on requires a gradient, or it was"
                                        + " computed within noGrad");
                    }
                    if (!Arrays.equals(seed.layout().shape(), root.layout().shape()) || seed.dtype() != root.dtype()) {
                        throw new TensorException("backward: a gradient of " + seed.dtype() + " " + seed.layout()
                                + " for a tensor of " + root.dtype() + " " + root.layout());
                    }
                    seed.storage().gradOwners++;
                    pass.start(root, seed);
                }
                pass.runDownTo(0);
                pass.finish();
            });
        } finally {
            state.pass = outerPass;
            state.rule = outerRule;
        }
    }

    /**
     * {@code body(inputs)}, of which only the result is kept: what it computes on the way is freed at once, and computed again
     * when the backward pass comes there (Chen et al. 2016), as {@code torch.utils.checkpoint} does.
     *
     * <p>The gradients are those of the plain computation, bit for bit. So {@code body} must do the same when it runs a second
     * time: random numbers must come from a generator that it makes anew.
     *
     * @param body may use other tensors too, such as parameters
     * @return a result in the current scope
     * @throws TensorException if {@code body} changes one of {@code inputs} in place
     */
    public static Tensor checkpoint(Function<Tensor[], Tensor> body, Tensor... inputs) {
        State state = STATE.get();
        if (state.off) {
            return body.apply(inputs);
        }
        long[] changes =
                Arrays.stream(inputs).mapToLong(t -> t.storage().changedAt).toArray();
        boolean outer = state.skipped;
        state.skipped = false;
        Tensor y;
        try (Scope inner = Scope.open()) {
            Tensor result = noGrad(() -> body.apply(inputs));
            y = result.keep();
            if (!state.skipped && !result.requiresGrad()) {
                return y;
            }
        } finally {
            state.skipped = outer;
        }
        for (int i = 0; i < inputs.length; i++) {
            if (inputs[i].storage().changedAt != changes[i]) {
                throw new TensorException("checkpoint: the function changed its input " + i + " in place, by '"
                        + inputs[i].storage().changedBy + "'; as it runs a second time in backward, it must not");
            }
        }
        Consumer<Tensor> rule = dy -> computeAgain(body, inputs, dy);
        y.setNode(new Node(
                "checkpoint", NEXT.getAndIncrement(), inputs, rule, y.storage().scope()));
        return y;
    }

    private static void computeAgain(Function<Tensor[], Tensor> body, Tensor[] inputs, Tensor dy) {
        for (Tensor input : inputs) {
            input.buffer(); // notices what was changed since
        }
        State state = STATE.get();
        BackwardPass pass = state.pass;
        if (pass == null) {
            throw new IllegalStateException("no backward pass");
        }
        long rule = state.rule;
        long first = NEXT.get();
        state.rule = NO_RULE;
        try (Scope inner = Scope.open()) {
            state.off = false;
            Tensor y = body.apply(inputs);
            state.off = true;
            if (!Arrays.equals(y.layout().shape(), dy.layout().shape())) {
                throw new TensorException("checkpoint: the function gave a tensor of " + dy.layout()
                        + " and, in backward, one of " + y.layout() + "; it must do the same each time");
            }
            pass.start(y, dy);
            pass.runDownTo(first);
        } finally {
            state.off = true;
            state.rule = rule;
        }
    }

    /** Where a rule adds to the gradient of a leaf. */
    static Tensor slot(Tensor leaf) {
        BackwardPass pass = STATE.get().pass;
        return pass == null ? leaf : pass.slot(leaf);
    }

    /** Whether a rule that runs is kept for another pass. */
    static boolean retainsGraph() {
        BackwardPass pass = STATE.get().pass;
        return pass == null || pass.retainsGraph();
    }

    /** The number of the node whose rule runs, above all others if none does. */
    static long ruleRunning() {
        return STATE.get().rule;
    }

    static boolean isRuleRunning() {
        return STATE.get().rule != NO_RULE;
    }

    /** Notes that memory was changed in place. What rules write is theirs: gradients, and numbers on the way to them. */
    static void changed(Storage storage, String op) {
        if (!isRuleRunning()) {
            storage.changedAt = NEXT.get();
            storage.changedBy = op;
        }
    }

    /** Throws if a rule runs that was recorded before {@code t} was changed in place; gradients may change. */
    static void requireUnchanged(Tensor t) {
        State state = STATE.get();
        Storage storage = t.storage();
        if (storage.changedAt > state.rule && storage.gradOwners == 0) {
            throw new TensorException("backward of '" + state.op + "': the tensor of " + t.layout()
                    + " whose value its gradient needs was changed in place by '" + storage.changedBy
                    + "' after it was used; change a copy instead, or change it after backward");
        }
    }

    /** A node recorded now. */
    static Node node(String op, Consumer<Tensor> rule, Scope scope, Tensor... inputs) {
        return new Node(op, NEXT.getAndIncrement(), inputs, rule, scope);
    }
}
