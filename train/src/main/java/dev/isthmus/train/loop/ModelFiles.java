package dev.isthmus.train.loop;

import dev.isthmus.model.Peft;
import dev.isthmus.tensor.IsthmusException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/** Tells whether models on disk are still the same. */
final class ModelFiles {
    private static final int PIECE = 1 << 30;

    private ModelFiles() {}

    /**
     * The checksum of the weights, settings and vocabulary of a model: a file, or a directory; of adapters with the models that they
     * change.
     *
     * @throws IsthmusException if it cannot be read
     */
    static String crc32c(Path model) {
        CRC32C crc = new CRC32C();
        try {
            update(crc, model);
        } catch (IOException e) {
            throw new IsthmusException("Cannot read " + model + ": " + e.getMessage(), e);
        }
        return HexFormat.of().toHexDigits((int) crc.getValue());
    }

    private static void update(CRC32C crc, Path model) throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.walk(model)) {
            files = all.filter(file ->
                            file.equals(model) || file.toString().matches(".*\\.(safetensors|gguf|bin|json|model|txt)"))
                    .filter(Files::isRegularFile)
                    .sorted()
                    .toList();
        }
        List<Path> bases = new ArrayList<>();
        for (Path file : files) {
            Path directory = file.getParent();
            if (directory != null && Peft.present(directory) && !bases.contains(Peft.base(directory))) {
                bases.add(Peft.base(directory));
            }
            try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
                for (long at = 0; at < channel.size(); at += PIECE) {
                    crc.update(channel.map(MapMode.READ_ONLY, at, Math.min(PIECE, channel.size() - at)));
                }
            }
        }
        for (Path base : bases) {
            update(crc, base);
        }
    }
}
