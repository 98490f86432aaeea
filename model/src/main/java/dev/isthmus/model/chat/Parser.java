package dev.isthmus.model.chat;

import dev.isthmus.model.chat.Node.Arguments;
import dev.isthmus.model.chat.Token.Kind;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Reads Jinja, by recursive descent in the order of its operators' precedence. */
final class Parser {
    private static final int MAX_DEPTH = 200;
    private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", ">", "<=", ">=");

    private final List<Token> tokens;
    private int at;
    private int depth;

    private Parser(List<Token> tokens) {
        this.tokens = tokens;
    }

    /** The statements of a template. */
    static List<Node> parse(String source) {
        Parser parser = new Parser(Lexer.tokens(source));
        List<Node> body = parser.body();
        if (parser.peek().kind() != Kind.END) {
            throw parser.error("'" + parser.tokens.get(parser.at + 1).text() + "' without a beginning");
        }
        return body;
    }

    // ---- statements ------------------------------------------------------------------------------------------------

    /** Statements up to a block that begins with one of {@code ends}, or to the end. */
    private List<Node> body(String... ends) {
        enter();
        List<Node> body = new ArrayList<>();
        while (true) {
            Token token = peek();
            switch (token.kind()) {
                case TEXT -> body.add(new Node.Text(next().text()));
                case VARIABLE_BEGIN -> {
                    next();
                    body.add(new Node.Print(tuple(), token.line()));
                    expect(Kind.VARIABLE_END, "");
                }
                case BLOCK_BEGIN -> {
                    String name = tokens.get(at + 1).text();
                    if (List.of(ends).contains(name)
                            || name.startsWith("end")
                            || name.equals("else")
                            || name.equals("elif")) {
                        depth--;
                        return body;
                    }
                    next();
                    body.add(statement(next()));
                }
                default -> {
                    if (ends.length > 0) {
                        throw error("expected " + String.join(" or ", ends));
                    }
                    depth--;
                    return body;
                }
            }
        }
    }

    private Node statement(Token name) {
        return switch (name.text()) {
            case "if" -> ifStatement();
            case "for" -> forStatement(name.line());
            case "set" -> set(name.line());
            case "macro" -> macro();
            case "generation" -> {
                blockEnd();
                List<Node> body = body("endgeneration");
                end("endgeneration");
                yield new Node.Generation(body);
            }
            case "filter" -> {
                String filter = name();
                Arguments arguments = accept("(") ? arguments() : Arguments.NONE;
                blockEnd();
                List<Node> body = body("endfilter");
                end("endfilter");
                yield new Node.FilterBlock(filter, arguments, body, name.line());
            }
            case "break" -> {
                blockEnd();
                yield new Node.Break();
            }
            case "continue" -> {
                blockEnd();
                yield new Node.Continue();
            }
            default ->
                throw new TemplateException("line " + name.line() + ": the tag '" + name.text() + "' is not known");
        };
    }

    private Node ifStatement() {
        List<Node.Branch> branches = new ArrayList<>();
        Node condition = tuple();
        blockEnd();
        branches.add(new Node.Branch(condition, body("elif", "else", "endif")));
        while (beginsBlock("elif")) {
            at += 2;
            condition = tuple();
            blockEnd();
            branches.add(new Node.Branch(condition, body("elif", "else", "endif")));
        }
        List<Node> otherwise = List.of();
        if (beginsBlock("else")) {
            end("else");
            otherwise = body("endif");
        }
        end("endif");
        return new Node.If(branches, otherwise);
    }

    private Node forStatement(int line) {
        List<String> targets = targets();
        expect(Kind.NAME, "in");
        Node iterable = or();
        Node condition = acceptName("if") ? expression() : null;
        acceptName("recursive");
        blockEnd();
        List<Node> body = body("else", "endfor");
        List<Node> otherwise = List.of();
        if (beginsBlock("else")) {
            end("else");
            otherwise = body("endfor");
        }
        end("endfor");
        return new Node.For(targets, iterable, condition, body, otherwise, line);
    }

