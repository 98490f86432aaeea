package dev.isthmus.app;

import dev.isthmus.rl.recipe.Recipe;
import dev.isthmus.rl.recipe.Recipes;
import dev.isthmus.train.run.TextTable;
import dev.isthmus.train.run.TextTable.Column;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** What 'improve' can do. */
@Command(name = "recipes", description = "Lists the recipes of 'improve', or shows one with its papers and its result.")
final class RecipesCommand implements Runnable {
    private static final int ROOM = 76;

    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Parameters(
            index = "0",
            arity = "0..1",
            paramLabel = "NAME",
            description = "The recipe to show, or a YAML file; none for the list.")
    private @Nullable String name;

    @Override
    public void run() {
        PrintWriter out = spec.commandLine().getOut();
        if (name == null) {
            list(out);
        } else {
            show(out, Recipes.load(name, Map.of()));
        }
    }

    private static void list(PrintWriter out) {
        List<Recipe> recipes = Recipes.names().stream()
                .map(name -> Recipes.load(name, Map.of()).recipe())
                .toList();
        TextTable table = new TextTable(
                Column.left("recipe", longest(recipes.stream().map(Recipe::name).toList())),
                Column.left(
                        "task",
                        longest(recipes.stream().map(RecipesCommand::task).toList())),
                Column.left(
                        "method",
                        longest(recipes.stream().map(RecipesCommand::method).toList())),
                Column.left("what it is about", 0));
        out.println(table.header());
        out.println(table.rule());
        for (Recipe recipe : recipes) {
            out.println(table.row(recipe.name(), task(recipe), method(recipe), inALine(recipe.description())));
        }
        out.println();
        out.println("isthmus recipes NAME shows one, isthmus improve NAME runs it.");
    }

    private static void show(PrintWriter out, Recipes.Complete complete) {
        Recipe recipe = complete.recipe();
        out.println(recipe.name() + ": " + recipe.description());
        out.println();
        row(out, "task", task(recipe));
        row(out, "method", method(recipe));
        row(out, "papers", recipe.papers().isEmpty() ? "none" : String.join("; ", recipe.papers()));
        row(out, "departures", recipe.departures().isEmpty() ? "none" : recipe.departures());
        row(out, "measured", recipe.result().isEmpty() ? "not yet" : recipe.result());
        out.println();
        out.println("# The whole recipe. Change a value with: isthmus improve NAME --set KEY.KEY=VALUE");
        out.print(complete.yaml());
    }

    private static void row(PrintWriter out, String name, String value) {
        out.printf(Locale.ROOT, "%-12s%s%n", name, value.strip());
    }

    private static String task(Recipe recipe) {
        return String.valueOf(recipe.task().get("name"));
    }

    private static String method(Recipe recipe) {
        return switch (recipe.improve()) {
            case Recipe.ExpertIteration _ -> "expert iteration";
            case Recipe.Grpo _ -> "GRPO";
        };
    }

    private static int longest(List<String> cells) {
        return cells.stream().mapToInt(String::length).max().orElse(0);
    }

    /** The first sentence, or as much of it as a line has room for. */
    private static String inALine(String text) {
        String sentence = text.strip().split("(?<=\\.)\\s", 2)[0];
        return sentence.length() <= ROOM
                ? sentence
                : sentence.substring(0, sentence.lastIndexOf(' ', ROOM - 4)) + " ...";
    }
}
