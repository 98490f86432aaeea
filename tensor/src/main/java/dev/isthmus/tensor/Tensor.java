package dev.isthmus.tensor;

import dev.isthmus.tensor.Autograd.Node;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A multidimensional array of numbers that can remember how it was computed.
 *
 * <p>A tensor is a {@link Layout} over a {@link Storage}; views share the storage. Operations are named as in PyTorch and run
 * on the {@linkplain Device device} of the current {@link Scope}, which also owns their results. Broadcasting follows PyTorch.
 * A tensor is used by one thread at a time.
 *
 * <p>Operations throw {@link TensorException} for shapes and types that do not fit, and {@link ScopeException} for a tensor
 * whose scope has closed.
 */
public final class Tensor extends TensorOperations {
    private final Storage storage;
    private final Layout layout;
    private boolean requiresGrad;
    private boolean gradStale;
    private @Nullable Node node;
    private @Nullable Tensor grad;
    private @Nullable GradHooks hooks;

    /** What this is a view of; null if it is none, or shares memory without sharing history. */
    private @Nullable Tensor base;

    /** How often the history of the elements has changed in place; of a view, the number that its node was made at. */
    private int version;

    /** What this was for the rules of nodes before {@link #changedAt}; null if it was never changed in place. */
    private @Nullable Tensor previous;

    private long changedAt;

    /**
     * Elements in a storage.
     *
     * @throws ScopeException if the scope that owns the storage has closed
     */
    Tensor(Storage storage, Layout layout) {
        if (!storage.scope().isOpen()) {
            throw closed(layout);
        }
        this.storage = storage;
        this.layout = layout;
    }

    // ---- creation -------------------------------------------------------------------------------------------------

    /** A tensor whose numbers are undefined until written. */
    public static Tensor empty(DType dtype, long... shape) {
        Layout layout = Layout.contiguous(shape.clone());
        return new Tensor(Scope.current().allocate(dtype, layout.count()), layout);
    }

    /** A tensor of one value. */
    public static Tensor full(DType dtype, double value, long... shape) {
        Tensor t = empty(dtype, shape);
        t.run(new KernelCall.Fill(t.count(), t.buffer(), value));
        return t;
    }

    /** A tensor of zeros. */
    public static Tensor zeros(DType dtype, long... shape) {
        return full(dtype, 0, shape);
    }

    /** A tensor of zeros with the shape and type of another. */
    public static Tensor zerosLike(Tensor x) {
        return full(x.dtype(), 0, x.shape());
    }

    /** A tensor of ones with the shape and type of another. */
    public static Tensor onesLike(Tensor x) {
        return full(x.dtype(), 1, x.shape());
    }

    /** A tensor of one value with the shape and type of another. */
    public static Tensor fullLike(Tensor x, double value) {
        return full(x.dtype(), value, x.shape());
    }

    /** The numbers 0, 1, ..., {@code end - 1}. */
    public static Tensor arange(DType dtype, long end) {
        return arange(dtype, 0, end, 1);
    }

    /** The numbers {@code start, start + step, ...} before {@code end}. */
    public static Tensor arange(DType dtype, double start, double end, double step) {
        double count = Math.ceil((end - start) / step);
        if (!(count >= 0)) {
            throw new TensorException("arange: from " + start + " to " + end + " in steps of " + step);
        }
        double[] values = new double[Layout.intSize((long) count)];
        Arrays.setAll(values, i -> start + i * step);
        return of(values, values.length).to(dtype);
    }

    /** {@code steps} numbers with equal distances, from {@code start} to {@code end}, both included. */
    public static Tensor linspace(DType dtype, double start, double end, int steps) {
        double[] values = new double[steps];
        double step = steps > 1 ? (end - start) / (steps - 1) : 0;
        // From the nearer end, so that both are exact.
        Arrays.setAll(values, i -> i < steps / 2 || steps == 1 ? start + i * step : end - (steps - 1 - i) * step);
        return of(values, steps).to(dtype);
    }

    /** The identity matrix {@code [n, n]}. */
    public static Tensor eye(DType dtype, long n) {
        Tensor y = zeros(dtype, n, n);
        new Tensor(y.storage, y.layout.diagonal(0, 0, 1)).copyFrom(full(dtype, 1, n));
        return y;
    }

    /** A float32 tensor from row-major data. */
    public static Tensor of(float[] data, long... shape) {
        Tensor t = sized(DType.FLOAT32, data.length, shape);
        MemorySegment.copy(data, 0, t.storage.segment(), ValueLayout.JAVA_FLOAT, 0, data.length);
        return t;
    }

