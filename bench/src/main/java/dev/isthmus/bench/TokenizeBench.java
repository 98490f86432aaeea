package dev.isthmus.bench;

import dev.isthmus.bench.Figure.Unit;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Times the encoding of a text, on one thread. */
public final class TokenizeBench {
    private TokenizeBench() {}

    /**
     * Measures it.
     *
     * @param models directories or files with a tokenizer
     * @param text a file in UTF-8
     */
    public static void run(Bench bench, List<Path> models, Path text) {
        String content;
        try {
            content = Files.readString(text);
        } catch (IOException e) {
            throw new IsthmusException("Cannot read " + text + ": " + e, e);
        }
        double bytes = text.toFile().length();
        bench.ceilings();
        bench.report().title("encoding a text on one thread; the ceiling is reading its bytes once");
        for (Path model : models) {
            Tokenizer tokenizer = Tokenizers.load(model);
            int tokens = tokenizer.encode(content).length;
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("tokenizer", model.toAbsolutePath().toString());
            fields.put("text", text.toAbsolutePath().toString());
            fields.put("bytes", (long) bytes);
            fields.put("tokens", tokens);
            Measurement measured = Measurement.of(bench.effort(), () -> tokenizer.encode(content).length);
            bench.report(new Figure(
                    "tokenize",
                    model.getFileName() + ", " + tokens + " tokens",
                    fields,
                    1,
                    new Unit("MB/s", bytes / 1e6, 0),
                    measured,
                    Needs.memory(bytes, 0).on(bench.ceilings()),
                    null,
                    Map.of()));
        }
    }
}
