package dev.isthmus.app;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.loop.BaseConfig;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.ModelConfig;
import dev.isthmus.train.loop.TrainingLoop;
import dev.isthmus.train.loop.TrainingMethod;
import dev.isthmus.train.run.YamlSettings;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The command of a {@link TrainingMethod}: an option for each of its settings, {@code --max-steps} for {@code max_steps}, with the
 * default and the description that stand beside them.
 */
@Command(abbreviateSynopsis = true)
class TrainerCommand implements Runnable {
    /** Before all options whose place is not given, for which picocli's order is -1. */
    private static final int FIRST = -3;

    private static final int OWN = -2;

    @Spec
    @SuppressWarnings("NullAway.Init")
    CommandSpec spec;

    @Option(
            names = "--config",
            paramLabel = "FILE",
            description = "Settings as YAML, such as the config.yaml of a run; options win over it.")
    @Nullable
    Path config;

    @Option(
            names = "--set",
            paramLabel = "KEY=VALUE",
            showDefaultValue = Visibility.NEVER,
            description = "A setting by its name in config.yaml, such as max_steps=100; may be repeated.")
    private Map<String, String> set = new LinkedHashMap<>();

    @Option(names = "--out", paramLabel = "DIR", description = "Run directory (default: the next runs/COMMAND-SEED-N).")
    @Nullable
    Path out;

    @Option(names = "--resume", paramLabel = "DIR", description = "Go on with an interrupted run.")
    @Nullable
    Path resume;

    private final TrainingMethod<?> method;

    TrainerCommand(TrainingMethod<?> method) {
        this.method = method;
    }

    /** The command, with an option for each setting. */
    CommandSpec spec(String data, String... description) {
        CommandSpec command = CommandSpec.forAnnotatedObject(this).name(method.key());
        command.usageMessage().description(description);
        ObjectNode defaults = method.defaults();
        add(command, BaseConfig.class, defaults, data);
        add(command, ModelConfig.class, defaults, data);
        add(command, method.settings(), defaults, data);
        return command;
    }

    private static void add(CommandSpec command, Class<?> settings, ObjectNode defaults, String data) {
        for (RecordComponent component : settings.getRecordComponents()) {
            if (component.getAccessor().isAnnotationPresent(JsonUnwrapped.class)) {
                add(command, component.getType(), defaults, data);
            }
            JsonPropertyDescription text = component.getAccessor().getAnnotation(JsonPropertyDescription.class);
            if (text == null) {
                continue;
            }
            String key = key(component.getName());
            JsonNode value = defaults.path(key);
            boolean flag = component.getType() == boolean.class || component.getType() == Boolean.class;
            boolean first = List.of("model", "data", "eval_data").contains(key);
            OptionSpec.Builder option = OptionSpec.builder("--" + key.replace('_', '-'))
                    .type(type(component.getType()))
                    .arity(flag ? "0..1" : "1")
                    .fallbackValue(flag ? "true" : "")
                    .paramLabel(
                            component.getType() == List.class
                                    ? label(elements(component)) + ",..."
                                    : label(component.getType()))
                    .hideParamSyntax(true)
                    .order(first ? FIRST : settings == BaseConfig.class || settings == ModelConfig.class ? -1 : OWN)
                    .description(key.equals("data") ? data : text.value())
                    .defaultValue(shown(value));
            if (component.getType().isEnum()) {
                option.converters(given -> constant(component.getType(), given));
            }
            if (component.getType() == List.class) {
                Class<?> elements = elements(component);
                option.auxiliaryTypes(elements.isEnum() ? String.class : elements)
                        .splitRegex(",");
                if (elements.isEnum()) {
                    option.converters(given -> constant(elements, given));
                }
            }
            if (component.getType() == Map.class) {
                option.type(ObjectNode.class).converters(given -> group(key, given));
            }
            command.addOption(option.build());
        }
    }

    private static String key(String component) {
        return component.replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT);
    }

    private static Class<?> type(Class<?> component) {
        return component == List.class
                        || component.isPrimitive()
                        || Number.class.isAssignableFrom(component)
                        || component == Boolean.class
                ? component
                : String.class;
    }

    /** The name of a constant, in whatever case it was given. */
    private static String constant(Class<?> type, String given) {
        return names(type).stream()
                .filter(given::equalsIgnoreCase)
                .findFirst()
                .orElseThrow(() ->
                        new TypeConversionException("expected one of " + names(type) + " but was '" + given + "'"));
    }

    private static ObjectNode group(String key, String given) {
        try {
            return YamlSettings.parse(given, key);
        } catch (IsthmusException e) {
            throw new TypeConversionException(e.getMessage() + ", which are written as {min_lr_rate: 0.1}");
        }
    }

    private static List<String> names(Class<?> type) {
        return Stream.of(type.getEnumConstants()).map(Object::toString).toList();
    }

    private static Class<?> elements(RecordComponent list) {
        return list.getGenericType() instanceof ParameterizedType type
                        && type.getActualTypeArguments()[0] instanceof Class<?> element
                ? element
                : String.class;
    }

    private static String label(Class<?> type) {
        if (type == int.class || type == long.class || type == Integer.class || type == Long.class) {
            return "N";
        }
        if (type == double.class || type == Double.class) {
            return "X";
        }
        return type == boolean.class || type == Boolean.class ? "true|false" : type.isEnum() ? "NAME" : "TEXT";
    }

    private static @Nullable String shown(JsonNode value) {
        if (value.isEmpty() && value.isContainer()) {
            return null;
        }
        return value.isArray()
                ? String.join(",", value.valueStream().map(JsonNode::asString).toList())
                : value.asString(null);
    }

    @Override
    public void run() {
        if (resume == null) {
            begin(method);
        } else {
            if (out != null || config != null || !settings().isEmpty()) {
                throw usage("--resume goes on with the run as it was begun and takes no other options");
            }
            TrainingLoop.resume(method, resume, this::warn);
        }
    }

    private <C extends Record> void begin(TrainingMethod<C> kind) {
        MethodConfig<C> complete;
        try {
            complete = kind.configure(config, settings());
        } catch (IsthmusException e) {
            throw new ParameterException(spec.commandLine(), e.getMessage(), e);
        }
        TrainingLoop.begin(kind, complete, out, this::warn);
    }

    /** What was given on the command line, by the keys of the configuration. */
    Map<String, Object> settings() {
        Map<String, Object> settings = new LinkedHashMap<>();
        set.forEach((key, value) -> settings.put(key, YamlSettings.value(value, "--set " + key)));
        ObjectNode defaults = method.defaults();
        for (OptionSpec option : spec.commandLine().getParseResult().matchedOptions()) {
            String key = option.longestName().substring(2).replace('-', '_');
            if (defaults.has(key)) {
                settings.put(key, option.getValue());
            }
        }
        return settings;
    }

    /** What was given for a setting that is a text; null if nothing was. */
    @Nullable
    String given(String key) {
        Object value = settings().get(key);
        return value == null ? null : value.toString();
    }

    ParameterException usage(String problem) {
        return new ParameterException(spec.commandLine(), problem);
    }

    private void warn(String line) {
        spec.commandLine().getErr().println("isthmus: " + line);
    }
}
