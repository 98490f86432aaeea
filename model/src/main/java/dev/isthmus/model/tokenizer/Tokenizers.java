package dev.isthmus.model.tokenizer;

import dev.isthmus.model.io.Gguf;
import dev.isthmus.model.io.Json;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/** Finds the tokenizer of a model. */
public final class Tokenizers {
    private static final String LLAMA2C = "tok\\d+\\.bin|tokenizer\\.bin";
    private static final Set<String> FILES = Set.of(
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "tokenizer.model",
            "vocab.json",
            "merges.txt",
            "encoder.json",
            "vocab.bpe",
            "vocab.txt",
            "chat_template.jinja");

    private Tokenizers() {}

    /**
     * The tokenizer of a model: what a GGUF file carries, or the first that lies in the directory of {@code tokenizer.json}, {@code
     * tokenizer.model} (SentencePiece), {@code vocab.json} with {@code merges.txt} (byte-level BPE; in GPT-2's first release {@code
     * encoder.json} with {@code vocab.bpe}), {@code vocab.txt} (WordPiece), and llama2.c's {@code tokenizer.bin} or {@code tok512.bin}.
     *
     * @param model a model's directory, or a model file, with its tokenizer inside or beside it
     * @throws IsthmusException if there is none, or one of a kind that cannot be read
     */
    public static Tokenizer load(Path model) {
        if (isGguf(model)) {
            try (Arena arena = Arena.ofConfined()) {
                return GgufVocabulary.read(Gguf.open(model, arena));
            }
        }
        Path directory = directory(model);
        List<String> names = names(directory);
        if (names.contains("tokenizer.json")) {
            Path json = directory.resolve("tokenizer.json");
            JsonNode root = Json.read(json);
            return CharTokenizer.wrote(root) ? CharTokenizer.of(json, root) : TokenizerJson.read(json, root);
        }
        if (names.contains("tokenizer.model")) {
            return SentencePieceFile.read(directory.resolve("tokenizer.model"));
        }
        if (names.contains("vocab.json") && names.contains("merges.txt")) {
            return VocabularyFiles.byteLevel(directory.resolve("vocab.json"), directory.resolve("merges.txt"));
        }
        if (names.contains("encoder.json") && names.contains("vocab.bpe")) {
            return VocabularyFiles.byteLevel(directory.resolve("encoder.json"), directory.resolve("vocab.bpe"));
        }
        if (names.contains("vocab.txt")) {
            return VocabularyFiles.wordPiece(directory.resolve("vocab.txt"));
        }
        Optional<Path> llama2c = llama2c(directory);
        if (llama2c.isPresent()) {
            return Llama2cVocabulary.read(llama2c.get());
        }
        List<String> found = names.stream()
                .filter(name -> FILES.contains(name) || name.matches(LLAMA2C))
                .toList();
        throw new IsthmusException(
                "Cannot find a tokenizer in " + directory + ": expected a tokenizer.json, a tokenizer.model, a "
                        + "vocab.json with merges.txt, a vocab.txt or one tokenizer.bin of llama2.c, found "
                        + (found.isEmpty() ? "none of them" : found));
    }

    /** The vocabulary of llama2.c in a directory; empty if there are several. */
    static Optional<Path> llama2c(Path directory) {
        List<String> vocabularies =
                names(directory).stream().filter(name -> name.matches(LLAMA2C)).toList();
        return vocabularies.size() == 1 ? Optional.of(directory.resolve(vocabularies.getFirst())) : Optional.empty();
    }

    /** Whether a tokenizer of a kind that can be read lies in a model or beside it. */
    public static boolean present(Path model) {
        if (isGguf(model)) {
            return true;
        }
        List<String> names = names(directory(model));
        return names.contains("tokenizer.json")
                || names.contains("tokenizer.model")
                || names.contains("vocab.txt")
                || names.contains("vocab.json") && names.contains("merges.txt")
                || names.contains("encoder.json") && names.contains("vocab.bpe")
                || names.stream().anyMatch(name -> name.matches(LLAMA2C));
    }

    /**
     * Copies the files of a model's tokenizer; what a GGUF file carries becomes a {@code tokenizer.json} and a {@code
     * tokenizer_config.json}.
     *
     * @param model a model's directory, or a model file with its tokenizer inside or beside it
     * @throws IsthmusException if they cannot be read or written
     */
    public static void copy(Path model, Path directory) {
        if (isGguf(model)) {
            try (Arena arena = Arena.ofConfined()) {
                Gguf file = Gguf.open(model, arena);
                if (file.string(GgufVocabulary.KEY + "model") != null) {
                    GgufTokenizerJson.write(file, directory);
                }
            }
            return;
        }
        Path from = directory(model);
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

    private static boolean isGguf(Path model) {
        return model.toString().endsWith(".gguf");
    }

    private static Path directory(Path model) {
        return Files.isRegularFile(model) ? model.resolveSibling("") : model;
    }

    private static List<String> names(Path directory) {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        } catch (IOException e) {
            throw new IsthmusException("Cannot read the directory " + directory + ": " + e, e);
        }
    }
}
