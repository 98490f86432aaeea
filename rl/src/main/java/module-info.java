/** Tasks, verifiers, rewards, objectives, rollouts and self-improvement recipes. */
module dev.isthmus.rl {
    requires static org.jspecify;
    requires transitive dev.isthmus.train;
    requires com.fasterxml.jackson.annotation;

    exports dev.isthmus.rl.eval;
    exports dev.isthmus.rl.improve;
    exports dev.isthmus.rl.objective;
    exports dev.isthmus.rl.objective.preference;
    exports dev.isthmus.rl.objective.supervised;
    exports dev.isthmus.rl.offline;
    exports dev.isthmus.rl.online;
    exports dev.isthmus.rl.recipe;
    exports dev.isthmus.rl.reward;
    exports dev.isthmus.rl.task;

    // Jackson makes the records; train reads the YAML files beside them.
    opens dev.isthmus.rl.offline to
            tools.jackson.databind,
            dev.isthmus.train;
    opens dev.isthmus.rl.online to
            tools.jackson.databind,
            dev.isthmus.train,
            dev.isthmus.app;
    opens dev.isthmus.rl.recipe to
            tools.jackson.databind,
            dev.isthmus.train;
}
