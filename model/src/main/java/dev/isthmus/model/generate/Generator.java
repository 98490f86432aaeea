package dev.isthmus.model.generate;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.sample.TokenSampler;
import dev.isthmus.tensor.Autograd;
import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Samples completions of many prompts at once.
 *
 * <p>A prompt is read once for all of its completions, which share its pages of the cache. A finished sequence leaves the
 * batch at once and new prompts take its place. What is drawn for a sequence depends on the model, its prompt and its own
 * random stream only, not on what else is in the batch; and the log-probabilities equal, bit for bit, those that training
 * computes for the same tokens.
 */
public final class Generator {
    /** Rows that are decoded at once, at most. */
    private static final int MAX_ROWS = 1024;

    /** As many bytes of keys and values as a processor's last cache, which others use as well, may hold from one step to the next. */
    private static final long CACHED_BYTES = 24L << 20;

    /** Fewer rows than these read the weights too often. */
    private static final int LEAST_CACHED_ROWS = 64;

    private final Ensemble models;
    private final GenerationConfig config;
    private final Rng rng;
    private final TokenSampler shared;
    private final List<int[]> prompts;
    private final @Nullable Progress progress;
    private final Completion[] completions;
    private int finished;

    /** Told from time to time how far generation has come. */
    @FunctionalInterface
    public interface Progress {
        /** {@code done} of all completions are finished, and {@code tokens} more tokens were drawn since the last call. */
        void update(int done, int tokens);
    }

    private Generator(
            Ensemble models, List<int[]> prompts, GenerationConfig config, Rng rng, @Nullable Progress progress) {
        this.models = models;
        this.prompts = prompts;
        this.config = config;
        this.rng = rng;
        this.progress = progress;
        shared = new TokenSampler(
                config.sampling(), models.models().getFirst().config().vocabSize());
        completions = new Completion[Math.multiplyExact(prompts.size(), config.numGenerations())];
    }

    /**
     * Completions of all prompts: those of the first prompt, then those of the second, and so on.
     *
     * @param rng completion {@code k} of prompt {@code p} reads the stream {@code rng.split("sequence", p, k)}
     * @throws IsthmusException if a prompt is empty or leaves no room in the model's positions
     */
    public static List<Completion> generate(Decoder decoder, List<int[]> prompts, GenerationConfig config, Rng rng) {
        return generate(decoder, prompts, config, rng, null);
    }

    /** Completions of all prompts, telling {@code progress} after every token. */
    public static List<Completion> generate(
            Decoder decoder, List<int[]> prompts, GenerationConfig config, Rng rng, @Nullable Progress progress) {
        return generate(Ensemble.of(decoder), prompts, config, rng, progress);
    }

    /** Completions that several models write together. */
    public static List<Completion> generate(
            Ensemble models, List<int[]> prompts, GenerationConfig config, Rng rng, @Nullable Progress progress) {
        int longest = 0;
        for (int[] prompt : prompts) {
            if (prompt.length == 0) {
                throw new IsthmusException("a prompt is empty; start it with the model's begin-of-text token");
            }
            longest = Math.max(longest, prompt.length);
        }
        models.requireLength(longest + 1);
        int[] adapters = config.adapters();
        if (adapters != null && adapters.length != prompts.size()) {
            throw new IsthmusException(adapters.length + " adapters for " + prompts.size() + " prompts");
        }
        try (Scope session = Scope.open()) {
            int total = Math.min(longest + config.maxNewTokens(), models.maxLength());
            Generator generator = new Generator(models.packed(), prompts, config, rng, progress);
            Autograd.noGrad(() -> generator.run(total));
            return Arrays.asList(generator.completions);
        }
    }

    /** A sequence that is being written, and its place in the cache of each model. */
    private record Row(PartialCompletion text, List<KvCache.Sequence> cached) {}

    private Row row(int prompt, int sample) {
        int[] tokens = prompts.get(prompt);
        PartialCompletion text = new PartialCompletion(
                config,
                prompt,
                sample,
                tokens,
                models.maxLength() - tokens.length,
                shared.forSequence(config.sampling()),
                rng.split("sequence", prompt, sample));
        return new Row(text, new ArrayList<>());
    }

