package dev.isthmus.model;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A projection {@code x W^T + b}, changed by adapters perhaps.
 *
 * @param names its Hugging Face name, or those of several that are joined
 * @param sizes the sizes of their outputs
 * @param loras what each adapter of the decoder does to it, null for nothing
 */
record Linear(
        String[] names,
        int[] sizes,
        Matrix weight,
        @Nullable Tensor bias,
        List<@Nullable Lora> loras) {
    /** One that no adapter changes. */
    Linear(String[] names, int[] sizes, Matrix weight, @Nullable Tensor bias) {
        this(names, sizes, weight, bias, List.of());
    }

    /**
     * Of {@code x [N, in]}, {@code [N, out]}.
     *
     * @param rows the adapters of the rows; null if all adapters change all rows
     */
    Tensor forward(Tensor x, @Nullable AdapterRows rows, ModuleHooks hooks) {
        boolean changed = loras.stream().anyMatch(Objects::nonNull);
        return hooks.see(names, sizes, changed ? adapted(x, rows) : weight.linear(x, bias));
    }

    private Tensor adapted(Tensor x, @Nullable AdapterRows rows) {
        boolean rescaled = loras.stream().anyMatch(lora -> lora != null && lora.magnitude() != null);
        Tensor y = weight.linear(x, rescaled ? null : bias);
        Tensor after = rescaled ? bias : null;
        if (rows != null) {
            return rows.apply(
                    x, y, (adapter, xs, ys) -> changed(adapter < 0 ? null : loras.get(adapter), xs, ys, after));
        }
        List<Lora> all = loras.stream().filter(Objects::nonNull).toList();
        if (all.size() == 1) {
            return changed(all.getFirst(), x, y, after);
        }
        if (rescaled) {
            throw new IsthmusException(
                    "DoRA adapters of one projection cannot act together; pick one for each sequence, or merge");
        }
        for (Lora lora : all) {
            y = lora.add(x, y);
        }
        return y;
    }

    /**
     * The rows that one adapter changes.
     *
     * @param after the bias, where lengths are changed before it is added; or null
     */
    private Tensor changed(@Nullable Lora lora, Tensor x, Tensor y, @Nullable Tensor after) {
        if (lora != null && lora.magnitude() != null) {
            Tensor scaled = lora.add(x, y).mul(lora.rescaling(weight));
            return after == null ? scaled : scaled.add(after);
        }
        Tensor biased = after == null ? y : y.add(after);
        return lora == null ? biased : lora.add(x, biased);
    }

    Linear pack() {
        Matrix packed = weight.pack();
        List<@Nullable Lora> changes = new ArrayList<>();
        for (Lora lora : loras) {
            changes.add(lora == null ? null : lora.pack(packed));
        }
        return new Linear(names, sizes, packed, bias, changes);
    }

    /** The same with a frozen weight, changed by adapters. */
    Linear with(List<Adapter> adapters) {
        List<@Nullable Lora> changes = new ArrayList<>();
        adapters.forEach(adapter -> changes.add(adapter.of(this)));
        return new Linear(names, sizes, weight.frozen(), bias == null ? null : bias.detach(), changes);
    }
}
