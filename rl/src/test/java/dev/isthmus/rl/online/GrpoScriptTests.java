package dev.isthmus.rl.online;

import static org.assertj.core.api.Assertions.assertThat;

import dev.isthmus.rl.GrpoScript;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GrpoScriptTests {
    @Test
    void theScriptOfTheGuideIsThisOne() throws IOException {
        String source = Files.readString(Path.of("src/test/java/dev/isthmus/rl/GrpoScript.java"));
        String shown = source.substring(source.indexOf("import ")).strip();
        assertThat(Files.readString(Path.of("../docs/grpo.md"))).contains("```java\n" + shown + "\n```");
    }

    @Test
    void theScriptRuns(@TempDir Path root) throws IOException {
        TinyOnlineRun.world(root);
        Path out = root.resolve("run");
        TinyOnlineRun.quietly(() -> {
            try {
                GrpoScript.main(new String[] {root.resolve("tiny").toString(), out.toString(), "2"});
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        assertThat(new TinyOnlineRun(out).metric("rewards/correct/mean")).isNotEmpty();
    }
}
