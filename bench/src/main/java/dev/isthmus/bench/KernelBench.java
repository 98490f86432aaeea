package dev.isthmus.bench;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall;
import dev.isthmus.tensor.KernelCall.Attention;
import dev.isthmus.tensor.KernelCall.AttentionBackward;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.PackMatrix;
import dev.isthmus.tensor.KernelCall.PackWeight;
import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.KernelCall.UnaryOp;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.KernelCall.WeightMatMul;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.tensor.UpdateRule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Times the calls that are no matrix products: optimizer, norms, activations, softmax, cross-entropy, attention, and products
 * with one row.
 *
 * <p>Buffers are far larger than the caches, so what does little arithmetic is held against the bandwidth of memory.
 */
public final class KernelBench {
    private KernelBench() {}

    /**
     * The sizes.
     *
     * @param rows the rows of norms, activations and softmax, and their columns
     * @param parameters what the optimizer moves
     * @param words the vocabulary of the cross-entropy, and its rows
     * @param out the rows of the weight that one row is multiplied with, and its columns
     */
    public record Sizes(
            int rows, int cols, int parameters, int tokens, int words, int out, int in, List<Sequences> sequences) {
        /** What the diary's figures are about. */
        public static final Sizes FULL = new Sizes(
                32_768,
                1024,
                1 << 25,
                1024,
                50_257,
                32_768,
                4096,
                List.of(new Sequences(4, 256, 12, 64), new Sequences(128, 64, 8, 32), new Sequences(1, 1024, 12, 64)));

        /** For an overview: one attention. */
        public static final Sizes FEW = new Sizes(
                FULL.rows,
                FULL.cols,
                FULL.parameters,
                FULL.tokens,
                FULL.words,
                FULL.out,
                FULL.in,
                FULL.sequences.subList(0, 1));
    }

    /** Sequences of one length that attend to themselves, causally. */
    public record Sequences(int batch, int length, int heads, int headDim) {
        private double pairs() {
            return 0.5 * length * (length + 1) * batch * heads;
        }
    }

    /** Measures them all on the present number of threads. */
    public static void run(Bench bench, Sizes s) {
        bench.ceilings();
        bench.report().title("kernels");
        adamW(bench, s.parameters);
        rmsNorm(bench, s.rows, s.cols);
        layerNorm(bench, s.rows, s.cols);
        swiGlu(bench, s.rows, s.cols);
        unary(bench, s.rows, s.cols);
        softmax(bench, s.rows, s.cols);
        crossEntropy(bench, s.tokens, s.words);
        s.sequences.forEach(sequences -> attention(bench, sequences));
        gemv(bench, s.out, s.in);
    }

    private static void adamW(Bench bench, int n) {
        try (Scope scope = Scope.open()) {
            UpdateRule rule = new UpdateRule.Adam(0.9, 0.999, 1e-8, false, true);
            List<Buffer> moments = List.of(empty(n), empty(n));
            KernelCall call = new KernelCall.OptimizerStep(
                    rule, n, Data.floats(n).buffer(), Data.floats(n).buffer(), moments, 1e-3, 0.01, 10, 1);
            memory(bench, "adamw", Map.of("n", n), new Needs(0, 4.0 * n, 0, 12.0 * n), call);
        }
    }

    private static void rmsNorm(Bench bench, int rows, int cols) {
        double bytes = 4.0 * rows * cols;
        try (Scope scope = Scope.open()) {
            Buffer x = Data.floats(rows, cols).buffer();
            Buffer weight = Data.floats(cols).buffer();
            Buffer y = empty(rows, cols);
            Buffer dx = empty(rows, cols);
            Buffer dweight = empty(cols);
            Buffer rstd = empty(rows);
            Map<String, Object> shape = matrix(rows, cols);
            memory(
                    bench,
                    "rms_norm",
                    shape,
                    Needs.memory(bytes, bytes),
                    new KernelCall.RmsNorm(rows, cols, 1e-5, x, cols, weight, y, cols, rstd));
            memory(
                    bench,
                    "rms_norm_backward",
                    shape,
                    Needs.memory(2 * bytes, bytes),
                    new KernelCall.RmsNormBackward(
                            rows, cols, x, cols, weight, rstd, y, cols, dx, false, dweight, false));
        }
    }

    private static void layerNorm(Bench bench, int rows, int cols) {
        double bytes = 4.0 * rows * cols;
        try (Scope scope = Scope.open()) {
            Buffer x = Data.floats(rows, cols).buffer();
            Buffer weight = Data.floats(cols).buffer();
            Buffer y = empty(rows, cols);
            Buffer dx = empty(rows, cols);
            Buffer mean = empty(rows);
            Buffer rstd = empty(rows);
            Map<String, Object> shape = matrix(rows, cols);
            memory(
                    bench,
                    "layer_norm",
                    shape,
                    Needs.memory(bytes, bytes),
                    new KernelCall.LayerNorm(rows, cols, 1e-5, x, weight, weight, y, mean, rstd));
            memory(
                    bench,
                    "layer_norm_backward",
                    shape,
                    Needs.memory(2 * bytes, bytes),
                    new KernelCall.LayerNormBackward(
                            rows, cols, x, weight, mean, rstd, y, dx, false, empty(cols), false, empty(cols), false));
        }
    }

