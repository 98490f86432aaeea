package dev.isthmus.rl.reward;

import dev.isthmus.model.Adapter;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.Parameter;
import dev.isthmus.model.Peft;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.TokenBatch;
import dev.isthmus.model.io.Json;
import dev.isthmus.model.io.ModelFormatException;
import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A reward model of LoRA experts over one frozen model: of a prompt only the {@linkplain ExpertMixture experts of its task} judge what
 * was answered (Quan 2024, DMoERM: sparse outside, dense inside).
 *
 * <p>The task is told, or a router says it: {@code argmax W m + b}, {@code m} being the mean of the model's last hidden states over the
 * tokens of the prompt. That it reads this mean is this project's choice.
 */
public final class RoutedExperts {
    private static final String CONFIG = "experts.json";
    private static final String FILE = "experts.safetensors";

    private final Decoder base;
    private final List<Adapter> adapters;
    private final List<Expert> experts;
    private final List<String> tasks;
    private final List<ExpertMixture> mixtures = new ArrayList<>();
    /** Nothing where there is one task. */
    private final List<Parameter> router;

    /**
     * An adapter that {@code reward --peft lora} trained.
     *
     * @param task what it is an expert of; empty where there are no tasks
     */
    public record Expert(String task, Path adapter) {
        /** What {@code TASK=DIR} or {@code DIR} says. */
        public static Expert parse(String text) {
            int equals = text.indexOf('=');
            return equals < 0 || Files.exists(Path.of(text))
                    ? new Expert("", Path.of(text))
                    : new Expert(text.substring(0, equals), Path.of(text.substring(equals + 1)));
        }
    }

    private RoutedExperts(Decoder base, List<Expert> experts, Rng rng) {
        this.base = base;
        this.experts = List.copyOf(experts);
        adapters = experts.stream()
                .map(expert -> Peft.loadWithoutModules(expert.adapter, base))
                .toList();
        tasks = experts.stream().map(Expert::task).distinct().toList();
        Decoder adapted = base.with(adapters.toArray(Adapter[]::new));
        for (int t = 0; t < tasks.size(); t++) {
            String task = tasks.get(t);
            int[] own = IntStream.range(0, experts.size())
                    .filter(k -> experts.get(k).task.equals(task))
                    .toArray();
            mixtures.add(new ExpertMixture(adapted, own, "experts." + t, rng));
        }
        int n = tasks.size();
        router = n == 1
                ? List.of()
                : List.of(
                        parameter(
                                "router.weight",
                                Tensor.zeros(base.dtype(), n, base.config().hiddenSize())),
                        parameter("router.bias", Tensor.zeros(base.dtype(), n)));
    }

    private static Parameter parameter(String name, Tensor value) {
        return new Parameter(name, value.requireGrad(), 0, value.size(0));
    }

    /**
     * Experts with new MLPs, and a router that knows nothing yet, in the current scope.
     *
     * @param base the model that all of them change
     * @throws IsthmusException if an adapter is missing, damaged or of another model, or only some of them name a task
     */
    public static RoutedExperts initialize(Decoder base, Path model, List<Expert> experts, Rng rng) {
        if (experts.stream().anyMatch(e -> e.task.isEmpty()) && experts.stream().anyMatch(e -> !e.task.isEmpty())) {
            throw new IsthmusException("experts must all name their task, TASK=DIR, or none of them");
        }
        for (Expert expert : experts) {
            if (!Peft.present(expert.adapter)) {
                throw new IsthmusException("the expert " + expert.adapter
                        + " is no directory of an adapter; 'reward --peft lora' trains one");
            }
            requireSame(Peft.base(expert.adapter), model, expert.adapter);
        }
        return new RoutedExperts(base, experts, rng);
    }

    private static void requireSame(Path found, Path model, Path adapter) {
        try {
            if (!Files.isSameFile(found, model)) {
                throw new IsthmusException("the expert " + adapter + " changes " + found + ", not " + model
                        + "; all experts change the model that --model names");
            }
        } catch (IOException e) {
            throw new IsthmusException("Cannot read " + model + ": " + e.getMessage(), e);
        }
    }

    /** Whether a directory holds what {@link #save} wrote. */
    public static boolean present(Path directory) {
        return Files.exists(directory.resolve(CONFIG));
    }

    /**
     * Loads what {@link #save} wrote, and the model that the experts change, into the current scope.
     *
     * @throws IsthmusException if something is missing or damaged
     */
    public static RoutedExperts load(Path directory) {
        Path config = directory.resolve(CONFIG);
        List<Expert> experts = new ArrayList<>();
        for (JsonNode node : Json.read(config).path("experts")) {
            experts.add(expert(config, node));
        }
        if (experts.isEmpty()) {
            throw new ModelFormatException(config, "names no experts");
        }
        Decoder base = Pretrained.load(Peft.base(experts.getFirst().adapter));
        RoutedExperts routed = new RoutedExperts(base, experts, Rng.of(0));
        routed.restore(directory);
        return routed;
    }

