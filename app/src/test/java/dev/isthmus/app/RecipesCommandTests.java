package dev.isthmus.app;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.rl.recipe.Recipes;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RecipesCommandTests {
    private final Terminal terminal = new Terminal();

    @Test
    void everyRecipeHasALineThatSaysWhatItIs() {
        assertThat(terminal.run("recipes")).isZero();
        for (String name : Recipes.names()) {
            assertThat(terminal.out().lines())
                    .filteredOn(line -> line.startsWith(name + " "))
                    .singleElement()
                    .satisfies(line -> assertThat(line)
                            .matches(name + " +[a-z0-9]+ +(expert iteration|GRPO) +\\S.*")
                            .hasSizeLessThanOrEqualTo(120));
        }
    }

    @Test
    void oneRecipeIsShownWithYamlThatGivesItAgain(@TempDir Path directory) throws IOException {
        for (String name : Recipes.names()) {
            assertThat(terminal.run("recipes", name)).isZero();
            assertThat(terminal.out()).contains("papers", "departures", "measured", "task", "method");
            String yaml = terminal.out().substring(terminal.out().indexOf("# The whole recipe"));
            Path file = Files.writeString(directory.resolve(name + ".yaml"), yaml, StandardCharsets.UTF_8);
            assertThat(Recipes.load(file.toString(), Map.of())).isEqualTo(Recipes.load(name, Map.of()));
        }
    }

    @Test
    void anUnknownRecipeIsNamedBesideThoseThatThereAre() {
        assertThat(terminal.run("recipes", "subtraction")).isEqualTo(1);
        assertThat(terminal.out()).isEmpty();
        assertThat(terminal.err()).contains("no recipe 'subtraction'").contains(Recipes.names());
        assertThat(terminal.run("recipes", "addition", "game24")).isEqualTo(2);
    }
}
