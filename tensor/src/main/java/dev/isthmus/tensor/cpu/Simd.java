package dev.isthmus.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/**
 * What all vector kernels share: the species and the one segment over all of memory.
 *
 * <p>Kernels address memory as {@code MEM} plus a native address: bounds and liveness checks fold away. The layer above owns
 * the checked segments.
 *
 * <p>Two limits of HotSpot's compilers bound the size of a kernel; beyond them vectors are boxed, 10 to 100 times slower. C2
 * inlines ordinary methods, such as the helpers here, only until a method has 18,000 nodes, some 35 vector operations; calls
 * of the Vector API itself it always inlines. C1 gives up on methods with more than some 16 vectors alive.
 */
final class Simd {
    /** The vector width in use: the preferred one, or a narrower one forced by {@code -Disthmus.vector.bits}. */
    static final VectorSpecies<Float> F = species();

    static final int LANES = F.length();
    static final int BYTES = LANES * Float.BYTES;
    static final MemorySegment MEM = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
    static final ByteOrder ORDER = ByteOrder.nativeOrder();

    /**
     * The bits that an address may have: {@code (address & ADDRESS) + offset}, with an offset that the compiler knows to be from
     * 0 to 2^62, is inside of {@link #MEM} by its type.
     *
     * <p>So C2 drops the bounds check as it reads the code. A check that it can only move out of the loop costs more than its
     * time: it is done for a nest of loops around the real one, which takes so many registers that row addresses live in memory.
     */
    static final long ADDRESS = -1L >>> 2;

    /**
     * The bits that a distance in bytes may have: a masked address plus {@code i * stride}, with an int that counts up from 0, is
     * inside of {@link #MEM} likewise. A stride that is always 4 is better passed and masked too: of a constant C2 would make
     * the nest of loops before it knows that {@code i} is not negative.
     */
    static final long STRIDE = (1L << 30) - 1;

    static {
        // A class that is loaded later, beside one that was alone till then, would undo compiled kernels.
        Object[] _ = {
            IntVector.SPECIES_PREFERRED,
            ShortVector.SPECIES_PREFERRED,
            ByteVector.SPECIES_PREFERRED,
            DoubleVector.SPECIES_PREFERRED,
            MemorySegment.ofArray(new byte[1])
        };
    }

    private Simd() {}

    private static VectorSpecies<Float> species() {
        int preferred = FloatVector.SPECIES_PREFERRED.vectorBitSize();
        return switch (Math.min(Integer.getInteger("isthmus.vector.bits", preferred), preferred)) {
            case 128 -> FloatVector.SPECIES_128;
            case 256 -> FloatVector.SPECIES_256;
            case 512 -> FloatVector.SPECIES_512;
            default -> FloatVector.SPECIES_PREFERRED;
        };
    }

    static FloatVector load(long address) {
        return FloatVector.fromMemorySegment(F, MEM, address, ORDER);
    }

    static void store(FloatVector v, long address) {
        v.intoMemorySegment(MEM, address, ORDER);
    }

    /** Zeros where the mask is not set; nothing is read there. */
    static FloatVector load(long address, VectorMask<Float> mask) {
        return FloatVector.fromMemorySegment(F, MEM, address, ORDER, mask);
    }

    static void store(FloatVector v, long address, VectorMask<Float> mask) {
        v.intoMemorySegment(MEM, address, ORDER, mask);
    }

    /** The mask of the first {@code n} lanes. */
    static VectorMask<Float> first(int n) {
        return F.indexInRange(0, n);
    }

    /** A vector of copies of the number at {@code address}. */
    static FloatVector repeat(long address) {
        return FloatVector.broadcast(F, getFloat(address));
    }

    static float getFloat(long address) {
        return MEM.get(ValueLayout.JAVA_FLOAT_UNALIGNED, address);
    }

    static void setFloat(long address, float value) {
        MEM.set(ValueLayout.JAVA_FLOAT_UNALIGNED, address, value);
    }
}
