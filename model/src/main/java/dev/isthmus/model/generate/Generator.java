package dev.isthmus.model.generate;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.sample.History;
import dev.isthmus.model.sample.SamplingParams;
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
    private static final int MAX_ROWS = 1024;

    private final Ensemble models;
    private final Decoder decoder;
    private final GenerationConfig config;
    private final Rng rng;
    private final TokenSampler shared;
    private final int vocabSize;
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
        decoder = models.models().getFirst();
        this.prompts = prompts;
        this.config = config;
        this.rng = rng;
        this.progress = progress;
        vocabSize = decoder.config().vocabSize();
        shared = new TokenSampler(config.sampling(), vocabSize);
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

    /** A sequence that is being written. */
    private final class Row {
        final int prompt;
        final int sample;
        final List<KvCache.Sequence> cached;
        final Rng stream;
        final TokenSampler sampler = shared.forSequence(config.sampling());
        final int promptLength;
        final int limit;
        int[] tokens;
        float[] logProbs = new float[8];
        float[] entropies = new float[config.outputEntropies() ? 8 : 0];
        int length;
        boolean ended;

        Row(int prompt, int sample, List<KvCache.Sequence> cached) {
            this.prompt = prompt;
            this.sample = sample;
            this.cached = cached;
            stream = rng.split("sequence", prompt, sample);
            tokens = prompts.get(prompt);
            promptLength = tokens.length;
            length = promptLength;
            limit = Math.min(config.maxNewTokens(), models.maxLength() - promptLength);
        }

        History history() {
            return new History(tokens, promptLength, length);
        }

        void draw(float[] logits, int offset) {
            int token = sampler.sample(logits, offset, history(), stream);
            if (length == tokens.length) {
                tokens = Arrays.copyOf(tokens, length + Math.max(8, length / 2));
            }
            tokens[length++] = token;
            ended = config.eosTokenIds().contains(token);
            Streamer streamer = config.streamer();
            if (streamer != null && streamer.put(prompt, sample, token)) {
                ended = true;
            }
        }

        int last() {
            return tokens[length - 1];
        }

        void logProb(float value) {
            logProbs = set(logProbs, value);
        }

        void entropy(float value) {
            entropies = set(entropies, value);
        }

        private float[] set(float[] values, float value) {
            int at = length - promptLength - 1;
            float[] longer = at < values.length ? values : Arrays.copyOf(values, 2 * at);
            longer[at] = value;
            return longer;
        }

        boolean full() {
            return length - promptLength >= limit;
        }

        Completion completion() {
            int n = length - promptLength;
            return new Completion(
                    prompt,
                    Arrays.copyOfRange(tokens, promptLength, length),
                    Arrays.copyOf(logProbs, n),
                    Arrays.copyOf(entropies, config.outputEntropies() ? n : 0),
                    ended);
        }
    }

    private void run(int longest) {
        int group = config.numGenerations();
        int rowPages = KvCache.pagesFor(longest);
        int maxRows = Math.min(Math.max(MAX_ROWS, group), completions.length);
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

    private boolean retire(List<KvCache> caches, Row row) {
        if (!row.ended && !row.full()) {
            return false;
        }
        for (int m = 0; m < caches.size(); m++) {
            caches.get(m).release(row.cached.get(m));
        }
        completions[row.prompt * config.numGenerations() + row.sample] = row.completion();
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
                    rows.add(new Row(first + p, k, new ArrayList<>()));
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
                    KvCache.Sequence parent = parents.get(row.prompt - first);
                    row.cached.add(row.sample + 1 < group ? cache.fork(parent) : parent);
                }
                Tensor ends = Functional.embedding(hidden, Tensor.of(last, last.length));
                logits.add(models.models().get(m).logits(ends));
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
            int[] tokens = rows.stream().mapToInt(Row::last).toArray();
            List<Tensor> logits = new ArrayList<>();
            for (int m = 0; m < caches.size(); m++) {
                int model = m;
                List<KvCache.Sequence> sequences =
                        rows.stream().map(row -> row.cached.get(model)).toList();
                logits.add(models.models().get(m).logits(caches.get(m).step(sequences, tokens)));
            }
            draw(rows, logits);
        }
    }

    private void draw(List<Row> rows, List<Tensor> each) {
        Tensor logits = models.combine(each, i -> rows.get(i).history());
        float[] values = logits.toFloats();
        int[] targets = new int[rows.size()];
        for (int i = 0; i < targets.length; i++) {
            rows.get(i).draw(values, i * vocabSize);
            targets[i] = rows.get(i).last();
        }
        SamplingParams sampling = config.sampling();
        double temperature = sampling.doSample() ? sampling.temperature() : 1;
        Functional.TokenLoss loss =
                Functional.tokenLoss(logits, Tensor.of(targets, targets.length), temperature, config.outputEntropies());
        float[] losses = loss.loss().toFloats();
        Tensor entropy = loss.entropy();
        float[] entropies = entropy == null ? new float[0] : entropy.toFloats();
        for (int i = 0; i < targets.length; i++) {
            rows.get(i).logProb(-losses[i]);
            if (entropy != null) {
                rows.get(i).entropy(entropies[i]);
            }
        }
        if (progress != null) {
            progress.update(finished, targets.length);
        }
    }
}
