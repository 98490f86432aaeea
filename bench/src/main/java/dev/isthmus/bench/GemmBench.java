package dev.isthmus.bench;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall.MatMul;
import dev.isthmus.tensor.KernelCall.Storing;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;

/** Times matrix products of the shapes that training steps are made of. */
public final class GemmBench {
    private GemmBench() {}

    /**
     * A product {@code C[m, n] = A[m, k] B[k, n]}.
     *
     * @param op {@code NN}, {@code NT} (the second is stored transposed: forward of a linear layer) or {@code TN} (the first:
     *     gradient of a weight)
     */
    public record Shape(String op, int m, int n, int k) {
        /** The products of the models S, M and L on 8,192 tokens, of a baby GPT on 3,072 and of GPT-2 124M on 256 and 1,024. */
        public static final List<Shape> ALL = List.of(
                new Shape("NT", 8192, 384, 128),
                new Shape("NT", 8192, 704, 128),
                new Shape("NN", 8192, 128, 704),
                new Shape("TN", 704, 128, 8192),
                new Shape("TN", 128, 352, 8192),
                new Shape("NT", 8192, 1024, 192),
                new Shape("NN", 8192, 192, 576),
                new Shape("TN", 192, 512, 8192),
                new Shape("NT", 8192, 1408, 256),
                new Shape("NN", 8192, 256, 1408),
                new Shape("TN", 1408, 256, 8192),
                new Shape("NN", 3072, 1152, 384),
                new Shape("NN", 3072, 1536, 384),
                new Shape("NN", 3072, 384, 1536),
                new Shape("NT", 3072, 384, 1152),
                new Shape("NT", 3072, 1536, 384),
                new Shape("TN", 384, 1536, 3072),
                new Shape("NN", 1024, 2304, 768),
                new Shape("NN", 1024, 3072, 768),
                new Shape("NT", 1024, 768, 3072),
                new Shape("TN", 768, 3072, 1024),
                new Shape("NN", 256, 3072, 768),
                new Shape("NN", 4096, 768, 3072),
                new Shape("NT", 256, 50257, 768),
                new Shape("NT", 1024, 50257, 768),
                new Shape("NN", 1024, 768, 50257),
                new Shape("TN", 50257, 768, 1024),
                new Shape("NN", 256, 256, 256),
                new Shape("NN", 1024, 1024, 1024));

        /** One of each kind and size, for an overview. */
        public static final List<Shape> FEW = List.of(
                new Shape("NT", 8192, 384, 128),
                new Shape("TN", 128, 352, 8192),
                new Shape("NN", 3072, 1536, 384),
                new Shape("TN", 768, 3072, 1024),
                new Shape("NT", 256, 50257, 768),
                new Shape("NN", 1024, 1024, 1024));

        private boolean transA() {
            return op.charAt(0) == 'T';
        }

        private boolean transB() {
            return op.charAt(1) == 'T';
        }

        double flops() {
            return 2.0 * m * n * k;
        }

        Map<String, Object> fields() {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("op", op);
            fields.put("m", m);
            fields.put("n", n);
            fields.put("k", k);
            fields.put("dtype", "float32");
            return fields;
        }
    }

    /** Measures the products on each number of threads, and says what the middle one and the worst come to. */
    public static void run(Bench bench, List<Shape> shapes, int... threads) {
        int before = Machine.threads();
        for (int count : threads) {
            Machine.setThreads(count);
            bench.ceilings();
            bench.report().title("matrix products");
            List<Figure> figures =
                    shapes.stream().map(shape -> measure(bench, shape)).toList();
            bench.report().note(summary(figures));
        }
        Machine.setThreads(before);
    }

    private static String summary(List<Figure> figures) {
        double[] fractions =
                figures.stream().mapToDouble(Figure::fraction).sorted().toArray();
        int worst = IntStream.range(0, fractions.length)
                .filter(i -> figures.get(i).fraction() == fractions[0])
                .findFirst()
                .orElseThrow();
        return String.format(
                Locale.ROOT,
                "%d products on %d threads: median %.0f%% of the peak, least %.0f%% (%s), most %.0f%%",
                fractions.length,
                figures.getFirst().threads(),
                100 * fractions[fractions.length / 2],
                100 * fractions[0],
                figures.get(worst).label(),
                100 * Arrays.stream(fractions).max().orElseThrow());
    }

    private static Figure measure(Bench bench, Shape shape) {
        try (Scope scope = Scope.open()) {
            Tensor result = Tensor.empty(DType.FLOAT32, shape.m, shape.n);
            MatMul call = call(shape, result);
            Device device = scope.device();
            return bench.figure(
                    "gemm",
                    String.format(Locale.ROOT, "%s %d x %d x %d", shape.op, shape.m, shape.n, shape.k),
                    shape.fields(),
                    Unit.billions("FLOP", shape.flops()),
                    Needs.flops(shape.flops()),
                    () -> {
                        device.run(call);
                        return 0;
                    });
        }
    }

    /** The product as a call, with operands made in the current scope. */
    static MatMul call(Shape shape, Tensor result) {
        int k = shape.k;
        return new MatMul(
                shape.transA(),
                shape.transB() ? Storing.TRANSPOSED : Storing.PLAIN,
                shape.m,
                shape.n,
                k,
                Data.floats(shape.m, k).buffer(),
                shape.transA() ? shape.m : k,
                Data.floats(k, shape.n).buffer(),
                shape.transB() ? k : shape.n,
                null,
                result.buffer(),
                shape.n,
                false);
    }
}