    private static void swiGlu(Bench bench, int rows, int cols) {
        double bytes = 4.0 * rows * cols;
        try (Scope scope = Scope.open()) {
            Buffer gateUp = Data.floats(rows, 2L * cols).buffer();
            Buffer out = empty(rows, cols);
            Map<String, Object> shape = matrix(rows, cols);
            memory(
                    bench,
                    "swiglu",
                    shape,
                    Needs.memory(2 * bytes, bytes),
                    new KernelCall.SwiGlu(rows, cols, gateUp, out));
            memory(
                    bench,
                    "swiglu_backward",
                    shape,
                    Needs.memory(3 * bytes, 2 * bytes),
                    new KernelCall.SwiGluBackward(rows, cols, gateUp, out, empty(rows, 2 * cols)));
        }
    }

    private static void unary(Bench bench, int rows, int cols) {
        long n = (long) rows * cols;
        double bytes = 4.0 * n;
        try (Scope scope = Scope.open()) {
            Buffer x = Data.floats(n).buffer();
            Buffer y = Data.floats(n).buffer();
            Map<String, Object> shape = Map.of("n", n);
            memory(
                    bench,
                    "gelu",
                    shape,
                    Needs.memory(bytes, bytes),
                    new KernelCall.Unary(UnaryOp.GELU_TANH, n, x, y, 0, 0));
            memory(
                    bench,
                    "gelu_backward",
                    shape,
                    Needs.memory(2 * bytes, bytes),
                    new KernelCall.UnaryBackward(UnaryOp.GELU_TANH, n, x, y, empty(rows, cols), 0, 0, false));
            memory(bench, "silu", shape, Needs.memory(bytes, bytes), new KernelCall.Unary(UnaryOp.SILU, n, x, y, 0, 0));
            memory(bench, "exp", shape, Needs.memory(bytes, bytes), new KernelCall.Unary(UnaryOp.EXP, n, x, y, 0, 0));
        }
    }

    private static void softmax(Bench bench, int rows, int cols) {
        double bytes = 4.0 * rows * cols;
        try (Scope scope = Scope.open()) {
            Buffer x = Data.floats(rows, cols).buffer();
            Buffer y = empty(rows, cols);
            Map<String, Object> shape = matrix(rows, cols);
            memory(
                    bench,
                    "softmax",
                    shape,
                    Needs.memory(bytes, bytes),
                    new KernelCall.Softmax(rows, cols, x, y, false));
            memory(
                    bench,
                    "softmax_backward",
                    shape,
                    Needs.memory(2 * bytes, bytes),
                    new KernelCall.SoftmaxBackward(rows, cols, y, x, empty(rows, cols), false));
            memory(
                    bench,
                    "log_softmax",
                    shape,
                    Needs.memory(bytes, bytes),
                    new KernelCall.Softmax(rows, cols, x, y, true));
            memory(
                    bench,
                    "log_softmax_backward",
                    shape,
                    Needs.memory(2 * bytes, bytes),
                    new KernelCall.SoftmaxBackward(rows, cols, y, x, empty(rows, cols), true));
        }
    }

    private static void crossEntropy(Bench bench, int rows, int words) {
        double n = (double) rows * words;
        try (Scope scope = Scope.open()) {
            Buffer logits = Data.floats(rows, words).buffer();
            Buffer target = Data.ints(words, rows).buffer();
            Buffer loss = empty(rows);
            Buffer dLoss = Data.floats(rows).buffer();
            Buffer lse = empty(rows);
            Map<String, Object> shape = fields("rows", rows, "words", words);
            Unit unit = Unit.billions("elem", n);
            measure(
                    bench,
                    "cross_entropy",
                    shape,
                    unit,
                    new Needs(0, 4 * n, 0, 0),
                    new KernelCall.CrossEntropy(rows, words, logits, 1, target, loss, lse, null));
            measure(
                    bench,
                    "cross_entropy_backward",
                    shape,
                    unit,
                    Needs.memory(4 * n, 4 * n),
                    new KernelCall.CrossEntropyBackward(
                            rows, words, logits, 1, target, lse, dLoss, empty(rows, words)));
            measure(
                    bench,
                    "cross_entropy_backward_inplace",
                    shape,
                    unit,
                    new Needs(0, 0, 0, 4 * n),
                    new KernelCall.CrossEntropyBackward(rows, words, logits, 1, target, lse, dLoss, logits));
        }
    }

