package dev.isthmus.model.chat;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The tree of a template. */
sealed interface Node {
    // ---- statements ------------------------------------------------------------------------------------------------

    record Text(String text) implements Node {}

    record Print(Node value, int line) implements Node {}

    /** {@code if} and each {@code elif} in order. */
    record If(List<Branch> branches, List<Node> otherwise) implements Node {}

    record Branch(Node condition, List<Node> body) {}

    record For(
            List<String> targets,
            Node iterable,
            @Nullable Node condition,
            List<Node> body,
            List<Node> otherwise,
            int line)
            implements Node {}

    /** {@code set name = value}, {@code set namespace.name = value} or {@code set name}, a body, {@code endset}. */
    record Set(
            List<String> targets,
            @Nullable String attribute,
            @Nullable Node value,
            List<Node> body,
            int line) implements Node {}

    record Macro(String name, List<Parameter> parameters, List<Node> body) implements Node {}

    record Parameter(String name, @Nullable Node defaultValue) {}

    /** {@code filter name}: its body's text goes through a filter. */
    record FilterBlock(String name, Arguments arguments, List<Node> body, int line) implements Node {}

    /** {@code generation}: what the assistant is to learn. */
    record Generation(List<Node> body) implements Node {}

    record Break() implements Node {}

    record Continue() implements Node {}

    // ---- expressions -----------------------------------------------------------------------------------------------

    record Literal(@Nullable Object value) implements Node {}

    record Name(String name) implements Node {}

    record ListLiteral(List<Node> items) implements Node {}

    record MapLiteral(List<Map.Entry<Node, Node>> entries) implements Node {}

    record Unary(String op, Node value) implements Node {}

    record Binary(String op, Node left, Node right, int line) implements Node {}

    /** {@code a < b < c}: each operand is compared with the one before. */
    record Compare(Node first, List<Comparison> rest, int line) implements Node {}

    record Comparison(String op, Node value) {}

    record Conditional(Node condition, Node then, @Nullable Node otherwise) implements Node {}

    record Attribute(Node object, String name, int line) implements Node {}

    record Index(Node object, Node index, int line) implements Node {}

    record Slice(
            Node object,
            @Nullable Node start,
            @Nullable Node stop,
            @Nullable Node step,
            int line) implements Node {}

    record Call(Node function, Arguments arguments, int line) implements Node {}

    record Filter(Node value, String name, Arguments arguments, int line) implements Node {}

    record Test(Node value, String name, Arguments arguments, boolean negated, int line) implements Node {}

    record Arguments(List<Node> positional, Map<String, Node> named) {
        static final Arguments NONE = new Arguments(List.of(), Map.of());
    }
}
