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
        description =
                "Writes a model for other programs: a Hugging Face directory (safetensors), a file for llama.cpp (gguf), one"
                        + " for llama2.c (bin), or an adapter alone (peft).")
final class ExportCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Parameters(
            index = "0",
            paramLabel = "MODEL",
            description =
                    "A Hugging Face directory, a .gguf file, a llama2.c file, or an adapter's directory that names its model.")
    @SuppressWarnings("NullAway.Init")
    private Path model;

    @Option(
            names = "--adapter",
            paramLabel = "DIR",
            description =
                    "An adapter that PEFT or a trainer wrote; the model is written with its change in the weights.")
    private @Nullable Path adapter;

    @Option(
            names = "--to",
            paramLabel = "FORMAT",
            required = true,
            converter = FormatName.class,
            description = "safetensors, gguf, bin or peft.")
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
            description = "Where to write; by default beside the model, or the adapter, named after it.")
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
        Exporter.export(model, adapter, to, format, dtype.toLowerCase(Locale.ROOT));
        spec.commandLine().getOut().println("wrote " + to);
    }

    private Path beside() {
        Path from = (adapter == null ? model : adapter).toAbsolutePath().normalize();
        String name = from.getFileName().toString().replaceFirst("\\.(gguf|bin)$", "");
        String suffix = switch (format) {
            case SAFETENSORS -> "-" + dtype;
            case GGUF -> "-" + dtype + ".gguf";
            case BIN -> ".bin";
            case PEFT -> "-peft-" + dtype;
        };
        return from.resolveSibling(name + suffix);
    }
}
