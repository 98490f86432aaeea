package dev.isthmus.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Machine;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.train.Trainer.Step;
import dev.isthmus.train.optim.OptimizerConfig;
import dev.isthmus.train.schedule.LrSchedule;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

class TrainerTests {
    private static final int VOCABULARY = 12;
    private static final int LENGTH = 24;

    @TempDir
    private Path place;

    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    /** A schedule that moves at every step, weight decay and clipping: all that a step depends on. */
    private static Trainer trainer(int hiddenSize, int steps) {
        return trainer(hiddenSize, steps, OptimizerConfig.adamW(0.9, 0.95, 1e-8));
    }

    private static Trainer trainer(int hiddenSize, int steps, OptimizerConfig optim) {
        DecoderConfig config = DecoderConfig.llama(VOCABULARY, hiddenSize, 2 * hiddenSize, 2, 4, 2, LENGTH, true);
        Decoder model = new Decoder(config, DType.FLOAT32).initialize(Rng.of(5));
        return new Trainer(
                model, new TrainingArguments(1e-2, new LrSchedule.Cosine(3, steps, 0.5, 0), optim, 0.1, 0.5, false));
    }

    /** Sequences of different lengths, a function of the step. */
    private static List<Example> batch(long step, int size) {
        return IntStream.range(0, size)
                .mapToObj(row -> {
                    Rng rng = Rng.of(11).split("batch", step, row);
                    int length = 4 + rng.nextInt(LENGTH - 4);
                    int[] tokens = rng.ints(length, 0, VOCABULARY).toArray();
                    return new Example(tokens, 1 + rng.nextInt(length - 1));
                })
                .toList();
    }

    private static Step step(Trainer trainer, List<Example> batch) {
        int tokens = CompletionLoss.tokens(batch);
        return trainer.step(List.of(() -> CompletionLoss.mean(trainer.model(), batch, tokens)));
    }

    private static List<Step> run(Trainer trainer, int from, int to) {
        return IntStream.range(from, to)
                .mapToObj(i -> step(trainer, batch(i, 4)))
                .toList();
    }

    /** Everything a trainer saves, byte for byte. */
    private Map<String, ByteBuffer> state(Trainer trainer, String name) throws IOException {
        trainer.save(place.resolve(name));
        Map<String, ByteBuffer> files = new TreeMap<>();
        try (var paths = Files.list(place.resolve(name))) {
            for (Path path : paths.toList()) {
                files.put(path.getFileName().toString(), ByteBuffer.wrap(Files.readAllBytes(path)));
            }
        }
        assertThat(files)
                .containsOnlyKeys(
                        "config.json", "generation_config.json", "model.safetensors", "optimizer.safetensors");
        return files;
    }

