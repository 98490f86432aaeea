package dev.isthmus.model.tokenizer;

import dev.isthmus.tensor.IsthmusException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;

/**
 * Learns a byte-level byte-pair encoding (Sennrich et al. 2016, algorithm 1; Radford et al. 2019, section 2.2) from texts.
 *
 * <p>Words are split with the pattern of GPT-2. The most frequent pair of neighbors becomes a token, again and again; among equally
 * frequent pairs the one whose bytes are greatest, the left token's first. The first ids are those of the special tokens, then
 * come the 256 bytes.
 */
public final class BpeTrainer {
    private final List<String> specialTokens;
    private final AddedTokens special;
    private final PreTokenizer words = PreTokenizer.byteLevel(false, true);
    private final Map<String, int[]> counts = new LinkedHashMap<>();

    /** A trainer whose vocabulary begins with special tokens, which no word contains. */
    public BpeTrainer(List<String> specialTokens) {
        this.specialTokens = List.copyOf(specialTokens);
        special = new AddedTokens(
                this.specialTokens.stream()
                        .map(token -> AddedTokens.AddedToken.special(0, token))
                        .toList(),
                Normalizer.NONE);
    }

    /** Counts the words of one more text. */
    public BpeTrainer add(String text) {
        special.split(
                text,
                true,
                (part, first) ->
                        words.split(part, first, (word, _) -> counts.computeIfAbsent(word, _ -> new int[1])[0]++),
                _ -> {});
        return this;
    }

    /**
     * The vocabulary of the texts, of {@code vocabSize} tokens or fewer if no pairs are left.
     *
     * @throws IsthmusException if {@code vocabSize} has no room for the special tokens and the bytes
     */
    public ByteLevelVocabulary train(int vocabSize) {
        int merges = vocabSize - specialTokens.size() - 256;
        if (merges < 0) {
            throw new IsthmusException("a vocabulary of " + vocabSize + " tokens has no room for "
                    + specialTokens.size() + " special tokens and 256 bytes");
        }
        return new ByteLevelVocabulary(specialTokens, new Learning().run(merges));
    }

    /** A pair of neighbors and how often it was seen when it was put into the queue. */
    private record Candidate(long count, int left, int right) {}

    private static final class Word {
        int[] symbols;
        final long count;

        Word(int[] symbols, long count) {
            this.symbols = symbols;
            this.count = count;
        }
    }

    /** The words while their symbols are being joined, with the number of each pair of neighbors and where it stands. */
    private final class Learning {
        final List<String> tokens = new ArrayList<>();
        final List<Word> all = new ArrayList<>();
        final Map<Long, long[]> pairs = new HashMap<>();
        final Map<Long, Set<Word>> places = new HashMap<>();
        final PriorityQueue<Candidate> queue = new PriorityQueue<>(this::order);

        Learning() {
            int[] ids = new int[512];
            for (int b = 0; b < 256; b++) {
                ids[ByteAlphabet.character(b)] = b;
                tokens.add(String.valueOf(ByteAlphabet.character(b)));
            }
            counts.forEach((word, count) -> {
                Word symbols = new Word(word.chars().map(c -> ids[c]).toArray(), count[0]);
                all.add(symbols);
                count(symbols, 1, new HashSet<>());
            });
            pairs.keySet().forEach(this::propose);
        }

        int order(Candidate a, Candidate b) {
            int order = Long.compare(b.count, a.count);
            order = order != 0 ? order : compareBytes(tokens.get(b.left), tokens.get(a.left));
            return order != 0 ? order : compareBytes(tokens.get(b.right), tokens.get(a.right));
        }

        void count(Word word, int sign, Collection<Long> touched) {
            for (int i = 0; i + 1 < word.symbols.length; i++) {
                long pair = pair(word.symbols[i], word.symbols[i + 1]);
                pairs.computeIfAbsent(pair, _ -> new long[1])[0] += sign * word.count;
                places.computeIfAbsent(pair, _ -> new HashSet<>()).add(word);
                touched.add(pair);
            }
        }

        long number(long pair) {
            long[] count = pairs.get(pair);
            return count == null ? 0 : count[0];
        }

        void propose(long pair) {
            long count = number(pair);
            if (count > 0) {
                queue.add(new Candidate(count, (int) (pair >>> 32), (int) pair));
            }
        }

        List<Bpe.Merge> run(int most) {
            List<Bpe.Merge> merges = new ArrayList<>();
            while (merges.size() < most && !queue.isEmpty()) {
                Candidate best = queue.remove();
                long pair = pair(best.left, best.right);
                if (number(pair) != best.count) {
                    continue; // the true number was put into the queue when it changed
                }
                merges.add(new Bpe.Merge(tokens.get(best.left), tokens.get(best.right)));
                int joined = tokens.size();
                tokens.add(tokens.get(best.left) + tokens.get(best.right));
                Set<Long> touched = new HashSet<>();
                for (Word word : List.copyOf(places.getOrDefault(pair, Set.of()))) {
                    count(word, -1, touched);
                    word.symbols = join(word.symbols, best.left, best.right, joined);
                    count(word, 1, touched);
                }
                places.remove(pair);
                touched.forEach(this::propose);
            }
            return merges;
        }
    }

    private static int[] join(int[] symbols, int left, int right, int joined) {
        int[] result = new int[symbols.length];
        int n = 0;
        for (int i = 0; i < symbols.length; i++) {
            if (i + 1 < symbols.length && symbols[i] == left && symbols[i + 1] == right) {
                result[n++] = joined;
                i++;
            } else {
                result[n++] = symbols[i];
            }
        }
        return Arrays.copyOf(result, n);
    }

    private static long pair(int left, int right) {
        return (long) left << 32 | right;
    }

    private static int compareBytes(String a, String b) {
        for (int i = 0; i < Math.min(a.length(), b.length()); i++) {
            int order = Integer.compare(ByteAlphabet.value(a.charAt(i)), ByteAlphabet.value(b.charAt(i)));
            if (order != 0) {
                return order;
            }
        }
        return Integer.compare(a.length(), b.length());
    }
}