    private void run(int longest) {
        int group = config.numGenerations();
        int rowPages = KvCache.pagesFor(longest);
        int maxRows = Math.min(Math.max(rowsAtOnce(rowPages), group), completions.length);
        int groupPages = (group + 1) * rowPages;
        List<KvCache> caches = models.models().stream()
                .map(model -> new KvCache(model, (maxRows / group + 1) * groupPages))
                .toList();
        List<Row> active = new ArrayList<>();
        int next = 0;
        while (next < prompts.size() || !active.isEmpty()) {
            int room = Math.min(
                    (maxRows - active.size()) / group, caches.getFirst().freePages() / groupPages);
            int admitted = Math.min(room, prompts.size() - next);
            // New prompts wait until there are enough of them to be worth a pass of their own.
            if (admitted > 0
                    && (active.isEmpty() || admitted * group >= maxRows / 4 || admitted == prompts.size() - next)) {
                active.addAll(admit(caches, next, admitted));
                next += admitted;
            } else {
                step(caches, active);
            }
            active.removeIf(row -> retire(caches, row));
        }
    }

    /** Small models are bound by the reading of keys and values, which a cache delivers faster where all rows fit into it. */
    private int rowsAtOnce(int rowPages) {
        long row = models.models().stream()
                .mapToLong(model -> KvCache.bytes(model, rowPages))
                .sum();
        long fitting = CACHED_BYTES / row;
        return fitting < LEAST_CACHED_ROWS ? MAX_ROWS : (int) Math.min(MAX_ROWS, fitting);
    }

    private boolean retire(List<KvCache> caches, Row row) {
        if (!row.text.done()) {
            return false;
        }
        for (int m = 0; m < caches.size(); m++) {
            caches.get(m).release(row.cached.get(m));
        }
        completions[row.text.prompt * config.numGenerations() + row.text.sample] = row.text.completion();
        finished++;
        return true;
    }

    /** Reads the prompts and draws the first token of each of their completions. */
    private List<Row> admit(List<KvCache> caches, int first, int count) {
        try (Scope pass = Scope.open()) {
            List<int[]> read = prompts.subList(first, first + count);
            int group = config.numGenerations();
            int[] last = new int[count * group];
            List<Row> rows = new ArrayList<>();
            int end = 0;
            for (int p = 0; p < count; p++) {
                end += read.get(p).length;
                for (int k = 0; k < group; k++) {
                    last[rows.size()] = end - 1;
                    rows.add(row(first + p, k));
                }
            }
            List<Tensor> logits = new ArrayList<>();
            for (int m = 0; m < caches.size(); m++) {
                KvCache cache = caches.get(m);
                List<KvCache.Sequence> parents = IntStream.range(first, first + count)
                        .mapToObj(p -> open(cache, p))
                        .toList();
                Tensor hidden = cache.prefill(parents, read);
                for (Row row : rows) {
                    KvCache.Sequence parent = parents.get(row.text.prompt - first);
                    row.cached.add(group > 1 ? cache.share(parent) : parent);
                }
                if (group > 1) {
                    parents.forEach(cache::release);
                }
                Tensor ends = Functional.embedding(hidden, Tensor.of(last, last.length));
                logits.add(models.logits(m, ends));
            }
            draw(rows, logits);
            return rows;
        }
    }

    private KvCache.Sequence open(KvCache cache, int prompt) {
        int[] adapters = config.adapters();
        return adapters == null ? cache.open() : cache.open(adapters[prompt]);
    }

    private void step(List<KvCache> caches, List<Row> rows) {
        try (Scope pass = Scope.open()) {
            int[] tokens = new int[rows.size()];
            for (int i = 0; i < tokens.length; i++) {
                tokens[i] = rows.get(i).text.last();
            }
            List<Tensor> logits = new ArrayList<>();
            for (int m = 0; m < caches.size(); m++) {
                List<KvCache.Sequence> sequences = new ArrayList<>();
                for (Row row : rows) {
                    sequences.add(row.cached.get(m));
                }
                logits.add(models.logits(m, caches.get(m).step(sequences, tokens)));
            }
            draw(rows, logits);
        }
    }

    private void draw(List<Row> rows, List<Tensor> each) {
        List<PartialCompletion> texts = new ArrayList<>();
        rows.forEach(row -> texts.add(row.text));
        PartialCompletion.draw(texts, models.combine(each, i -> texts.get(i).history()));
        if (progress != null) {
            progress.update(finished, texts.size());
        }
    }
}
