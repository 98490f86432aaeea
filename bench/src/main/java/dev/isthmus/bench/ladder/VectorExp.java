package dev.isthmus.bench.ladder;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** {@code exp} of a vector of numbers that are not positive, as softmax needs it. */
final class VectorExp {
    static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final float LOWEST = -87;
    private static final float ROUND = 0x1.8p23f;
    private static final float LOG2_E = 1.442695f;
    private static final float LN2_HIGH = 0x1.62e4p-1f;
    private static final float LN2_LOW = 0x1.7f7d1cp-20f;

    private VectorExp() {}

    /**
     * {@code exp(x) = 2^n exp(r)} with {@code n = round(x / ln 2)}: adding and subtracting 1.5 2^23 rounds, a Taylor polynomial
     * gives {@code exp(r)} for {@code |r| <= ln 2 / 2}, and n is added to its exponent. Below -87 the result is exp(-87).
     */
    static FloatVector exp(FloatVector a) {
        FloatVector x = a.blend(LOWEST, a.compare(VectorOperators.LT, LOWEST));
        FloatVector shifted = x.mul(LOG2_E).add(ROUND);
        FloatVector n = shifted.sub(ROUND);
        FloatVector r = n.fma(FloatVector.broadcast(S, -LN2_LOW), n.fma(FloatVector.broadcast(S, -LN2_HIGH), x));
        FloatVector p = r.fma(FloatVector.broadcast(S, 1 / 720f), FloatVector.broadcast(S, 1 / 120f));
        p = p.fma(r, FloatVector.broadcast(S, 1 / 24f));
        p = p.fma(r, FloatVector.broadcast(S, 1 / 6f));
        p = p.fma(r, FloatVector.broadcast(S, 0.5f));
        p = p.fma(r, FloatVector.broadcast(S, 1));
        p = p.fma(r, FloatVector.broadcast(S, 1));
        IntVector exponent = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
        return p.reinterpretAsInts().add(exponent).reinterpretAsFloats();
    }
}