    /** A float64 tensor from row-major data. */
    public static Tensor of(double[] data, long... shape) {
        Tensor t = sized(DType.FLOAT64, data.length, shape);
        MemorySegment.copy(data, 0, t.storage.segment(), ValueLayout.JAVA_DOUBLE, 0, data.length);
        return t;
    }

    /** An int32 tensor from row-major data. */
    public static Tensor of(int[] data, long... shape) {
        Tensor t = sized(DType.INT32, data.length, shape);
        MemorySegment.copy(data, 0, t.storage.segment(), ValueLayout.JAVA_INT, 0, data.length);
        return t;
    }

    /** An int64 tensor from row-major data. */
    public static Tensor of(long[] data, long... shape) {
        Tensor t = sized(DType.INT64, data.length, shape);
        MemorySegment.copy(data, 0, t.storage.segment(), ValueLayout.JAVA_LONG, 0, data.length);
        return t;
    }

    /** An int8 tensor from row-major data. */
    public static Tensor of(byte[] data, long... shape) {
        Tensor t = sized(DType.INT8, data.length, shape);
        MemorySegment.copy(data, 0, t.storage.segment(), ValueLayout.JAVA_BYTE, 0, data.length);
        return t;
    }

    /** A bool tensor from row-major data. */
    public static Tensor of(boolean[] data, long... shape) {
        Tensor t = sized(DType.BOOL, data.length, shape);
        for (int i = 0; i < data.length; i++) {
            t.storage.segment().set(ValueLayout.JAVA_BYTE, i, (byte) (data[i] ? 1 : 0));
        }
        return t;
    }

    /** A tensor of independent normal numbers with mean 0 and deviation {@code std}. */
    public static Tensor randn(DType dtype, Rng rng, double std, long... shape) {
        double[] values = new double[Layout.intSize(Layout.count(shape))];
        Arrays.setAll(values, _ -> std * rng.nextGaussian());
        return of(values, shape).to(dtype);
    }

    private static Tensor sized(DType dtype, int length, long... shape) {
        if (Layout.count(shape) != length) {
            throw new TensorException(length + " numbers do not fill shape " + Arrays.toString(shape));
        }
        return empty(dtype, shape);
    }

    // ---- what it is -----------------------------------------------------------------------------------------------

    /** The sizes of the dimensions. */
    public long[] shape() {
        return layout.shape().clone();
    }

    /** The size of one dimension; negative counts from the last. */
    public long size(int dim) {
        return layout.shape()[layout.dim(dim)];
    }

    /** The number of dimensions. */
    public int rank() {
        return layout.rank();
    }

    /** The number of elements. */
    public long count() {
        return layout.count();
    }

    /** The element type. */
    public DType dtype() {
        return storage.dtype();
    }

    /** Where the elements lie. */
    public Layout layout() {
        return layout;
    }

    /** The memory, shared by views. */
    public Storage storage() {
        return storage;
    }

    /**
     * The first element as an argument of a kernel call.
     *
     * @throws ScopeException if the scope that owns this tensor has closed
     * @throws TensorException if a gradient rule asks for it and the elements were changed after its operation, or if a gradient
     *     was allowed to overwrite them
     */
    public Buffer buffer() {
        alive();
        if (storage.changedAt != 0) {
            Autograd.requireUnchanged(this);
        }
        return new Buffer(storage, layout.offset());
    }

    /** {@link #buffer()} for a call that changes the elements: gradient rules that need the old ones will say so. */
    public Buffer mutableBuffer() {
        Buffer buffer = buffer();
        Autograd.changed(storage, "a kernel");
        return buffer;
    }

    /**
     * Throws if the memory is gone.
     *
     * @throws ScopeException if the scope that owns this tensor has closed
     * @throws TensorException if a gradient was allowed to overwrite the elements
     */
    Tensor alive() {
        if (!storage.scope().isOpen()) {
            throw closed(layout);
        }
        if (!storage.overwrittenBy.isEmpty()) {
            throw new TensorException(
                    "the elements of the tensor of " + layout + " are gone: the backward of '" + storage.overwrittenBy
                            + "' put their gradient there, as it was allowed to; do not allow it, or read a copy");
        }
        return this;
    }

    private static ScopeException closed(Layout layout) {
        return new ScopeException("a tensor of " + layout
                + " was used after its scope closed; make it outside of the scope, or keep() it before the scope ends");
    }

    void run(KernelCall call) {
        storage.scope().device().run(call);
    }

