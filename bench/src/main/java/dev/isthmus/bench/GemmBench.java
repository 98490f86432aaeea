package dev.isthmus.bench;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/** Times matrix products of the shapes that training steps are made of. */
public final class GemmBench {
    private static final int WINDOWS = 7;
    private static final double WINDOW_FLOPS = 4e9;

    private GemmBench() {}

    /**
     * A product.
     *
     * @param op {@code NN}, {@code NT} (the second transposed: forward of a linear layer) or {@code TN} (the first: gradient of a
     *     weight)
     */
    public record Shape(String op, int m, int n, int k) {
        /** The products of the models S, M and L on 8,192 tokens, of a baby GPT and of GPT-2 124M. */
        public static final List<Shape> ALL = List.of(
                new Shape("NT", 8192, 384, 128),
                new Shape("NT", 8192, 704, 128),
                new Shape("NN", 8192, 128, 704),
                new Shape("TN", 704, 128, 8192),
                new Shape("TN", 128, 352, 8192),
                new Shape("NT", 8192, 1024, 192),
                new Shape("TN", 192, 512, 8192),
                new Shape("NT", 8192, 1408, 256),
                new Shape("NN", 8192, 256, 1408),
                new Shape("TN", 1408, 256, 8192),
                new Shape("NN", 3072, 1536, 384),
                new Shape("NN", 3072, 384, 1536),
                new Shape("TN", 384, 1536, 3072),
                new Shape("NN", 1024, 3072, 768),
                new Shape("TN", 768, 3072, 1024),
                new Shape("NT", 1024, 768, 3072),
                new Shape("NT", 256, 50257, 768),
                new Shape("NN", 1024, 1024, 1024));

        double flops() {
            return 2.0 * m * n * k;
        }
    }

    /** Floating-point operations a second: the best window, and the median of {@value #WINDOWS}. */
    public record Result(Shape shape, double best, double median) {}

    /** Measures one product. */
    public static Result measure(Shape shape) {
        try (Scope scope = Scope.open()) {
            boolean transA = shape.op.charAt(0) == 'T';
            Storing storing = shape.op.charAt(1) == 'T' ? Storing.TRANSPOSED : Storing.PLAIN;
            Tensor a = Tensor.empty(DType.FLOAT32, shape.m, shape.k).fill(1.0 / 3);
            Tensor b = Tensor.randn(DType.FLOAT32, Rng.of(1), 1, shape.k, 1).expand(shape.k, shape.n).contiguous();
            Tensor c = Tensor.empty(DType.FLOAT32, shape.m, shape.n);
            MatMul call = new MatMul(
                    transA,
                    storing,
                    shape.m,
                    shape.n,
                    shape.k,
                    a.buffer(),
                    transA ? shape.m : shape.k,
                    b.buffer(),
                    storing == Storing.TRANSPOSED ? shape.k : shape.n,
                    null,
                    c.buffer(),
                    shape.n,
                    false,
                    1,
                    0,
                    0,
                    0);
            Device device = scope.device();
            int repeats = (int) Math.max(1, WINDOW_FLOPS / shape.flops());
            double[] rates = new double[WINDOWS];
            for (int w = -2; w < WINDOWS; w++) {
                long start = System.nanoTime();
                for (int i = 0; i < repeats; i++) {
                    device.run(call);
                }
                if (w >= 0) {
                    rates[w] = repeats * shape.flops() / ((System.nanoTime() - start) / 1e9);
                }
            }
            Arrays.sort(rates);
            return new Result(shape, rates[WINDOWS - 1], rates[WINDOWS / 2]);
        }
    }
}
