package dev.isthmus.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class MachineTests {
    @Test
    void theTilesOfTheMatrixProductAreCompiledWell() {
        assertThat(Machine.kernels()).hasSize(2).allSatisfy(kernel -> {
            assertThat(kernel.problem()).isNull();
            assertThat(kernel.flops()).isGreaterThan(0.3 * kernel.ceiling());
        });
    }
}
