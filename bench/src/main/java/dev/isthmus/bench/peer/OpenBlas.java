package dev.isthmus.bench.peer;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.isthmus.bench.Measurement;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;

/** The process that measures OpenBLAS's {@code sgemm}, called through the Foreign Function and Memory API. */
@SuppressWarnings("restricted")
public final class OpenBlas {
    private static final List<String> NAMES = List.of(
            "libopenblas.so.0",
            "libopenblas.so",
            "libopenblas.dylib",
            "/opt/homebrew/opt/openblas/lib/libopenblas.dylib");
    private static final int ROW_MAJOR = 101;
    private static final int NO_TRANS = 111;
    private static final int TRANS = 112;

    private final MethodHandle sgemm;
    private final MethodHandle setThreads;
    private final MethodHandle config;

    private OpenBlas(SymbolLookup library) {
        Linker linker = Linker.nativeLinker();
        sgemm = linker.downcallHandle(
                library.findOrThrow("cblas_sgemm"),
                FunctionDescriptor.ofVoid(
                        JAVA_INT,
                        JAVA_INT,
                        JAVA_INT,
                        JAVA_INT,
                        JAVA_INT,
                        JAVA_INT,
                        JAVA_FLOAT,
                        ADDRESS,
                        JAVA_INT,
                        ADDRESS,
                        JAVA_INT,
                        JAVA_FLOAT,
                        ADDRESS,
                        JAVA_INT));
        setThreads = linker.downcallHandle(
                library.findOrThrow("openblas_set_num_threads"), FunctionDescriptor.ofVoid(JAVA_INT));
        config = linker.downcallHandle(library.findOrThrow("openblas_get_config"), FunctionDescriptor.of(ADDRESS));
    }

    /** Answers questions on standard input until it ends. */
    public static void main(String[] args) throws IOException {
        Optional<SymbolLookup> library = load();
        if (library.isEmpty()) {
            Answers.missing("no libopenblas here (Debian: apt install libopenblas0-pthread)");
            return;
        }
        OpenBlas blas = new OpenBlas(library.get());
        Answers.answer(blas.version(), List.of("gemm"), blas::measure);
    }

    private static Optional<SymbolLookup> load() {
        for (String name : NAMES) {
            try {
                return Optional.of(SymbolLookup.libraryLookup(name, Arena.global()));
            } catch (IllegalArgumentException e) {
                // not under this name; perhaps under the next
            }
        }
        return Optional.empty();
    }

    /** {@code OpenBLAS 0.3.21 (Zen)}: the first two words of its configuration and, among the last, the kernels it took. */
    private String version() {
        try {
            MemorySegment text = ((MemorySegment) config.invokeExact()).reinterpret(1 << 12);
            String[] words =
                    text.getString(0, StandardCharsets.US_ASCII).strip().split("\\s+");
            return words[0] + " " + words[1];
        } catch (Throwable e) { // the handle's signature; it throws nothing
            throw new IllegalStateException(e);
        }
    }

    private Measurement measure(JsonNode question) {
        int m = question.get("m").asInt();
        int n = question.get("n").asInt();
        int k = question.get("k").asInt();
        boolean transA = question.get("op").asString().charAt(0) == 'T';
        boolean transB = question.get("op").asString().charAt(1) == 'T';
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment a = random(arena, (long) m * k);
            MemorySegment b = random(arena, (long) k * n);
            MemorySegment c = random(arena, (long) m * n);
            setThreads.invokeExact(question.get("threads").asInt());
            return Measurement.of(Answers.effort(question), () -> {
                try {
                    sgemm.invokeExact(
                            ROW_MAJOR,
                            transA ? TRANS : NO_TRANS,
                            transB ? TRANS : NO_TRANS,
                            m,
                            n,
                            k,
                            1f,
                            a,
                            transA ? m : k,
                            b,
                            transB ? k : n,
                            0f,
                            c,
                            n);
                } catch (Throwable e) { // as above
                    throw new IllegalStateException(e);
                }
            });
        } catch (Throwable e) { // as above
            throw new IllegalStateException(e);
        }
    }

    private static MemorySegment random(Arena arena, long length) {
        MemorySegment memory = arena.allocate(length * Float.BYTES, 64);
        for (long i = 0; i < length; i++) {
            memory.setAtIndex(JAVA_FLOAT, i, (i * 2654435761L >>> 8 & 0xffff) / 65536f - 0.5f);
        }
        return memory;
    }
}
