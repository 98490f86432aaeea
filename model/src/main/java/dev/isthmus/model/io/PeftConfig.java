package dev.isthmus.model.io;

import dev.isthmus.model.LoraConfig;
import dev.isthmus.tensor.IsthmusException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * PEFT's adapter_config.json in and out.
 *
 * <p>Missing keys mean what they mean in PEFT. A value that changes what an adapter computes and that we do not compute is an error
 * that names the key.
 */
public final class PeftConfig {
    private static final String FILE = "adapter_config.json";

    /** Keys that change nothing about a LoRA adapter as it is used here. */
    private static final Set<String> HARMLESS = Set.of(
            "auto_mapping",
            "ensure_weight_tying",
            "fan_in_fan_out",
            "inference_mode",
            "layers_pattern",
            "loftq_config",
            "megatron_core",
            "peft_version",
            "qalora_group_size",
            "revision",
            "runtime_config",
            "task_type");

    private static final String MODULES = "modules_to_save";

    private static final Set<String> READ = Set.of(
            MODULES,
            "peft_type",
            "r",
            "lora_alpha",
            "lora_dropout",
            "target_modules",
            "use_rslora",
            "use_dora",
            "layers_to_transform",
            "base_model_name_or_path",
            "bias",
            "init_lora_weights");

    private final Path file;
    private final JsonNode json;

    private PeftConfig(Path file, JsonNode json) {
        this.file = file;
        this.json = json;
    }

    /**
     * Reads the adapter_config.json of a directory.
     *
     * @throws ModelFormatException if a value is missing, damaged, or asks for what cannot be computed, modules of its own ({@code
     *     modules_to_save}) included
     * @throws IsthmusException if the file cannot be read
     */
    public static LoraConfig read(Path directory) {
        PeftConfig config = open(directory);
        if (!config.modules().isEmpty()) {
            throw config.bad(MODULES, "is not something that adapters of language models are computed with here");
        }
        return config.checked();
    }

    /** The same of an adapter that may bring modules of its own. */
    public static LoraConfig readWithModules(Path directory) {
        return open(directory).checked();
    }

    /** The modules that were trained whole beside the changes: PEFT's {@code modules_to_save}. */
    public static List<String> modulesToSave(Path directory) {
        return open(directory).modules();
    }

    private static PeftConfig open(Path directory) {
        Path file = directory.resolve(FILE);
        return new PeftConfig(file, Json.read(file));
    }

    private LoraConfig checked() {
        try {
            return lora();
        } catch (ModelFormatException e) {
            throw e;
        } catch (IsthmusException e) {
            throw new ModelFormatException(file, e.getMessage(), e);
        }
    }

    private LoraConfig lora() {
        JsonNode type = json.path("peft_type");
        if (!type.isString() || !type.stringValue().equals("LORA")) {
            throw bad("peft_type", "must be LORA: adapters of other kinds cannot be read");
        }
        for (Map.Entry<String, JsonNode> field : json.properties()) {
            String key = field.getKey();
            if (!READ.contains(key) && !HARMLESS.contains(key) && !isOff(field.getValue())) {
                throw bad(key, "is not something that adapters are computed with here");
            }
        }
        JsonNode bias = json.path("bias");
        if (!isMissing(bias) && !(bias.isString() && bias.stringValue().equals("none"))) {
            throw bad("bias", "must be none: biases are not trained");
        }
        JsonNode init = json.path("init_lora_weights");
        if (init.isString() && !init.stringValue().equals("gaussian")) {
            throw bad("init_lora_weights", "of this kind changes the weights of the model as well");
        }
        return new LoraConfig(
                integer("r", 8),
                number("lora_alpha", 8),
                number("lora_dropout", 0),
                targets(),
                flag("use_rslora"),
                flag("use_dora"),
                layers(),
                base());
    }

    private static boolean isMissing(JsonNode value) {
        return value.isMissingNode() || value.isNull();
    }

    private static boolean isOff(JsonNode value) {
        return isMissing(value) || value.isBoolean() && !value.booleanValue() || value.isContainer() && value.isEmpty();
    }

