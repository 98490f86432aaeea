package dev.isthmus.rl.reward;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/**
 * One model in place of several that were trained from the same start: {@code theta = mean_k theta_k} (Rame et al. 2024, WARM, arXiv
 * 2401.12187, eq. 3).
 */
public final class WeightAverage {
    private WeightAverage() {}

    /**
     * Writes the mean of the members' parameters into a model's.
     *
     * @param target the parameters that are overwritten; they may be those of a member
     * @param members the parameters of each, in the same order
     * @throws IsthmusException if there is no member, or one has other parameters than the target
     */
    public static void into(List<Tensor> target, List<List<Tensor>> members) {
        if (members.isEmpty()) {
            throw new IsthmusException("An average needs at least one model.");
        }
        for (List<Tensor> member : members) {
            if (member.size() != target.size()) {
                throw new IsthmusException(
                        "A member has " + member.size() + " parameters, the target " + target.size());
            }
        }
        for (int i = 0; i < target.size(); i++) {
            try (Scope scope = Scope.open()) {
                int at = i;
                Tensor to = target.get(i).detach();
                to.copyFrom(Autograd.noGrad(() -> mean(at, to, members)));
            }
        }
    }

    /** {@code theta = alpha towards + (1 - alpha) theta}: a reference follows its policy (TR-DPO, Gorbatovski et al. 2024). */
    public static void move(List<Tensor> target, List<Tensor> towards, double alpha) {
        for (int i = 0; i < target.size(); i++) {
            try (Scope scope = Scope.open()) {
                Tensor own = target.get(i).detach();
                Tensor other = towards.get(i).detach();
                own.copyFrom(Autograd.noGrad(() -> other.mul(alpha).add(own.mul(1 - alpha))));
            }
        }
    }

    private static Tensor mean(int parameter, Tensor like, List<List<Tensor>> members) {
        Tensor sum = Tensor.zerosLike(like);
        for (List<Tensor> member : members) {
            Tensor part = member.get(parameter).detach();
            if (!Arrays.equals(part.shape(), like.shape())) {
                throw new IsthmusException("Parameter " + parameter + " of a member is " + Arrays.toString(part.shape())
                        + ", that of the target " + Arrays.toString(like.shape()));
            }
            sum = sum.add(part);
        }
        return sum.div(members.size());
    }
}
