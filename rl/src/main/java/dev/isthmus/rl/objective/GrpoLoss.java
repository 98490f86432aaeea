package dev.isthmus.rl.objective;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The policy-gradient loss of GRPO and its variants, with TRL's names and defaults.
 *
 * <p>A token costs what the {@link Surrogate} says, plus {@code beta} times an estimate of the KL divergence from the
 * reference, k3 in TRL (Shao et al. 2024, eq. 3 and 4); the {@link Normalizer} averages; {@code entropy_coef} times the mean entropy is
 * taken off.
 *
 * @param beta the weight of the KL term; at 0 no reference model is needed
 * @param useBiasCorrectionKl whether the KL estimate is weighted with the ratio, which makes it unbiased off-policy
 *     (DeepSeek-V3.2, arXiv 2512.02556, eq. 7)
 * @param offPolicyMaskThreshold sequences with a negative advantage whose mean {@code log pi_old - log pi} is beyond this cost
 *     nothing (DeepSeek-V3.2, eq. 9); null for no such mask
 * @param topEntropyQuantile the share of tokens, those of the highest entropy, that cost anything (arXiv 2506.01939, eq. 5); 1
 *     for all
 * @param entropyCoef the weight of the entropy bonus
 * @param klEstimator {@link KlEstimator#K3} in TRL; {@link KlEstimator#K2} in REINFORCE++-baseline (Hu 2025, arXiv 2501.03262)
 */
public record GrpoLoss(
        Normalizer normalizer,
        Surrogate surrogate,
        ImportanceSamplingLevel importanceSamplingLevel,
        double beta,
        boolean useBiasCorrectionKl,
        @Nullable Double offPolicyMaskThreshold,
        double topEntropyQuantile,
        double entropyCoef,
        KlEstimator klEstimator) {
    public GrpoLoss {
        Require.notNegative("beta", beta);
        Require.within("top_entropy_quantile", 0, topEntropyQuantile, 1);
    }

    /** A loss with TRL's estimate of the KL divergence. */
    public GrpoLoss(
            Normalizer normalizer,
            Surrogate surrogate,
            ImportanceSamplingLevel importanceSamplingLevel,
            double beta,
            boolean useBiasCorrectionKl,
            @Nullable Double offPolicyMaskThreshold,
            double topEntropyQuantile,
            double entropyCoef) {
        this(
                normalizer,
                surrogate,
                importanceSamplingLevel,
                beta,
                useBiasCorrectionKl,
                offPolicyMaskThreshold,
                topEntropyQuantile,
                entropyCoef,
                KlEstimator.K3);
    }

    /** A clipped loss without KL correction, masks and entropy bonus; those of SAPO and VESPO have TRL's constants. */
    public static GrpoLoss of(
            LossType lossType,
            double beta,
            Surrogate.Clipped clipped,
            ImportanceSamplingLevel importanceSamplingLevel) {
        return new GrpoLoss(
                lossType.normalizer(),
                lossType.surrogate(clipped, Surrogate.Sapo.defaults(), Surrogate.Vespo.defaults()),
                importanceSamplingLevel,
                beta,
                false,
                null,
                1,
                0);
    }

    /** TRL's defaults: token-level DAPO loss, clipping at 0.2, no KL term. */
    public static GrpoLoss defaults() {
        return of(LossType.DAPO, 0, new Surrogate.Clipped(0.2, 0.2, null), ImportanceSamplingLevel.TOKEN);
    }

    /** This loss with another weight of the entropy bonus, as {@link AdaptiveEntropy} sets it. */
    public GrpoLoss withEntropyCoef(double coef) {
        return new GrpoLoss(
                normalizer,
                surrogate,
                importanceSamplingLevel,
                beta,
                useBiasCorrectionKl,
                offPolicyMaskThreshold,
                topEntropyQuantile,
                coef,
                klEstimator);
    }

    /** TRL's {@code loss_type}: a normalizer and a surrogate. */
    public enum LossType {
        GRPO(Normalizer.SEQUENCE_MEAN),
        BNPO(Normalizer.TOKEN_MEAN),
        DR_GRPO(Normalizer.MAX_COMPLETION_LENGTH),
        DAPO(Normalizer.STEP_TOKEN_MEAN),
        CISPO(Normalizer.STEP_TOKEN_MEAN),
        SAPO(Normalizer.SEQUENCE_MEAN),
        LUSPO(Normalizer.SEQUENCE_SUM),
        VESPO(Normalizer.STEP_TOKEN_MEAN);

        private final Normalizer normalizer;

        LossType(Normalizer normalizer) {
            this.normalizer = normalizer;
        }

        /** How its costs are averaged. */
        public Normalizer normalizer() {
            return normalizer;
        }

        /** Its surrogate, of those that TRL's options describe; CISPO takes its bound from {@code epsilon_high}. */
        public Surrogate surrogate(Surrogate.Clipped clipped, Surrogate.Sapo sapo, Surrogate.Vespo vespo) {
            return switch (this) {
                case GRPO, BNPO, DR_GRPO, DAPO, LUSPO -> clipped;
                case CISPO -> new Surrogate.Cispo(clipped.epsilonHigh());
                case SAPO -> sapo;
                case VESPO -> vespo;
            };
        }

        /**
         * The loss type of TRL's name.
         *
         * @throws IsthmusException listing the names if there is none
         */
        public static LossType named(String name) {
            return TrlNames.find("loss_type", name, values());
        }
    }

    /**
     * Completions of a micro-batch, padded to the longest: {@code B} sequences of up to {@code T} tokens.
     *
     * @param logps {@code [B, T]}, of the policy, with gradient
     * @param oldLogps {@code [B, T]}, of the policy that sampled, or null where that is the policy itself
     * @param refLogps {@code [B, T]}, of the reference, or null if beta is 0
     * @param advantages {@code [B]}, or {@code [B, T]} for advantages of tokens
     * @param entropies {@code [B, T]}, of the policy, with gradient; null if neither bonus nor quantile ask for them
     */
    public record Inputs(
            Tensor logps,
            @Nullable Tensor oldLogps,
            @Nullable Tensor refLogps,
            Tensor advantages,
            @Nullable Tensor entropies,
            Normalizer.Batch batch) {
        /**
         * The same with a whole turn as one action, whose log-probability is the sum of those of its tokens: {@code A} turns take the
         * place of {@code T} tokens. So the loss of tokens becomes that of turns (LOOP, Chen et al. 2025, arXiv 2502.01600), and with one
         * turn that of completions, which is {@link RlooLoss}. Tokens whose mask is 0, such as what an environment said, belong to no turn.
         *
         * @param turns for each completion where its turns end, exclusive; turns that nobody wrote count for nothing
         * @param numTurnsInBatch the turns that count in the whole step
         * @throws IsthmusException if there is not one list of ends for each completion, or ends do not rise up to {@code T}
         */
        public Inputs ofTurns(int[][] turns, double numTurnsInBatch) {
            Tensor mask = batch.mask();
            Tensor member = membership(turns, mask);
            Tensor counts = member.sum(2, false).gt(0).to(mask.dtype());
            return new Inputs(
                    sums(member, logps),
                    oldLogps == null ? null : sums(member, oldLogps),
                    refLogps == null ? null : sums(member, refLogps),
                    advantages,
                    entropies == null ? null : sums(member, entropies),
                    new Normalizer.Batch(
                            counts, numTurnsInBatch, batch.maxCompletionLength(), batch.gradientAccumulationSteps()));
        }

        private static Tensor sums(Tensor member, Tensor values) {
            return member.matmul(values.unsqueeze(2)).squeeze(2);
        }

        /** {@code [B, A, T]}: 1 where a token that counts belongs to a turn. */
        private static Tensor membership(int[][] turns, Tensor mask) {
            int rows = (int) mask.size(0);
            int cols = (int) mask.size(1);
            if (turns.length != rows) {
                throw new IsthmusException(rows + " completions need as many lists of turns, found " + turns.length);
            }
            int most = Arrays.stream(turns).mapToInt(ends -> ends.length).max().orElse(0);
            double[] counted = mask.toDoubles();
            double[] member = new double[rows * most * cols];
            for (int b = 0; b < rows; b++) {
                int start = 0;
                for (int a = 0; a < turns[b].length; a++) {
                    int end = turns[b][a];
                    if (end < start || end > cols) {
                        throw new IsthmusException("turn " + a + " of completion " + b + " ends at " + end
                                + ", which must be from " + start + " to " + cols);
                    }
                    for (int t = start; t < end; t++) {
                        member[(b * most + a) * cols + t] = counted[b * cols + t];
                    }
                    start = end;
                }
            }
            return Tensor.of(member, rows, most, cols).to(mask.dtype());
        }
    }

    /**
     * The loss of a micro-batch.
     *
     * @throws IsthmusException if an option needs entropies or reference log-probabilities that are not given
     */
    public LossResult compute(Inputs in) {
        Tensor mask = in.batch.mask();
        Tensor advantages = Masked.column(in.advantages);
        Tensor old = in.oldLogps == null ? in.logps.detach() : in.oldLogps;
        // Padding may hold anything: it is taken out before the exponential, not after.
        Tensor logRatio = in.logps.sub(old).mul(mask);
        Tensor ratio = ratio(logRatio, mask);
        var tokens = new Surrogate.Tokens(in.logps.mul(mask), logRatio, ratio, advantages, mask);
        Tensor cost = surrogate.cost(tokens);
        if (offPolicyMaskThreshold != null) {
            cost = cost.mul(offPolicyMask(logRatio, advantages, mask, offPolicyMaskThreshold));
        }
        Tensor entropyMask = topEntropyQuantile < 1 ? topEntropy(entropies(in), mask, topEntropyQuantile) : null;
        if (entropyMask != null) {
            cost = cost.mul(entropyMask);
        }
        Map<String, Double> metrics = new LinkedHashMap<>();
        if (beta != 0) {
            Tensor kl = kl(in, mask, ratio);
            metrics.put("kl", Masked.mean(kl.detach(), mask).item());
            cost = cost.add(kl.mul(beta));
        }
        Tensor policyLoss = normalizer.average(cost, in.batch);
        Tensor loss = policyLoss.div(normalizer.accumulation(in.batch));
        if (entropyCoef != 0) {
            Tensor counted = entropyMask == null ? mask : mask.mul(entropyMask);
            loss = loss.sub(
                    normalizer.tokenMean(entropies(in), in.batch.over(counted)).mul(entropyCoef));
            metrics.put("policy_loss", policyLoss.item());
            metrics.put("entropy_coef", entropyCoef);
        }
        Autograd.noGrad(() -> {
            if (in.entropies != null) {
                metrics.put("entropy", Masked.mean(in.entropies, mask).item());
            }
            metrics.putAll(surrogate.metrics(tokens));
        });
        return new LossResult(loss, metrics);
    }

    /** {@code [B, T]}, or {@code [B, 1]} for that of sequences. */
    private Tensor ratio(Tensor logRatio, Tensor mask) {
        return switch (importanceSamplingLevel) {
            case TOKEN -> logRatio.exp();
            case SEQUENCE -> Masked.meanOfSequences(logRatio, mask).unsqueeze(1).exp();
            case SEQUENCE_TOKEN -> {
                Tensor tokens = logRatio.detach();
                Tensor sequences = Masked.meanOfSequences(tokens, mask).unsqueeze(1);
                yield logRatio.sub(tokens).add(sequences).exp();
            }
        };
    }

    private Tensor kl(Inputs in, Tensor mask, Tensor ratio) {
        if (in.refLogps == null) {
            throw new IsthmusException("beta is " + beta + ", so the loss needs the reference's log-probabilities.");
        }
        Tensor kl = klEstimator.estimate(in.logps.mul(mask), in.refLogps.mul(mask));
        return useBiasCorrectionKl ? kl.mul(ratio) : kl;
    }

    /** {@code [B, 1]}: 0 for the sequences that went too far from the policy that sampled them and were worse than the mean. */
    private static Tensor offPolicyMask(Tensor logRatio, Tensor advantages, Tensor mask, double threshold) {
        return Autograd.noGrad(() -> {
            Tensor divergence = Masked.meanOfSequences(logRatio.neg(), mask).unsqueeze(1);
            return advantages.ge(0).logicalOr(divergence.le(threshold)).to(mask.dtype());
        });
    }

    /** {@code [B, T]}: 1 for the tokens that count and whose entropy reaches the quantile, interpolated as in PyTorch. */
    private static Tensor topEntropy(Tensor entropies, Tensor mask, double share) {
        return Autograd.noGrad(() -> {
            double[] counted = mask.toDoubles();
            double[] all = entropies.toDoubles();
            double[] sorted = IntStream.range(0, all.length)
                    .filter(i -> counted[i] != 0)
                    .mapToDouble(i -> all[i])
                    .sorted()
                    .toArray();
            if (sorted.length == 0) {
                return mask;
            }
            double position = (1 - share) * (sorted.length - 1);
            int below = (int) position;
            int above = Math.min(below + 1, sorted.length - 1);
            double threshold = sorted[below] + (position - below) * (sorted[above] - sorted[below]);
            return entropies.ge(threshold).to(mask.dtype()).mul(mask);
        });
    }

    private Tensor entropies(Inputs in) {
        if (in.entropies == null) {
            throw new IsthmusException("entropy_coef is " + entropyCoef + " and top_entropy_quantile is "
                    + topEntropyQuantile + ", so the loss needs the policy's entropies.");
        }
        return in.entropies;
    }
}
