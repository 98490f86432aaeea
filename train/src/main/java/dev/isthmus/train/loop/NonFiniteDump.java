package dev.isthmus.train.loop;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.RemovableHandle;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.NonFiniteException;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.run.RunDirectory;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Finds out where numbers went wrong, and writes it down. */
final class NonFiniteDump {
    static final String FILE = "nonfinite.json";

    private NonFiniteDump() {}

    /** Writes {@value #FILE} and returns the error to throw, which names the first tensor that is not finite. */
    static IsthmusException write(
            RunDirectory directory, Trainer trainer, NonFiniteException found, Supplier<Tensor> loss) {
        String tensor = found.tensor();
        boolean weight = tensor != null && !tensor.endsWith(".grad");
        String output = weight ? null : firstOutput(trainer, loss);
        String first = output == null ? tensor == null ? "the loss" : tensor : "the output of " + output;
        ObjectNode dump = JsonNodeFactory.instance.objectNode();
        dump.put("step", trainer.globalStep() + 1)
                .put("micro_batch", found.microBatch())
                .put("first", first);
        dump.put("message", found.getMessage());
        directory.write(FILE, dump);
        return new IsthmusException(
                found.getMessage() + "\nFirst not finite: " + first + " (micro-batch " + found.microBatch() + "); see "
                        + directory.path().resolve(FILE),
                found);
    }

    /** The first module whose output is not finite when the loss is computed again; null if all are. */
    private static @Nullable String firstOutput(Trainer trainer, Supplier<Tensor> loss) {
        AtomicReference<@Nullable String> first = new AtomicReference<>();
        RemovableHandle hook = trainer.model().hooks().registerForwardHook((module, output) -> {
            if (first.get() == null && !Trainer.isFinite(output)) {
                first.set(module);
            }
            return output;
        });
        try (Scope scope = Scope.open()) {
            Autograd.noGrad(loss);
        } finally {
            hook.remove();
        }
        return first.get();
    }
}
