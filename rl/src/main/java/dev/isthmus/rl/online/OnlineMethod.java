package dev.isthmus.rl.online;

import dev.isthmus.model.Parameter;
import dev.isthmus.rl.objective.LossResult;
import dev.isthmus.rl.online.PromptedModel.Answer;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.StepLog;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** In what online methods differ: who writes, what a completion is worth, and what is minimized. */
interface OnlineMethod {
    /** What the loop must know. */
    OnlineSettings settings();

    /** Whether it looks at a reference. */
    boolean usesReference();

    /** The weight of the loss that balances the experts of the policy, if it has some. */
    default double routerAuxLossCoef() {
        return 0;
    }

    /** The models that it reads again when a run goes on, beside the reference. */
    default List<String> models() {
        return List.of();
    }

    /** Loads the models that it needs beside policy and reference into the current scope. */
    default void load(PromptedModel policy, Start start) {}

    /**
     * Completions of prompts, those of one prompt together.
     *
     * @param reference null if the method uses none
     */
    default List<Answer> answer(PromptedModel policy, @Nullable FrozenModel reference, List<Prompt> rows, Rng rng) {
        return policy.answer(rows, settings().numGenerations(), rng);
    }

    /** Whether it compares completions with what is rewarded of the prompt's greedy one. */
    default boolean usesGreedyBaseline() {
        return false;
    }

    /** Says what completions are worth that have rewards and, if it is used, the log-probabilities of the reference. */
    default List<Rollout> credit(List<Rollout> rollouts, StepLog log) {
        return rollouts;
    }

    /** The loss of a micro-batch; those of a step add up to the loss of the step. */
    LossResult loss(RolloutBatch batch);

    /** Puts what rows that are held out say without completions of the policy; nothing if they say nothing. */
    default void evaluate(PromptedModel policy, List<Prompt> heldOut, StepLog log) {}

    /** What is trained beside the policy. */
    default List<Parameter> parameters() {
        return List.of();
    }

    /** Told the metrics of an optimizer step. */
    default void stepped(Map<String, Double> metrics) {}

    /** Puts the few numbers that a resumed run must know of it. */
    default void state(ObjectNode state) {}

    /** Goes on from what {@link #state} had put. */
    default void restore(JsonNode state) {}

    /** Writes what else a resumed run must know of it into a checkpoint. */
    default void save(Path checkpoint) {}
}
