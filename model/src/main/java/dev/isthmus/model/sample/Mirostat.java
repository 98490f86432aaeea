package dev.isthmus.model.sample;

import java.util.Arrays;

/** Mirostat 2.0 with its state: the bound on surprise, and what each token would have surprised by. */
final class Mirostat implements LogitsProcessor {
    private static final double BITS = 1 / Math.log(2);

    private final double tau;
    private final double eta;
    private double mu;
    private double[] surprise = new double[0];
    private int expectedLength = -1;

    Mirostat(double tau, double eta) {
        this.tau = tau;
        this.eta = eta;
        mu = 2 * tau;
    }

    @Override
    public LogitsProcessor forSequence() {
        return new Mirostat(tau, eta);
    }

    @Override
    public void process(Candidates candidates, History history) {
        // A text that was rewound, or that another processor wrote, tells nothing about this bound.
        if (history.length() == expectedLength && Double.isFinite(surprise[history.last()])) {
            mu -= eta * (surprise[history.last()] - tau);
        }
        double max = candidates.max();
        candidates.keepFrom(Math.min(max, max + Math.log(mass(candidates, max)) - mu / BITS));
        double logMass = Math.log(mass(candidates, max));
        if (surprise.length != candidates.vocabSize()) {
            surprise = new double[candidates.vocabSize()];
        }
        Arrays.fill(surprise, Double.POSITIVE_INFINITY);
        for (int i = 0; i < candidates.left(); i++) {
            int token = candidates.token(i);
            surprise[token] = BITS * (max + logMass - candidates.score(token));
        }
        expectedLength = history.length() + 1;
    }

    private static double mass(Candidates candidates, double max) {
        double mass = 0;
        for (int i = 0; i < candidates.left(); i++) {
            mass += Math.exp(candidates.score(candidates.token(i)) - max);
        }
        return mass;
    }
}
