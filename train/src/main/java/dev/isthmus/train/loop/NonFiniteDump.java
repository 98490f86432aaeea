package dev.isthmus.train.loop;

import dev.isthmus.model.sample.NonFiniteLogitsException;
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
        String output = weight ? null : firstOutput(trainer, () -> Autograd.noGrad(loss));
        String first = output == null ? tensor == null ? "the loss" : tensor : "the output of " + output;
        ObjectNode dump = JsonNodeFactory.instance.objectNode();
        dump.put("step", trainer.globalStep() + 1).put("micro_batch", found.microBatch());
        return write(directory, dump, first, first + " (micro-batch " + found.microBatch() + ")", found);
    }

    /**
     * The same where the model could not write what a step learns from. That is no matter of this step: the weights stay as they are
     * when it is skipped.
     *
     * @param again lets the model write once more
     */
    static IsthmusException write(
            RunDirectory directory, Trainer trainer, NonFiniteLogitsException found, Runnable again) {
        String weight = trainer.firstNonFiniteWeight();
        String output = weight == null ? firstOutput(trainer, again) : null;
        String first = weight != null ? weight : output == null ? "the logits" : "the output of " + output;
        ObjectNode dump = JsonNodeFactory.instance.objectNode();
        dump.put("step", trainer.globalStep() + 1);
        return write(directory, dump, first, first, found);
    }

    private static IsthmusException write(
            RunDirectory directory, ObjectNode dump, String first, String shown, IsthmusException found) {
        dump.put("first", first).put("message", found.getMessage());
        directory.write(FILE, dump);
        return new IsthmusException(
                found.getMessage() + "\nFirst not finite: " + shown + "; see "
                        + directory.path().resolve(FILE) + "; " + directory.lastCheckpoint(),
                found);
    }

    /** The first module whose output is not finite when something is computed again; null if all are. */
    private static @Nullable String firstOutput(Trainer trainer, Runnable again) {
        AtomicReference<@Nullable String> first = new AtomicReference<>();
        RemovableHandle hook = trainer.model().hooks().registerForwardHook((module, output) -> {
            if (first.get() == null && !Trainer.isFinite(output)) {
                first.set(module);
            }
            return output;
        });
        try (Scope scope = Scope.open()) {
            again.run();
        } catch (NonFiniteLogitsException e) {
            // As the first time.
        } finally {
            hook.remove();
        }
        return first.get();
    }
}
