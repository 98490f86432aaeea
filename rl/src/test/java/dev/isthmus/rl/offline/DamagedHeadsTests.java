package dev.isthmus.rl.offline;

import dev.isthmus.model.Adapter;
import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.LoraConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.rl.reward.Classifier;
import dev.isthmus.rl.reward.RoutedExperts;
import dev.isthmus.rl.reward.RoutedExperts.Expert;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.testing.Mutations;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What trainers write beside a model, damaged. */
class DamagedHeadsTests {
    /** Most of the damage is in the headers. */
    private static final int HEAD = 1200;

    @TempDir
    private Path root;

    private Path model;

    @BeforeEach
    void model() {
        model = root.resolve("model");
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(8, 4, 4, 1, 1, 1, 8, true);
            Pretrained.save(new Decoder(config, DType.FLOAT32).initialize(Rng.of(1)), model);
        }
    }

    /** Damages one of the files that {@code load} reads. */
    private static void assertSurvives(String what, Path file, Runnable load) throws IOException {
        Mutations.assertSurvives(what, Files.readAllBytes(file), HEAD, bytes -> {
            Files.write(file, bytes);
            try (Scope scope = Scope.open()) {
                load.run();
            }
        });
    }

    @Test
    void headsOfIlql() throws IOException {
        try (Scope scope = Scope.open()) {
            Decoder decoder = Pretrained.load(model);
            IlqlHeads.loadOrInitialize(decoder, model, true, Rng.of(1)).save(model);
            assertSurvives(
                    "ilql_heads.safetensors",
                    model.resolve("ilql_heads.safetensors"),
                    () -> IlqlHeads.load(decoder, model));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "1, false, config.json",
        "1, false, model.safetensors",
        "2, true, config.json",
        "2, true, model.safetensors"
    })
    void aModelThatSaysNumbers(int labels, boolean bias, String file) throws IOException {
        try (Scope scope = Scope.open()) {
            Classifier.initialize(Pretrained.load(model), labels, bias, Rng.of(1))
                    .save(model);
        }
        assertSurvives(
                file + " of a model with " + labels + " labels",
                model.resolve(file),
                () -> Classifier.load(model, labels, bias));
    }

    @ParameterizedTest
    @CsvSource({
        "1, false, adapter_config.json",
        "1, false, adapter_model.safetensors",
        "2, true, adapter_config.json",
        "2, true, adapter_model.safetensors"
    })
    void anAdapterThatSaysNumbers(int labels, boolean bias, String file) throws IOException {
        Path directory = root.resolve("adapter");
        try (Scope scope = Scope.open()) {
            Decoder base = Pretrained.load(model);
            LoraConfig config = new LoraConfig(2, 4, 0, List.of("q_proj"), true, true, List.of(), model.toString());
            Adapter adapter = new Adapter(base, config).initialize(Rng.of(1));
            Classifier.initialize(base.with(adapter), labels, bias, Rng.of(1)).save(directory);
        }
        assertSurvives(
                file + " with " + labels + " labels",
                directory.resolve(file),
                () -> Classifier.load(directory, labels, bias));
    }

    @ParameterizedTest
    @ValueSource(strings = {"experts.json", "experts.safetensors", "experts/1/adapter_config.json"})
    void routedExperts(String file) throws IOException {
        Path directory = root.resolve("experts");
        try (Scope scope = Scope.open()) {
            Decoder base = Pretrained.load(model);
            for (int i = 0; i < 3; i++) {
                LoraExperts.save(base, model, root.resolve("expert" + i), i);
            }
            List<Expert> experts = List.of(
                    new Expert("one", root.resolve("expert0")),
                    new Expert("two", root.resolve("expert1")),
                    new Expert("one", root.resolve("expert2")));
            RoutedExperts.initialize(base, model, experts, Rng.of(3)).save(directory);
        }
        assertSurvives(file, directory.resolve(file), () -> RoutedExperts.load(directory));
    }
}
