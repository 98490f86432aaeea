package dev.isthmus.model.tokenizer;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Makes text of tokens, with the names and meaning of Hugging Face's tokenizers. */
@FunctionalInterface
interface TokenDecoder {
    /** Tokens that are closer to text, or parts of the text; what the last decoder gives is joined. */
    List<String> decode(List<String> tokens);

    /** One after the other. */
    static TokenDecoder sequence(List<TokenDecoder> all) {
        return tokens -> {
            List<String> result = tokens;
            for (TokenDecoder decoder : all) {
                result = decoder.decode(result);
            }
            return result;
        };
    }

    /** Tokens of the byte alphabet as UTF-8, what is not valid replaced by U+FFFD. */
    static TokenDecoder byteLevel() {
        return tokens -> {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            tokens.forEach(token -> ByteAlphabet.decode(token, bytes));
            return List.of(bytes.toString(StandardCharsets.UTF_8));
        };
    }

    /** Tokens like {@code <0x0A>} in a row as UTF-8; if it is not valid, U+FFFD for each. */
    static TokenDecoder byteFallback() {
        return tokens -> {
            List<String> result = new ArrayList<>();
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            for (String token : tokens) {
                int b = Vocabulary.byteOf(token);
                if (b >= 0) {
                    bytes.write(b);
                } else {
                    flush(bytes, result);
                    result.add(token);
                }
            }
            flush(bytes, result);
            return result;
        };
    }

    private static void flush(ByteArrayOutputStream bytes, List<String> result) {
        if (bytes.size() > 0) {
            try {
                result.add(StandardCharsets.UTF_8
                        .newDecoder()
                        .decode(ByteBuffer.wrap(bytes.toByteArray()))
                        .toString());
            } catch (CharacterCodingException e) {
                result.add("\uFFFD".repeat(bytes.size()));
            }
            bytes.reset();
        }
    }

    static TokenDecoder fuse() {
        return tokens -> List.of(String.join("", tokens));
    }

    /** Up to {@code start} leading and {@code stop} trailing {@code content} taken from each token. */
    static TokenDecoder strip(char content, int start, int stop) {
        return each(token -> {
            int from = 0;
            while (from < start && from < token.length() && token.charAt(from) == content) {
                from++;
            }
            int to = token.length();
            while (token.length() - to < stop && to > from && token.charAt(to - 1) == content) {
                to--;
            }
            return token.substring(from, to);
        });
    }

    static TokenDecoder replace(Pattern pattern, String content) {
        String replacement = Matcher.quoteReplacement(content);
        return each(token -> pattern.matcher(token).replaceAll(replacement));
    }

    /** The sign of a space as a space, but none at the beginning if {@code dropFirst}. */
    static TokenDecoder metaspace(String replacement, boolean dropFirst) {
        return tokens -> {
            List<String> result = new ArrayList<>(tokens.size());
            for (String token : tokens) {
                result.add(token.replace(replacement, dropFirst && result.isEmpty() ? "" : " "));
            }
            return result;
        };
    }

    /** Words apart, their continuations joined; {@code cleanup} takes the spaces before punctuation. */
    static TokenDecoder wordPiece(String prefix, boolean cleanup) {
        return tokens -> {
            List<String> result = new ArrayList<>(tokens.size());
            for (String token : tokens) {
                String text = result.isEmpty()
                        ? token
                        : token.startsWith(prefix) ? token.substring(prefix.length()) : " " + token;
                result.add(cleanup ? cleaned(text) : text);
            }
            return result;
        };
    }

    private static String cleaned(String text) {
        return text.replace(" .", ".")
                .replace(" ?", "?")
                .replace(" !", "!")
                .replace(" ,", ",")
                .replace(" ' ", "'")
                .replace(" n't", "n't")
                .replace(" 'm", "'m")
                .replace(" do not", " don't")
                .replace(" 's", "'s")
                .replace(" 've", "'ve")
                .replace(" 're", "'re");
    }

    /** The suffix that ends a word as a space, the last one as nothing. */
    static TokenDecoder bpe(String suffix) {
        return tokens -> {
            List<String> result = new ArrayList<>(tokens.size());
            for (int i = 0; i < tokens.size(); i++) {
                result.add(tokens.get(i).replace(suffix, i + 1 < tokens.size() ? " " : ""));
            }
            return result;
        };
    }

    private static TokenDecoder each(UnaryOperator<String> change) {
        return tokens -> tokens.stream().map(change).toList();
    }
}
