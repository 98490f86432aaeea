package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.PackWeight;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.KernelCall.SumRows;
import dev.isthmus.tensor.KernelCall.UnpackWeight;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.KernelCall.WeightMatMul;
import dev.isthmus.tensor.KernelCall.WeightMatMuls;
import dev.isthmus.tensor.Tensor.GradTarget;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A weight {@code [out, in]} used as a file stores it: a mapped file is multiplied without a copy.
 *
 * <p>Blocks are laid out anew by the first product ({@link PackWeight}), about as large as they are in the file, whose pages the system
 * may then drop; rows of an embedding and gradients read the file.
 */
public final class StoredWeight {
    /** The numbers of a weight that are float32 at once on the way back. */
    private static final int PANEL = 1 << 20;

    private final WeightFormat format;
    private final MemorySegment data;
    private final int in;
    private final int out;
    private @Nullable MemorySegment packed;

    /**
     * Checks the sizes.
     *
     * @param data native memory of {@code out} rows, which must stay alive as long as the weight is used
     * @param in the size of an input row
     * @param out the size of an output row
     */
    public StoredWeight(WeightFormat format, MemorySegment data, int in, int out) {
        if (in % format.block() != 0) {
            throw new TensorException("weight [" + out + ", " + in + "] as " + format + ": rows of " + in
                    + " numbers are no multiple of its blocks of " + format.block());
        }
        long expected = out * format.rowBytes(in);
        if (!data.isNative() || data.byteSize() < expected) {
            throw new TensorException("weight [" + out + ", " + in + "] as " + format + ": expected " + expected
                    + " bytes of native memory, found " + data.byteSize() + (data.isNative() ? "" : " on the heap"));
        }
        this.format = format;
        this.data = data;
        this.in = in;
        this.out = out;
    }

    /** How numbers are stored. */
    public WeightFormat format() {
        return format;
    }

    /** The rows as a file stores them. */
    public MemorySegment data() {
        return data;
    }

    /** The size of an input row. */
    public int in() {
        return in;
    }

    /** The size of an output row. */
    public int out() {
        return out;
    }

    /** The weight as products read it. */
    private synchronized MemorySegment forProducts(Tensor with) {
        if (!format.isPacked()) {
            return data;
        }
        if (packed == null) {
            MemorySegment memory = MemoryBlocks.collected(PackWeight.bytes(format, out, in));
            with.run(new PackWeight(format, out, in, data, memory));
            packed = memory;
        }
        return packed;
    }

    /** {@code x W^T + b} for {@code x [N, in]}: {@code [N, out]}; a row has the same bits alone and among others. */
    public Tensor linear(Tensor x, @Nullable Tensor bias) {
        return linear(List.of(this), x, bias);
    }

    /**
     * {@code x W^T + b} where W is several weights one below the other.
     *
     * <p>Weights are frozen: {@code dx = dy W}, from some of their rows at a time, {@code db = sum dy}.
     *
     * @param x {@code [N, in]}
     * @param bias one for each output of all weights, or null
     */
    public static Tensor linear(List<StoredWeight> weights, Tensor x, @Nullable Tensor bias) {
        int in = weights.getFirst().in;
        int out = weights.stream().mapToInt(StoredWeight::out).sum();
        if (x.rank() != 2 || x.size(1) != in || weights.stream().anyMatch(w -> w.in != in)) {
            throw new TensorException("linear with a stored weight [" + out + ", " + in + "]: expected an input [N, "
                    + in + "], found " + Arrays.toString(x.shape()));
        }
        if (bias != null && bias.count() != out) {
            throw new TensorException("linear with a stored weight [" + out + ", " + in + "]: expected a bias of " + out
                    + " numbers, found " + Arrays.toString(bias.shape()));
        }
        Tensor rows = x.alive().contiguous();
        Tensor b = bias == null ? null : bias.alive().contiguous();
        int n = Layout.intSize(rows.size(0));
        Tensor y = Tensor.empty(x.dtype(), n, out);
        int first = 0;
        List<WeightMatMul> calls = new ArrayList<>();
        for (StoredWeight w : weights) {
            Buffer bw = b == null ? null : b.buffer().plus(first);
            calls.add(new WeightMatMul(
                    w.format,
                    n,
                    w.out,
                    in,
                    rows.buffer(),
                    in,
                    w.forProducts(y),
                    bw,
                    y.buffer().plus(first),
                    out));
            first += w.out;
        }
        y.run(calls.size() == 1 ? calls.getFirst() : new WeightMatMuls(calls));
        Tensor[] inputs = b == null ? new Tensor[] {rows} : new Tensor[] {rows, b};
        return Autograd.record(
                "linear",
                y,
                dy -> {
                    if (b != null && b.requiresGrad()) {
                        GradTarget db = b.gradInto();
                        dy.run(new SumRows(n, out, dy.buffer(), out, db.target().buffer(), db.accumulate()));
                    }
                    if (rows.requiresGrad()) {
                        backward(weights, dy, rows.gradInto());
                    }
                },
                inputs);
    }

    private static void backward(List<StoredWeight> weights, Tensor dy, GradTarget dx) {
        int n = Layout.intSize(dy.size(0));
        int out = Layout.intSize(dy.size(1));
        int in = weights.getFirst().in;
        try (Scope scope = Scope.open()) {
            int most = Math.clamp(PANEL / in, 1, out);
            Tensor panel = Tensor.empty(dy.dtype(), most, in);
            int done = 0;
            for (StoredWeight w : weights) {
                for (int first = 0; first < w.out; first += most) {
                    int rows = Math.min(most, w.out - first);
                    MemorySegment from = w.data.asSlice(first * w.format.rowBytes(in));
                    dy.run(new UnpackWeight(w.format, rows, in, from, null, panel.buffer()));
                    dy.run(new MatMul(
                            false,
                            Storing.PLAIN,
                            n,
                            in,
                            rows,
                            dy.buffer().plus(done),
                            out,
                            panel.buffer(),
                            in,
                            null,
                            dx.target().buffer(),
                            in,
                            dx.accumulate() || done > 0));
                    done += rows;
                }
            }
        }
    }

    /**
     * The rows that {@code ids [N]} (int32) name, as float32: {@code [N, in]}.
     *
     * @throws TensorException if there is no such row
     */
    public Tensor embedding(Tensor ids) {
        Indexing.check("embedding", ids, out, 0);
        Tensor index = ids.to(DType.INT32).contiguous();
        int n = Layout.intSize(index.count());
        Tensor y = Tensor.empty(DType.FLOAT32, n, in);
        y.run(new UnpackWeight(format, n, in, data, index.buffer(), y.buffer()));
        return y;
    }

    /** The weight {@code [out, in]} as numbers, in the current scope. */
    public Tensor toTensor(DType dtype) {
        Tensor weight = Tensor.empty(dtype, out, in);
        weight.run(new UnpackWeight(format, out, in, data, null, weight.buffer()));
        return weight;
    }
}
