package dev.isthmus.bench;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall;
import dev.isthmus.tensor.Rng;
import dev.isthmus.tensor.Scope;
import dev.isthmus.tensor.Storage;
import dev.isthmus.train.CompletionLoss;
import dev.isthmus.train.Example;
import dev.isthmus.train.Trainer;
import dev.isthmus.train.TrainingArguments;
import dev.isthmus.train.schedule.LrSchedule;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * Draws the kernel calls of one training step of a model of two layers, as they were run: {@code docs/tape.svg}.
 *
 * <p>Forward calls stand on the left from top to bottom, backward calls on the right from bottom to top. A line leads from the
 * call that wrote numbers to the backward call that reads them: what the tape keeps.
 */
public final class TapeDrawing {
    private static final int ROW = 21;
    private static final int TOP = 46;
    private static final int LEFT = 20;
    private static final int RIGHT = 560;
    private static final int WIDTH = 250;

    /** The arguments that calls write, by name. */
    private static final Set<String> RESULTS = Set.of(
            "c", "y", "out", "to", "lse", "rstd", "mean", "loss", "entropy", "dx", "dweight", "dbias", "dTable",
            "dLogits", "dGateUp", "dq", "dk", "dv", "packed");

    private final List<Call> forward = new ArrayList<>();
    private final List<Call> backward = new ArrayList<>();
    private int updates;

    private record Call(String name, boolean accumulates, Set<Storage> reads, Set<Storage> writes) {}

    private TapeDrawing() {}

    /** Writes the drawing to the file that is the only argument. */
    public static void main(String[] args) throws IOException {
        Files.writeString(Path.of(args[0]), svg());
    }

    /** The drawing. */
    public static String svg() {
        TapeDrawing drawing = new TapeDrawing();
        drawing.record();
        return drawing.draw();
    }

    private void record() {
        List<Call> all = new ArrayList<>();
        Device device = new Device() {
            @Override
            public void run(KernelCall call) {
                Device.scalar().run(call);
                all.add(call(call));
            }

            @Override
            public String name() {
                return "recording";
            }
        };
        try (Scope scope = Scope.open(device)) {
            Decoder model = new Decoder(DecoderConfig.gpt2(16, 8, 2, 2, 8), DType.FLOAT32).initialize(Rng.of(1));
            Trainer trainer = new Trainer(model, TrainingArguments.of(1e-3, new LrSchedule.Constant()));
            List<Example> batch = List.of(new Example(new int[] {1, 2, 3, 4}, 1));
            all.clear();
            trainer.step(List.of(() -> {
                var loss = CompletionLoss.mean(model, batch, CompletionLoss.tokens(batch));
                forward.addAll(all);
                all.clear();
                return loss;
            }));
        }
        for (Call call : all) {
            if (call.name.equals("OptimizerStep")) {
                updates++;
            } else if (!call.name.equals("SumSquares")) {
                backward.add(call);
            }
        }
    }

    private static Call call(KernelCall call) {
        StringBuilder name = new StringBuilder(call.getClass().getSimpleName());
        boolean accumulates = false;
        Set<Storage> reads = new HashSet<>();
        Set<Storage> writes = new HashSet<>();
        try {
            for (RecordComponent c : call.getClass().getRecordComponents()) {
                Object value = c.getAccessor().invoke(call);
                if (value instanceof Buffer buffer) {
                    (RESULTS.contains(c.getName()) ? writes : reads).add(buffer.storage());
                } else if (c.getName().equals("op")) {
                    name.append(' ').append(String.valueOf(value).toLowerCase(Locale.ROOT));
                } else if (c.getName().startsWith("accumulate")) {
                    accumulates |= (Boolean) value;
                }
            }
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
        return new Call(name.toString(), accumulates, reads, writes);
    }

    private String draw() {
        int rows = Math.max(forward.size(), backward.size());
        StringBuilder lines = new StringBuilder();
        StringBuilder boxes = new StringBuilder();
        for (int i = 0; i < forward.size(); i++) {
            box(boxes, LEFT, TOP + i * ROW, "f", (i + 1) + "  " + forward.get(i).name);
        }
        for (int i = 0; i < backward.size(); i++) {
            Call call = backward.get(i);
            int y = TOP + (rows - 1 - i) * ROW;
            box(boxes, RIGHT, y, call.accumulates ? "a" : "b", (forward.size() + i + 1) + "  " + call.name);
            for (int j = 0; j < forward.size(); j++) {
                Set<Storage> kept = new HashSet<>(forward.get(j).writes);
                kept.retainAll(call.reads);
                if (!kept.isEmpty()) {
                    line(lines, TOP + j * ROW, y);
                }
            }
        }
        int height = TOP + rows * ROW + 40;
        String drawing = """
                <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
                <style>rect{stroke:#555;fill:#dde8f5}.b{fill:#f5e6d3}.a{fill:#eab98c}path{fill:none;stroke:#999;stroke-width:.8}</style>
                <rect width="100%%" height="100%%" style="fill:#fff;stroke:none"/>
                <text x="%d" y="24" font-weight="bold">forward, downwards</text>
                <text x="%d" y="24" font-weight="bold">backward, upwards (darker: adds to a gradient)</text>
                %s%s<text x="%d" y="%d">then %d calls of OptimizerStep, one for each trained tensor</text>
                </svg>
                """;
        return String.format(
                Locale.ROOT,
                drawing,
                RIGHT + WIDTH + LEFT,
                height,
                LEFT,
                RIGHT,
                lines,
                boxes,
                LEFT,
                height - 14,
                updates);
    }

    private static void box(StringBuilder to, int x, int y, String kind, String text) {
        to.append(String.format(
                Locale.ROOT,
                "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\"/><text x=\"%d\" y=\"%d\">%s</text>%n",
                kind,
                x,
                y,
                WIDTH,
                ROW - 4,
                x + 8,
                y + 13,
                text));
    }

    private static void line(StringBuilder to, int fromY, int toY) {
        int half = ROW / 2 - 2;
        to.append(String.format(
                Locale.ROOT,
                "<path d=\"M%d %dC%d %d %d %d %d %d\"/>%n",
                LEFT + WIDTH,
                fromY + half,
                LEFT + WIDTH + 130,
                fromY + half,
                RIGHT - 130,
                toY + half,
                RIGHT,
                toY + half));
    }
}
