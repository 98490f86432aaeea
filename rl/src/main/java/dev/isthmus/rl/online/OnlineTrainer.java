package dev.isthmus.rl.online;

import dev.isthmus.rl.reward.RewardFunction;
import dev.isthmus.rl.reward.RewardModel;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * A trainer that learns from what the model writes.
 *
 * @param <C> its own settings
 */
public final class OnlineTrainer<C extends Record> implements TrainingMethod<C> {
    /** Group relative policy optimization (Shao et al. 2024, arXiv 2402.03300) and its variants. */
    public static final OnlineTrainer<GrpoConfig> GRPO = new OnlineTrainer<>("grpo", GrpoConfig.class, GrpoMethod::new);

    /** REINFORCE with the mean of the other completions as baseline (Ahmadian et al. 2024, arXiv 2402.14740). */
    public static final OnlineTrainer<RlooConfig> RLOO = new OnlineTrainer<>("rloo", RlooConfig.class, RlooMethod::new);

    /** Proximal policy optimization with a value model (Schulman et al. 2017, arXiv 1707.06347; Ziegler et al. 2019, arXiv 1909.08593). */
    public static final OnlineTrainer<PpoConfig> PPO = new OnlineTrainer<>("ppo", PpoConfig.class, PpoMethod::new);

    /** Generalized knowledge distillation (Agarwal et al. 2024, arXiv 2306.13649). */
    public static final OnlineTrainer<GkdConfig> GKD = new OnlineTrainer<>("gkd", GkdConfig.class, GkdMethod::new);

    /** Distillation by the reverse divergence as a policy gradient (Gu et al. 2024, arXiv 2306.08543). */
    public static final OnlineTrainer<MiniLlmConfig> MINILLM =
            new OnlineTrainer<>("minillm", MiniLlmConfig.class, MiniLlmMethod::new);

    /** DPO on pairs that the policy writes (Guo et al. 2024, arXiv 2402.04792). */
    public static final OnlineTrainer<OnlineDpoConfig> ONLINE_DPO =
            new OnlineTrainer<>("online-dpo", OnlineDpoConfig.class, PairMethod::onlineDpo);

    /** Nash learning by mirror descent (Munos et al. 2023, arXiv 2312.00886). */
    public static final OnlineTrainer<NashMdConfig> NASH_MD =
            new OnlineTrainer<>("nash-md", NashMdConfig.class, PairMethod::nashMd);

    /** Exploratory preference optimization (Xie et al. 2024, arXiv 2405.21046). */
    public static final OnlineTrainer<XpoConfig> XPO = new OnlineTrainer<>("xpo", XpoConfig.class, PairMethod::xpo);

    private final String key;
    private final Class<C> settings;
    private final Function<MethodConfig<C>, OnlineMethod> method;
    private final List<RewardFunction> own;

    private OnlineTrainer(String key, Class<C> settings, Function<MethodConfig<C>, OnlineMethod> method) {
        this(key, settings, method, List.of());
    }

    private OnlineTrainer(
            String key, Class<C> settings, Function<MethodConfig<C>, OnlineMethod> method, List<RewardFunction> own) {
        this.key = key;
        this.settings = settings;
        this.method = method;
        this.own = own;
    }

    /** This trainer, with functions that {@code reward_funcs} may name too. */
    public OnlineTrainer<C> withRewards(RewardFunction... functions) {
        return new OnlineTrainer<>(key, settings, method, List.of(functions));
    }

    @Override
    public String key() {
        return key;
    }

    @Override
    public Class<C> settings() {
        return settings;
    }

    @Override
    public void check(MethodConfig<C> config) {
        TrainingMethod.super.check(config);
        OnlineSettings checked = method.apply(config).settings();
        checked.promptsPerGeneration(config.base());
        checked.rewards().rewardFuncs().stream()
                .filter(name -> own(name).isEmpty())
                .forEach(name -> RewardFunctions.requireKnown(name, checked.maxNewTokens()));
    }

    @Override
    public List<String> models(MethodConfig<C> config) {
        OnlineMethod made = method.apply(config);
        Stream<String> judges = made.settings().rewards().rewardFuncs().stream()
                .filter(name -> own(name).isEmpty() && RewardModel.present(Path.of(name)));
        Stream<String> reference = made.usesReference() ? Stream.of(config.model()) : Stream.empty();
        return Stream.of(judges, reference, made.models().stream())
                .flatMap(names -> names)
                .distinct()
                .toList();
    }

    @Override
    public Training prepare(MethodConfig<C> config, Start start) {
        OnlineMethod made = method.apply(config);
        PromptedModel policy = PromptedModel.load(config, start, made.settings());
        made.settings().rewards().rewardFuncs().stream()
                .filter(name -> own(name).isEmpty() && RewardFunctions.usesSolution(name))
                .forEach(policy::requireSolutions);
        int batchSize = config.base().perDeviceTrainBatchSize();
        return new OnlineTraining(config, made, functions(made.settings(), batchSize), policy, start);
    }

    private List<RewardFunction> functions(OnlineSettings from, int batchSize) {
        return from.rewards().rewardFuncs().stream()
                .map(name -> own(name).orElseGet(() -> RewardFunctions.named(name, from.maxNewTokens(), batchSize)))
                .toList();
    }

    private Optional<RewardFunction> own(String name) {
        return own.stream().filter(function -> function.name().equals(name)).findFirst();
    }
}
