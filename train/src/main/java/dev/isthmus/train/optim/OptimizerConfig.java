package dev.isthmus.train.optim;

import dev.isthmus.model.Parameter;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Tensor;
import dev.isthmus.tensor.UpdateRule;
import dev.isthmus.tensor.UpdateRule.Adadelta;
import dev.isthmus.tensor.UpdateRule.Adagrad;
import dev.isthmus.tensor.UpdateRule.Adam;
import dev.isthmus.tensor.UpdateRule.Adamax;
import dev.isthmus.tensor.UpdateRule.Lion;
import dev.isthmus.tensor.UpdateRule.NAdam;
import dev.isthmus.tensor.UpdateRule.RAdam;
import dev.isthmus.tensor.UpdateRule.RmsProp;
import dev.isthmus.tensor.UpdateRule.Sgd;
import dev.isthmus.train.KeywordArguments;
import dev.isthmus.train.optim.Muon.AdjustLr;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Which optimizer, with its constants.
 *
 * @param rule how it moves numbers, or, with {@code muon}, those that are not in hidden matrices
 * @param muon how it moves the matrices of hidden layers; null to treat them like all others
 */
public record OptimizerConfig(UpdateRule rule, Muon.@Nullable Settings muon) {
    /** The names that {@link #of} knows. */
    public static final List<String> NAMES = List.of(
            "adamw_torch",
            "adamw_torch_fused",
            "adam",
            "sgd",
            "adagrad",
            "adadelta",
            "adamax",
            "nadam",
            "radam",
            "rmsprop",
            "lion_32bit",
            "muon");

    /** Matrices that are tables of vectors, which Muon leaves to the other optimizer. */
    private static final Pattern EMBEDDING_OR_HEAD = Pattern.compile(".*(embed_tokens|wte|wpe|lm_head)\\.weight");

    /**
     * The optimizer that Hugging Face's {@code optim} names, or PyTorch where Hugging Face has no name.
     *
     * <p>Adam and its kin and Lion take {@code adam_beta1} and {@code adam_beta2}, all but Lion {@code adam_epsilon}. The other
     * constants are PyTorch's unless {@code optimArgs} says otherwise.
     *
     * @param optimArgs such as {@code momentum=0.9,nesterov=true}; null or empty for none
     * @throws IsthmusException if a name is unknown or a value makes no sense
     */
    public static OptimizerConfig of(
            String optim, @Nullable String optimArgs, double adamBeta1, double adamBeta2, double adamEpsilon) {
        KeywordArguments given = arguments(optim, optimArgs);
        Muon.Settings muon = null;
        UpdateRule rule = switch (optim) {
            case "adamw_torch", "adamw_torch_fused" ->
                new Adam(adamBeta1, adamBeta2, adamEpsilon, given.flag("amsgrad", false), true);
            case "adam" -> new Adam(adamBeta1, adamBeta2, adamEpsilon, given.flag("amsgrad", false), false);
            case "sgd" ->
                new Sgd(given.number("momentum", 0), given.number("dampening", 0), given.flag("nesterov", false));
            case "adagrad" ->
                new Adagrad(
                        given.number("lr_decay", 0),
                        given.number("initial_accumulator_value", 0),
                        given.number("eps", 1e-10));
            case "adadelta" -> new Adadelta(given.number("rho", 0.9), given.number("eps", 1e-6));
            case "adamax" -> new Adamax(adamBeta1, adamBeta2, adamEpsilon);
            case "nadam" ->
                new NAdam(
                        adamBeta1,
                        adamBeta2,
                        adamEpsilon,
                        given.number("momentum_decay", 4e-3),
                        given.flag("decoupled_weight_decay", false));
            case "radam" -> new RAdam(adamBeta1, adamBeta2, adamEpsilon, given.flag("decoupled_weight_decay", false));
            case "rmsprop" ->
                new RmsProp(
                        given.number("alpha", 0.99),
                        given.number("eps", 1e-8),
                        given.number("momentum", 0),
                        given.flag("centered", false));
            case "lion_32bit" -> new Lion(adamBeta1, adamBeta2);
            case "muon" -> {
                muon = new Muon.Settings(
                        given.number("momentum", 0.95),
                        given.flag("nesterov", true),
                        (int) given.number("ns_steps", 5),
                        given.number("eps", 1e-7),
                        given.choice("adjust_lr_fn", AdjustLr.class, AdjustLr.MATCH_RMS_ADAMW));
                yield new Adam(adamBeta1, adamBeta2, adamEpsilon, false, true);
            }
            default ->
                throw new IsthmusException("optim '" + optim + "' is unknown; there are " + String.join(", ", NAMES));
        };
        given.requireKnown();
        return new OptimizerConfig(rule, muon);
    }

    /** AdamW. */
    public static OptimizerConfig adamW(double beta1, double beta2, double epsilon) {
        return new OptimizerConfig(new Adam(beta1, beta2, epsilon, false, true), null);
    }

    /**
     * The optimizer of these parameters; its state lives in the current scope.
     *
     * @param weightDecay of each tensor that is trained
     */
    public Optimizer create(List<Parameter> parameters, ToDoubleFunction<Tensor> weightDecay) {
        if (muon == null) {
            return new ElementwiseOptimizer(parameters, rule, weightDecay);
        }
        List<Parameter> matrices =
                parameters.stream().filter(OptimizerConfig::isHiddenMatrix).toList();
        List<Parameter> others =
                parameters.stream().filter(p -> !isHiddenMatrix(p)).toList();
        return new Muon(matrices, muon, weightDecay, new ElementwiseOptimizer(others, rule, weightDecay));
    }

    private static boolean isHiddenMatrix(Parameter p) {
        return p.tensor().rank() == 2 && !EMBEDDING_OR_HEAD.matcher(p.name()).matches();
    }

    private static KeywordArguments arguments(String optim, @Nullable String optimArgs) {
        Map<String, String> given = new TreeMap<>();
        for (String pair : optimArgs == null || optimArgs.isBlank() ? new String[0] : optimArgs.split(",")) {
            String[] parts = pair.split("=", -1);
            if (parts.length != 2) {
                throw new IsthmusException(
                        "optim_args are written as momentum=0.9,nesterov=true; found '" + pair + "'");
            }
            given.put(parts[0].strip(), parts[1].strip());
        }
        return new KeywordArguments("optim_args", optim, given);
    }
}
