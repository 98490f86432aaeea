package dev.isthmus.bench.ladder;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.bench.Needs;
import dev.isthmus.bench.ladder.Ladder.Rung;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Scope;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class LaddersTests {
    static List<Supplier<Ladder>> ladders() {
        return List.of(
                () -> new MatMulLadder(64).ladder(),
                () -> new MatMulLadder(320).ladder(),
                () -> new AttentionLadder(2, 3, 64, 16).ladder(),
                () -> new AttentionLadder(1, 2, 192, 32).ladder(),
                () -> new CrossEntropyLadder(3, 33).ladder(),
                () -> new CrossEntropyLadder(5, 702).ladder());
    }

    @ParameterizedTest
    @MethodSource("ladders")
    void everyRungComputesWhatTheScalarTwinComputes(Supplier<Ladder> make) {
        try (Scope scope = Scope.open()) {
            Ladder ladder = make.get();
            assertThat(ladder.rungs()).hasSizeGreaterThan(4);
            ladder.rungs().forEach(rung -> Ladders.check(ladder, rung));
        }
    }

    @Test
    void aRungThatIsWrongOrWritesNothingIsNotTimed() {
        float[] expected = {1, 2};
        float[] result = new float[2];
        for (Rung wrong :
                List.of(Rung.of("wrong", () -> result[0] = result[1] = 2), Rung.of("lazy", () -> result[0] = 1))) {
            Ladder ladder =
                    new Ladder("sum", Map.of(), Unit.SECONDS, Needs.flops(1), expected, result, 1e-6, List.of(wrong));
            assertThatThrownBy(() -> Ladders.check(ladder, wrong))
                    .isInstanceOf(IsthmusException.class)
                    .hasMessageContaining("sum, " + wrong.name());
        }
    }
}
