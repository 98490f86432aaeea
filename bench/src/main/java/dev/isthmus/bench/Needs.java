package dev.isthmus.bench;

import dev.isthmus.tensor.Machine.Ceilings;

/**
 * What an operation cannot do without, and so how long it takes at least: the roofline (Williams et al. 2009).
 *
 * <p>Bytes count once, however often a kernel touches them: the caches are assumed to be perfect. Memory that is only written
 * is fetched first by the processor, so it costs as much as memory that is updated in place.
 *
 * @param flops floating-point operations; a multiply-add counts as two
 * @param read bytes that are only read
 * @param written bytes that are only written
 * @param updated bytes that are changed in place; each is read and written
 */
public record Needs(double flops, double read, double written, double updated) {
    /** Arithmetic alone. */
    public static Needs flops(double flops) {
        return new Needs(flops, 0, 0, 0);
    }

    /** Bytes read and bytes written elsewhere. */
    public static Needs memory(double read, double written) {
        return new Needs(0, read, written, 0);
    }

    /** The bytes that are moved at least; updated ones move twice. */
    public double bytes() {
        return read + written + 2 * updated;
    }

    /** The least time on a machine of which these ceilings were measured. */
    public Bound on(Ceilings ceilings) {
        double arithmetic = flops / ceilings.flops();
        double memory = read / ceilings.readBytes() + 2 * (written + updated) / ceilings.updateBytes();
        if (arithmetic >= memory) {
            return new Bound(arithmetic, "fma");
        }
        return new Bound(memory, written + updated == 0 ? "read" : read == 0 ? "update" : "read and update");
    }

    /**
     * The least time of a run.
     *
     * @param of the ceiling that it comes from: {@code fma}, {@code read}, {@code update} or both of the last
     */
    public record Bound(double seconds, String of) {}
}