    /** Scores and their sums: two products forward, five backward, of the pairs that causality leaves. */
    private static void attention(Bench bench, Sequences s) {
        int width = s.heads * s.headDim;
        int rows = s.batch * s.length;
        int[] starts = new int[s.batch + 1];
        for (int i = 0; i < starts.length; i++) {
            starts[i] = i * s.length;
        }
        Ragged ragged = new Ragged(starts);
        Heads heads = new Heads(s.heads, s.heads, s.headDim, 1 / Math.sqrt(s.headDim), true);
        double product = 2 * s.pairs() * s.headDim;
        Map<String, Object> shape =
                fields("batch", s.batch, "length", s.length, "heads", s.heads, "head_dim", s.headDim);
        try (Scope scope = Scope.open()) {
            Buffer qkv = Data.floats(rows, 3L * width).buffer();
            Buffer k = qkv.plus(width);
            Buffer v = qkv.plus(2L * width);
            Buffer out = empty(rows, width);
            Buffer dOut = Data.floats(rows, width).buffer();
            Buffer lse = empty(rows, s.heads);
            Buffer dqkv = empty(rows, 3 * width);
            int ld = 3 * width;
            measure(
                    bench,
                    "attention",
                    shape,
                    Unit.billions("FLOP", 2 * product),
                    Needs.flops(2 * product),
                    new Attention(ragged, heads, qkv, ld, k, ld, v, ld, out, width, lse));
            measure(
                    bench,
                    "attention_backward",
                    shape,
                    Unit.billions("FLOP", 5 * product),
                    Needs.flops(5 * product),
                    new AttentionBackward(
                            ragged,
                            heads,
                            qkv,
                            ld,
                            k,
                            ld,
                            v,
                            ld,
                            out,
                            dOut,
                            width,
                            lse,
                            dqkv,
                            dqkv.plus(width),
                            dqkv.plus(2L * width)));
        }
    }

    /** One row times a weight: packed, as the model is while it samples, and in the formats of files. */
    private static void gemv(Bench bench, int out, int in) {
        try (Scope scope = Scope.open()) {
            Buffer x = Data.floats(in).buffer();
            Buffer packed = empty((int) PackMatrix.size(1, out), in);
            scope.device()
                    .run(new PackMatrix(true, in, out, Data.floats(out, in).buffer(), in, packed));
            Map<String, Object> shape = fields("m", 1, "n", out, "k", in);
            memory(
                    bench,
                    "gemv_packed",
                    shape,
                    new Needs(0, 4.0 * out * in, 0, 0),
                    new MatMul(false, Storing.PACKED, 1, out, in, x, in, packed, 0, null, empty(out), out, false));
        }
        for (WeightFormat format : WeightFormat.values()) {
            try (Scope scope = Scope.open()) {
                Buffer x = Data.floats(in).buffer();
                MemorySegment weight = Data.weight(format, out, in);
                if (format.isPacked()) {
                    MemorySegment packed = Arena.ofAuto().allocate(PackWeight.bytes(format, out, in), 64);
                    scope.device().run(new PackWeight(format, out, in, weight, packed));
                    weight = packed;
                }
                Map<String, Object> shape =
                        fields("m", 1, "n", out, "k", in, "dtype", format.name().toLowerCase(Locale.ROOT));
                memory(
                        bench,
                        "gemv",
                        shape,
                        new Needs(0, (double) out * format.rowBytes(in), 0, 0),
                        new WeightMatMul(format, 1, out, in, x, in, weight, null, empty(out), out));
            }
        }
    }

    private static void memory(Bench bench, String op, Map<String, ?> shape, Needs needs, KernelCall call) {
        measure(bench, op, shape, Unit.billions("B", needs.bytes()), needs, call);
    }

    private static void measure(Bench bench, String op, Map<String, ?> shape, Unit unit, Needs needs, KernelCall call) {
        Device device = Scope.current().device();
        Map<String, Object> fields = fields("op", op);
        fields.putAll(shape);
        fields.putIfAbsent("dtype", "float32");
        StringBuilder label = new StringBuilder(op);
        shape.forEach((name, size) -> label.append(' ').append(name).append(' ').append(size));
        bench.figure("kernels", label.toString(), fields, unit, needs, () -> {
            device.run(call);
            return 0;
        });
    }

    private static Map<String, Object> matrix(int rows, int cols) {
        return fields("rows", rows, "cols", cols);
    }

    private static Map<String, Object> fields(Object... namesAndValues) {
        Map<String, Object> fields = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            fields.put((String) namesAndValues[i], namesAndValues[i + 1]);
        }
        return fields;
    }

    private static Buffer empty(int... shape) {
        long count = 1;
        for (int size : shape) {
            count *= size;
        }
        return Tensor.empty(DType.FLOAT32, count).fill(0).buffer();
    }
}
