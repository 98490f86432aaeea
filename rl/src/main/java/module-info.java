/** Tasks, verifiers, rewards, objectives, rollouts and self-improvement recipes. */
module dev.isthmus.rl {
    requires static org.jspecify;
    requires transitive dev.isthmus.train;
    requires tools.jackson.dataformat.yaml;

    exports dev.isthmus.rl.task;
    exports dev.isthmus.rl.reward;
    exports dev.isthmus.rl.eval;
}
