package dev.isthmus.tensor;

import dev.isthmus.tensor.Autograd.Node;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;
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
    private boolean retainsGrad;
    private boolean gradStale;
    private @Nullable Node node;
    private @Nullable Tensor grad;

    Tensor(Storage storage, Layout layout) {
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
        double[] values = new double[Math.toIntExact((long) count)];
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

    /** A tensor of independent normal numbers with mean 0 and deviation {@code std}. */
    public static Tensor randn(DType dtype, Rng rng, double std, long... shape) {
        double[] values = new double[Math.toIntExact(Layout.count(shape))];
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

    /** The first element as an argument of a kernel call. */
    public Buffer buffer() {
        return new Buffer(storage, layout.offset());
    }

    /**
     * Throws if the memory is gone.
     *
     * @throws ScopeException if the scope that owns this tensor has closed
     */
    Tensor alive() {
        if (!storage.scope().isOpen()) {
            throw new ScopeException("a tensor of " + layout
                    + " was used after its scope closed; make it outside of the scope, or keep() it before the scope ends");
        }
        return this;
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
        float[] out = new float[Math.toIntExact(count())];
        MemorySegment.copy(t.storage.segment(), ValueLayout.JAVA_FLOAT, t.layout.offset() * 4, out, 0, out.length);
        return out;
    }

    /** The elements in row-major order. */
    public double[] toDoubles() {
        Tensor t = detach().to(DType.FLOAT64).contiguous().alive();
        double[] out = new double[Math.toIntExact(count())];
        MemorySegment.copy(t.storage.segment(), ValueLayout.JAVA_DOUBLE, t.layout.offset() * 8, out, 0, out.length);
        return out;
    }

    /** The elements in row-major order. */
    public int[] toInts() {
        Tensor t = detach().to(DType.INT32).contiguous().alive();
        int[] out = new int[Math.toIntExact(count())];
        MemorySegment.copy(t.storage.segment(), ValueLayout.JAVA_INT, t.layout.offset() * 4, out, 0, out.length);
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
        from.alive();
        alive().run(new KernelCall.Copy(
                shape(), from.buffer(), from.layout.strides(), buffer(), layout.strides(), false));
        return this;
    }

    /** Sets every element; not recorded for autograd. */
    public Tensor fill(double value) {
        requireContiguous("fill");
        alive().run(new KernelCall.Fill(count(), buffer(), value));
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
        return requiresGrad || node != null;
    }

    /** Marks a tensor that was not computed from others as a parameter. */
    public Tensor requireGrad() {
        if (node != null || !dtype().isFloatingPoint()) {
            throw new TensorException("requireGrad: only floating-point tensors that are not results can be parameters");
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
        retainsGrad = true;
        return this;
    }

    /** The gradient, or null if none has arrived since the last {@link #zeroGrad()}. */
    public @Nullable Tensor grad() {
        return gradStale ? null : grad;
    }

    /** Forgets the gradient. The memory stays and the next gradient overwrites it. */
    public void zeroGrad() {
        gradStale = grad != null;
    }

    /** Adds the gradient of this number to every parameter it depends on. */
    public void backward() {
        if (count() != 1) {
            throw new TensorException("backward: a tensor of " + layout + " is not one number; give its gradient");
        }
        backward(full(dtype(), 1, layout.shape()));
    }

    /** Adds the gradient of {@code sum(this * seed)} to every parameter it depends on. */
    public void backward(Tensor seed) {
        if (!Arrays.equals(seed.layout.shape(), layout.shape())) {
            throw new TensorException("backward: a gradient of " + seed.layout + " for a tensor of " + layout);
        }
        seed.storage.gradOwners++;
        Autograd.backward(this, seed);
    }

    @Nullable Node node() {
        return node;
    }

    void setNode(@Nullable Node node) {
        this.node = node;
    }

    /** Where a rule writes a gradient: {@code target = result}, or {@code += result} if {@code accumulate}. */
    public record GradTarget(Tensor target, boolean accumulate) {}

    /** The place for a rule that computes this tensor's gradient itself. */
    public GradTarget gradInto() {
        Tensor old = grad();
        if (old == null) {
            boolean reuse = grad != null && gradStale;
            if (!reuse) {
                Scope scope = node == null ? storage.scope() : Scope.current();
                grad = new Tensor(scope.allocate(dtype(), count()), Layout.contiguous(shape()));
                grad.storage.gradOwners++;
            }
            gradStale = false;
            return new GradTarget(Objects.requireNonNull(grad()), false);
        }
        if (old.storage.gradOwners > 1) {
            Tensor copy = empty(dtype(), shape()).copyFrom(old);
            old.storage.gradOwners--;
            copy.storage.gradOwners++;
            grad = copy;
        }
        return new GradTarget(Objects.requireNonNull(grad()), true);
    }

    /** Adds {@code g}, of this tensor's shape; a result may share its memory until the next gradient arrives. */
    public void addGrad(Tensor g) {
        if (!requiresGrad()) {
            return;
        }
        if (!Arrays.equals(g.layout.shape(), layout.shape())) {
            throw new TensorException("a gradient of " + g.layout + " for a tensor of " + layout);
        }
        if (grad == null && node != null && g.layout.isContiguous()) {
            grad = g.detach();
            g.storage.gradOwners++;
            return;
        }
        GradTarget into = gradInto();
        into.target.run(new KernelCall.Copy(
                shape(), g.buffer(), g.layout.strides(), into.target.buffer(), into.target.layout.strides(), into.accumulate));
    }

    /** Called when the rule of this result has used its gradient. */
    void releaseGrad() {
        Tensor old = grad;
        if (old == null || retainsGrad) {
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
