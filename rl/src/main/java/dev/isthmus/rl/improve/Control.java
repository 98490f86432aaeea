package dev.isthmus.rl.improve;

import dev.isthmus.tensor.Rng;
import java.util.Locale;

/** What decides which answers are rewarded: the verifier, or what must not teach anything in its place. */
enum Control {
    /** The verifier's verdicts. */
    NONE,
    /** The verifier's verdicts, dealt out anew among all answers of the batch. */
    SHUFFLED_REWARDS,
    /** As many answers as the verifier found right, picked at random. */
    RANDOM_FILTER;

    String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    String title() {
        return key().replace('_', ' ');
    }

    /** The rewards, one or more of each answer, that training sees in place of {@code rewards}. */
    <T> T[] apply(T[] rewards, Rng rng) {
        if (this == NONE) {
            return rewards;
        }
        int[] order = new int[rewards.length];
        for (int i = 0; i < order.length; i++) {
            order[i] = i;
        }
        rng.split(key()).shuffle(order);
        T[] dealt = rewards.clone();
        for (int i = 0; i < order.length; i++) {
            dealt[order[i]] = rewards[i];
        }
        return dealt;
    }
}
