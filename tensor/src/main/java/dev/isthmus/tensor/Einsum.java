package dev.isthmus.tensor;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Sums of products by equation, made of views, sums and one product for each pair of operands; the gradients are theirs.
 *
 * <p>Inside, the dimensions of an ellipsis have digits as letters, 0 for the last.
 */
final class Einsum {
    private static final int MAX_ELLIPSIS = 10;

    private final String equation;

    private Einsum(String equation) {
        this.equation = equation;
    }

    static Tensor of(String equation, Tensor... operands) {
        return new Einsum(equation).apply(operands);
    }

    /** A tensor and a letter for each of its dimensions, all different. */
    private record Term(Tensor tensor, String letters) {
        long size(char letter) {
            return tensor.size(letters.indexOf(letter));
        }

        /** Without the dimensions that nobody needs. */
        Term sumExcept(String needed) {
            Tensor sum = tensor;
            for (int d = letters.length() - 1; d >= 0; d--) {
                sum = needed.indexOf(letters.charAt(d)) < 0 ? sum.sum(d, false) : sum;
            }
            return new Term(sum, common(letters, needed));
        }

        /** The dimensions in the order of {@code order}, of size 1 where there is none. */
        Tensor inOrder(String order) {
            int[] dims = common(order, letters).chars().map(letters::indexOf).toArray();
            Tensor y = tensor.permute(dims);
            for (int d = 0; d < order.length(); d++) {
                y = letters.indexOf(order.charAt(d)) < 0 ? y.unsqueeze(d) : y;
            }
            return y;
        }
    }

    private Tensor apply(Tensor... operands) {
        String[] sides = equation.replace(" ", "").split("->", -1);
        String[] inputs = sides[0].split(",", -1);
        if (sides.length > 2 || inputs.length != operands.length) {
            throw error(inputs.length + " terms for " + operands.length + " operands");
        }
        Term[] terms = new Term[operands.length];
        int ellipsis = 0;
        for (int i = 0; i < terms.length; i++) {
            int dots = operands[i].rank() - inputs[i].replace("...", "").length();
            terms[i] = term(inputs[i], dots, operands[i]);
            ellipsis = Math.max(ellipsis, dots);
        }
        String all = Arrays.stream(terms).map(Term::letters).collect(Collectors.joining());
        String output =
                sides.length == 2 ? letters(sides[1], ellipsis) : implied(sides[0].replace("...", ""), ellipsis);
        for (char letter : output.toCharArray()) {
            if (all.indexOf(letter) < 0 || output.indexOf(letter) != output.lastIndexOf(letter)) {
                throw error("the result has '" + letter + "' "
                        + (all.indexOf(letter) < 0 ? "that no operand has" : "twice"));
            }
        }
        requireEqualSizes(terms);
        Term result = terms[0];
        for (int i = 1; i < terms.length; i++) {
            String later =
                    Arrays.stream(terms, i + 1, terms.length).map(Term::letters).collect(Collectors.joining(output));
            result = product(result, terms[i], output + later);
        }
        return result.sumExcept(output).inOrder(output);
    }

    /** One operand, its ellipsis spelled out and its diagonals taken. */
    private Term term(String input, int dots, Tensor operand) {
        if (dots < 0 || dots > (input.contains("...") ? MAX_ELLIPSIS : 0)) {
            throw error("'" + input + "' does not fit an operand of " + operand.layout());
        }
        String letters = letters(input, dots);
        Tensor x = operand;
        for (int d = 0; d < letters.length(); d++) {
            char letter = letters.charAt(d);
            int again = letters.indexOf(letter, d + 1);
            if (again >= 0) {
                if (x.size(d) != x.size(again)) {
                    throw error(
                            "'" + letter + "' is " + x.size(d) + " and " + x.size(again) + " in " + operand.layout());
                }
                x = x.diagonal(0, d, again);
                letters = new StringBuilder(letters)
                        .deleteCharAt(again)
                        .deleteCharAt(d)
                        .append(letter)
                        .toString();
                d = -1;
            }
        }
        return new Term(x, letters);
    }

    private String letters(String term, int dots) {
        StringBuilder digits = new StringBuilder();
        for (int i = dots - 1; i >= 0; i--) {
            digits.append((char) ('0' + i));
        }
        int at = term.indexOf("...");
        String named = at < 0 ? term : term.substring(0, at) + term.substring(at + 3);
        for (char c : named.toCharArray()) {
            if (!(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z')) {
                throw error("'" + c + "' is not a letter");
            }
        }
        return at < 0 ? named : named.substring(0, at) + digits + named.substring(at);
    }

    /** The letters of a result that the equation does not name. */
    private String implied(String inputs, int ellipsis) {
        String once = inputs.chars()
                .filter(c -> c != ',' && inputs.indexOf(c) == inputs.lastIndexOf(c))
                .sorted()
                .mapToObj(Character::toString)
                .collect(Collectors.joining());
        return letters("...", ellipsis) + once;
    }

    private void requireEqualSizes(Term... terms) {
        Map<Character, Long> sizes = new HashMap<>();
        for (Term term : terms) {
            for (char letter : term.letters.toCharArray()) {
                long size = term.size(letter);
                long known = sizes.merge(letter, size, (a, b) -> a == 1 ? b : a);
                if (known != size && size != 1) {
                    throw error((Character.isDigit(letter) ? "the ellipsis" : "'" + letter + "'") + " is " + known
                            + " and " + size);
                }
            }
        }
    }

    /** The product of two operands, summed over the letters of both that are not in {@code kept}. */
    private static Term product(Term left, Term right, String kept) {
        Term a = left.sumExcept(kept + right.letters);
        Term b = right.sumExcept(kept + left.letters);
        String both = common(a.letters, b.letters);
        String batch = common(both, kept);
        String summed = except(both, kept);
        String rows = except(a.letters, both);
        String cols = except(b.letters, both);
        String result = batch + rows + cols;
        if (summed.isEmpty()) {
            return new Term(a.inOrder(result).mul(b.inOrder(result)), result);
        }
        Tensor x = matrices(a, b, batch, rows, summed);
        Tensor y = matrices(b, a, batch, summed, cols);
        return new Term(x.matmul(y).reshape(sizes(a, b, result)), result);
    }

    /** The dimensions of {@code x} as a batch of matrices, those of size 1 stretched to the other's. */
    private static Tensor matrices(Term x, Term other, String batch, String rows, String cols) {
        Tensor whole = x.inOrder(batch + rows + cols).expand(sizes(x, other, batch + rows + cols));
        long m = Layout.count(sizes(x, other, rows));
        long n = Layout.count(sizes(x, other, cols));
        return batch.isEmpty() ? whole.reshape(m, n) : whole.reshape(Layout.count(sizes(x, other, batch)), m, n);
    }

    private static long[] sizes(Term a, Term b, String letters) {
        return letters.chars()
                .mapToLong(c -> {
                    long size = a.letters.indexOf(c) < 0 ? 1 : a.size((char) c);
                    return size != 1 || b.letters.indexOf(c) < 0 ? size : b.size((char) c);
                })
                .toArray();
    }

    private static String common(String letters, String others) {
        return letters.chars()
                .filter(c -> others.indexOf(c) >= 0)
                .mapToObj(Character::toString)
                .collect(Collectors.joining());
    }

    private static String except(String letters, String others) {
        return letters.chars()
                .filter(c -> others.indexOf(c) < 0)
                .mapToObj(Character::toString)
                .collect(Collectors.joining());
    }

    private TensorException error(String what) {
        return new TensorException("einsum \"" + equation + "\": " + what);
    }
}
