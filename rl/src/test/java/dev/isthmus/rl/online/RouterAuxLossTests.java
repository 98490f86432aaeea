package dev.isthmus.rl.online;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.DecoderConfig.Experts;
import dev.isthmus.model.DecoderConfig.ModelType;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.rl.offline.Dpo;
import dev.isthmus.rl.offline.Ilql;
import dev.isthmus.rl.offline.Kto;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.train.loop.TrainingMethod;
import dev.isthmus.train.supervised.Sft;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The loss that balances experts, in all trainers that TRL gives it to. */
class RouterAuxLossTests {
    @TempDir
    private Path root;

    @BeforeEach
    void mixture() throws IOException {
        CharTokenizer tokenizer = new CharTokenizer("0123456789+=", true);
        DecoderConfig llama = DecoderConfig.llama(tokenizer.vocabSize(), 16, 24, 2, 2, 2, 24, true);
        DecoderConfig mixtral = new DecoderConfig(
                ModelType.MIXTRAL,
                llama.vocabSize(),
                llama.hiddenSize(),
                llama.intermediateSize(),
                llama.numHiddenLayers(),
                llama.numAttentionHeads(),
                llama.numKeyValueHeads(),
                llama.headDim(),
                llama.maxPositionEmbeddings(),
                llama.normEps(),
                llama.hiddenAct(),
                llama.rope(),
                false,
                false,
                true,
                llama.bosTokenId(),
                llama.eosTokenIds(),
                null,
                null,
                new Experts(4, 2, 24, 0, true, 0.02, List.of(true, true)));
        try (Scope scope = Scope.open()) {
            Decoder decoder = new Decoder(mixtral, DType.FLOAT32).initialize(Rng.of(3));
            // Hidden states have something in common, for which routers prefer the first two experts.
            decoder.parameters().forEach(p -> {
                if (p.name().endsWith("embed_tokens.weight")) {
                    p.value().copyFrom(p.value().detach().add(0.05));
                } else if (p.name().endsWith("gate.weight")) {
                    p.value()
                            .narrow(0, 0, 2)
                            .copyFrom(p.value().narrow(0, 0, 2).detach().add(0.05));
                }
            });
            Pretrained.save(decoder, root.resolve("tiny"));
        }
        tokenizer.save(root.resolve("tiny"));
        Files.writeString(
                root.resolve("prompts.jsonl"),
                IntStream.range(0, 16)
                        .mapToObj(i -> "{\"prompt\":\"" + i + "+" + i * i + "=\",\"completion\":\"" + (i + i * i)
                                + "\",\"reward\":" + i % 3 + ",\"label\":" + (i % 2 == 0) + "}")
                        .collect(Collectors.joining("\n")),
                StandardCharsets.UTF_8);
        Files.writeString(
                root.resolve("pairs.jsonl"),
                IntStream.range(0, 16)
                        .mapToObj(
                                i -> "{\"prompt\":\"" + i + "=\",\"chosen\":\"" + i + "\",\"rejected\":\"+" + i + "\"}")
                        .collect(Collectors.joining("\n")),
                StandardCharsets.UTF_8);
    }

    static Stream<Arguments> trainers() {
        Map<String, ?> online =
                Map.of("max_completion_length", 4, "reward_funcs", List.of("get_soft_overlong_punishment"));
        return Stream.of(
                Arguments.argumentSet("sft", new Sft(), Map.of()),
                Arguments.argumentSet("dpo", new Dpo(), Map.of("data", "@pairs.jsonl")),
                Arguments.argumentSet("kto", new Kto(), Map.of()),
                Arguments.argumentSet("ilql", new Ilql(), Map.of()),
                Arguments.argumentSet("grpo", OnlineTrainer.GRPO, online),
                Arguments.argumentSet("rloo", OnlineTrainer.RLOO, online));
    }

    private TinyOnlineRun run(TrainingMethod<?> method, Map<String, ?> settings, String out, Object... more) {
        Map<String, Object> all = new LinkedHashMap<>(settings);
        for (int i = 0; i < more.length; i += 2) {
            all.put((String) more[i], more[i + 1]);
        }
        return TinyOnlineRun.of(method, root, out, all);
    }

    @ParameterizedTest
    @MethodSource("trainers")
    void itIsAddedWithItsWeightAndBalancesTheExperts(TrainingMethod<?> method, Map<String, ?> settings)
            throws IOException {
        TinyOnlineRun without = run(method, settings, "without", "router_aux_loss_coef", 0);
        assertThat(without.metric("aux_loss")).isEmpty();
        TinyOnlineRun with = run(method, settings, "with", "router_aux_loss_coef", 0.5, "max_steps", 30);
        double[] balance = with.metric("aux_loss");
        // Two layers of experts, of which each token takes two: perfect balance is 2.
        assertThat(balance[0]).isGreaterThan(2.2);
        assertThat(with.metric("loss")[0] - without.metric("loss")[0])
                .isCloseTo(0.5 * balance[0], within(1e-5 * balance[0]));
        assertThat(balance[29]).isLessThan(balance[0]).isGreaterThan(1.9);
        TinyOnlineRun divided = run(
                method,
                settings,
                "divided",
                "router_aux_loss_coef",
                0.5,
                "max_steps",
                1,
                "per_device_train_batch_size",
                4,
                "gradient_accumulation_steps",
                2);
        assertThat(divided.metric("loss")[0] - without.metric("loss")[0])
                .as("the mean over the parts of a step")
                .isCloseTo(0.5 * divided.metric("aux_loss")[0], within(1e-5));
    }

    @Test
    void aResumedRunEndsLikeOneThatWasNotInterrupted() throws IOException {
        Map<String, ?> settings = Map.of("router_aux_loss_coef", 0.1, "gradient_checkpointing", true);
        TinyOnlineRun whole = run(new Sft(), settings, "whole");
        TinyOnlineRun resumed = run(new Sft(), settings, "resumed").resumed(new Sft());
        assertThat(resumed.text("metrics.jsonl")).isEqualTo(whole.text("metrics.jsonl"));
        assertThat(resumed.weights()).isEqualTo(whole.weights());
    }
}
