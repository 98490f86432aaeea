package dev.isthmus.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.model.io.SafeTensors;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.testing.Fixtures;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Decoders against the reference numbers: logits, hidden states, loss and every gradient. */
class DecoderTests {
    private static final double F64 = 1e-9;

    @Tag("fixture")
    @ParameterizedTest
    @MethodSource("dev.isthmus.model.ReferenceModels#names")
    void float64MatchesTheReference(String name) {
        check(name, Device.scalar(), DType.FLOAT64);
    }

    @Tag("fixture")
    @ParameterizedTest
    @MethodSource("dev.isthmus.model.ReferenceModels#names")
    void float32MatchesTheReference(String name) {
        check(name, Device.cpu(), DType.FLOAT32);
    }

    private static void check(String name, Device device, DType dtype) {
        Path directory =
                Fixtures.fixture("models/" + name + "/reference.safetensors").getParent();
        boolean exact = dtype == DType.FLOAT64;
        try (Arena arena = Arena.ofConfined();
                Scope scope = Scope.open(device)) {
            SafeTensors reference = SafeTensors.open(directory.resolve("reference.safetensors"), arena);
            Decoder decoder = Pretrained.load(directory, dtype);
            Rows rows = Rows.of(reference, "input_ids", "attention_mask");
            long[] labels = reference.get("labels").toLongs();

            List<Tensor> states = new ArrayList<>();
            List<Tensor> routerLogits = new ArrayList<>();
            TokenBatch batch = TokenBatch.of(rows.sequences);
            Tensor hidden = decoder.hidden(batch, new Decoder.Trace() {
                @Override
                public void state(Tensor state) {
                    states.add(state);
                }

                @Override
                public void routerLogits(Tensor logits) {
                    routerLogits.add(logits);
                }
            });
            Tensor logits = decoder.logits(hidden);
            rows.compare("logits", logits, reference, exact ? F64 : 2e-4);
            states.add(hidden);
            for (int i = 0; i < states.size(); i++) {
                rows.compare("hidden." + i, states.get(i), reference, exact ? F64 : 2e-4);
            }

            int[] targets = rows.shifted(labels);
            long counted = Arrays.stream(targets).filter(t -> t >= 0).count();
            Tensor loss = Functional.tokenLoss(logits, Tensor.of(targets, targets.length), 1, false)
                    .loss()
                    .sum()
                    .div(counted);
            double expected = reference.get("loss").toDoubles()[0];
            assertThat(loss.item()).isCloseTo(expected, within((exact ? F64 : 1e-5) * expected));
            if (!routerLogits.isEmpty()) {
                Tensor balance = decoder.loadBalancingLoss(routerLogits);
                double recorded = reference.get("aux_loss").toDoubles()[0];
                assertThat(balance.item()).isCloseTo(recorded, within((exact ? F64 : 1e-5) * recorded));
                loss = loss.add(balance);
            }
            loss.backward();
            for (Parameter p : decoder.parameters()) {
                double[] grad = reference.get("grad." + p.name()).toDoubles();
                double largest = Arrays.stream(grad).map(Math::abs).max().orElse(0);
                assertThat(p.grad().toDoubles())
                        .as(name + " " + p.name())
                        .containsExactly(grad, within((exact ? F64 : 1e-4) * largest + (exact ? F64 : 1e-6)));
            }
        }
    }

    @Tag("fixture")
    @ParameterizedTest
    @MethodSource("dev.isthmus.model.ReferenceModels#names")
    void leftPaddingChangesNothing(String name) {
        Path directory =
                Fixtures.fixture("models/" + name + "/reference.safetensors").getParent();
        try (Arena arena = Arena.ofConfined();
                Scope scope = Scope.open()) {
            SafeTensors reference = SafeTensors.open(directory.resolve("reference.safetensors"), arena);
            Decoder decoder = Pretrained.load(directory);
            Rows rows = Rows.of(reference, "leftpad.input_ids", "leftpad.attention_mask");
            Tensor logits = decoder.logits(decoder.hidden(TokenBatch.of(rows.sequences)));
            rows.compare("leftpad.logits", logits, reference, 2e-4);
        }
    }

