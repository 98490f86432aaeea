package dev.isthmus.rl.improve;

import dev.isthmus.rl.recipe.Recipe;
import java.util.List;

/** A way to improve a model by its own answers. */
interface Method {
    /** One round: generate, judge, select, train. */
    void round(Learner learner, int round);

    /** The optimizer steps of a round, for the progress bar. */
    int stepsPerRound();

    /** The controls that make sense for it. */
    default List<Control> controls() {
        return List.of(Control.SHUFFLED_REWARDS, Control.RANDOM_FILTER);
    }

    /** The method of a recipe. */
    static Method of(Recipe.Improve settings) {
        return switch (settings) {
            case Recipe.ExpertIteration s -> new ExpertIteration(s);
            case Recipe.Grpo s -> new Grpo(s);
        };
    }
}
