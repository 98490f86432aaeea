package dev.isthmus.tensor;

import java.util.random.RandomGenerator;

/**
 * A splittable random generator whose streams are functions of a path, not of history.
 *
 * <p>{@code Rng.of(seed).split("rollout", step, row)} is the same stream whenever and on whatever thread it is asked for,
 * so nothing has to be saved to resume a run exactly, and one sequence's samples do not depend on what else is in the
 * batch. Within a stream, numbers come from SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) started at the mixed key.
 *
 * <p>An instance is not safe for use by several threads; split one stream for each.
 */
public final class Rng implements RandomGenerator {
    private static final long GOLDEN = 0x9e3779b97f4a7c15L;

    private final long key;
    private long state;

    private Rng(long key) {
        this.key = key;
        this.state = key;
    }

    /** The root stream of a seed. */
    public static Rng of(long seed) {
        return new Rng(mix(seed + GOLDEN));
    }

    /** The child stream named by {@code purpose} and {@code path}; it does not depend on how far this stream was read. */
    public Rng split(String purpose, long... path) {
        long k = mix(key ^ GOLDEN);
        for (int i = 0; i < purpose.length(); i++) {
            k = mix(k + GOLDEN * (purpose.charAt(i) + 1));
        }
        for (long p : path) {
            k = mix(k + GOLDEN ^ mix(p + GOLDEN));
        }
        return new Rng(k);
    }

    @Override
    public long nextLong() {
        state += GOLDEN;
        return mix(state);
    }

    /** A float in {@code [0, 1)} with 24 random bits. */
    @Override
    public float nextFloat() {
        return (nextLong() >>> 40) * 0x1p-24f;
    }

    /** What the call number {@code i}, from 0, of {@link #nextFloat} on a new stream gives; it does not matter how far this one was read. */
    public float floatAt(long i) {
        return (mix(key + (i + 1) * GOLDEN) >>> 40) * 0x1p-24f;
    }

    /** A double in {@code [0, 1)} with 53 random bits. */
    @Override
    public double nextDouble() {
        return (nextLong() >>> 11) * 0x1p-53;
    }

    /** Shuffles the first {@code values.length} entries in place (Fisher-Yates). */
    public void shuffle(int[] values) {
        for (int i = values.length - 1; i > 0; i--) {
            int j = nextInt(i + 1);
            int t = values[i];
            values[i] = values[j];
            values[j] = t;
        }
    }

    // Variant 13 of Stafford's finalisers, as in java.util.SplittableRandom.
    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }
}