    /** The real tokens of a padded batch, and where they stood. */
    private record Rows(List<int[]> sequences, int[] places) {
        static Rows of(SafeTensors reference, String ids, String mask) {
            long[] shape = reference.get(ids).shape();
            long[] tokens = reference.get(ids).toLongs();
            long[] real = reference.get(mask).toLongs();
            List<int[]> sequences = new ArrayList<>();
            List<Integer> places = new ArrayList<>();
            for (int b = 0; b < shape[0]; b++) {
                List<Integer> sequence = new ArrayList<>();
                for (int t = 0; t < shape[1]; t++) {
                    int at = (int) (b * shape[1] + t);
                    if (real[at] != 0) {
                        sequence.add((int) tokens[at]);
                        places.add(at);
                    }
                }
                sequences.add(sequence.stream().mapToInt(i -> i).toArray());
            }
            return new Rows(sequences, places.stream().mapToInt(i -> i).toArray());
        }

        void compare(String name, Tensor actual, SafeTensors reference, double tolerance) {
            double[] all = reference.get(name).toDoubles();
            double[] found = actual.toDoubles();
            int width = found.length / places.length;
            double[] expected = new double[found.length];
            for (int i = 0; i < places.length; i++) {
                System.arraycopy(all, places[i] * width, expected, i * width, width);
            }
            assertThat(found).as(name).containsExactly(expected, within(tolerance));
        }

        /** For each token the label of the next, or -100 at the end of a sequence. */
        int[] shifted(long[] labels) {
            int[] targets = new int[places.length];
            int at = 0;
            for (int[] sequence : sequences) {
                for (int t = 0; t < sequence.length; t++, at++) {
                    targets[at] = t + 1 < sequence.length ? (int) labels[places[at + 1]] : -100;
                }
            }
            return targets;
        }
    }

    @Test
    void aCopyGivesTheSameLogits() {
        try (Scope scope = Scope.open()) {
            Decoder decoder = tiny(DecoderConfig.ModelType.LLAMA);
            TokenBatch batch = TokenBatch.of(List.of(new int[] {1, 2, 3}, new int[] {4}));
            assertThat(decoder.copy().logits(decoder.copy().hidden(batch)).toFloats())
                    .isEqualTo(decoder.logits(decoder.hidden(batch)).toFloats());
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"LLAMA", "GPT2"})
    void aTokenDoesNotDependOnItsBatch(DecoderConfig.ModelType type) {
        try (Scope scope = Scope.open()) {
            Decoder decoder = tiny(type);
            List<int[]> sequences = new ArrayList<>();
            Rng rng = Rng.of(5);
            for (int length : new int[] {1, 7, 13, 31, 32, 33, 50, 3}) {
                sequences.add(rng.ints(length, 0, 29).toArray());
            }
            float[] together =
                    decoder.logits(decoder.hidden(TokenBatch.of(sequences))).toFloats();
            int at = 0;
            for (int[] sequence : sequences) {
                float[] alone = decoder.logits(decoder.hidden(TokenBatch.of(List.of(sequence))))
                        .toFloats();
                assertThat(alone).isEqualTo(Arrays.copyOfRange(together, at, at + alone.length));
                at += alone.length;
            }
        }
    }

    static Decoder tiny(DecoderConfig.ModelType type) {
        DecoderConfig config = type == DecoderConfig.ModelType.GPT2
                ? DecoderConfig.gpt2(29, 20, 2, 2, 64)
                : DecoderConfig.llama(29, 36, 52, 2, 6, 3, 64, true);
        return new Decoder(config, DType.FLOAT32).initialize(Rng.of(3));
    }

    @Test
    void morePositionsThanATableHoldsAreTold() {
        for (int positions : new int[] {Integer.MAX_VALUE, 1 << 27}) {
            DecoderConfig config = DecoderConfig.llama(8, 8, 8, 1, 2, 2, positions, true);
            assertThatThrownBy(() -> new Decoder(config, DType.FLOAT32))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("max_position_embeddings is " + positions);
        }
    }
}
