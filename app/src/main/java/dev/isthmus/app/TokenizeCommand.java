package dev.isthmus.app;

import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The tokens of a text. */
@Command(
        name = "tokenize",
        description = "Shows the tokens of a text: their ids, each one's text, and how many they are.")
final class TokenizeCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            required = true,
            description = "A directory with a tokenizer, or a .gguf file.")
    @SuppressWarnings("NullAway.Init")
    private Path model;

    @Option(names = "--special-tokens", description = "Add the tokens that the model wants around a text.")
    private boolean specialTokens;

    @Parameters(arity = "0..1", paramLabel = "TEXT", description = "The text; standard input without it.")
    @Nullable
    private String text;

    @Override
    public void run() {
        PrintWriter out = spec.commandLine().getOut();
        Tokenizer tokenizer = Tokenizers.load(model);
        int[] ids = tokenizer.encode(text == null ? StandardInput.read() : text, specialTokens);
        out.println(Arrays.stream(ids).mapToObj(String::valueOf).collect(Collectors.joining(" ")));
        for (int id : ids) {
            out.println(String.format(Locale.ROOT, "%7d  %s", id, shown(tokenizer.decode(new int[] {id}, false))));
        }
        out.println(ids.length + (ids.length == 1 ? " token" : " tokens"));
    }

    private static String shown(String piece) {
        String escaped = piece.replace("\\", "\\\\")
                .replace("\n", "\\n")
                .replace("\r", "\\r")
                .replace("\t", "\\t");
        return '"' + escaped + '"';
    }
}
