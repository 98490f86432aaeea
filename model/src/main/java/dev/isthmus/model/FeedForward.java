package dev.isthmus.model;

import dev.isthmus.model.DecoderConfig.Activation;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Tensor;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** What a block does to each token by itself. */
sealed interface FeedForward permits FeedForward.Mlp, MixtureOfExperts {
    /**
     * Of {@code x [N, C]}, {@code [N, C]}.
     *
     * @param rows the adapters of the rows; or null
     * @param trace told the logits of a router; or null
     */
    Tensor forward(Tensor x, @Nullable AdapterRows rows, ModuleHooks hooks, Decoder.@Nullable Trace trace);

    /** The same with other projections. */
    FeedForward map(UnaryOperator<Linear> f);

    /**
     * {@code down(act(up(x)))}, or {@code down(act(gate(x)) * up(x))} where {@code up} makes the gate and then up (Shazeer 2020).
     */
    record Mlp(Linear up, Linear down, Activation act, boolean gated) implements FeedForward {
        @Override
        public Tensor forward(Tensor x, @Nullable AdapterRows rows, ModuleHooks hooks, Decoder.@Nullable Trace trace) {
            Tensor inner = up.forward(x, rows, hooks);
            if (!gated) {
                inner = activation(inner);
            } else if (act == Activation.SILU) {
                inner = Functional.swiGlu(inner);
            } else {
                long width = inner.size(1) / 2;
                inner = activation(inner.narrow(1, 0, width)).mul(inner.narrow(1, width, width));
            }
            return down.forward(inner, rows, hooks);
        }

        private Tensor activation(Tensor x) {
            return switch (act) {
                case GELU_NEW -> Functional.geluTanh(x);
                case GELU -> Functional.gelu(x);
                case SILU -> x.silu();
            };
        }

        @Override
        public Mlp map(UnaryOperator<Linear> f) {
            return new Mlp(f.apply(up), f.apply(down), act, gated);
        }
    }
}
