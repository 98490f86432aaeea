package dev.isthmus.train.supervised;

import dev.isthmus.tensor.Tensor;
import java.util.Locale;

/** The loss of a token of probability {@code p}: TRL's {@code loss_type}. */
public enum LossType {
    /** {@code -log p}. */
    NLL {
        @Override
        Tensor of(Tensor nll) {
            return nll;
        }
    },
    /** {@code -p log p}, {@code p} without gradient: dynamic fine-tuning (Wu et al. 2025, arXiv:2508.05629, eq. 9). */
    DFT {
        @Override
        Tensor of(Tensor nll) {
            return nll.mul(nll.detach().neg().exp());
        }
    };

    /** The losses of tokens whose negative log-probabilities are {@code nll}. */
    abstract Tensor of(Tensor nll);

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
