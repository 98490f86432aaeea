package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.Json;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** Finds the tokenizer that lies beside a model. */
public final class Tokenizers {
    private static final List<String> NOT_YET = List.of("tokenizer.model", "vocab.json", "merges.txt", "vocab.txt");
    private static final String LLAMA2C = "tok\\d+\\.bin|tokenizer\\.bin";
    private static final Set<String> FILES =
            Set.of("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json");

    private Tokenizers() {}

    /**
     * The tokenizer of a model: {@code tokenizer.json}, or llama2.c's {@code tokenizer.bin} or {@code tok512.bin}.
     *
     * @param model a model's directory, or a model file with its tokenizer beside it
     * @throws IsthmusException if there is none, or one of a kind that cannot be read
     */
    public static Tokenizer load(Path model) {
        Path directory = Files.isRegularFile(model) ? model.resolveSibling("") : model;
        Path json = directory.resolve("tokenizer.json");
        if (Files.exists(json)) {
            return CharTokenizer.of(json, Json.read(json));
        }
        List<String> names = names(directory);
        List<String> vocabularies =
                names.stream().filter(name -> name.matches(LLAMA2C)).toList();
        if (vocabularies.size() == 1) {
            return Llama2cVocabulary.read(directory.resolve(vocabularies.getFirst()));
        }
        String found = Stream.concat(vocabularies.stream(), names.stream().filter(NOT_YET::contains))
                .toList()
                .toString();
        throw new IsthmusException("Cannot find a tokenizer in " + directory + ": expected a tokenizer.json or one "
                + "tokenizer.bin of llama2.c, found " + (found.equals("[]") ? "neither" : found));
    }

    /** Whether a tokenizer of a kind that can be read lies beside a model. */
    public static boolean present(Path model) {
        Path directory = Files.isRegularFile(model) ? model.resolveSibling("") : model;
        return names(directory).stream().anyMatch(name -> name.equals("tokenizer.json") || name.matches(LLAMA2C));
    }

    /**
     * Copies the files of a model's tokenizer.
     *
     * @param model a model's directory, or a model file with its tokenizer beside it
     * @throws IsthmusException if they cannot be read or written
     */
    public static void copy(Path model, Path directory) {
        Path from = Files.isRegularFile(model) ? model.resolveSibling("") : model;
        for (String name : names(from)) {
            if (FILES.contains(name) || name.matches(LLAMA2C)) {
                try {
                    Files.copy(from.resolve(name), directory.resolve(name), StandardCopyOption.REPLACE_EXISTING);
                } catch (IOException e) {
                    throw new IsthmusException("Cannot copy " + from.resolve(name) + " to " + directory + ": " + e, e);
                }
            }
        }
    }

    private static List<String> names(Path directory) {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        } catch (IOException e) {
            throw new IsthmusException("Cannot read the directory " + directory + ": " + e, e);
        }
    }
}
