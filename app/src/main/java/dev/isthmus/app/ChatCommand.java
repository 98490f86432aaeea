package dev.isthmus.app;

import dev.isthmus.model.StoredDtype;
import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.sample.SamplingParams;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** A conversation on the terminal. */
@Command(
        name = "chat",
        description =
                "Talks with a model that was trained for it: a line on standard input is what you say, the end of input ends it.")
final class ChatCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            required = true,
            description = "A model's directory with a chat template, or a .gguf file.")
    @SuppressWarnings("NullAway.Init")
    private Path model;

    @Option(names = "--system", paramLabel = "TEXT", description = "What the model is told about its task.")
    @Nullable
    private String system;

    @Option(
            names = "--adapter",
            paramLabel = "DIR",
            description = "Changes the model: an adapter that PEFT or a trainer wrote.")
    @Nullable
    private Path adapter;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            description =
                    "How the weights lie in memory: ${COMPLETION-CANDIDATES}; auto is as the file holds them, mapped.",
            defaultValue = "auto")
    private StoredDtype dtype = StoredDtype.auto;

    @Mixin
    @SuppressWarnings("NullAway.Init")
    private SamplingOptions options;

    @Override
    public void run() {
        if (options.greedy) {
            options.requireNothingRandom("--greedy");
        }
        try (Scope scope = Scope.open()) {
            LanguageModel loaded = LanguageModel.loadStored(model, dtype.format());
            LanguageModel language = adapter == null ? loaded : loaded.withAdapter(adapter);
            ChatTemplate template = ChatTemplate.load(model)
                    .orElseThrow(() -> new IsthmusException("the model in " + model
                            + " has no chat template; './isthmus generate' goes on with a text"));
            talk(language, template, options.params(language));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void talk(LanguageModel language, ChatTemplate template, SamplingParams sampling) throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String prompt = System.console() == null ? "" : "> ";
        List<Map<String, String>> messages = new ArrayList<>();
        if (system != null) {
            messages.add(Map.of("role", "system", "content", system));
        }
        for (int turn = 0; ; turn++) {
            out.print(prompt);
            out.flush();
            String line = in.readLine();
            if (line == null) {
                return;
            }
            if (line.isBlank()) {
                continue;
            }
            messages.add(Map.of("role", "user", "content", line));
            String text = template.render(messages, true, Map.of()).text();
            String answer = language.stream(
                    language.tokenizer().encode(text),
                    sampling,
                    options.maxNewTokens,
                    options.stop,
                    Rng.of(options.seed).split("turn", turn),
                    piece -> {
                        out.print(piece);
                        out.flush();
                    });
            out.println();
            messages.add(Map.of("role", "assistant", "content", answer));
        }
    }
}
