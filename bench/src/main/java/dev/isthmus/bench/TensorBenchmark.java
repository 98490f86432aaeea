package dev.isthmus.bench;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** What a call costs from the tensor's side: scope, layout, tape and kernel together. */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@SuppressWarnings("NullAway.Init")
public class TensorBenchmark {
    private Scope scope;
    private Tensor input;
    private Tensor weight;

    @Setup(Level.Trial)
    public void setUp() {
        scope = Scope.open();
        Rng rng = Rng.of(1);
        input = Tensor.randn(DType.FLOAT32, rng.split("input"), 1, 512, 128);
        weight = Tensor.randn(DType.FLOAT32, rng.split("weight"), 1, 128);
    }

    @TearDown(Level.Trial)
    public void tearDown() {
        scope.close();
    }

    @Benchmark
    public double rmsNorm() {
        try (Scope step = Scope.open()) {
            return Functional.rmsNorm(input, weight, 1e-5).sum().item();
        }
    }
}
