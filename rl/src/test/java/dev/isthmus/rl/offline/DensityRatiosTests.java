package dev.isthmus.rl.offline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.data.TrainingData.Item;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.TrainingLoop;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;

class DensityRatiosTests {
    @TempDir
    private Path directory;

    /** The optimum that PyTorch's L-BFGS finds in float64. */
    @Test
    void theRegressionIsTheOptimum() {
        double[][] points = {{0.5, -1.0}, {1.5, 0.25}, {2.0, 2.0}, {-1.0, 0.5}, {0.25, 1.0}, {3.0, -0.5}, {-0.5, -2.0}};
        boolean[] first = {true, true, true, false, false, true, false};
        LogisticRegression found = LogisticRegression.fit(points, first);
        assertThat(found.weights())
                .containsExactly(
                        new double[] {1.1864968717853455, -0.06800336118604697, -0.7042937825111069}, within(1e-8));
        assertThat(found.probability(new double[] {1, 1})).isCloseTo(0.6020944660425355, within(1e-8));
        assertThatThrownBy(() -> LogisticRegression.fit(points, new boolean[7]))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining("examples of both");
    }

    /** Good completions have prompts of one alphabet; bad ones half of it, half of another. */
    private Path rows() throws IOException {
        List<String> rows = IntStream.range(0, 40)
                .mapToObj(i -> {
                    boolean good = i % 2 == 0;
                    String letters = good || i % 4 == 1 ? "abcd" : "efgh";
                    String prompt = IntStream.range(0, 4)
                            .mapToObj(k -> String.valueOf(letters.charAt((i / 4 + k * (1 + i % 3)) % 4)))
                            .reduce("", String::concat);
                    return "{\"prompt\":\"" + prompt + "\",\"completion\":\"=\",\"label\":" + good + "}";
                })
                .toList();
        return Files.write(directory.resolve("rows.jsonl"), rows);
    }

    private Path model() {
        Path model = directory.resolve("model");
        CharTokenizer tokenizer = new CharTokenizer("abcdefgh=", true);
        try (Scope scope = Scope.open()) {
            DecoderConfig config = DecoderConfig.llama(tokenizer.vocabSize(), 16, 24, 2, 2, 2, 24, true);
            Decoder decoder = new Decoder(config, DType.FLOAT32).initialize(Rng.of(1));
            decoder.trained().forEach(t -> t.copyFrom(t.rank() > 1 ? t.detach().mul(8) : t.detach()));
            Pretrained.save(decoder, model);
        }
        tokenizer.save(model);
        return model;
    }

    @Test
    void badCompletionsOfPromptsLikeThoseOfGoodOnesCountMore() throws IOException {
        Path model = model();
        MethodConfig<BcoConfig> config =
                new Bco().configure(null, Map.of("model", model.toString(), "data", rows().toString()));
        try (Scope scope = Scope.open()) {
            Start start = new Start(model, JsonNodeFactory.instance.objectNode(), Optional.empty());
            TrainedModel trained = TrainedModel.load(config, start);
            TrainingData<LabelledExample> data =
                    Preparation.labelled(config, trained, 100, config.own().truncationMode());
            DensityRatios ratios = DensityRatios.of(trained.decoder(), data, 1024, 0.3, 1.5, Rng.of(1));
            assertThat(ratios.ofBad()).hasSize(20);
            for (List<Item<LabelledExample>> batch : data.all()) {
                double[] weights = ratios.weights(batch).toDoubles();
                for (int i = 0; i < weights.length; i++) {
                    int row = batch.get(i).number();
                    if (row % 2 == 0) {
                        assertThat(weights[i]).as("good").isEqualTo(1);
                    } else if (row % 4 == 1) {
                        assertThat(weights[i]).as("like good ones").isBetween(0.6, 1.5);
                    } else {
                        assertThat(weights[i]).as("unlike good ones").isEqualTo(0.3);
                    }
                }
            }
            assertThat(DensityRatios.of(trained.decoder(), data, 3, 0, 10, Rng.of(1))
                            .ofBad())
                    .as("of a sample")
                    .hasSize(20)
                    .isNotEqualTo(ratios.ofBad());
        }
    }

    /** With bounds that leave no choice a bad completion counts twice; held-out rows leave the shift alone. */
    @Test
    void theyWeighTheLossOfBco() throws IOException {
        Map<String, Object> settings = Map.of(
                "model",
                model().toString(),
                "data",
                rows().toString(),
                "eval_data",
                rows().toString(),
                "per_device_train_batch_size",
                40,
                "max_steps",
                2,
                "logging_steps",
                1,
                "learning_rate",
                0.01);
        List<JsonNode> plain = metrics(settings, "plain");
        Map<String, Object> weighed = new LinkedHashMap<>(settings);
        weighed.putAll(
                Map.of("embedding_model", settings.get("model"), "min_density_ratio", 2, "max_density_ratio", 2));
        List<JsonNode> twice = metrics(weighed, "twice");
        assertThat(plain.get(1).get("loss").asDouble()).isCloseTo(Math.log(2), within(1e-6));
        assertThat(twice.get(1).get("loss").asDouble()).isCloseTo(1.5 * Math.log(2), within(1e-6));
        assertThat(plain.get(2).get("delta").asDouble()).isNotZero();
        assertThat(plain.get(2).get("eval_delta").asDouble())
                .isEqualTo(plain.get(2).get("delta").asDouble());
    }

    private List<JsonNode> metrics(Map<String, ?> settings, String out) throws IOException {
        Bco bco = new Bco();
        TrainingLoop.begin(bco, bco.configure(null, settings), directory.resolve(out), _ -> {});
        return Files.readString(directory.resolve(out).resolve("metrics.jsonl"))
                .lines()
                .map(JsonMapper.shared()::readTree)
                .toList();
    }
}
