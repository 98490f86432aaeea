package dev.isthmus.model.sample;

import dev.isthmus.model.tokenizer.Tokenizer;
import java.util.BitSet;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/** What is known to be done to logits, with the names and the meaning of Hugging Face's GenerationConfig where it has them. */
public final class LogitsProcessors {
    private LogitsProcessors() {}

    /** Divides the logits by {@code temperature}. */
    public static LogitsProcessor temperature(double temperature) {
        require(temperature > 0, "temperature", "positive; for the most probable token turn sampling off", temperature);
        return (candidates, _) -> candidates.divide(temperature);
    }

    /** Keeps the {@code k} most probable tokens, and those as probable as the last of them. */
    public static LogitsProcessor topK(int k) {
        require(k >= 1, "top_k", "0 or more", k);
        return (candidates, _) -> candidates.keepHighest(k);
    }

    /** Keeps the fewest most probable tokens that have {@code p} of the probability together (Holtzman et al. 2020, section 3.1). */
    public static LogitsProcessor topP(double p) {
        require(p > 0 && p <= 1, "top_p", "above 0 and at most 1", p);
        return (candidates, _) -> candidates.keepMass(p);
    }

    /** Drops tokens less probable than {@code p} times the most probable one (Nguyen et al. 2024, algorithm 1). */
    public static LogitsProcessor minP(double p) {
        require(p > 0 && p <= 1, "min_p", "between 0 and 1", p);
        return (candidates, _) -> candidates.keepFrom(candidates.max() + Math.log(p));
    }

    /**
     * Keeps the tokens whose surprise is closest to what is expected, {@code |-log p(x) - H|} with the entropy {@code H}, until they
     * have {@code p} of the probability together (Meister et al. 2023, equation 9).
     */
    public static LogitsProcessor typicalP(double p) {
        require(p > 0 && p <= 1, "typical_p", "above 0 and at most 1", p);
        return (candidates, _) -> candidates.keepTypical(p);
    }

    /**
     * Keeps the logits that are at least {@code max - n sigma}, with the deviation {@code sigma} of all logits that are left (Tang et
     * al. 2024, equation 5). Before or after a temperature, the same tokens stay.
     */
    public static LogitsProcessor topNSigma(double n) {
        require(n > 0, "top_n_sigma", "positive", n);
        return (candidates, _) -> {
            double sum = 0;
            int count = 0;
            for (int i = 0; i < candidates.left(); i++) {
                double score = candidates.score(candidates.token(i));
                if (score != Double.NEGATIVE_INFINITY) {
                    sum += score;
                    count++;
                }
            }
            double mean = sum / count;
            double squares = 0;
            for (int i = 0; i < candidates.left(); i++) {
                double score = candidates.score(candidates.token(i));
                if (score != Double.NEGATIVE_INFINITY) {
                    squares += (score - mean) * (score - mean);
                }
            }
            candidates.keepFrom(candidates.max() - n * Math.sqrt(squares / count));
        };
    }

    /**
     * Keeps the surprise of the text near {@code tau} bits a token: drops tokens of surprise {@code -log2 p(x)} above {@code mu},
     * which starts at {@code 2 tau} and moves by {@code -eta (observed surprise - tau)} with each token (Basu et al. 2021, in the form without
     * an estimate of Zipf's exponent). Belongs at the end of a chain.
     */
    public static LogitsProcessor mirostat(double tau, double eta) {
        require(tau > 0, "mirostat_tau", "positive", tau);
        require(eta > 0, "mirostat_eta", "positive", eta);
        return new Mirostat(tau, eta);
    }

    /** Divides positive logits of tokens that were seen by {@code penalty}, multiplies negative ones (Keskar et al. 2019, section 4.1). */
    public static LogitsProcessor repetitionPenalty(double penalty) {
        require(penalty > 0, "repetition_penalty", "positive", penalty);
        return (candidates, history) -> {
            BitSet seen = new BitSet();
            for (int i = 0; i < history.length(); i++) {
                int token = history.tokens()[i];
                if (!seen.get(token)) {
                    seen.set(token);
                    double score = candidates.score(token);
                    candidates.score(token, score > 0 ? score / penalty : score * penalty);
                }
            }
        };
    }

