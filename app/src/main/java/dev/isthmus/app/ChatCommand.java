package dev.isthmus.app;

import dev.isthmus.model.chat.ChatTemplate;
import dev.isthmus.model.generate.Conversation;
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

    @Mixin
    @SuppressWarnings("NullAway.Init")
    private ModelOptions model;

    @Option(names = "--system", paramLabel = "TEXT", description = "What the model is told about its task.")
    @Nullable
    private String system;

    @Mixin
    @SuppressWarnings("NullAway.Init")
    private SamplingOptions options;

    @Override
    public void run() {
        if (options.greedy) {
            options.requireNothingRandom("--greedy");
        }
        try (Scope scope = Scope.open()) {
            LanguageModel language = model.load();
            ChatTemplate template = ChatTemplate.load(model.tokenizer())
                    .orElseThrow(() -> new IsthmusException("the model in " + model.model
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
        Conversation conversation = new Conversation(language.decoder(), language.head());
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
                    conversation,
                    language.tokenizer().encode(text),
                    sampling,
                    options.maxNewTokens(language),
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
