package dev.isthmus.app;

import dev.isthmus.rl.improve.SelfImprovement;
import dev.isthmus.rl.recipe.Recipes;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.run.Progress;
import dev.isthmus.train.run.RunDirectory;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The main job: trains a small base model and improves it by its own verified answers. */
@Command(
        name = "improve",
        description = {
            "Trains a small base model, improves it by its own verified answers, and shows that it got better.",
            "Without a recipe: three-digit addition, in less than five minutes on two cores."
        })
final class ImproveCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Parameters(
            index = "0",
            arity = "0..1",
            paramLabel = "RECIPE",
            description = "A recipe of 'isthmus recipes', or a YAML file (default: ${DEFAULT-VALUE}).",
            defaultValue = Recipes.DEFAULT,
            showDefaultValue = Visibility.NEVER)
    private String recipe = Recipes.DEFAULT;

    @Option(
            names = "--set",
            paramLabel = "KEY=VALUE",
            showDefaultValue = Visibility.NEVER,
            description = "Replace a value of the recipe, such as improve.rounds=4; may be repeated.")
    private Map<String, String> settings = new LinkedHashMap<>();

    @Option(names = "--seed", paramLabel = "N", description = "Seed of all that is random (default: the recipe's).")
    private @Nullable Long seed;

    @Option(names = "--out", paramLabel = "DIR", description = "Run directory (default: the next runs/RECIPE-SEED-N).")
    private @Nullable Path out;

    @Option(
            names = "--controls",
            description = "Repeat with shuffled rewards and with a random filter of the same size.")
    private boolean controls;

    @Option(names = "--resume", paramLabel = "DIR", description = "Go on with an interrupted run.")
    private @Nullable Path resume;

    @Override
    public void run() {
        try (RunDirectory directory = resume == null ? begin() : resume(resume);
                Progress progress = new Progress()) {
            new SelfImprovement(directory, progress).run();
        }
    }

    private RunDirectory begin() {
        if (seed != null) {
            settings.put("seed", seed.toString());
        }
        if (controls) {
            settings.put("controls", "true");
        }
        Recipes.Complete complete = Recipes.load(recipe, settings);
        SelfImprovement.check(complete.recipe());
        return RunDirectory.create(
                out, complete.recipe().name(), complete.recipe().seed(), complete.yaml(), this::warn);
    }

    private RunDirectory resume(Path path) {
        if (out != null
                || seed != null
                || controls
                || !settings.isEmpty()
                || spec.commandLine().getParseResult().hasMatchedPositional(0)) {
            throw new ParameterException(
                    spec.commandLine(), "--resume goes on with the run as it was begun and takes no other options");
        }
        RunDirectory directory = RunDirectory.resume(path, this::warn);
        if (directory.summary().isPresent()) {
            directory.close();
            throw new IsthmusException("the run in " + path + " has finished; see " + path.resolve("report.html"));
        }
        return directory;
    }

    private void warn(String line) {
        spec.commandLine().getErr().println("isthmus: " + line);
    }
}
