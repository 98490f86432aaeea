package dev.isthmus.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class TokenBatchTests {
    private static final List<int[]> SEQUENCES = List.of(
            new int[] {1, 2, 3, 4, 5}, new int[] {1, 2, 3, 9}, new int[] {1, 2, 3}, new int[] {7, 2, 3, 4}, new int[] {
                7, 2, 3, 4, 6, 8
            });
    private static final int[] PREFIXES = {3, 3, 3, 3, 3};

    /** In the order of the sequences, for all of their tokens. */
    private static Tensor states(Decoder model, TokenBatch batch) {
        int[] rows = new int[batch.ragged().rows()];
        Arrays.setAll(rows, i -> i);
        Tensor hidden = model.hidden(batch);
        return Functional.embedding(hidden, batch.tokensAt(rows));
    }

    @Test
    void aSharedPrefixIsReadOnce() {
        try (Scope scope = Scope.open()) {
            TokenBatch batch = TokenBatch.of(SEQUENCES, PREFIXES);
            assertThat(batch.tokens()).isEqualTo(5 + 1 + 0 + 4 + 3);
            assertThat(batch.ragged().rows()).isEqualTo(22);
            assertThat(batch.positions().toFloats()).containsExactly(0, 1, 2, 3, 4, 3, 0, 1, 2, 3, 3, 4, 5);
            assertThat(TokenBatch.of(SEQUENCES).tokens()).isEqualTo(22);
        }
    }

    @Test
    void littleInCommonIsNotShared() {
        try (Scope scope = Scope.open()) {
            List<int[]> sequences = List.of(new int[] {1, 2, 3, 4, 5, 6, 7, 8}, new int[] {1, 3, 3, 4, 5, 6, 7, 8});
            assertThat(TokenBatch.of(sequences, new int[] {1, 1}).sharing()).isNull();
        }
    }

    @Test
    void sharedTokensGiveTheSameBits() {
        for (Device device : List.of(Device.scalar(), Device.cpu())) {
            try (Scope scope = Scope.open(device)) {
                DecoderConfig config = DecoderConfig.llama(16, 32, 48, 2, 4, 2, 16, true);
                Decoder model = new Decoder(config, DType.FLOAT32).initialize(Rng.of(1));
                assertThat(states(model, TokenBatch.of(SEQUENCES, PREFIXES)).toFloats())
                        .containsExactly(states(model, TokenBatch.of(SEQUENCES)).toFloats());
            }
        }
    }

    @Test
    void sharedTokensGiveTheSameGradients() {
        try (Scope scope = Scope.open(Device.scalar())) {
            DecoderConfig config = DecoderConfig.llama(16, 8, 12, 2, 2, 1, 16, true);
            Decoder model = new Decoder(config, DType.FLOAT64).initialize(Rng.of(1));
            Tensor weights = Tensor.randn(DType.FLOAT64, Rng.of(2), 1, 22, 8);
            List<double[]> apart = gradients(model, TokenBatch.of(SEQUENCES), weights);
            List<double[]> shared = gradients(model, TokenBatch.of(SEQUENCES, PREFIXES), weights);
            for (int i = 0; i < apart.size(); i++) {
                assertThat(shared.get(i)).containsExactly(apart.get(i), within(1e-12));
            }
        }
    }

    private static List<double[]> gradients(Decoder model, TokenBatch batch, Tensor weights) {
        states(model, batch).mul(weights).sum().backward();
        List<double[]> gradients = new ArrayList<>();
        for (Tensor trained : model.trained()) {
            gradients.add(trained.grad().toDoubles());
            trained.zeroGrad();
        }
        return gradients;
    }
}
