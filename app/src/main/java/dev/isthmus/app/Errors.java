package dev.isthmus.app;

import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** What a person at the terminal sees when something goes wrong: one or two lines on stderr and an exit code. */
final class Errors implements IParameterExceptionHandler, IExecutionExceptionHandler {
    static final String DEBUG = "--debug";

    /** The work failed. */
    static final int FAILED = 1;

    /** The command line was wrong. */
    static final int USAGE = 2;

    private final boolean debug;

    Errors(String[] args) {
        debug = Arrays.asList(args).contains(DEBUG);
    }

    @Override
    public int handleParseException(ParameterException e, String[] args) {
        CommandLine command = e.getCommandLine();
        String message = e instanceof UnmatchedArgumentException unmatched
                ? unmatched(unmatched, command)
                : firstLine(e.getMessage());
        String help = "see '" + command.getCommandSpec().qualifiedName() + " --help'";
        print(message + System.lineSeparator() + help, e, command);
        return USAGE;
    }

    private static String unmatched(UnmatchedArgumentException e, CommandLine command) {
        String argument = e.getUnmatched().getFirst();
        boolean trainer = command.getCommand() instanceof TrainerCommand;
        Optional<String> instead = trainer ? TrlOptions.instead(option(argument)) : Optional.empty();
        if (instead.isPresent()) {
            return "unknown option '" + argument + "': " + instead.get();
        }
        String kind = argument.startsWith("-")
                ? "unknown option"
                : command.getSubcommands().isEmpty() ? "unexpected argument" : "unknown command";
        List<String> suggestions = e.getSuggestions();
        String suggestion = closest(argument, command)
                .or(() -> suggestions.stream().findFirst())
                .map(found -> "; did you mean " + found + "?")
                .orElse("");
        return kind + " '" + argument + "'" + suggestion;
    }

    private static String option(String argument) {
        return argument.replaceFirst("=.*", "");
    }

    /** The option that begins like what was given, or differs from it in a letter or two. */
    private static Optional<String> closest(String argument, CommandLine command) {
        String given = option(argument);
        List<String> names = command.getCommandSpec().options().stream()
                .map(OptionSpec::longestName)
                .filter(name -> name.startsWith("--"))
                .toList();
        return names.stream()
                .filter(name -> name.startsWith(given))
                .findFirst()
                .or(() -> names.stream()
                        .filter(name -> distance(name, given) <= 2)
                        .min(Comparator.comparingInt(name -> distance(name, given))));
    }

    /** Letters to put in, take out or change (Levenshtein). */
    private static int distance(String a, String b) {
        int[] row = IntStream.rangeClosed(0, b.length()).toArray();
        for (int i = 1; i <= a.length(); i++) {
            int corner = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int above = row[j];
                int changed = corner + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                row[j] = Math.min(changed, 1 + Math.min(above, row[j - 1]));
                corner = above;
            }
        }
        return row[b.length()];
    }

    @Override
    public int handleExecutionException(Exception e, CommandLine command, ParseResult parsed) {
        return report(e, command);
    }

    int report(Throwable e, CommandLine command) {
        print(message(e), e, command);
        return FAILED;
    }

    private static String message(Throwable e) {
        return switch (e) {
            case IsthmusException known -> known.getMessage();
            case UncheckedIOException unchecked -> message(Objects.requireNonNull(unchecked.getCause()));
            case NoSuchFileException missing -> missing.getFile() + ": no such file or directory";
            case AccessDeniedException denied -> denied.getFile() + ": permission denied";
            case FileSystemException file when file.getReason() != null -> file.getFile() + ": " + file.getReason();
            case IOException io when io.getMessage() != null -> io.getMessage();
            case OutOfMemoryError memory ->
                "out of memory (" + memory.getMessage() + "); JDK_JAVA_OPTIONS=-Xmx4g gives the Java heap 4 GB";
            default ->
                "unexpected " + e.getClass().getSimpleName() + ": " + firstLine(e.getMessage()) + " (a bug; " + DEBUG
                        + " shows the stack trace)";
        };
    }

    private void print(String message, Throwable e, CommandLine command) {
        PrintWriter err = command.getErr();
        message.lines().forEach(line -> err.println("isthmus: " + line));
        if (debug) {
            e.printStackTrace(err);
        }
        err.flush();
    }

    private static String firstLine(@Nullable String message) {
        return message == null ? "no message" : message.lines().findFirst().orElse("");
    }
}
