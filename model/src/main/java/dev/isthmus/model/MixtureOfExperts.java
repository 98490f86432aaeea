package dev.isthmus.model;

import dev.isthmus.model.DecoderConfig.Experts;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Experts of which a router picks a few for each token (Shazeer et al. 2017, section 2.1): {@code sum over the picked e of p_e
 * expert_e(x)} with {@code p = softmax(router(x))}, and, where there is a shared expert, {@code sigmoid(sharedGate(x))
 * shared(x)}.
 *
 * <p>An expert reads the rows of its tokens only. The outputs of a token are added in the order of its experts, so that no value
 * depends on what else is in the batch.
 */
record MixtureOfExperts(
        Experts config,
        Linear router,
        List<Mlp> experts,
        @Nullable Mlp shared,
        @Nullable Linear sharedGate) implements FeedForward {
    @Override
    public Tensor forward(Tensor x, @Nullable AdapterRows rows, ModuleHooks hooks, Decoder.@Nullable Trace trace) {
        Tensor logits = router.forward(x, rows, hooks);
        if (trace != null) {
            trace.routerLogits(logits);
        }
        Tensor.Sorted top = logits.softmax(-1).topk(config.numExpertsPerTok(), -1, true);
        Tensor weights = config.normTopkProb() ? top.values().div(top.values().sum(-1, true)) : top.values();
        Tensor y = combined(x, top.indices().toInts(), weights.reshape(-1, 1), rows, hooks, trace);
        if (shared == null || sharedGate == null) {
            return y;
        }
        return y.add(sharedGate.forward(x, rows, hooks).sigmoid().mul(shared.forward(x, rows, hooks, trace)));
    }

    /**
     * The weighted sum of the picked experts.
     *
     * @param picked the expert of each pair of a token and one of its choices, {@code [N k]}
     * @param weights of the pairs, {@code [N k, 1]}
     */
    private Tensor combined(
            Tensor x,
            int[] picked,
            Tensor weights,
            @Nullable AdapterRows adapters,
            ModuleHooks hooks,
            Decoder.@Nullable Trace trace) {
        int perToken = config.numExpertsPerTok();
        int tokens = picked.length / perToken;
        int[][] places = new int[perToken][tokens];
        int[] seen = new int[tokens];
        int done = 0;
        List<Tensor> outputs = new ArrayList<>();
        for (int e = 0; e < experts.size(); e++) {
            int[] pairs = pairs(picked, e);
            if (pairs.length == 0) {
                continue;
            }
            int[] rows = Arrays.stream(pairs).map(p -> p / perToken).toArray();
            for (int row : rows) {
                places[seen[row]++][row] = done++;
            }
            Tensor own = Functional.embedding(x, Tensor.of(rows, rows.length));
            Tensor weight = Functional.embedding(weights, Tensor.of(pairs, pairs.length));
            AdapterRows ownAdapters = adapters == null ? null : adapters.select(rows);
            outputs.add(experts.get(e).forward(own, ownAdapters, hooks, trace).mul(weight));
        }
        Tensor all = Tensor.cat(0, outputs.toArray(Tensor[]::new));
        Tensor sum = Functional.embedding(all, Tensor.of(places[0], tokens));
        for (int i = 1; i < perToken; i++) {
            sum = sum.add(Functional.embedding(all, Tensor.of(places[i], tokens)));
        }
        return sum;
    }

    private static int[] pairs(int[] picked, int expert) {
        int[] pairs = new int[picked.length];
        int n = 0;
        for (int i = 0; i < picked.length; i++) {
            if (picked[i] == expert) {
                pairs[n++] = i;
            }
        }
        return Arrays.copyOf(pairs, n);
    }

    @Override
    public MixtureOfExperts map(UnaryOperator<Linear> f) {
        return new MixtureOfExperts(
                config,
                f.apply(router),
                experts.stream().map(expert -> expert.map(f)).toList(),
                shared == null ? null : shared.map(f),
                sharedGate == null ? null : f.apply(sharedGate));
    }

    /** {@link Decoder#loadBalancingLoss}. */
    static Tensor loadBalancingLoss(List<Tensor> routerLogits, Experts config) {
        int experts = config.numExperts();
        double[] picked = new double[experts];
        Tensor probability = Tensor.zeros(routerLogits.getFirst().dtype(), experts);
        long rows = 0;
        for (Tensor logits : routerLogits) {
            Tensor p = logits.softmax(-1);
            for (int e : p.detach()
                    .topk(config.numExpertsPerTok(), -1, true)
                    .indices()
                    .toInts()) {
                picked[e]++;
            }
            probability = probability.add(p.sum(0, false));
            rows += logits.size(0);
        }
        Tensor share = Tensor.of(picked, experts).to(probability.dtype()).div(rows);
        return share.mul(probability.div(rows)).sum().mul(experts);
    }
}
