package dev.isthmus.model;

import dev.isthmus.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A weight under its Hugging Face name: some rows of a tensor that is trained.
 *
 * <p>Projections that read the same input are one tensor, so that they are one matrix product; their names are its parts.
 *
 * @param name such as {@code model.layers.0.self_attn.q_proj.weight}
 * @param tensor what is trained
 * @param start the first row
 * @param rows the number of rows
 */
public record Parameter(String name, Tensor tensor, long start, long rows) {
    /** The values; shares memory with {@link #tensor}. */
    public Tensor value() {
        return tensor.detach().narrow(0, start, rows);
    }

    /** The gradient, or null if there is none. */
    public @Nullable Tensor grad() {
        Tensor grad = tensor.grad();
        return grad == null ? null : grad.narrow(0, start, rows);
    }
}