    private Node set(int line) {
        List<String> targets = targets();
        String attribute = accept(".") ? name() : null;
        if (accept("=")) {
            Node value = tuple();
            blockEnd();
            return new Node.Set(targets, attribute, value, List.of(), line);
        }
        blockEnd();
        List<Node> body = body("endset");
        end("endset");
        return new Node.Set(targets, attribute, null, body, line);
    }

    private List<String> targets() {
        List<String> targets = new ArrayList<>();
        boolean parentheses = accept("(");
        do {
            targets.add(name());
        } while (accept(","));
        if (parentheses) {
            expect(Kind.OPERATOR, ")");
        }
        return targets;
    }

    private Node macro() {
        String name = name();
        expect(Kind.OPERATOR, "(");
        List<Node.Parameter> parameters = new ArrayList<>();
        while (!accept(")")) {
            String parameter = name();
            parameters.add(new Node.Parameter(parameter, accept("=") ? expression() : null));
            if (!peek().is(Kind.OPERATOR, ")")) {
                expect(Kind.OPERATOR, ",");
            }
        }
        blockEnd();
        List<Node> body = body("endmacro");
        end("endmacro");
        return new Node.Macro(name, parameters, body);
    }

    private boolean beginsBlock(String name) {
        return peek().kind() == Kind.BLOCK_BEGIN && tokens.get(at + 1).is(Kind.NAME, name);
    }

    private void end(String name) {
        if (!beginsBlock(name)) {
            throw error("expected " + name);
        }
        at += 2;
        if (name.equals("endmacro") && peek().kind() == Kind.NAME) {
            next();
        }
        blockEnd();
    }

    private void blockEnd() {
        expect(Kind.BLOCK_END, "");
    }

    // ---- expressions -----------------------------------------------------------------------------------------------

    /** An expression, or several with commas between, which are a list. */
    private Node tuple() {
        Node first = expression();
        if (!peek().is(Kind.OPERATOR, ",")) {
            return first;
        }
        List<Node> items = new ArrayList<>(List.of(first));
        while (accept(",")) {
            Kind kind = peek().kind();
            if (kind == Kind.BLOCK_END || kind == Kind.VARIABLE_END || peek().is(Kind.OPERATOR, ")")) {
                break;
            }
            items.add(expression());
        }
        return new Node.ListLiteral(items);
    }

    private Node expression() {
        enter();
        Node value = or();
        while (acceptName("if")) {
            Node condition = or();
            Node otherwise = acceptName("else") ? expression() : null;
            value = new Node.Conditional(condition, value, otherwise);
        }
        depth--;
        return value;
    }

    private Node or() {
        Node left = and();
        while (peek().is(Kind.NAME, "or")) {
            int line = next().line();
            left = new Node.Binary("or", left, and(), line);
        }
        return left;
    }

    private Node and() {
        Node left = not();
        while (peek().is(Kind.NAME, "and")) {
            int line = next().line();
            left = new Node.Binary("and", left, not(), line);
        }
        return left;
    }

    private Node not() {
        enter();
        Node value = acceptName("not") ? new Node.Unary("not", not()) : compare();
        depth--;
        return value;
    }

    private Node compare() {
        int line = peek().line();
        Node first = sum();
        List<Node.Comparison> rest = new ArrayList<>();
        while (true) {
            Token token = peek();
            if (token.kind() == Kind.OPERATOR && COMPARISONS.contains(token.text())) {
                next();
                rest.add(new Node.Comparison(token.text(), sum()));
            } else if (acceptName("in")) {
                rest.add(new Node.Comparison("in", sum()));
            } else if (token.is(Kind.NAME, "not") && tokens.get(at + 1).is(Kind.NAME, "in")) {
                at += 2;
                rest.add(new Node.Comparison("not in", sum()));
            } else {
                return rest.isEmpty() ? first : new Node.Compare(first, rest, line);
            }
        }
    }