    // ---- reading and writing --------------------------------------------------------------------------------------

    /** The only element. */
    public double item() {
        if (count() != 1) {
            throw new TensorException("item: a tensor of " + layout + " has " + count() + " elements, not one");
        }
        return toDoubles()[0];
    }

    /** The elements in row-major order. */
    public float[] toFloats() {
        Tensor t = detach().to(DType.FLOAT32).contiguous().alive();
        float[] out = new float[Layout.intSize(count())];
        MemorySegment.copy(t.storage.segment(), ValueLayout.JAVA_FLOAT, t.layout.offset() * 4, out, 0, out.length);
        return out;
    }

    /** The elements in row-major order. */
    public double[] toDoubles() {
        Tensor t = detach().to(DType.FLOAT64).contiguous().alive();
        double[] out = new double[Layout.intSize(count())];
        MemorySegment.copy(t.storage.segment(), ValueLayout.JAVA_DOUBLE, t.layout.offset() * 8, out, 0, out.length);
        return out;
    }

    /** The elements in row-major order. */
    public int[] toInts() {
        Tensor t = detach().to(DType.INT32).contiguous().alive();
        int[] out = new int[Layout.intSize(count())];
        MemorySegment.copy(t.storage.segment(), ValueLayout.JAVA_INT, t.layout.offset() * 4, out, 0, out.length);
        return out;
    }

    /** The elements in row-major order. */
    public long[] toLongs() {
        Tensor t = detach().to(DType.INT64).contiguous().alive();
        long[] out = new long[Layout.intSize(count())];
        MemorySegment.copy(t.storage.segment(), ValueLayout.JAVA_LONG, t.layout.offset() * 8, out, 0, out.length);
        return out;
    }

    /** Whether the elements are not zero, in row-major order. */
    public boolean[] toBooleans() {
        Tensor t = detach().to(DType.BOOL).contiguous().alive();
        boolean[] out = new boolean[Layout.intSize(count())];
        for (int i = 0; i < out.length; i++) {
            out[i] = t.storage.segment().get(ValueLayout.JAVA_BYTE, t.layout.offset() + i) != 0;
        }
        return out;
    }

    /** The memory of a contiguous tensor's elements: for files, which are mapped and written without a copy. */
    public MemorySegment segment() {
        requireContiguous("segment");
        long bytes = dtype().bytes();
        return alive().storage.segment().asSlice(layout.offset() * bytes, count() * bytes);
    }

    /** Overwrites the elements with those of {@code from}, converted; not recorded for autograd. */
    public Tensor copyFrom(Tensor from) {
        if (!Arrays.equals(layout.shape(), from.layout.shape())) {
            throw new TensorException("copyFrom: " + from.layout + " into " + layout);
        }
        run(new KernelCall.Copy(shape(), from.buffer(), from.layout.strides(), buffer(), layout.strides(), false));
        Autograd.changed(storage, "copyFrom");
        return this;
    }

    /** Sets every element; not recorded for autograd. */
    public Tensor fill(double value) {
        requireContiguous("fill");
        run(new KernelCall.Fill(count(), buffer(), value));
        Autograd.changed(storage, "fill");
        return this;
    }

    /** A copy in the scope around the current one, without history. */
    public Tensor keep() {
        Scope outer = Scope.current().parent();
        Tensor kept = new Tensor(outer.allocate(dtype(), count()), Layout.contiguous(shape()));
        return kept.copyFrom(this);
    }

    private void requireContiguous(String op) {
        if (!layout.isContiguous()) {
            throw new TensorException(op + ": a tensor of " + layout + " is not contiguous; call contiguous() first");
        }
    }

    // ---- autograd -------------------------------------------------------------------------------------------------

    /** Whether gradients flow to this tensor. */
    public boolean requiresGrad() {
        node();
        Tensor t = previous == null ? this : asOf(Autograd.ruleRunning());
        return t.requiresGrad || t.node != null;
    }

    /** Whether this is not the result of a recorded operation: a parameter, or without a gradient. */
    public boolean isLeaf() {
        return node() == null;
    }

    /** Marks a tensor that was not computed from others as a parameter. */
    public Tensor requireGrad() {
        if (node() != null || !dtype().isFloatingPoint()) {
            throw new TensorException(
                    "requireGrad: only floating-point tensors that are not results can be parameters");
        }
        requiresGrad = true;
        return this;
    }

    /** The same numbers without history; shares the storage. */
    public Tensor detach() {
        return new Tensor(storage, layout);
    }

