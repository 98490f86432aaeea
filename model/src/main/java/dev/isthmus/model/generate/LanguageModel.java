package dev.isthmus.model.generate;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Peft;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.io.HfGenerationConfig;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.KernelCall.WeightFormat;
import dev.isthmus.tensor.Rng;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A decoder and the tokenizer that lies beside it: text in, text out.
 *
 * @param head makes logits of the decoder's hidden states
 * @param generation how the model wants to be sampled
 */
public record LanguageModel(Decoder decoder, Ensemble.Head head, Tokenizer tokenizer, HfGenerationConfig generation) {
    /** A text in its two parts. */
    public record Text(String prompt, String completion) {}

    /** One that says nothing about how it wants to be sampled. */
    public LanguageModel(Decoder decoder, Tokenizer tokenizer) {
        this(decoder, tokenizer, HfGenerationConfig.NONE);
    }

    /** One with the head that it has. */
    public LanguageModel(Decoder decoder, Tokenizer tokenizer, HfGenerationConfig generation) {
        this(decoder, Decoder::logits, tokenizer, generation);
    }

    /** Loads a model and its tokenizer into the current scope; of an adapter's directory, the model that it changes, changed. */
    public static LanguageModel load(Path model) {
        return load(model, Pretrained::load);
    }

    /**
     * Loads a model for inference, its matrices as the file holds them or in {@code format}, and its tokenizer.
     *
     * @param format null for each matrix as it is stored
     */
    public static LanguageModel loadStored(Path model, @Nullable WeightFormat format) {
        return load(model, weights -> Pretrained.loadStored(weights, format));
    }

    private static LanguageModel load(Path model, Function<Path, Decoder> weights) {
        if (!Peft.present(model)) {
            return new LanguageModel(weights.apply(model), Tokenizers.load(model), HfGenerationConfig.read(model));
        }
        Path base = Peft.base(model);
        Path tokenizer = Tokenizers.present(model) ? model : base;
        return new LanguageModel(weights.apply(base), Tokenizers.load(tokenizer), HfGenerationConfig.read(base))
                .withAdapter(model);
    }

    /**
     * The same, changed by an adapter that PEFT wrote; the weights are shared.
     *
     * @throws IsthmusException if it does not fit the model, or this has one already
     */
    public LanguageModel withAdapter(Path directory) {
        return new LanguageModel(decoder.with(Peft.load(directory, decoder)), head, tokenizer, generation);
    }

    /** The same with another head, which {@link #beams} and {@link #assisted} do not know. */
    public LanguageModel withHead(Ensemble.Head other) {
        return new LanguageModel(decoder, other, tokenizer, generation);
    }

    /** What draws its tokens. */
    public Ensemble policy() {
        return Ensemble.of(decoder, head);
    }

    /** The tokens that end a text. */
    public List<Integer> eosTokenIds() {
        TreeSet<Integer> ends = new TreeSet<>(decoder.config().eosTokenIds());
        ends.addAll(generation.eosTokenIds());
        tokenizer.eosTokenId().ifPresent(ends::add);
        // Where another text begins this one has ended; llama2.c's models know no other end.
        tokenizer.bosTokenId().ifPresent(ends::add);
        return List.copyOf(ends);
    }

    /**
     * Completions of a text, each up to the first of {@code stops} in it.
     *
     * @throws IsthmusException if the prompt is empty and the model has no token that begins a text
     */
    public List<Text> complete(
            String prompt, SamplingParams sampling, int maxNewTokens, int count, List<String> stops, Rng rng) {
        return complete(List.of(begin(prompt)), sampling, maxNewTokens, count, stops, rng);
    }

    private int[] begin(String prompt) {
        int[] tokens = tokenizer.encode(prompt, true);
        if (tokens.length == 0) {
            throw new IsthmusException("the prompt is empty and this model has no token that begins a text; "
                    + "give it something to go on from");
        }
        return tokens;
    }

    /** Completions of prompts given as tokens: those of the first prompt, then those of the second, and so on. */
    public List<Text> complete(List<int[]> prompts, SamplingParams sampling, int maxNewTokens, int count, Rng rng) {
        return complete(prompts, sampling, maxNewTokens, count, List.of(), rng);
    }