    private Node sum() {
        Node left = concatenation();
        while (peek().is(Kind.OPERATOR, "+") || peek().is(Kind.OPERATOR, "-")) {
            Token op = next();
            left = new Node.Binary(op.text(), left, concatenation(), op.line());
        }
        return left;
    }

    private Node concatenation() {
        Node left = product();
        while (peek().is(Kind.OPERATOR, "~")) {
            int line = next().line();
            left = new Node.Binary("~", left, product(), line);
        }
        return left;
    }

    private Node product() {
        Node left = power();
        while (peek().kind() == Kind.OPERATOR && Set.of("*", "/", "//", "%").contains(peek().text())) {
            Token op = next();
            left = new Node.Binary(op.text(), left, power(), op.line());
        }
        return left;
    }

    private Node power() {
        Node left = unary();
        while (peek().is(Kind.OPERATOR, "**")) {
            int line = next().line();
            left = new Node.Binary("**", left, unary(), line);
        }
        return left;
    }

    /** A sign binds closer than a power, other than in Python. */
    private Node unary() {
        enter();
        Node value;
        if (accept("-")) {
            value = new Node.Unary("-", unary());
        } else if (accept("+")) {
            value = unary();
        } else {
            value = filters(postfix(primary()));
        }
        depth--;
        return value;
    }

    private Node primary() {
        Token token = next();
        return switch (token.kind()) {
            case NAME ->
                switch (token.text()) {
                    case "true", "True" -> new Node.Literal(true);
                    case "false", "False" -> new Node.Literal(false);
                    case "none", "None" -> new Node.Literal(null);
                    default -> new Node.Name(token.text());
                };
            case STRING -> {
                StringBuilder text = new StringBuilder(token.text());
                while (peek().kind() == Kind.STRING) {
                    text.append(next().text());
                }
                yield new Node.Literal(text.toString());
            }
            case INTEGER -> {
                try {
                    yield new Node.Literal(Long.parseLong(token.text()));
                } catch (NumberFormatException e) {
                    throw new TemplateException(
                            "line " + token.line() + ": the number " + token.text() + " is too large");
                }
            }
            case FLOAT -> new Node.Literal(Double.parseDouble(token.text()));
            case OPERATOR ->
                switch (token.text()) {
                    case "(" -> {
                        Node value = accept(")") ? new Node.ListLiteral(List.of()) : null;
                        if (value == null) {
                            value = tuple();
                            expect(Kind.OPERATOR, ")");
                        }
                        yield value;
                    }
                    case "[" -> {
                        List<Node> items = new ArrayList<>();
                        while (!accept("]")) {
                            items.add(expression());
                            if (!peek().is(Kind.OPERATOR, "]")) {
                                expect(Kind.OPERATOR, ",");
                            }
                        }
                        yield new Node.ListLiteral(items);
                    }
                    case "{" -> {
                        List<Map.Entry<Node, Node>> entries = new ArrayList<>();
                        while (!accept("}")) {
                            Node key = expression();
                            expect(Kind.OPERATOR, ":");
                            entries.add(Map.entry(key, expression()));
                            if (!peek().is(Kind.OPERATOR, "}")) {
                                expect(Kind.OPERATOR, ",");
                            }
                        }
                        yield new Node.MapLiteral(entries);
                    }
                    default -> throw unexpected(token);
                };
            default -> throw unexpected(token);
        };
    }

    private Node postfix(Node start) {
        Node value = start;
        while (true) {
            int line = peek().line();
            if (accept(".")) {
                Token name = next();
                if (name.kind() == Kind.INTEGER) {
                    value = new Node.Index(value, new Node.Literal(Long.parseLong(name.text())), line);
                } else if (name.kind() == Kind.NAME) {
                    value = new Node.Attribute(value, name.text(), line);
                } else {
                    throw unexpected(name);
                }
            } else if (accept("[")) {
                value = subscript(value, line);
            } else if (accept("(")) {
                value = new Node.Call(value, arguments(), line);
            } else {
                return value;
            }
        }
    }

