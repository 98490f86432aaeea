package dev.isthmus.app;

import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.train.supervised.Pretrain;
import dev.isthmus.train.supervised.Replay;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Language modelling on a text. */
@Command
final class PretrainCommand extends TrainerCommand {
    private static final int REPLAY_LINES = 10;

    @Option(
            names = "--replay",
            paramLabel = "FILE",
            description =
                    "Take a recorded run again, step by step, and compare the losses; with --data and --model only.")
    private @Nullable Path replay;

    PretrainCommand() {
        super(new Pretrain());
    }

    @Override
    public void run() {
        if (replay == null) {
            super.run();
        } else {
            replay(replay);
        }
    }

    private void replay(Path record) {
        Map<String, Object> settings = settings();
        String data = given("data");
        String model = given("model");
        if (data == null || model == null) {
            throw usage("--replay needs --data, the text, and --model, the weights to begin with");
        }
        if (!settings.keySet().equals(Set.of("data", "model")) || config != null || out != null || resume != null) {
            throw usage("--replay takes everything else from the record; only --data and --model go with it");
        }
        PrintWriter out = spec.commandLine().getOut();
        Replay.Result result = new Replay(record, data).run(Path.of(model), REPLAY_LINES, out::println);
        out.flush();
        if (!result.passed()) {
            throw new IsthmusException("the losses are not those of " + record);
        }
    }
}
