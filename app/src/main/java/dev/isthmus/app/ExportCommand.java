package dev.isthmus.app;

import dev.isthmus.model.io.Exporter;
import dev.isthmus.model.io.Exporter.Format;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** A model in another format. */
@Command(
        name = "export",
        description = "Writes a model for other programs: a Hugging Face directory (safetensors), a file for llama.cpp (gguf), or one"
                + " for llama2.c (bin).")
final class ExportCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Parameters(
            index = "0",
            paramLabel = "MODEL",
            description = "A Hugging Face directory, a .gguf file, or a llama2.c file.")
    @SuppressWarnings("NullAway.Init")
    private Path model;

    @Option(
            names = "--to",
            paramLabel = "FORMAT",
            required = true,
            converter = FormatName.class,
            description = "safetensors, gguf or bin.")
    @SuppressWarnings("NullAway.Init")
    private Format format;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            description = "f32, f16, bf16; for gguf q8_0 and q4_0, too. By default f32.",
            defaultValue = "f32")
    private String dtype = "f32";

    @Option(
            names = "--out",
            paramLabel = "PATH",
            description = "Where to write; by default beside the model, named after it.")
    private @Nullable Path out;

    /** The names of formats in lower case, as they are typed. */
    static final class FormatName implements picocli.CommandLine.ITypeConverter<Format> {
        @Override
        public Format convert(String name) {
            return Format.valueOf(name.toUpperCase(Locale.ROOT));
        }
    }

    @Override
    public void run() {
        Path to = out == null ? beside() : out;
        Exporter.export(model, to, format, dtype.toLowerCase(Locale.ROOT));
        spec.commandLine().getOut().println("wrote " + to);
    }

    private Path beside() {
        String name =
                model.toAbsolutePath().normalize().getFileName().toString().replaceFirst("\\.(gguf|bin)$", "");
        String suffix = switch (format) {
            case SAFETENSORS -> "-" + dtype;
            case GGUF -> "-" + dtype + ".gguf";
            case BIN -> ".bin";
        };
        return model.toAbsolutePath().normalize().resolveSibling(name + suffix);
    }
}
