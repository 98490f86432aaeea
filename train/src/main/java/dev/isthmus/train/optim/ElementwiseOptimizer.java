package dev.isthmus.train.optim;

import dev.isthmus.model.Parameter;
import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.OptimizerStep;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.tensor.UpdateRule;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.ToDoubleFunction;

/** An optimizer that treats every number by itself, as an {@link UpdateRule} says: all of them but {@link Muon}. */
public final class ElementwiseOptimizer implements Optimizer {
    private final UpdateRule rule;
    private final List<Parameter> parameters;
    private final Map<Tensor, Slot> slots = new LinkedHashMap<>();

    /** What is kept of one tensor. */
    private record Slot(double weightDecay, StepCount steps, List<Tensor> state, List<Buffer> buffers) {}

    /**
     * An optimizer whose state lives in the current scope.
     *
     * @param weightDecay of each tensor that is trained
     */
    public ElementwiseOptimizer(List<Parameter> parameters, UpdateRule rule, ToDoubleFunction<Tensor> weightDecay) {
        this.rule = rule;
        this.parameters = List.copyOf(parameters);
        for (Parameter p : parameters) {
            slots.computeIfAbsent(p.tensor(), tensor -> slot(tensor, weightDecay.applyAsDouble(tensor)));
        }
    }

    private Slot slot(Tensor tensor, double weightDecay) {
        List<Tensor> state = rule.state().stream()
                .map(_ -> Tensor.full(tensor.dtype(), rule.initialState(), tensor.shape()))
                .toList();
        return new Slot(
                weightDecay,
                new StepCount(),
                state,
                state.stream().map(Tensor::buffer).toList());
    }

    @Override
    public void step(double learningRate, double scale) {
        slots.forEach((p, slot) -> {
            Tensor grad = p.grad();
            if (grad == null) {
                return;
            }
            long step = slot.steps.next();
            Scope.current()
                    .device()
                    .run(new OptimizerStep(
                            rule,
                            p.count(),
                            p.mutableBuffer(),
                            grad.buffer(),
                            slot.buffers,
                            learningRate,
                            slot.weightDecay,
                            step,
                            scale));
            p.zeroGrad();
        });
    }

    @Override
    public Map<String, Tensor> state() {
        Map<String, Tensor> named = new LinkedHashMap<>();
        for (Parameter p : parameters) {
            Slot slot = Objects.requireNonNull(slots.get(p.tensor()));
            named.put(p.name() + ".step", slot.steps.tensor());
            for (int i = 0; i < slot.state.size(); i++) {
                named.put(
                        p.name() + "." + rule.state().get(i), slot.state.get(i).narrow(0, p.start(), p.rows()));
            }
        }
        return named;
    }
}