    /**
     * Makes it less likely to go on with what followed the same words before ("don't repeat yourself", P. E. Weidmann, 2024): if the
     * last {@code n} tokens also stand before an earlier {@code x}, {@code n} as long as possible and at least {@code allowedLength}, the logit
     * of {@code x} falls by {@code multiplier base^(n - allowedLength)}.
     *
     * @param breakers tokens that no repetition reaches across
     */
    public static LogitsProcessor dry(double multiplier, double base, int allowedLength, Collection<Integer> breakers) {
        require(multiplier >= 0, "dry_multiplier", "0 or more", multiplier);
        require(base >= 1, "dry_base", "at least 1", base);
        require(allowedLength >= 1, "dry_allowed_length", "at least 1", allowedLength);
        BitSet stops = bits(breakers);
        return (candidates, history) -> {
            int[] tokens = history.tokens();
            int n = history.length();
            if (n == 0 || stops.get(tokens[n - 1])) {
                return;
            }
            int[] longest = new int[candidates.vocabSize()];
            // suffix[i] tokens before i + 1 equal the end of the text; the Z function of the text read backwards.
            int[] suffix = new int[n];
            for (int i = n - 2, right = n, end = n; i >= 0; i--) {
                int length = i > right ? Math.min(i - right, suffix[n - 1 - (end - i)]) : 0;
                while (length <= i && tokens[i - length] == tokens[n - 1 - length] && !stops.get(tokens[i - length])) {
                    length++;
                }
                suffix[i] = length;
                if (i - length < right) {
                    right = i - length;
                    end = i;
                }
                int next = tokens[i + 1];
                longest[next] = Math.max(longest[next], length);
            }
            for (int token = 0; token < longest.length; token++) {
                if (longest[token] >= allowedLength) {
                    double penalty = multiplier * Math.pow(base, longest[token] - allowedLength);
                    // A repetition may be so long that its penalty is infinite; others must stay comparable.
                    candidates.score(token, candidates.score(token) - Math.min(penalty, 1e6));
                }
            }
        };
    }

    /** Adds to the logits of tokens; negative infinity forbids one. */
    public static LogitsProcessor logitBias(Map<Integer, Double> bias) {
        Map<Integer, Double> biases = Map.copyOf(bias);
        return (candidates, _) -> biases.forEach((token, b) -> {
            requireToken("logit_bias", token, candidates);
            candidates.score(token, candidates.score(token) + b);
        });
    }

    /** Forbids the end until this many tokens were written. */
    public static LogitsProcessor minNewTokens(int count, Collection<Integer> eosTokenIds) {
        List<Integer> ends = List.copyOf(eosTokenIds);
        return (candidates, history) -> {
            if (history.written() < count) {
                ends.forEach(candidates::remove);
            }
        };
    }

    /** Forbids the end until prompt and completion have this many tokens. */
    public static LogitsProcessor minLength(int length, Collection<Integer> eosTokenIds) {
        List<Integer> ends = List.copyOf(eosTokenIds);
        return (candidates, history) -> {
            if (history.length() < length) {
                ends.forEach(candidates::remove);
            }
        };
    }

    /** Forbids every token that would make {@code n} tokens in a row that were in a row before (Paulus et al. 2017, section 2.5). */
    public static LogitsProcessor noRepeatNgram(int n) {
        require(n >= 1, "no_repeat_ngram_size", "at least 1", n);
        return (candidates, history) -> {
            int[] tokens = history.tokens();
            int end = history.length();
            for (int i = n - 1; i < end; i++) {
                if (same(tokens, i - n + 1, tokens, end - n + 1, n - 1)) {
                    candidates.remove(tokens[i]);
                }
            }
        };
    }

    /** Forbids sequences of tokens: the last token of each when the others have just been written. */
    public static LogitsProcessor badWords(List<int[]> badWordsIds) {
        List<int[]> words = badWordsIds.stream().map(int[]::clone).toList();
        require(words.stream().allMatch(word -> word.length > 0), "bad_words_ids", "lists of at least one token", 0);
        return (candidates, history) -> {
            for (int[] word : words) {
                int before = word.length - 1;
                requireToken("bad_words_ids", word[before], candidates);
                if (before <= history.length() && same(word, 0, history.tokens(), history.length() - before, before)) {
                    candidates.remove(word[before]);
                }
            }
        };
    }

    /**
     * Takes out the tokens after which what was written would be no beginning of a text of the grammar, and the end before it is a whole
     * one. A token may be part of a character.
     *
     * @param eosTokenIds what ends a text; without one, generation fails where the grammar leaves nothing to write
     */
    public static LogitsProcessor grammar(Grammar grammar, Tokenizer tokenizer, Collection<Integer> eosTokenIds) {
        return new GrammarMask(grammar, tokenizer, eosTokenIds);
    }

    private static boolean same(int[] a, int aFrom, int[] b, int bFrom, int length) {
        for (int i = 0; i < length; i++) {
            if (a[aFrom + i] != b[bFrom + i]) {
                return false;
            }
        }
        return true;
    }

    private static BitSet bits(Collection<Integer> tokens) {
        BitSet bits = new BitSet();
        tokens.forEach(bits::set);
        return bits;
    }

    private static void requireToken(String name, int token, Candidates candidates) {
        require(token >= 0 && token < candidates.vocabSize(), name, "tokens below " + candidates.vocabSize(), token);
    }

    private static void require(boolean condition, String name, String expected, double found) {
        SamplingParams.require(condition, name, expected, found);
    }
}
