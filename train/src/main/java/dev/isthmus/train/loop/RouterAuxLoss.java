package dev.isthmus.train.loop;

import dev.isthmus.model.Decoder;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the loss of a mixture of experts gets on top, so that all of its experts are used: TRL's {@code router_aux_loss_coef} times the
 * {@linkplain Decoder#loadBalancingLoss load-balancing loss} of all tokens that a batch reads. For other models it is nothing.
 *
 * <p>It sees one forward pass. As it needs what routers say within the blocks, those are not computed again: with it {@code
 * gradient_checkpointing} saves nothing.
 */
public final class RouterAuxLoss {
    private final Decoder model;
    private final double coef;
    private final List<Tensor> routerLogits = new ArrayList<>();

    /** That of the next forward pass of {@code model}. */
    public RouterAuxLoss(Decoder model, double coef) {
        this.model = model;
        this.coef = model.config().experts() == null ? 0 : coef;
    }

    /** What must see the forward pass; null if nothing must. */
    public Decoder.@Nullable Trace trace() {
        return coef == 0
                ? null
                : new Decoder.Trace() {
                    @Override
                    public void state(Tensor hidden) {
                        // Only routers are of interest.
                    }

                    @Override
                    public void routerLogits(Tensor logits) {
                        routerLogits.add(logits);
                    }
                };
    }

    /**
     * A loss with its share of this one.
     *
     * @param weight what {@code loss} counts in the mean that is minimized
     * @param log takes TRL's {@code aux_loss}
     */
    public Tensor addTo(Tensor loss, double weight, StepLog log) {
        if (coef == 0) {
            return loss;
        }
        Tensor balance = model.loadBalancingLoss(routerLogits);
        log.put("aux_loss", balance.detach().item());
        return loss.add(balance.mul(coef * weight));
    }
}
