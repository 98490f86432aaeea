package dev.isthmus.model;

import dev.isthmus.tensor.KernelCall.WeightFormat;
import org.jspecify.annotations.Nullable;

/** How the matrices of a model lie in memory that are not trained, under the names that users type. */
public enum StoredDtype {
    auto(null),
    float32(WeightFormat.F32),
    bfloat16(WeightFormat.BF16),
    float16(WeightFormat.F16),
    q8_0(WeightFormat.Q8_0),
    q4_0(WeightFormat.Q4_0);

    private final @Nullable WeightFormat format;

    StoredDtype(@Nullable WeightFormat format) {
        this.format = format;
    }

    /** Null for each matrix as the file holds it. */
    public @Nullable WeightFormat format() {
        return format;
    }
}
