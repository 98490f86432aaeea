package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.LANES;
import static dev.isthmus.tensor.cpu.Simd.MEM;
import static dev.isthmus.tensor.cpu.Simd.ORDER;
import static dev.isthmus.tensor.cpu.Simd.getFloat;
import static dev.isthmus.tensor.cpu.Simd.setFloat;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.isthmus.tensor.Buffer;
import jdk.incubator.vector.VectorMask;
import org.jspecify.annotations.Nullable;

/**
 * The targets of a cross-entropy with class weights or label smoothing: what a row needs beyond that of a one-hot target, done
 * while the row is in the cache.
 *
 * @param weight the address of {@code w[n]}
 */
record SmoothTargets(int n, float smoothing, long weight, float meanWeight) {

    /** Null where the targets are one-hot. */
    static @Nullable SmoothTargets of(int n, double smoothing, @Nullable Buffer weight) {
        if (smoothing == 0 && weight == null) {
            return null;
        }
        if (weight == null) {
            long ones = Scratch.address(Scratch.Use.WEIGHTS, n * 4L);
            for (int j = 0; j < n; j++) {
                setFloat(ones + j * 4L, 1);
            }
            return new SmoothTargets(n, (float) smoothing, ones, 1);
        }
        double sum = 0;
        for (int j = 0; j < n; j++) {
            sum += getFloat(weight.address() + j * 4L);
        }
        return new SmoothTargets(n, (float) smoothing, weight.address(), (float) (sum / n));
    }

    /** {@code (1 - s) w[word]}: what the target itself weighs. */
    private float hit(int word) {
        return (1 - smoothing) * getFloat(weight + word * 4L);
    }

    /** What all words weigh together. */
    float total(int word) {
        return hit(word) + smoothing * meanWeight;
    }

    /** {@code (1 - s) w[word] loss + s mean_j w[j] (lse - factor x[j])}. */
    float loss(float loss, int word, float lse, float factor, long x) {
        if (smoothing == 0) {
            return hit(word) * loss;
        }
        float sum = NormLoops.dot(n, x, weight, Scratch.address(Scratch.Use.LANES, 4L * Rows.LANES));
        return hit(word) * loss + smoothing * (meanWeight * lse - factor * sum / n);
    }

    /** {@code dx -= g ((1 - s) w[word] onehot(word) + s w / n)}. */
    void subtract(float g, int word, long dx) {
        setFloat(dx + word * 4L, getFloat(dx + word * 4L) - g * hit(word));
        if (smoothing == 0) {
            return;
        }
        float even = -g * smoothing / n;
        int whole = F.loopBound(n);
        for (int j = 0; j < whole; j += LANES) {
            fromMemorySegment(F, MEM, weight + j * 4L, ORDER)
                    .mul(even)
                    .add(fromMemorySegment(F, MEM, dx + j * 4L, ORDER))
                    .intoMemorySegment(MEM, dx + j * 4L, ORDER);
        }
        if (whole < n) {
            VectorMask<Float> mask = F.indexInRange(whole, n);
            fromMemorySegment(F, MEM, weight + whole * 4L, ORDER, mask)
                    .mul(even)
                    .add(fromMemorySegment(F, MEM, dx + whole * 4L, ORDER, mask))
                    .intoMemorySegment(MEM, dx + whole * 4L, ORDER, mask);
        }
    }
}
