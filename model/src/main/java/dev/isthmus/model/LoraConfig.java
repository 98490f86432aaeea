package dev.isthmus.model;

import dev.isthmus.tensor.IsthmusException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Which projections of a decoder an adapter changes and how, with the names and meanings of PEFT's LoraConfig.
 *
 * @param r the rank of a change
 * @param loraAlpha the change is multiplied by {@code loraAlpha / r}
 * @param loraDropout the share of the inputs of a change that are zero in training
 * @param targetModules names of projections or their ends, such as {@code q_proj}; {@link #ALL_LINEAR} for all but the output head;
 *     none for those that PEFT takes for a kind of model
 * @param useRslora whether the change is multiplied by {@code loraAlpha / sqrt(r)} instead (Kalajdzievski 2023, theorem 3.2)
 * @param useDora whether the rows of the changed weight get lengths of their own (Liu et al. 2024, equation 5)
 * @param layersToTransform the layers that are changed; none for all
 * @param baseModelNameOrPath the model that is changed, for those who load the adapter; null if they are told otherwise
 */
public record LoraConfig(
        int r,
        double loraAlpha,
        double loraDropout,
        List<String> targetModules,
        boolean useRslora,
        boolean useDora,
        List<Integer> layersToTransform,
        @Nullable String baseModelNameOrPath) {
    /** The target of all projections but the output head. */
    public static final String ALL_LINEAR = "all-linear";

    private static final Pattern LAYER = Pattern.compile("\\.(?:layers|h)\\.(\\d+)\\.");

    public LoraConfig {
        if (r < 1) {
            throw new IsthmusException("the rank of an adapter, lora_r, must be at least 1, found " + r);
        }
        if (!(Math.abs(loraAlpha) < Double.POSITIVE_INFINITY)) {
            throw new IsthmusException("lora_alpha must be a number, found " + loraAlpha);
        }
        if (!(loraDropout >= 0 && loraDropout < 1)) {
            throw new IsthmusException("lora_dropout must be at least 0 and below 1, found " + loraDropout);
        }
        targetModules = List.copyOf(targetModules);
        layersToTransform = List.copyOf(layersToTransform);
    }

    /** LoRA of some projections in all layers, without dropout. */
    public static LoraConfig of(int r, double loraAlpha, String... targetModules) {
        return new LoraConfig(r, loraAlpha, 0, List.of(targetModules), false, false, List.of(), null);
    }

    /** The same with rsLoRA's scaling. */
    public LoraConfig withRslora() {
        return new LoraConfig(
                r, loraAlpha, loraDropout, targetModules, true, useDora, layersToTransform, baseModelNameOrPath);
    }

    /** The same with DoRA's magnitudes. */
    public LoraConfig withDora() {
        return new LoraConfig(
                r, loraAlpha, loraDropout, targetModules, useRslora, true, layersToTransform, baseModelNameOrPath);
    }

    /** The same with other targets. */
    LoraConfig withTargets(List<String> targets) {
        return new LoraConfig(
                r, loraAlpha, loraDropout, targets, useRslora, useDora, layersToTransform, baseModelNameOrPath);
    }

    /** What {@code B A} is multiplied by. */
    public double scaling() {
        return loraAlpha / (useRslora ? Math.sqrt(r) : r);
    }

    /** Whether a projection is changed, such as {@code model.layers.0.self_attn.q_proj}. */
    public boolean targets(String module) {
        boolean named = targetModules.stream()
                .anyMatch(t -> t.equals(ALL_LINEAR) || module.equals(t) || module.endsWith("." + t));
        if (!named || layersToTransform.isEmpty()) {
            return named;
        }
        Matcher layer = LAYER.matcher(module);
        return layer.find()
                && layersToTransform.stream().anyMatch(l -> layer.group(1).equals(Integer.toString(l)));
    }
}
