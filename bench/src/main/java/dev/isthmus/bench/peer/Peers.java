package dev.isthmus.bench.peer;

import dev.isthmus.bench.ChildJvm;
import dev.isthmus.tensor.Machine;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** The engines of this machine that Isthmus can be compared with. */
public final class Peers implements AutoCloseable {
    private static final String SHIPPED = " as shipped";

    private final List<Peer> found = new ArrayList<>();
    private final Path directory;
    private final Consumer<String> notes;

    private Peers(Consumer<String> notes) {
        this.notes = notes;
        try {
            directory = Files.createTempDirectory("isthmus-peers");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Starts those that are there, and tells {@code notes} by name which are not.
     *
     * @param products whether the work is matrix products alone, which OpenBLAS and DJL know, too
     */
    public static Peers find(boolean products, Consumer<String> notes) {
        Peers peers = new Peers(notes);
        if (products) {
            peers.openBlas();
            peers.djl();
        }
        peers.torch();
        return peers;
    }

    /** Starts Hugging Face's tokenizers, if a Python has them. */
    public static Peers tokenizers(Consumer<String> notes) {
        Peers peers = new Peers(notes);
        peers.start(
                "tokenizers (" + python() + ")",
                " on one thread",
                List.of(python(), peers.copy("tokenizers_peer.py").toString()),
                Map.of());
        return peers;
    }

    /** Finds llama.cpp, where {@code ISTHMUS_LLAMA_BENCH} is the path of its {@code llama-bench}. */
    public static Peers llamaCpp(Consumer<String> notes) {
        Peers peers = new Peers(notes);
        peers.start(
                "llama.cpp", SHIPPED, ChildJvm.command(LlamaCpp.class, List.of(peers.directory.toString())), Map.of());
        return peers;
    }

    /** Those that were found. */
    public List<Peer> found() {
        return List.copyOf(found);
    }

    /**
     * OpenBLAS as its distribution configured it, and with the kernels for AVX-512, which it does not choose on AMD. The choice
     * is made when the library is loaded, so each has a process of its own.
     */
    private void openBlas() {
        List<String> child = ChildJvm.command(OpenBlas.class, List.of());
        start("OpenBLAS", SHIPPED, child, Map.of());
        if (Machine.vectorBits() == 512) {
            start("OpenBLAS", ", OPENBLAS_CORETYPE=SkylakeX", child, Map.of("OPENBLAS_CORETYPE", "SkylakeX"));
        }
    }

    /** PyTorch through DJL, where {@code ISTHMUS_DJL} names the directory that {@code bench/peers/djl.xml} put its jars into. */
    private void djl() {
        String jars = System.getenv("ISTHMUS_DJL");
        if (jars == null) {
            notes.accept("skipped: torch through DJL: ISTHMUS_DJL is not set (see bench/peers/djl.xml)");
            return;
        }
        start("torch through DJL", SHIPPED, ChildJvm.source(copy("DjlPeer.java"), jars), Map.of());
    }

    /** PyTorch as it comes, and with its MKL told that this AMD processor is an Intel, so that it takes its AVX-512 path. */
    private void torch() {
        String python = python();
        List<String> command = List.of(python, copy("torch_peer.py").toString());
        boolean started = start("torch (" + python + ")", SHIPPED, command, Map.of());
        if (started && Machine.vectorBits() == 512 && isAmd()) {
            try {
                Map<String, String> preload = Map.of("LD_PRELOAD", claimIntel().toString());
                start("torch (" + python + ")", ", MKL AVX-512", command, preload);
            } catch (IOException e) {
                notes.accept("skipped: torch, MKL AVX-512: gcc: " + e.getMessage());
            }
        }
    }

    private static String python() {
        return Objects.requireNonNullElse(System.getenv("ISTHMUS_PYTHON"), "python3");
    }

    /** A file of this package as a file of the disk. */
    private Path copy(String name) {
        Path file = directory.resolve(name);
        try (InputStream source = Peers.class.getResourceAsStream(name)) {
            Files.write(file, Objects.requireNonNull(source).readAllBytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return file;
    }

    private boolean start(String name, String variant, List<String> command, Map<String, String> environment) {
        try {
            found.add(new Peer(variant, command, environment));
            return true;
        } catch (IOException e) {
            notes.accept("skipped: " + name + variant + ": " + e.getMessage());
            return false;
        }
    }

    private static boolean isAmd() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            return lines.limit(10).anyMatch(line -> line.contains("AuthenticAMD"));
        } catch (IOException e) {
            return false;
        }
    }

    /** Compiles a library that answers MKL's question for the maker of the processor. */
    private Path claimIntel() throws IOException {
        Path source = directory.resolve("intel.c");
        Path library = directory.resolve("intel.so");
        Files.writeString(source, "int mkl_serv_intel_cpu_true(void) { return 1; }\n", StandardCharsets.US_ASCII);
        Process gcc = new ProcessBuilder("gcc", "-shared", "-fPIC", "-o", library.toString(), source.toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        try {
            if (!gcc.waitFor(20, TimeUnit.SECONDS) || gcc.exitValue() != 0) {
                gcc.destroyForcibly();
                throw new IOException("it did not compile one line");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
        return library;
    }

    /** Ends them all. */
    @Override
    public void close() {
        found.forEach(Peer::close);
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path path : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
