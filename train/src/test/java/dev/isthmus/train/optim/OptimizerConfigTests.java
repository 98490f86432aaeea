package dev.isthmus.train.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.Parameter;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.tensor.UpdateRule.Adam;
import dev.isthmus.tensor.UpdateRule.Lion;
import dev.isthmus.tensor.UpdateRule.RmsProp;
import dev.isthmus.tensor.UpdateRule.Sgd;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;

class OptimizerConfigTests {
    static final List<String> NAMES = OptimizerConfig.NAMES;

    private static OptimizerConfig of(String optim, String args) {
        return OptimizerConfig.of(optim, args, 0.9, 0.95, 1e-8);
    }

    @Test
    void namesAndConstantsAreThoseOfHuggingFaceAndPyTorch() {
        assertThat(of("adamw_torch", null)).isEqualTo(OptimizerConfig.adamW(0.9, 0.95, 1e-8));
        assertThat(of("adamw_torch_fused", "").rule()).isEqualTo(new Adam(0.9, 0.95, 1e-8, false, true));
        assertThat(of("adam", "amsgrad=True").rule()).isEqualTo(new Adam(0.9, 0.95, 1e-8, true, false));
        assertThat(of("sgd", null).rule()).isEqualTo(new Sgd(0, 0, false));
        assertThat(of("sgd", "momentum=0.9, nesterov=true").rule()).isEqualTo(new Sgd(0.9, 0, true));
        assertThat(of("rmsprop", "eps=1e-4,centered=true").rule()).isEqualTo(new RmsProp(0.99, 1e-4, 0, true));
        assertThat(of("lion_32bit", null).rule()).isEqualTo(new Lion(0.9, 0.95));
        assertThat(of("muon", "adjust_lr_fn=original,ns_steps=6").muon())
                .isEqualTo(new Muon.Settings(0.95, true, 6, 1e-7, Muon.AdjustLr.ORIGINAL));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "adamw | | optim 'adamw' is unknown; there are adamw_torch, adamw_torch_fused, adam, sgd, adagrad",
                "sgd | momentun=1 | sgd has no constant 'momentun'; it has dampening, momentum, nesterov",
                "adamax | alpha=1 | adamax has no constant 'alpha'; it has none",
                "sgd | momentum | written as momentum=0.9,nesterov=true; found 'momentum'",
                "sgd | momentum=high | momentum must be a number, found 'high'",
                "sgd | nesterov=maybe | nesterov must be true or false, found 'maybe'",
                "sgd | nesterov=true | nesterov needs a momentum",
                "muon | adjust_lr_fn=best | adjust_lr_fn must be match_rms_adamw or original, found 'best'",
            })
    void whatIsWrongIsSaid(String optim, String args, String message) {
        assertThatThrownBy(() -> of(optim, args))
                .isInstanceOf(IsthmusException.class)
                .hasMessageContaining(message);
    }

    /** A step takes no memory, and goes downhill: {@code 0.5 |p|^2} becomes smaller. */
    @ParameterizedTest
    @FieldSource("NAMES")
    void aStepTakesNoMemoryAndGoesDown(String name) {
        try (Scope scope = Scope.open()) {
            Tensor p = Tensor.randn(DType.FLOAT32, Rng.of(1), 1, 40, 30).requireGrad();
            double start = p.detach().square().sum().item();
            Optimizer optimizer = of(name, null).create(List.of(new Parameter("w", p, 0, 40)), _ -> 0);
            p.gradInto();
            p.zeroGrad();
            long before = scope.bytes();
            for (int i = 0; i < 20; i++) {
                p.gradInto().target().copyFrom(p.detach());
                optimizer.step(1e-2, 1);
                assertThat(p.grad()).isNull();
            }
            assertThat(scope.bytes()).isEqualTo(before);
            assertThat(p.detach().square().sum().item()).isLessThan(start);
        }
    }
}
