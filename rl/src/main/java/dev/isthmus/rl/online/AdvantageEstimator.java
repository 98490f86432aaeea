package dev.isthmus.rl.online;

/** What completions are worth by their rewards alone, without a critic: verl's {@code adv_estimator}. */
enum AdvantageEstimator {
    /** How far a reward is above the mean of the prompt's completions, in units of their deviation (Shao et al. 2024, arXiv 2402.03300). */
    GRPO,
    /** How far it is above the mean of the others (Ahmadian et al. 2024, arXiv 2402.14740); with a clipped ratio a token, LOOP. */
    RLOO,
    /** How far it is above that of the completion which the policy finds likeliest (Li et al. 2023, arXiv 2310.10505). */
    REMAX,
    /** Of each token the rewards from there on, brought to mean 0 and deviation 1 over the batch (Hu 2025, arXiv 2501.03262). */
    REINFORCE_PLUS_PLUS,
    /** The reward above the mean of the prompt's completions, brought to mean 0 and deviation 1 over the tokens of the batch. */
    REINFORCE_PLUS_PLUS_BASELINE;

    /** Whether it needs several completions of a prompt. */
    boolean comparesCompletions() {
        return this != REMAX && this != REINFORCE_PLUS_PLUS;
    }

    /** Whether the KL penalty is taken off the rewards, as its paper has it, and is no part of the loss. */
    boolean klInReward() {
        return this == RLOO || this == REMAX || this == REINFORCE_PLUS_PLUS;
    }
}