    /** Keeps the gradient of a result after {@link #backward()}, as parameters do. */
    public Tensor retainGrad() {
        hooksToAdd("retainGrad").retain = true;
        return this;
    }

    /**
     * Calls {@code hook} with the gradient of this tensor in each backward pass, once it is complete; what the hook returns goes
     * on in its place.
     *
     * <p>Hooks run in the order in which they were registered, without recording. They see their argument and must not change it
     * in place. A parameter's hooks see what one pass adds to {@link #grad()}.
     *
     * @return takes the hook back
     * @throws TensorException if this tensor does not require a gradient
     */
    public RemovableHandle registerHook(UnaryOperator<Tensor> hook) {
        return hooksToAdd("registerHook").add(hook);
    }

    private GradHooks hooksToAdd(String op) {
        if (!requiresGrad()) {
            throw new TensorException(op + ": no gradient flows to this tensor of " + layout
                    + "; it must be a parameter, or computed from one outside of noGrad");
        }
        GradHooks to = hooks == null ? new GradHooks() : hooks;
        hooks = to;
        return to;
    }

    @Nullable
    GradHooks hooks() {
        return hooks;
    }

    /** The gradient of a parameter, or of a result that {@linkplain #retainGrad retains} it; null if none has arrived. */
    public @Nullable Tensor grad() {
        if (node == null) {
            return arrived();
        }
        return hooks == null ? null : hooks.kept;
    }

    /** Forgets the gradient. The memory stays and the next gradient overwrites it. */
    public void zeroGrad() {
        if (node == null) {
            gradStale = grad != null;
        } else if (hooks != null) {
            hooks.kept = null;
        }
    }

    /** Adds the gradient of this number to every parameter it depends on. */
    public void backward() {
        backward(one(), false);
    }

    /** Adds the gradient of {@code sum(this * seed)} to every parameter it depends on. */
    public void backward(Tensor seed) {
        backward(seed, false);
    }

    /**
     * Adds the gradient of {@code sum(this * seed)} to every parameter it depends on.
     *
     * @param retainGraph whether another backward through the same graph will follow; otherwise it is freed on the way
     */
    public void backward(Tensor seed, boolean retainGraph) {
        Autograd.backward(List.of(this), List.of(seed), retainGraph);
    }

    /** The gradient to start from at one number. */
    Tensor one() {
        if (count() != 1) {
            throw new TensorException("backward: a tensor of " + layout + " is not one number; give its gradient");
        }
        return full(dtype(), 1, layout.shape());
    }

    /** The operation that this is the result of now. */
    @Nullable
    Node node() {
        if (base != null && base.version != version) {
            InPlace.follow(this, base);
        }
        return node;
    }

    /** The operation that this is the result of, whatever has become of the tensor that it views. */
    @Nullable
    Node lastNode() {
        return node;
    }

    Node recorded() {
        return Objects.requireNonNull(node);
    }

    void setNode(@Nullable Node node) {
        this.node = node;
    }

    void viewOf(Tensor other) {
        if (other != this) {
            base = other.base == null ? other : other.base;
            version = base.version;
        }
    }

    @Nullable
    Tensor base() {
        return base;
    }

    /** Makes this the result of {@code node}, which changed it in place; returns what it was before. */
    Tensor become(Node node) {
        Tensor before = asBefore();
        this.node = node;
        requiresGrad = false;
        grad = null;
        previous = before;
        changedAt = node.order;
        hooks = null;
        if (before.hooks != null && before.hooks.retain) {
            before.hooks.retain = false;
            retainGrad();
        }
        return before;
    }

    /** This tensor with the history that it has now. */
    private Tensor asBefore() {
        Tensor before = detach();
        before.requiresGrad = requiresGrad;
        before.node = node;
        before.grad = grad;
        before.gradStale = gradStale;
        before.hooks = hooks;
        before.base = base;
        before.version = version;
        before.previous = previous;
        before.changedAt = changedAt;
        return before;
    }

    /** Says to views of this that they must follow a change of its history. */
    void changedHistory() {
        version++;
    }

    void followed(Tensor base) {
        version = base.version;
    }

    /** What this tensor was for the node of a number. */
    Tensor asOf(long order) {
        Tensor t = this;
        while (t.previous != null && t.changedAt > order) {
            t = t.previous;
        }
        return t;
    }

    /** Where a rule writes a gradient: {@code target = result}, or {@code += result} if {@code accumulate}. */
    public record GradTarget(Tensor target, boolean accumulate) {}