    private static Expert expert(Path config, JsonNode node) {
        JsonNode task = node.path("task");
        JsonNode adapter = node.path("adapter");
        if (!adapter.isString() || !task.isMissingNode() && !task.isString()) {
            throw new ModelFormatException(
                    config, "each of 'experts' needs a text 'adapter', its directory, and may have a text 'task'");
        }
        try {
            Path directory = config.resolveSibling(adapter.stringValue());
            if (Peft.present(directory)) {
                return new Expert(task.asString(""), directory);
            }
        } catch (InvalidPathException e) {
            // Reported below.
        }
        throw new ModelFormatException(
                config, "there is no adapter in " + ModelFormatException.quote(adapter.stringValue()));
    }

    /** Takes the numbers that are trained from what {@link #save} wrote. */
    public void restore(Path directory) {
        try (Arena arena = Arena.ofConfined()) {
            Path file = directory.resolve(FILE);
            Pretrained.fill(parameters(), SafeTensors.open(file, arena), file);
        }
    }

    /** Writes the experts as PEFT's directories, and beside them the MLPs and the router. */
    public void save(Path directory) {
        ObjectNode config = JsonMapper.shared().createObjectNode();
        ArrayNode list = config.putArray("experts");
        for (int k = 0; k < adapters.size(); k++) {
            String name = "experts/" + k;
            Peft.save(adapters.get(k), base, directory.resolve(name));
            ObjectNode expert = list.addObject();
            if (!experts.get(k).task.isEmpty()) {
                expert.put("task", experts.get(k).task);
            }
            expert.put("adapter", name);
        }
        SafeTensors.write(directory.resolve(FILE), Pretrained.entries(parameters()));
        Json.write(directory.resolve(CONFIG), config);
    }

    /** What is trained: the MLPs, and the router where there are several tasks. */
    public List<Parameter> parameters() {
        List<Parameter> parameters = new ArrayList<>();
        mixtures.forEach(mixture -> parameters.addAll(mixture.parameters()));
        parameters.addAll(router);
        return parameters;
    }

    /** The model that the experts change. */
    public Decoder base() {
        return base;
    }

    /** The tasks, each with experts of its own; one without a name where there are none. */
    public List<String> tasks() {
        return tasks;
    }

    /** The scores of all tasks, {@code [P, T]}, for each of the prompts; of one task, 0. */
    public Tensor route(List<int[]> prompts) {
        if (router.isEmpty()) {
            return Tensor.zeros(base.dtype(), prompts.size(), 1);
        }
        base.requireLength(prompts.stream().mapToInt(p -> p.length).max().orElse(0));
        Tensor means = Autograd.noGrad(() -> {
            Tensor hidden = base.hidden(TokenBatch.of(prompts));
            Tensor[] rows = new Tensor[prompts.size()];
            int start = 0;
            for (int i = 0; i < rows.length; i++) {
                rows[i] = hidden.narrow(0, start, prompts.get(i).length).mean(0, true);
                start += prompts.get(i).length;
            }
            return Tensor.cat(0, rows);
        });
        return Functional.linear(
                means, router.getFirst().tensor(), router.getLast().tensor());
    }

    /**
     * {@code [N]}: one reward for each of the texts, by the experts of its task.
     *
     * @param tasks the number of each text's task among {@link #tasks}
     */
    public Tensor rewards(List<int[]> sequences, int[] tasks) {
        List<Tensor> parts = new ArrayList<>();
        int[] place = new int[tasks.length];
        int done = 0;
        for (int t = 0; t < mixtures.size(); t++) {
            int task = t;
            int[] own = IntStream.range(0, tasks.length)
                    .filter(i -> tasks[i] == task)
                    .toArray();
            if (own.length > 0) {
                parts.add(mixtures.get(t)
                        .rewards(Arrays.stream(own).mapToObj(sequences::get).toList()));
                for (int i : own) {
                    place[i] = done++;
                }
            }
        }
        return Tensor.cat(0, parts.toArray(Tensor[]::new)).gather(0, Tensor.of(place, place.length));
    }

    /**
     * The number of each text's task: what is said, or what the router finds likeliest.
     *
     * @param said a task for each prompt, or null where nothing is said
     */
    public int[] tasksOf(List<int[]> prompts, List<@Nullable String> said) {
        int[] found = new int[prompts.size()];
        List<Integer> asked = new ArrayList<>();
        for (int i = 0; i < found.length; i++) {
            String task = said.get(i);
            found[i] = tasks.size() == 1 ? 0 : task == null ? -1 : tasks.indexOf(task);
            if (found[i] < 0) {
                asked.add(i);
            }
        }
        if (!asked.isEmpty()) {
            double[] best =
                    Autograd.noGrad(() -> route(asked.stream().map(prompts::get).toList())
                            .argmax(1, false)
                            .toDoubles());
            for (int i = 0; i < best.length; i++) {
                found[asked.get(i)] = (int) best[i];
            }
        }
        return found;
    }
}
