package dev.isthmus.model.chat;

import dev.isthmus.model.chat.Token.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Cuts a template into tokens as Jinja does with {@code trim_blocks} and {@code lstrip_blocks}, the settings of transformers: the
 * line end behind a block and the indentation before it are not text.
 */
final class Lexer {
    private static final Pattern OPENING = Pattern.compile("\\{[%{#]");
    private static final Pattern INSIDE = Pattern.compile(
            "\\s+"
                    + "|(?<name>[\\p{L}_][\\p{L}\\p{N}_]*)"
                    + "|(?<float>\\d+(?:\\.\\d+(?:[eE][+-]?\\d+)?|[eE][+-]?\\d+))"
                    + "|(?<integer>\\d+)"
                    + "|(?<string>'(?:[^'\\\\]|\\\\.)*+'|\"(?:[^\"\\\\]|\\\\.)*+\")"
                    + "|(?<operator>//|\\*\\*|==|!=|<=|>=|[-+*/%~<>=()\\[\\]{}.,:|])",
            Pattern.DOTALL);

    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int at;
    private int line = 1;

    private Lexer(String source) {
        // Jinja reads line ends as newlines, and drops one at the very end.
        String lines = source.replace("\r\n", "\n").replace('\r', '\n');
        this.source = lines.endsWith("\n") ? lines.substring(0, lines.length() - 1) : lines;
    }

    static List<Token> tokens(String source) {
        Lexer lexer = new Lexer(source);
        lexer.run();
        return lexer.tokens;
    }

    private void run() {
        Matcher opening = OPENING.matcher(source);
        while (at < source.length() && opening.find(at)) {
            int start = opening.start();
            char kind = source.charAt(start + 1);
            char sign = start + 2 < source.length() ? source.charAt(start + 2) : ' ';
            text(source.substring(at, start), kind != '{', sign);
            line += newlines(at, start);
            at = start + 2 + (sign == '-' || sign == '+' ? 1 : 0);
            if (kind == '#') {
                comment();
            } else if (kind == '%' && raw()) {
                continue;
            } else {
                tag(kind == '%');
            }
        }
        text(source.substring(Math.min(at, source.length())), false, ' ');
        add(Kind.END, "");
    }

    private void text(String text, boolean block, char sign) {
        String kept = text;
        if (sign == '-') {
            kept = kept.stripTrailing();
        } else if (block && sign != '+') {
            int lineStart = kept.lastIndexOf('\n') + 1;
            boolean startsLine = lineStart > 0 || at == 0 || source.charAt(at - 1) == '\n';
            if (startsLine && kept.substring(lineStart).isBlank()) {
                kept = kept.substring(0, lineStart);
            }
        }
        if (!kept.isEmpty()) {
            add(Kind.TEXT, kept);
        }
    }

    private void comment() {
        int end = source.indexOf("#}", at);
        if (end < 0) {
            throw new TemplateException("line " + line + ": a comment does not end");
        }
        line += newlines(at, end);
        boolean strip = source.charAt(end - 1) == '-';
        at = end + 2;
        behind(strip, true, false);
    }

    /** What follows a tag: all whitespace goes after a minus, one line end after a block. */
    private void behind(boolean strip, boolean block, boolean plus) {
        int start = at;
        if (strip) {
            while (at < source.length() && Character.isWhitespace(source.charAt(at))) {
                at++;
            }
        } else if (block && !plus && at < source.length() && source.charAt(at) == '\n') {
            at++;
        }
        line += newlines(start, at);
    }

    private static final Pattern RAW = Pattern.compile("\\s*raw\\s*(-?)%\\}");
    private static final Pattern END_RAW = Pattern.compile("\\{%([-+]?)\\s*endraw\\s*([-+]?)%\\}");

    private boolean raw() {
        Matcher begin = RAW.matcher(source).region(at, source.length());
        if (!begin.lookingAt()) {
            return false;
        }
        at = begin.end();
        behind(begin.group(1).equals("-"), true, false);
        Matcher end = END_RAW.matcher(source);
        if (!end.find(at)) {
            throw new TemplateException("line " + line + ": raw without endraw");
        }
        String text = source.substring(at, end.start());
        text(text, true, end.group(1).isEmpty() ? ' ' : end.group(1).charAt(0));
        line += newlines(at, end.end());
        at = end.end();
        behind(end.group(2).equals("-"), true, end.group(2).equals("+"));
        return true;
    }

    private void tag(boolean block) {
        add(block ? Kind.BLOCK_BEGIN : Kind.VARIABLE_BEGIN, "");
        String close = block ? "%}" : "}}";
        Matcher inside = INSIDE.matcher(source);
        int depth = 0;
        while (true) {
            boolean strip = source.startsWith("-" + close, at);
            boolean plus = source.startsWith("+" + close, at);
            if (depth == 0 && (strip || plus || source.startsWith(close, at))) {
                add(block ? Kind.BLOCK_END : Kind.VARIABLE_END, "");
                at += close.length() + (strip || plus ? 1 : 0);
                behind(strip, block, plus);
                return;
            }
            if (!inside.region(at, source.length()).lookingAt()) {
                throw new TemplateException("line " + line
                        + (at >= source.length()
                                ? ": a tag does not end"
                                : ": unexpected '" + source.charAt(at) + "'"));
            }
            String text = inside.group();
            if (inside.group("name") != null) {
                add(Kind.NAME, text);
            } else if (inside.group("float") != null) {
                add(Kind.FLOAT, text);
            } else if (inside.group("integer") != null) {
                add(Kind.INTEGER, text);
            } else if (inside.group("string") != null) {
                add(Kind.STRING, unescaped(text.substring(1, text.length() - 1)));
            } else if (inside.group("operator") != null) {
                depth += "([{".contains(text) ? 1 : ")]}".contains(text) ? -1 : 0;
                add(Kind.OPERATOR, text);
            }
            line += newlines(at, inside.end());
            at = inside.end();
        }
    }

    private static String unescaped(String literal) {
        if (literal.indexOf('\\') < 0) {
            return literal;
        }
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < literal.length(); i++) {
            char c = literal.charAt(i);
            if (c != '\\' || i + 1 == literal.length()) {
                text.append(c);
                continue;
            }
            char escape = literal.charAt(++i);
            int digits = escape == 'x' ? 2 : escape == 'u' ? 4 : escape == 'U' ? 8 : 0;
            if (digits > 0 && literal.substring(i + 1).matches("(?s)\\p{XDigit}{" + digits + "}.*")) {
                int code = (int) Long.parseLong(literal.substring(i + 1, i + 1 + digits), 16);
                text.appendCodePoint(Character.isValidCodePoint(code) ? code : 0xFFFD);
                i += digits;
                continue;
            }
            switch (escape) {
                case 'n' -> text.append('\n');
                case 't' -> text.append('\t');
                case 'r' -> text.append('\r');
                case 'b' -> text.append('\b');
                case 'f' -> text.append('\f');
                case '0' -> text.append('\0');
                case '\n' -> {}
                case '\\', '\'', '"' -> text.append(escape);
                default -> text.append('\\').append(escape);
            }
        }
        return text.toString();
    }

    private int newlines(int from, int to) {
        return (int) source.substring(from, to).chars().filter(c -> c == '\n').count();
    }

    private void add(Kind kind, String text) {
        tokens.add(new Token(kind, text, line));
    }
}
