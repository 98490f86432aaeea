package dev.isthmus.model.sample;

import dev.isthmus.tensor.IsthmusException;
import java.util.ArrayList;
import java.util.List;

/**
 * How the next token is drawn, with the names and defaults of Hugging Face's GenerationConfig and TRL: a chain of {@link
 * LogitsProcessor}s in the order of Hugging Face, that is the repetition penalty, {@code processors}, temperature, top-k, top-p, min-p,
 * {@code warpers}.
 *
 * @param doSample false takes the most probable token (the first of equal ones) after penalty and processors
 * @param temperature divides the logits
 * @param topK keeps this many of the most probable tokens; 0 keeps all
 * @param topP keeps the fewest most probable tokens that have this much probability together (Holtzman et al. 2020)
 * @param minP drops tokens less probable than this share of the most probable one's probability; 0 drops none
 * @param repetitionPenalty divides positive logits of tokens that were seen, multiplies negative ones (Keskar et al. 2019)
 * @param processors what is done to the logits before the temperature, such as masks and biases
 * @param warpers what is done to the distribution at its temperature, such as typical-p; nothing if the most probable token is taken
 */
public record SamplingParams(
        boolean doSample,
        double temperature,
        int topK,
        double topP,
        double minP,
        double repetitionPenalty,
        List<LogitsProcessor> processors,
        List<LogitsProcessor> warpers) {
    public SamplingParams {
        require(temperature > 0, "temperature", "positive; for the most probable token turn sampling off", temperature);
        require(topK >= 0, "top_k", "0 or more", topK);
        require(topP > 0 && topP <= 1, "top_p", "above 0 and at most 1", topP);
        require(minP >= 0 && minP <= 1, "min_p", "between 0 and 1", minP);
        require(repetitionPenalty > 0, "repetition_penalty", "positive", repetitionPenalty);
        processors = List.copyOf(processors);
        warpers = List.copyOf(warpers);
    }

    /** Without further processors. */
    public SamplingParams(
            boolean doSample, double temperature, int topK, double topP, double minP, double repetitionPenalty) {
        this(doSample, temperature, topK, topP, minP, repetitionPenalty, List.of(), List.of());
    }

    static void require(boolean condition, String name, String expected, double found) {
        if (!condition) {
            throw new IsthmusException(name + " must be " + expected + ", found " + found);
        }
    }

    /** The most probable token each time. */
    public static SamplingParams greedy() {
        return new SamplingParams(false, 1, 0, 1, 0, 1);
    }

    /** The model's own distribution at a temperature. */
    public static SamplingParams temperature(double temperature) {
        return new SamplingParams(true, temperature, 0, 1, 0, 1);
    }

    /** With more processors before the temperature. */
    public SamplingParams withProcessors(List<LogitsProcessor> more) {
        return new SamplingParams(
                doSample, temperature, topK, topP, minP, repetitionPenalty, joined(processors, more), warpers);
    }

    /** With more warpers at the end of the chain. */
    public SamplingParams withWarpers(List<LogitsProcessor> more) {
        return new SamplingParams(
                doSample, temperature, topK, topP, minP, repetitionPenalty, processors, joined(warpers, more));
    }

    private static List<LogitsProcessor> joined(List<LogitsProcessor> first, List<LogitsProcessor> more) {
        List<LogitsProcessor> all = new ArrayList<>(first);
        all.addAll(more);
        return all;
    }

    /** The chain for one text. */
    List<LogitsProcessor> chain() {
        List<LogitsProcessor> chain = new ArrayList<>();
        if (repetitionPenalty != 1) {
            chain.add(LogitsProcessors.repetitionPenalty(repetitionPenalty));
        }
        processors.forEach(processor -> chain.add(processor.forSequence()));
        if (!doSample) {
            return chain;
        }
        if (temperature != 1) {
            chain.add(LogitsProcessors.temperature(temperature));
        }
        if (topK > 0) {
            chain.add(LogitsProcessors.topK(topK));
        }
        if (topP < 1) {
            chain.add(LogitsProcessors.topP(topP));
        }
        if (minP > 0) {
            chain.add(LogitsProcessors.minP(minP));
        }
        warpers.forEach(warper -> chain.add(warper.forSequence()));
        return chain;
    }
}