    /** The place for a rule that computes this tensor's gradient itself. */
    public GradTarget gradInto() {
        return slot().into();
    }

    /** Adds {@code g}, of this tensor's shape; a result may share its memory until the next gradient arrives. */
    public void addGrad(Tensor g) {
        Tensor slot = slot();
        if (slot.requiresGrad || slot.node != null) {
            slot.accumulate(g);
        }
    }

    /**
     * Memory for the gradient of this result: its own, if neither another pass needs the elements nor they are those of a parameter.
     *
     * @param op the operation whose rule runs
     */
    Tensor overwriteByGrad(String op) {
        boolean needed = Autograd.retainsGraph() || isLeaf() || base != null || count() < storage.length();
        return needed ? empty(dtype(), shape()) : new Tensor(storage.overwrite(op), layout);
    }

    /** The tensor whose gradient the rule that runs means. */
    private Tensor slot() {
        if (previous != null) {
            return asOf(Autograd.ruleRunning());
        }
        return node == null && requiresGrad ? Autograd.slot(this) : this;
    }

    /** What has arrived of the gradient. */
    @Nullable
    Tensor arrived() {
        return gradStale ? null : grad;
    }

    private GradTarget into() {
        Tensor old = arrived();
        if (old == null) {
            Tensor to = grad;
            if (to == null) {
                to = newGrad();
                grad = to;
            }
            gradStale = false;
            return new GradTarget(to, false);
        }
        if (old.storage.gradOwners > 1) {
            Tensor copy = newGrad().copyFrom(old);
            old.storage.gradOwners--;
            grad = copy;
            return new GradTarget(copy, true);
        }
        return new GradTarget(old, true);
    }

    private Tensor newGrad() {
        Tensor g = new Tensor(gradScope().allocate(dtype(), count()), Layout.contiguous(shape()));
        g.storage.gradOwners++;
        return g;
    }

    /** Where the gradient lives: a leaf's as long as the leaf, a result's as long as its operation. */
    private Scope gradScope() {
        return node == null ? storage.scope() : node.scope;
    }

    void accumulate(Tensor g) {
        if (!Arrays.equals(g.layout.shape(), layout.shape())) {
            throw new TensorException("a gradient of " + g.layout + " for a tensor of " + layout);
        }
        if (grad == null
                && node != null
                && g.layout.isContiguous()
                && g.storage.scope().outlives(node.scope)) {
            grad = g.detach();
            g.storage.gradOwners++;
            return;
        }
        GradTarget into = into();
        into.target.run(new KernelCall.Copy(
                shape(),
                g.buffer(),
                g.layout.strides(),
                into.target.buffer(),
                into.target.layout.strides(),
                into.accumulate));
    }

    /** Called when the rule of this result has used its gradient. */
    void releaseGrad() {
        Tensor old = grad;
        if (old == null) {
            return;
        }
        grad = null;
        if (--old.storage.gradOwners == 0) {
            old.storage.scope().recycle(old.storage);
        }
    }

    /**
     * The sum of products that an equation of letters describes, as {@code torch.einsum}: {@code "bhqd,bhkd->bhqk"} sums over d.
     *
     * <p>Each operand has a term with a letter for each dimension, {@code ...} for any further ones, which broadcast. A letter
     * that is twice in a term takes the diagonal. Without {@code ->} the result has the letters that are there once, in
     * alphabetical order. Operands are multiplied from left to right.
     *
     * @throws TensorException if the equation is not one, or does not fit the operands
     */
    public static Tensor einsum(String equation, Tensor... operands) {
        return Einsum.of(equation, operands);
    }

    /** Elements in order, and their places (int32) along the dimension. */
    public record Sorted(Tensor values, Tensor indices) {}

    /** The tensors one after another along {@code dim}. */
    public static Tensor cat(int dim, Tensor... parts) {
        return Movement.cat(dim, parts);
    }

    /** The tensors one after another along a new dimension {@code dim}. */
    public static Tensor stack(int dim, Tensor... parts) {
        return Movement.stack(dim, parts);
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder("Tensor ").append(Arrays.toString(layout.shape()));
        if (!storage.scope().isOpen()) {
            return text.append(" (scope closed)").toString();
        }
        long shown = Math.min(8, count());
        double[] values = shown == 0
                ? new double[0]
                : Autograd.noGrad(() -> reshape(count()).narrow(0, 0, shown).toDoubles());
        text.append(' ').append(Arrays.toString(values));
        return count() > shown ? text.append(" ...").toString() : text.toString();
    }
}