    private static float[] weights(Trainer trainer) {
        List<Float> all = new ArrayList<>();
        for (Tensor p : trainer.model().trained()) {
            for (float w : p.toFloats()) {
                all.add(w);
            }
        }
        float[] weights = new float[all.size()];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = all.get(i);
        }
        return weights;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5, 11})
    void aTrainerThatIsSavedAndRestoredGoesOnBitForBit(int saved) throws IOException {
        Trainer straight = trainer(32, 12);
        List<Step> expected = run(straight, 0, 12);

        Trainer first = trainer(32, 12);
        List<Step> steps = new ArrayList<>(run(first, 0, saved));
        first.save(place.resolve("saved"));
        Trainer second = trainer(32, 12);
        second.restore(place.resolve("saved"), saved);
        assertThat(second.globalStep()).isEqualTo(saved);
        steps.addAll(run(second, saved, 12));

        assertThat(steps).isEqualTo(expected);
        assertThat(expected.getFirst().loss()).isNotEqualTo(expected.getLast().loss());
        assertThat(state(second, "resumed")).isEqualTo(state(straight, "straight"));
    }

    static final List<String> OPTIMIZERS = OptimizerConfig.NAMES;

    /** Every state is needed: with any of them fresh, the steps after it differ. */
    @ParameterizedTest
    @FieldSource("OPTIMIZERS")
    void everyOptimizerGoesOnBitForBit(String name) throws IOException {
        String args = switch (name) {
            case "sgd" -> "momentum=0.9,dampening=0.1";
            case "rmsprop" -> "momentum=0.9,centered=true";
            case "adagrad" -> "lr_decay=0.1,initial_accumulator_value=0.1";
            case "adam", "adamw_torch" -> "amsgrad=true";
            default -> null;
        };
        OptimizerConfig optim = OptimizerConfig.of(name, args, 0.9, 0.95, 1e-8);
        Trainer straight = trainer(32, 9, optim);
        List<Step> expected = run(straight, 0, 9);
        Trainer first = trainer(32, 9, optim);
        List<Step> steps = new ArrayList<>(run(first, 0, 4));
        first.save(place.resolve("saved"));
        Trainer second = trainer(32, 9, optim);
        second.restore(place.resolve("saved"), 4);
        steps.addAll(run(second, 4, 9));
        assertThat(steps).isEqualTo(expected);
        assertThat(state(second, "resumed")).isEqualTo(state(straight, "straight"));
    }

    @Test
    void aCheckpointOfAnotherOptimizerIsRefused() {
        trainer(32, 9).save(place.resolve("adamw"));
        Trainer lion = trainer(32, 9, OptimizerConfig.of("muon", null, 0.9, 0.99, 1e-8));
        assertThatThrownBy(() -> lion.restore(place.resolve("adamw"), 0))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("momentum_buffer");
    }

    @Test
    void twoThreadsComputeTheSameBitsAsOne() throws IOException {
        int threads = Machine.threads();
        try {
            List<Map<String, ByteBuffer>> states = new ArrayList<>();
            List<List<Step>> steps = new ArrayList<>();
            for (int count : List.of(1, 2, 3)) {
                Machine.setThreads(count);
                Trainer trainer = trainer(64, 6);
                steps.add(IntStream.range(0, 6)
                        .mapToObj(i -> step(trainer, batch(i, 48)))
                        .toList());
                states.add(state(trainer, "threads " + count));
            }
            assertThat(steps).containsOnly(steps.getFirst());
            assertThat(states.get(1)).isEqualTo(states.get(0));
            assertThat(states.get(2)).isEqualTo(states.get(0));
        } finally {
            Machine.setThreads(threads);
        }
    }

    @Test
    void twoMicroBatchesAreOneBatch() {
        List<Example> whole = batch(0, 8);
        int tokens = CompletionLoss.tokens(whole);
        List<List<Example>> parts = List.of(whole.subList(0, 3), whole.subList(3, 8));
        float[][] gradients = new float[2][];
        List<Step> steps = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            Trainer trainer = trainer(32, 10);
            List<Supplier<Tensor>> losses = (i == 0 ? List.of(whole) : parts)
                    .stream()
                            .<Supplier<Tensor>>map(part -> () -> CompletionLoss.mean(trainer.model(), part, tokens))
                            .toList();
            losses.forEach(loss -> {
                try (Scope micro = Scope.open()) {
                    loss.get().backward();
                }
            });
            gradients[i] = gradient(trainer);
            trainer.model().trained().forEach(Tensor::zeroGrad);
            steps.add(trainer.step(losses));
        }
        assertThat(steps.get(1).loss()).isCloseTo(steps.get(0).loss(), within(1e-6));
        assertThat(steps.get(1).gradNorm()).isCloseTo(steps.get(0).gradNorm(), within(1e-6));
        assertThat(gradients[1]).containsExactly(gradients[0], within(1e-6f));
        assertThat(gradients[1]).as("the second adds to the first").isNotEqualTo(gradients[0]);
    }

    private static float[] gradient(Trainer trainer) {
        return trainer.model().trained().stream().map(p -> p.grad().toFloats()).reduce(new float[0], (all, part) -> {
            float[] joined = new float[all.length + part.length];
            System.arraycopy(all, 0, joined, 0, all.length);
            System.arraycopy(part, 0, joined, all.length, part.length);
            return joined;
        });
    }

    /** A loss that is not a number, an infinite one, and a fine one whose gradient is not a number. */
    static List<Function<Tensor, Tensor>> broken() {
        return List.of(
                loss -> loss.mul(Double.NaN),
                loss -> loss.div(0),
                loss -> loss.sub(loss.detach()).square().sqrt());
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void whatIsNotFiniteStopsTheRunAndLeavesTheWeights(int kind) throws IOException {
        Function<Tensor, Tensor> broken = broken().get(kind);
        Trainer trainer = trainer(32, 12);
        Trainer other = trainer(32, 12);
        run(trainer, 0, 5);
        run(other, 0, 5);
        Map<String, ByteBuffer> before = state(trainer, "before");

        List<Example> batch = batch(5, 4);
        Supplier<Tensor> good = () -> CompletionLoss.mean(trainer.model(), batch, 100);
        assertThatThrownBy(() -> trainer.step(List.of(good, () -> broken.apply(good.get()))))
                .isInstanceOf(IsthmusException.class)
                .hasMessageMatching(
                        "the (loss|gradient norm) became (NaN|Infinity) at step 6; the weights are as they were"
                                + " before it\\. A smaller learning_rate .*");
        assertThat(state(trainer, "after")).isEqualTo(before);
        assertThat(trainer.globalStep()).isEqualTo(5);
        // Nor is anything left of the gradients.
        assertThat(run(trainer, 5, 8)).isEqualTo(run(other, 5, 8));
    }

    @Test
    void aCheckpointOfAnotherModelIsRefused() {
        Trainer small = trainer(32, 12);
        small.save(place.resolve("small"));
        Trainer large = trainer(64, 12);
        float[] before = weights(large);
        assertThatThrownBy(() -> large.restore(place.resolve("small"), 3)).isInstanceOf(IsthmusException.class);
        assertThat(weights(large)).isEqualTo(before);
    }

    @Test
    void thousandsOfStepsRunInFlatMemory() throws IOException {
        Trainer trainer = trainer(32, 3000);
        List<Example> batch = batch(0, 8);
        long kept = 0;
        long resident = 0;
        for (int i = 0; i < 2500; i++) {
            step(trainer, batch);
            if (i == 400) {
                System.gc();
                kept = scope.bytes();
                resident = resident();
            }
        }
        System.gc();
        assertThat(scope.bytes()).as("memory of the scope around the steps").isEqualTo(kept);
        // A step computes about a megabyte; one that was not given back at each would come to two gigabytes.
        assertThat(resident() - resident).as("bytes of the process").isLessThan(200L << 20);
    }

    /** Bytes of memory that this process has from the system; 0 where that cannot be read. */
    private static long resident() throws IOException {
        Path status = Path.of("/proc/self/status");
        if (!Files.exists(status)) {
            return 0;
        }
        return Files.readAllLines(status, StandardCharsets.UTF_8).stream()
                .filter(line -> line.startsWith("VmRSS:"))
                .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
                .sum();
    }
}