    private Node subscript(Node object, int line) {
        Node start = peek().is(Kind.OPERATOR, ":") ? null : expression();
        if (accept("]")) {
            return new Node.Index(object, start == null ? new Node.Literal(null) : start, line);
        }
        expect(Kind.OPERATOR, ":");
        Node stop = peek().is(Kind.OPERATOR, ":") || peek().is(Kind.OPERATOR, "]") ? null : expression();
        Node step = accept(":") && !peek().is(Kind.OPERATOR, "]") ? expression() : null;
        expect(Kind.OPERATOR, "]");
        return new Node.Slice(object, start, stop, step, line);
    }

    private Node filters(Node start) {
        Node value = start;
        while (true) {
            int line = peek().line();
            if (accept("|")) {
                String name = name();
                value = new Node.Filter(value, name, accept("(") ? arguments() : Arguments.NONE, line);
            } else if (acceptName("is")) {
                boolean negated = acceptName("not");
                String name = name();
                value = new Node.Test(value, name, testArguments(), negated, line);
            } else if (accept("(")) {
                value = new Node.Call(value, arguments(), line);
            } else {
                return value;
            }
        }
    }

    /** The arguments of a test stand in parentheses, or are one value without. */
    private Arguments testArguments() {
        if (accept("(")) {
            return arguments();
        }
        Token token = peek();
        boolean value = token.kind() == Kind.STRING
                || token.kind() == Kind.INTEGER
                || token.kind() == Kind.FLOAT
                || token.is(Kind.OPERATOR, "[")
                || token.is(Kind.OPERATOR, "{")
                || token.kind() == Kind.NAME
                        && !Set.of("and", "or", "else", "is", "if", "not", "in").contains(token.text());
        return value ? new Arguments(List.of(postfix(primary())), Map.of()) : Arguments.NONE;
    }

    private Arguments arguments() {
        List<Node> positional = new ArrayList<>();
        Map<String, Node> named = new LinkedHashMap<>();
        while (!accept(")")) {
            if (peek().kind() == Kind.NAME && tokens.get(at + 1).is(Kind.OPERATOR, "=")) {
                String name = name();
                next();
                named.put(name, expression());
            } else {
                positional.add(expression());
            }
            if (!peek().is(Kind.OPERATOR, ")")) {
                expect(Kind.OPERATOR, ",");
            }
        }
        return new Arguments(positional, named);
    }

    // ---- tokens ----------------------------------------------------------------------------------------------------

    private void enter() {
        if (++depth > MAX_DEPTH) {
            throw error("nested deeper than " + MAX_DEPTH);
        }
    }

    private Token peek() {
        return tokens.get(at);
    }

    private Token next() {
        Token token = tokens.get(at);
        if (token.kind() != Kind.END) {
            at++;
        }
        return token;
    }

    private boolean accept(String operator) {
        boolean found = peek().is(Kind.OPERATOR, operator);
        if (found) {
            next();
        }
        return found;
    }

    private boolean acceptName(String name) {
        boolean found = peek().is(Kind.NAME, name);
        if (found) {
            next();
        }
        return found;
    }

    private String name() {
        Token token = next();
        if (token.kind() != Kind.NAME) {
            throw unexpected(token);
        }
        return token.text();
    }

    private void expect(Kind kind, String text) {
        Token token = next();
        if (!token.is(kind, text)) {
            throw unexpected(token);
        }
    }

    private TemplateException error(String problem) {
        return new TemplateException("line " + peek().line() + ": " + problem);
    }

    private static TemplateException unexpected(Token token) {
        String what = switch (token.kind()) {
            case END -> "the end of the template";
            case BLOCK_END, VARIABLE_END -> "the end of a tag";
            case BLOCK_BEGIN, VARIABLE_BEGIN -> "the begin of a tag";
            default -> "'" + token.text() + "'";
        };
        return new TemplateException("line " + token.line() + ": unexpected " + what);
    }
}
