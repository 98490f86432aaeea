package dev.isthmus.model;

import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A small change of a decoder that is trained in place of its weights: LoRA (Hu et al. 2022), rsLoRA (Kalajdzievski 2023) or DoRA (Liu
 * et al. 2024).
 *
 * <p>{@link Decoder#with} makes a decoder that is changed by it; the one it was made for stays as it is, shares its weights, and so
 * is the reference of a policy at no cost.
 */
public final class Adapter {
    /** What PEFT puts before the name of a module. */
    private static final String PREFIX = "base_model.model.";

    private static final String A = ".lora_A.weight";
    private static final String B = ".lora_B.weight";
    private static final String MAGNITUDE = ".lora_magnitude_vector";

    private final LoraConfig config;
    private final List<Parameter> parameters = new ArrayList<>();
    private final Map<String, Lora> loras = new LinkedHashMap<>();
    private @Nullable Rng dropout;

    /**
     * An adapter in the current scope whose numbers are undefined until they are loaded or {@link #initialize}d.
     *
     * @throws IsthmusException if the configuration names no projection of the decoder, or the output head
     */
    public Adapter(Decoder decoder, LoraConfig config) {
        this.config = targeted(decoder, config);
        for (Linear linear : decoder.linears()) {
            add(linear, decoder.dtype());
        }
    }

    /** With PEFT's targets for the kind of model where there are none, and all of them found. */
    private static LoraConfig targeted(Decoder decoder, LoraConfig config) {
        boolean gpt2 = decoder.config().modelType() == DecoderConfig.ModelType.GPT2;
        List<String> usual = gpt2 ? List.of("c_attn") : List.of("q_proj", "v_proj");
        LoraConfig complete = config.targetModules().isEmpty() ? config.withTargets(usual) : config;
        List<String> known = decoder.linears().stream()
                .flatMap(linear -> Arrays.stream(linear.names()))
                .toList();
        List<String> missed = complete.targetModules().stream()
                .filter(target -> known.stream().noneMatch(complete.withTargets(List.of(target))::targets))
                .toList();
        if (!missed.isEmpty()) {
            throw new IsthmusException("lora_target_modules " + missed + " names no projection of this model"
                    + (complete.layersToTransform().isEmpty() ? "" : " in layers " + complete.layersToTransform())
                    + "; it has "
                    + known.stream()
                            .map(name -> name.substring(name.lastIndexOf('.') + 1))
                            .distinct()
                            .toList());
        }
        return complete;
    }

    /** The shapes of the parameters that an adapter would have, by name. */
    static Map<String, long[]> shapes(Decoder decoder, LoraConfig config) {
        LoraConfig complete = targeted(decoder, config);
        Map<String, long[]> shapes = new LinkedHashMap<>();
        for (Linear linear : decoder.linears()) {
            for (int i = 0; i < linear.names().length; i++) {
                if (complete.targets(linear.names()[i])) {
                    String name = PREFIX + linear.names()[i];
                    shapes.put(name + A, new long[] {config.r(), linear.weight().in()});
                    shapes.put(name + B, new long[] {linear.sizes()[i], config.r()});
                    if (config.useDora()) {
                        shapes.put(name + MAGNITUDE, new long[] {linear.sizes()[i]});
                    }
                }
            }
        }
        return shapes;
    }

    private void add(Linear linear, DType dtype) {
        List<Integer> parts = new ArrayList<>();
        int rows = 0;
        for (int i = 0; i < linear.names().length; i++) {
            if (config.targets(linear.names()[i])) {
                parts.add(i);
                rows += linear.sizes()[i];
            }
        }
        if (parts.isEmpty()) {
            return;
        }
        int r = config.r();
        String[] names = new String[parts.size()];
        int[] starts = new int[names.length];
        int[] sizes = new int[names.length];
        Tensor a = Tensor.empty(dtype, (long) names.length * r, linear.weight().in())
                .requireGrad();
        Tensor b = Tensor.empty(dtype, rows, r).requireGrad();
        Tensor magnitude = config.useDora() ? Tensor.empty(dtype, rows).requireGrad() : null;
        int row = 0;
        for (int i = 0; i < names.length; i++) {
            names[i] = linear.names()[parts.get(i)];
            starts[i] = Arrays.stream(linear.sizes(), 0, parts.get(i)).sum();
            sizes[i] = linear.sizes()[parts.get(i)];
            String name = PREFIX + names[i];
            parameters.add(new Parameter(name + A, a, (long) i * r, r));
            parameters.add(new Parameter(name + B, b, row, sizes[i]));
            if (magnitude != null) {
                parameters.add(new Parameter(name + MAGNITUDE, magnitude, row, sizes[i]));
            }
            row += sizes[i];
        }
        Tensor squares = magnitude == null ? null : squares(linear.weight(), starts, sizes);
        loras.put(linear.names()[0], new Lora(this, names, a, b, starts, sizes, magnitude, squares, null));
    }

    /** The squared lengths of the rows of the parts. */
    private static Tensor squares(Matrix weight, int[] starts, int[] sizes) {
        try (Scope scope = Scope.open()) {
            Tensor all = Autograd.noGrad(() -> weight.numbers().square().sum(1, false));
            Tensor[] parts = new Tensor[starts.length];
            Arrays.setAll(parts, i -> all.narrow(0, starts[i], sizes[i]));
            return Tensor.cat(0, parts).keep();
        }
    }

    private Adapter(Adapter other) {
        config = other.config;
        Map<Tensor, Tensor> copies = new LinkedHashMap<>();
        for (Parameter p : other.parameters) {
            Tensor copy = copies.computeIfAbsent(
                    p.tensor(),
                    t -> Tensor.empty(t.dtype(), t.shape()).copyFrom(t).requireGrad());
            parameters.add(new Parameter(p.name(), copy, p.start(), p.rows()));
        }
        other.loras.forEach((name, l) -> {
            Tensor magnitude = l.magnitude() == null ? null : copies.get(l.magnitude());
            Tensor a = copies.getOrDefault(l.a(), l.a());
            Tensor b = copies.getOrDefault(l.b(), l.b());
            loras.put(name, new Lora(this, l.names(), a, b, l.starts(), l.sizes(), magnitude, l.squares(), null));
        });
    }

    /**
     * As PEFT begins: {@code A} uniform within {@code 1 / sqrt(in)}, {@code B} zero, DoRA's magnitudes the lengths of the rows of
     * the weights. So it changes nothing yet.
     */
    public Adapter initialize(Rng rng) {
        for (Parameter p : parameters) {
            if (p.name().endsWith(A)) {
                double limit = 1 / Math.sqrt(p.tensor().size(1));
                Rng stream = rng.split(p.name());
                double[] values = new double[Math.toIntExact(p.value().count())];
                for (int i = 0; i < values.length; i++) {
                    values[i] = (2 * stream.nextDouble() - 1) * limit;
                }
                p.value().copyFrom(Tensor.of(values, p.value().shape()));
            } else if (p.name().endsWith(B)) {
                p.value().fill(0);
            }
        }
        for (Lora lora : loras.values()) {
            if (lora.magnitude() != null && lora.squares() != null) {
                lora.magnitude().copyFrom(lora.squares().sqrt());
            }
        }
        return this;
    }

    /** What it changes, and how; the targets named. */
    public LoraConfig config() {
        return config;
    }

    /** Its numbers under PEFT's names, such as {@code base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight}. */
    public List<Parameter> parameters() {
        return List.copyOf(parameters);
    }

    /** A copy in the current scope. */
    public Adapter copy() {
        return new Adapter(this);
    }

    /**
     * Lets the inputs of the changes drop out from now on, as {@code lora_dropout} says.
     *
     * @param rng what is dropped is a function of this stream and the name of the projection; null for nothing
     */
    public void train(@Nullable Rng rng) {
        dropout = config.loraDropout() == 0 ? null : rng;
    }

    @Nullable
    Rng dropout() {
        return dropout;
    }

    /** What it does to a projection; null for nothing. */
    @Nullable
    Lora of(Linear linear) {
        return loras.get(linear.names()[0]);
    }

    /**
     * Adds the changes to the weights of a decoder, which then gives the same without this adapter, but for rounding.
     *
     * @return takes them out again, but for rounding
     * @throws IsthmusException if the weights are not floating-point numbers in memory
     */
    public Merged merge(Decoder decoder) {
        List<Merged> done = new ArrayList<>();
        for (Linear linear : decoder.linears()) {
            Lora lora = of(linear);
            if (lora != null) {
                done.add(merge(linear, lora));
            }
        }
        return () -> done.forEach(Merged::unmerge);
    }

    /** Weights with a change in them. */
    @FunctionalInterface
    public interface Merged {
        /** Takes the change out; once. */
        void unmerge();
    }

    private Merged merge(Linear linear, Lora lora) {
        if (!(linear.weight() instanceof Matrix.Trained)) {
            throw new IsthmusException(
                    "an adapter is merged into float32 weights, not into stored ones: load the model as float32");
        }
        Tensor scale = lora.magnitude() == null
                ? null
                : Autograd.noGrad(() -> lora.rescaling(linear.weight())).detach();
        change(linear, lora, scale, true);
        return () -> change(linear, lora, scale, false);
    }

    /** {@code W = (W + s B A) scale}, or back {@code W = W / scale - s B A}. */
    private void change(Linear linear, Lora lora, @Nullable Tensor scale, boolean in) {
        Autograd.noGrad(() -> {
            for (int i = 0; i < lora.names().length; i++) {
                int start = lora.starts()[i];
                int size = lora.sizes()[i];
                try (Scope scope = Scope.open()) {
                    Tensor weight = linear.weight().numbers().narrow(0, start, size);
                    Tensor delta = lora.delta(i);
                    if (scale == null) {
                        weight.copyFrom(in ? weight.add(delta) : weight.sub(delta));
                    } else {
                        Tensor factor = scale.narrow(0, start, size).unsqueeze(1);
                        weight.copyFrom(
                                in
                                        ? weight.add(delta).mul(factor)
                                        : weight.div(factor).sub(delta));
                    }
                }
            }
        });
    }
}
