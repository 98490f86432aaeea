package dev.isthmus.model.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.sample.LogitsProcessors;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ConversationTests {
    private static final DecoderConfig LLAMA = DecoderConfig.llama(29, 36, 52, 2, 6, 3, 600, true);

    static Stream<DecoderConfig> configs() {
        return Stream.of(LLAMA, DecoderConfig.gpt2(29, 20, 2, 2, 600));
    }

    private static int[] tokens(int n, int seed) {
        return Rng.of(seed).ints(n, 0, 29).toArray();
    }

    private static int[] joined(int[]... parts) {
        return Stream.of(parts).flatMapToInt(IntStream::of).toArray();
    }

    @ParameterizedTest
    @MethodSource("configs")
    void everyTurnIsTheSameBitsAsWithoutTheTurnsBeforeAndReadsOnlyWhatIsNew(DecoderConfig shape) {
        try (Scope scope = Scope.open()) {
            Decoder decoder = new Decoder(shape, DType.FLOAT32).initialize(Rng.of(3));
            SamplingParams sampling = new SamplingParams(true, 0.9, 12, 0.95, 0.01, 1.2)
                    .withWarpers(List.of(LogitsProcessors.mirostat(3, 0.2)));
            GenerationConfig config = new GenerationConfig(sampling, 21, List.of(4), 1).withEntropies();
            AtomicLong read = new AtomicLong();
            decoder.hooks().registerForwardHook((module, output) -> {
                if (module.endsWith("norm") || module.endsWith("ln_f")) {
                    read.addAndGet(output.size(0));
                }
                return output;
            });
            Conversation conversation = new Conversation(decoder);
            int[] text = tokens(11, 1);
            int known = 0;
            for (int turn = 0; turn < 6; turn++) {
                Rng rng = Rng.of(7).split("turn", turn);
                read.set(0);
                Completion here = conversation.complete(text, config, rng);
                int perToken = shape.rope() == null ? 1 : 5;
                int fresh = text.length - known + here.tokens().length - 1;
                assertThat(read.get()).isEqualTo((long) perToken * fresh);
                Completion alone =
                        Generator.generate(decoder, List.of(text), config, rng).getFirst();
                assertThat(here.tokens()).isEqualTo(alone.tokens());
                assertThat(here.logProbs()).isEqualTo(alone.logProbs());
                assertThat(here.entropies()).isEqualTo(alone.entropies());
                assertThat(here.finished()).isEqualTo(alone.finished());
                known = text.length + here.tokens().length - 1;
                assertThat(conversation.length()).isEqualTo(known);
                // Then more is said; in the third turn more than a part is read at once.
                int[] said = tokens(turn == 2 ? 300 : 3 + 9 * turn, 50 + turn);
                text = joined(text, here.tokens(), said);
            }
        }
    }

    @Test
    void anotherHeadHasTheBitsThatItHasWithoutTheConversation() {
        try (Scope scope = Scope.open()) {
            Decoder decoder = new Decoder(LLAMA, DType.FLOAT32).initialize(Rng.of(3));
            Ensemble.Head opposite = (model, hidden) -> model.logits(hidden).neg();
            GenerationConfig config = new GenerationConfig(SamplingParams.temperature(1), 9, List.of(), 1);
            int[] text = tokens(11, 1);
            Completion alone = Generator.generate(
                            Ensemble.of(decoder, opposite), List.of(text), config, Rng.of(7), null)
                    .getFirst();
            Completion here = new Conversation(decoder, opposite).complete(text, config, Rng.of(7));
            assertThat(here.tokens()).isEqualTo(alone.tokens());
            assertThat(here.logProbs()).isEqualTo(alone.logProbs());
        }
    }

    @Test
    void aTextThatBeginsOtherwiseIsReadFromThere() {
        try (Scope scope = Scope.open()) {
            Decoder decoder = new Decoder(LLAMA, DType.FLOAT32).initialize(Rng.of(3));
            GenerationConfig config = new GenerationConfig(SamplingParams.temperature(1), 9, List.of(), 1);
            Conversation conversation = new Conversation(decoder);
            int[] first = tokens(70, 1);
            for (int[] text : List.of(
                    first,
                    first,
                    Arrays.copyOf(first, 33),
                    joined(Arrays.copyOf(first, 20), tokens(40, 2)),
                    new int[] {5},
                    tokens(65, 3))) {
                Completion here = conversation.complete(text, config, Rng.of(1));
                Completion alone = Generator.generate(decoder, List.of(text), config, Rng.of(1))
                        .getFirst();
                assertThat(here.tokens()).isEqualTo(alone.tokens());
                assertThat(here.logProbs()).isEqualTo(alone.logProbs());
            }
        }
    }

    @Test
    void whatCannotBeReadIsToldAndForgotten() {
        try (Scope scope = Scope.open()) {
            Decoder decoder = new Decoder(LLAMA, DType.FLOAT32).initialize(Rng.of(3));
            GenerationConfig config = new GenerationConfig(SamplingParams.temperature(1), 9, List.of(), 1);
            Conversation conversation = new Conversation(decoder);
            assertThatThrownBy(() -> conversation.complete(new int[0], config, Rng.of(1)))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("empty");
            assertThatThrownBy(() -> conversation.complete(tokens(600, 1), config, Rng.of(1)))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("600 positions");
            GenerationConfig broken = config.withStreamer((_, _, _) -> {
                throw new IsthmusException("stop");
            });
            int[] text = tokens(40, 1);
            assertThatThrownBy(() -> conversation.complete(text, broken, Rng.of(1)))
                    .hasMessage("stop");
            assertThat(conversation.complete(text, config, Rng.of(1)).logProbs())
                    .isEqualTo(Generator.generate(decoder, List.of(text), config, Rng.of(1))
                            .getFirst()
                            .logProbs());
            // To the last position, and no further.
            int[] most = tokens(595, 2);
            assertThat(conversation.complete(most, config, Rng.of(1)).tokens()).hasSize(5);
        }
    }
}
