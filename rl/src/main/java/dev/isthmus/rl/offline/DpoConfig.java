package dev.isthmus.rl.offline;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import dev.isthmus.rl.objective.preference.DpoLoss;
import dev.isthmus.rl.objective.preference.DpoLossType;
import dev.isthmus.rl.objective.preference.DynamicBeta;
import dev.isthmus.rl.objective.preference.FDivergence;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.data.Truncation;
import dev.isthmus.train.loop.BaseConfig;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The settings of {@link Dpo} beside those of all trainers: TRL's DPOConfig. */
public record DpoConfig(
        @JsonPropertyDescription("How much a log-ratio against the reference counts.")
        double beta,

        @JsonPropertyDescription(
                "One or several of sigmoid, hinge, ipo, exo_pair, nca_pair, robust, bco_pair, sppo_hard, aot,"
                        + " aot_unpaired, apo_zero, apo_down, discopop, sft, sigmoid_norm, and beside TRL's cdpo, tdpo1,"
                        + " tdpo2, mm_dpo.")
        List<DpoLossType> lossType,

        @JsonPropertyDescription("What each of several loss types counts (default: 1).") @Nullable
        List<Double> lossWeights,

        @JsonPropertyDescription(
                "Share of pairs that are labelled the wrong way round, for the loss types that know of it.")
        double labelSmoothing,

        @JsonPropertyDescription("reverse_kl, forward_kl, js_divergence or alpha_divergence.")
        FDivergence fDivergenceType,

        @JsonPropertyDescription("The alpha of alpha_divergence.")
        double fAlphaDivergenceCoef,

        @JsonPropertyDescription("What tokens past the length of the shorter completion count (LD-DPO).") @Nullable
        Double ldAlpha,

        @JsonPropertyDescription(
                "Compare only the tokens in which the completions differ, as for errors put into correct ones (RISE, with"
                        + " loss_type sigmoid,sft).")
        boolean onlyDifferingTokens,

        @JsonPropertyDescription("Weigh pairs by how likely the policy is to write them (WPO).")
        boolean useWeighting,

        @JsonPropertyDescription("Temperature of discopop.") double discopopTau,

        @JsonPropertyDescription("What the divergences of tdpo2 count.")
        double tdpoAlpha,

        @JsonPropertyDescription(
                "How much larger, relatively, mm_dpo makes beta at most where a row's margin is large.")
        double dynamicBetaW,

        @JsonPropertyDescription("How fast it grows with the margin.")
        double dynamicBetaK,

        @JsonPropertyDescription("Weight of the loss that balances the experts of a model that has some.")
        double routerAuxLossCoef,

        @JsonPropertyDescription("The reference (default: --model as it is at the start).") @Nullable
        String refModel,

        @JsonPropertyDescription("Ask the reference everything before the first step; it needs no memory after that.")
        boolean precomputeRefLogProbs,

        @JsonPropertyDescription("Move the reference towards the policy now and then (TR-DPO).")
        boolean syncRefModel,

        @JsonPropertyDescription("How far it moves.") double refModelMixupAlpha,

        @JsonPropertyDescription("Steps between its moves.") long refModelSyncSteps,

        @JsonPropertyDescription("Tokens of a prompt with its completion at most.")
        int maxLength,

        @JsonPropertyDescription("Which end of a longer one is kept: keep_start or keep_end.")
        Truncation truncationMode) {
    public DpoConfig {
        lossType = List.copyOf(lossType);
        lossWeights = lossWeights == null ? null : List.copyOf(lossWeights);
        BaseConfig.atLeast(2, "max_length", maxLength);
        BaseConfig.atLeast(1, "ref_model_sync_steps", refModelSyncSteps);
        if (precomputeRefLogProbs && syncRefModel) {
            throw new IsthmusException(
                    "precompute_ref_log_probs is for a reference that stays as it is, so sync_ref_model must be off");
        }
        if (precomputeRefLogProbs && lossType.stream().anyMatch(DpoLossType::usesDivergences)) {
            throw new IsthmusException(
                    "loss_type tdpo1 and tdpo2 compare whole distributions, of which log-probs are not"
                            + " enough: precompute_ref_log_probs must be off");
        }
        if (!(refModelMixupAlpha >= 0 && refModelMixupAlpha <= 1)) {
            throw new IsthmusException("ref_model_mixup_alpha must be in [0, 1], found " + refModelMixupAlpha);
        }
        if (onlyDifferingTokens && ldAlpha != null) {
            throw new IsthmusException(
                    "only_differing_tokens and ld_alpha both say what tokens count: give one of them");
        }
        loss(
                lossType,
                lossWeights,
                beta,
                labelSmoothing,
                discopopTau,
                fDivergenceType,
                fAlphaDivergenceCoef,
                tdpoAlpha,
                new DynamicBeta(dynamicBetaW, dynamicBetaK));
    }

    /** Whether the loss reads the margins of rows. */
    boolean usesMargins() {
        return lossType.contains(DpoLossType.MM_DPO);
    }

    /** The loss of pairs. */
    DpoLoss loss() {
        return loss(
                lossType,
                lossWeights,
                beta,
                labelSmoothing,
                discopopTau,
                fDivergenceType,
                fAlphaDivergenceCoef,
                tdpoAlpha,
                new DynamicBeta(dynamicBetaW, dynamicBetaK));
    }

    private static DpoLoss loss(
            List<DpoLossType> types,
            @Nullable List<Double> weights,
            double beta,
            double labelSmoothing,
            double discopopTau,
            FDivergence divergence,
            double alpha,
            double tdpoAlpha,
            DynamicBeta dynamicBeta) {
        List<Double> given = weights == null ? Collections.nCopies(types.size(), 1.0) : weights;
        return new DpoLoss(types, given, beta, labelSmoothing, discopopTau, divergence, alpha, tdpoAlpha, dynamicBeta);
    }
}
