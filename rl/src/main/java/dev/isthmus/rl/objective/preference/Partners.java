package dev.isthmus.rl.objective.preference;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Tensor;
import java.util.List;
import java.util.function.Function;

/**
 * What each pair of a batch is compared with where two sides are sorted and numbers of the same rank meet ({@link DpoLossType#AOT}).
 * All are without gradient, so that a part of a batch needs nothing else of the rest: the loss of a number and its partner has its
 * gradient on both sides.
 *
 * @param refMargins {@code [N]}, of the rank of the policy's margin {@code lp(y+) - lp(y-)} that margin of the reference
 * @param rejected {@code [N]}, of the rank of {@code lr(y+)} that log-ratio of a rejected completion
 * @param chosen {@code [N]}, of the rank of {@code lr(y-)} that log-ratio of a chosen one
 */
public record Partners(Tensor refMargins, Tensor rejected, Tensor chosen) {
    /** Those of all pairs of a batch, given in parts. */
    public static Partners of(List<Pairs> parts) {
        return Autograd.noGrad(() -> {
            Tensor chosen = cat(parts, pairs -> pairs.chosen().logps());
            Tensor rejected = cat(parts, pairs -> pairs.rejected().logps());
            Tensor refChosen = cat(parts, pairs -> pairs.chosen().reference());
            Tensor refRejected = cat(parts, pairs -> pairs.rejected().reference());
            Tensor chosenRatios = chosen.sub(refChosen);
            Tensor rejectedRatios = rejected.sub(refRejected);
            return new Partners(
                    partners(chosen.sub(rejected), refChosen.sub(refRejected)),
                    partners(chosenRatios, rejectedRatios),
                    partners(rejectedRatios, chosenRatios));
        });
    }

    private static Tensor cat(List<Pairs> parts, Function<Pairs, Tensor> values) {
        return Tensor.cat(0, parts.stream().map(values).toArray(Tensor[]::new));
    }

    private static Tensor partners(Tensor values, Tensor others) {
        Tensor ranks = values.argsort(0, false).argsort(0, false);
        return others.sort(0, false).values().indexSelect(0, ranks);
    }

    /** Those of pairs {@code from} to {@code to - 1}. */
    public Partners slice(int from, int to) {
        return new Partners(refMargins.slice(0, from, to), rejected.slice(0, from, to), chosen.slice(0, from, to));
    }
}
