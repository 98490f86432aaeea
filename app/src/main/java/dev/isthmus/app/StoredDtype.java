package dev.isthmus.app;

import dev.isthmus.tensor.KernelCall.WeightFormat;
import org.jspecify.annotations.Nullable;

/** What {@code --dtype} chooses from: how the matrices of a model lie in memory while it writes. */
enum StoredDtype {
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
    @Nullable
    WeightFormat format() {
        return format;
    }
}