    private List<String> targets() {
        JsonNode value = json.path("target_modules");
        if (isMissing(value)) {
            return List.of();
        }
        if (value.isString() && value.stringValue().equals(LoraConfig.ALL_LINEAR)) {
            return List.of(LoraConfig.ALL_LINEAR);
        }
        List<String> targets = new ArrayList<>();
        for (JsonNode item : value) {
            if (!value.isArray() || !item.isString()) {
                throw bad("target_modules", "must be a list of names");
            }
            targets.add(item.stringValue());
        }
        if (targets.isEmpty()) {
            throw bad("target_modules", "must be a list of names; a pattern is not read");
        }
        return targets;
    }

    private List<String> modules() {
        JsonNode value = json.path(MODULES);
        List<String> modules = new ArrayList<>();
        for (JsonNode item : value) {
            if (!value.isArray() || !item.isString()) {
                throw bad(MODULES, "must be a list of names");
            }
            modules.add(item.stringValue());
        }
        if (modules.isEmpty() && !isOff(value)) {
            throw bad(MODULES, "must be a list of names");
        }
        return modules;
    }

    private @Nullable String base() {
        JsonNode value = json.path("base_model_name_or_path");
        if (isMissing(value)) {
            return null;
        }
        if (!value.isString()) {
            throw bad("base_model_name_or_path", "must be a text");
        }
        return value.stringValue();
    }

    private List<Integer> layers() {
        JsonNode value = json.path("layers_to_transform");
        if (isMissing(value)) {
            return List.of();
        }
        if (value.isInt()) {
            return List.of(value.intValue());
        }
        List<Integer> layers = new ArrayList<>();
        for (JsonNode item : value) {
            layers.add(item.isInt() ? item.intValue() : -1);
        }
        if (!value.isArray() || layers.contains(-1)) {
            throw bad("layers_to_transform", "must be the index of a layer, or a list of them");
        }
        return layers;
    }

    private int integer(String key, int absent) {
        JsonNode value = json.path(key);
        if (isMissing(value)) {
            return absent;
        }
        if (!value.isInt()) {
            throw bad(key, "must be a whole number");
        }
        return value.intValue();
    }

    private double number(String key, double absent) {
        JsonNode value = json.path(key);
        if (isMissing(value)) {
            return absent;
        }
        if (!value.isNumber()) {
            throw bad(key, "must be a number");
        }
        return value.doubleValue();
    }

    private boolean flag(String key) {
        JsonNode value = json.path(key);
        if (isMissing(value)) {
            return false;
        }
        if (!value.isBoolean()) {
            throw bad(key, "must be true or false");
        }
        return value.booleanValue();
    }

    private ModelFormatException bad(String key, String problem) {
        JsonNode value = json.path(key);
        String found = value.isMissingNode() ? "" : ", found " + ModelFormatException.quote(value.toString());
        return new ModelFormatException(file, ModelFormatException.quote(key) + " " + problem + found);
    }

    /**
     * Writes an adapter_config.json, atomically.
     *
     * @param conv1d whether weights are stored {@code [in, out]}, as GPT-2's are
     * @param taskType PEFT's name of what the model is for, such as {@code CAUSAL_LM}
     * @param modulesToSave the modules that are trained whole
     */
    public static void write(
            Path directory, LoraConfig config, boolean conv1d, String taskType, List<String> modulesToSave) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("base_model_name_or_path", config.baseModelNameOrPath());
        json.put("bias", "none");
        json.put("fan_in_fan_out", conv1d);
        json.put("inference_mode", true);
        json.put("init_lora_weights", true);
        if (config.layersToTransform().isEmpty()) {
            json.putNull("layers_to_transform");
        } else {
            config.layersToTransform().forEach(json.putArray("layers_to_transform")::add);
        }
        json.put("lora_alpha", config.loraAlpha());
        json.put("lora_dropout", config.loraDropout());
        if (modulesToSave.isEmpty()) {
            json.putNull(MODULES);
        } else {
            modulesToSave.forEach(json.putArray(MODULES)::add);
        }
        json.put("peft_type", "LORA");
        json.put("r", config.r());
        if (config.targetModules().equals(List.of(LoraConfig.ALL_LINEAR))) {
            json.put("target_modules", LoraConfig.ALL_LINEAR);
        } else {
            ArrayNode targets = json.putArray("target_modules");
            config.targetModules().forEach(targets::add);
        }
        json.put("task_type", taskType);
        json.put("use_dora", config.useDora());
        json.put("use_rslora", config.useRslora());
        Json.write(directory.resolve(FILE), json);
    }
}
