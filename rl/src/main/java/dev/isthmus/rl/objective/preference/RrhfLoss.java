package dev.isthmus.rl.objective.preference;

import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Rank responses to align with feedback: {@code sum_{r_j < r_i} max(0, m_j - m_i) - lp(y_best)}, {@code m = lp / |y|} (Yuan et al.
 * 2023; for code optimization Duan et al. 2023). The mean over the prompts.
 */
public record RrhfLoss() implements ListLoss {
    @Override
    public LossResult compute(Completions lists) {
        Tensor better = ListLoss.better(lists);
        Tensor wrong = ListLoss.differences(lists.averageLogps()).neg().relu().mul(better);
        Tensor rank = wrong.sum(new int[] {1, 2}, false).mean();
        Tensor best = lists.scored().argmax(1, true);
        Tensor nll = lists.logps().gather(1, best).mean().neg();
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("loss/rank", rank.detach().item());
        metrics.put("nll_loss", nll.detach().item());
        return new LossResult(rank.add(nll), metrics);
    }
}
