package dev.isthmus.app;

import dev.isthmus.tensor.Machine;
import java.io.PrintWriter;
import java.lang.module.ModuleDescriptor;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/**
 * The command line {@code isthmus}.
 *
 * <p>A new command is a class with {@code @Command(name = ..., description = ...)} that implements {@link Runnable}, listed
 * below; those that train are made from their settings by {@link TrainerCommands}. A command says what went wrong by throwing: {@link Errors} turns what is thrown into a message and an exit code. What it
 * prints goes to {@code spec.commandLine().getOut()}, so that tests can read it.
 */
@Command(
        name = "isthmus",
        description = "Trains small language models and improves them by their own verified answers.",
        subcommands = {
            ImproveCommand.class,
            RecipesCommand.class,
            GenerateCommand.class,
            ChatCommand.class,
            EvalCommand.class,
            TokenizeCommand.class,
            ExportCommand.class,
            BenchCommand.class,
            DoctorCommand.class
        },
        scope = ScopeType.INHERIT,
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        sortOptions = false,
        showDefaultValues = true,
        usageHelpAutoWidth = true,
        synopsisSubcommandLabel = "COMMAND",
        commandListHeading = "%nCommands:%n",
        optionListHeading = "%nOptions:%n",
        parameterListHeading = "%n")
public final class Main implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Option(
            names = "--threads",
            paramLabel = "N",
            scope = ScopeType.INHERIT,
            description = "Number of threads for kernels (default: all cores). Results do not depend on it.")
    void threads(@Nullable Integer threads) {
        if (threads == null) {
            return;
        }
        if (threads < 1) {
            throw new CommandLine.ParameterException(
                    spec.commandLine(), "--threads must be at least 1, not " + threads);
        }
        Machine.setThreads(threads);
    }

    // Errors looks for it among the arguments, for command lines that do not parse.
    @SuppressWarnings("UnusedVariable")
    @Option(names = Errors.DEBUG, scope = ScopeType.INHERIT, description = "Show the stack trace of an error.")
    private boolean debug;

    /** Without a command: the help. */
    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }

    /** All commands. */
    static CommandLine commandLine() {
        CommandSpec main = CommandSpec.forAnnotatedObject(new Main());
        for (CommandSpec trainer : TrainerCommands.all()) {
            main.addSubcommand(trainer.name(), trainer);
        }
        return new CommandLine(main);
    }

    /** Parses and runs one command line, and returns its exit code. */
    static int run(PrintWriter out, PrintWriter err, String... args) {
        CommandLine isthmus = commandLine();
        isthmus.setOut(out);
        isthmus.setErr(err);
        Errors errors = new Errors(args);
        isthmus.setParameterExceptionHandler(errors);
        isthmus.setExecutionExceptionHandler(errors);
        try {
            return isthmus.execute(dashed(args));
        } catch (Error e) {
            return errors.report(e, isthmus);
        }
    }

    /** Options as TRL and Hugging Face write them, {@code --max_steps}, are those with dashes. */
    private static String[] dashed(String... args) {
        return Stream.of(args)
                .map(arg -> {
                    int end = arg.indexOf('=') < 0 ? arg.length() : arg.indexOf('=');
                    return arg.startsWith("--") ? arg.substring(0, end).replace('_', '-') + arg.substring(end) : arg;
                })
                .toArray(String[]::new);
    }

    public static void main(String[] args) {
        PrintWriter out = new PrintWriter(System.out, true, System.out.charset());
        PrintWriter err = new PrintWriter(System.err, true, System.err.charset());
        int code = run(out, err, args);
        out.flush();
        System.exit(code);
    }

    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            String version = Optional.ofNullable(Main.class.getModule().getDescriptor())
                    .flatMap(ModuleDescriptor::rawVersion)
                    .orElse("development");
            return new String[] {"isthmus " + version + " (Java " + Runtime.version() + ")"};
        }
    }
}
