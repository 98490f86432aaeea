package dev.isthmus.rl.offline;

import dev.isthmus.model.Adapter;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.LoraConfig;
import dev.isthmus.model.Peft;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;

/** Adapters that have learned nothing and change much. */
final class LoraExperts {
    private LoraExperts() {}

    /** Writes an adapter of {@code model}, all of its numbers random. */
    static void save(Decoder model, Path path, Path directory, int seed) {
        LoraConfig config =
                new LoraConfig(2 + seed, 4, 0.1, List.of("q_proj", "v_proj"), false, false, List.of(), path.toString());
        Adapter adapter = new Adapter(model, config).initialize(Rng.of(seed));
        adapter.parameters()
                .forEach(p -> p.value()
                        .copyFrom(Tensor.randn(
                                model.dtype(),
                                Rng.of(seed).split(p.name()),
                                0.5,
                                p.value().shape())));
        Peft.save(adapter, model, directory);
    }
}