    private List<Text> complete(
            List<int[]> prompts, SamplingParams sampling, int maxNewTokens, int count, List<String> stops, Rng rng) {
        GenerationConfig config = new GenerationConfig(sampling, maxNewTokens, eosTokenIds(), count);
        if (!stops.isEmpty()) {
            Map<Integer, TextStream> streams = new HashMap<>();
            config = config.withStreamer((prompt, sample, token) -> streams.computeIfAbsent(
                            prompt * count + sample,
                            _ -> new TextStream(tokenizer, prompts.get(prompt), stops, _ -> {}))
                    .put(token));
        }
        List<Text> texts = new ArrayList<>();
        for (Completion completion : Generator.generate(policy(), prompts, config, rng, null)) {
            texts.add(cut(text(prompts.get(completion.prompt()), completion.tokens()), stops));
        }
        return texts;
    }

    /** The most probable completions that beams find, the best first, each up to the first of {@code stops} in it. */
    public List<Text> beams(
            String prompt, SamplingParams sampling, int maxNewTokens, List<String> stops, BeamSearch search) {
        int[] tokens = begin(prompt);
        return search.search(decoder, tokens, new GenerationConfig(sampling, maxNewTokens, eosTokenIds(), 1)).stream()
                .map(found -> cut(text(tokens, found.completion().tokens()), stops))
                .toList();
    }

    /** One completion, for which {@code draft} guesses up to {@code numAssistantTokens} tokens at a time; distributed as without it. */
    public Text assisted(
            String prompt,
            SamplingParams sampling,
            int maxNewTokens,
            List<String> stops,
            Draft draft,
            int numAssistantTokens,
            Rng rng) {
        int[] tokens = begin(prompt);
        TextStream stream = new TextStream(tokenizer, tokens, stops, _ -> {});
        GenerationConfig config = new GenerationConfig(sampling, maxNewTokens, eosTokenIds(), 1)
                .withStreamer((_, _, token) -> stream.put(token));
        Completion completion = SpeculativeDecoding.generate(decoder, draft, tokens, config, numAssistantTokens, rng)
                .completion();
        return cut(text(tokens, completion.tokens()), stops);
    }

    /**
     * Writes one completion, that of {@link #complete}.
     *
     * @param reader given the prompt and then the completion as it is written, in whole characters, up to the first of {@code stops}
     * @throws IsthmusException if the prompt is empty and the model has no token that begins a text, or leaves no room for one more
     */
    public void stream(
            String prompt,
            SamplingParams sampling,
            int maxNewTokens,
            List<String> stops,
            Rng rng,
            Consumer<String> reader) {
        int[] tokens = begin(prompt);
        TextStream stream = new TextStream(tokenizer, tokens, stops, reader);
        AtomicBoolean begun = new AtomicBoolean();
        GenerationConfig config = new GenerationConfig(sampling, maxNewTokens, eosTokenIds(), 1)
                .withStreamer((_, _, token) -> {
                    // Not before there is a token: a prompt that cannot be read is an error and no text.
                    if (!begun.getAndSet(true)) {
                        reader.accept(tokenizer.decode(tokens));
                    }
                    return stream.put(token);
                });
        Generator.generate(policy(), List.of(tokens), config, rng, null);
        stream.finish();
    }

    /**
     * Writes one completion and returns it.
     *
     * @param conversation of this model, which knows what was read before
     * @param reader given the text as it is written, in whole characters, up to the first of {@code stops}
     */
    public String stream(
            Conversation conversation,
            int[] prompt,
            SamplingParams sampling,
            int maxNewTokens,
            List<String> stops,
            Rng rng,
            Consumer<String> reader) {
        TextStream stream = new TextStream(tokenizer, prompt, stops, reader);
        GenerationConfig config = new GenerationConfig(sampling, maxNewTokens, eosTokenIds(), 1)
                .withStreamer((_, _, token) -> stream.put(token));
        conversation.complete(prompt, config, rng);
        stream.finish();
        return stream.text();
    }

    private static Text cut(Text text, List<String> stops) {
        int end = stops.stream()
                .filter(stop -> !stop.isEmpty())
                .mapToInt(text.completion::indexOf)
                .filter(i -> i >= 0)
                .min()
                .orElse(text.completion.length());
        return new Text(text.prompt, text.completion.substring(0, end));
    }

    /** Decodes both parts at once: what a token looks like may depend on whether it is the first. */
    private Text text(int[] prompt, int[] completion) {
        String before = tokenizer.decode(prompt);
        String all = tokenizer.decode(
                IntStream.concat(IntStream.of(prompt), IntStream.of(completion)).toArray());
        return all.startsWith(before)
                ? new Text(before, all.substring(before.length()))
                : new Text(before, tokenizer.decode(completion));
    }
}
