package dev.isthmus.rl.task;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Finds the expressions that reach a target from given numbers, each used exactly once, by trying them all.
 *
 * <p>The larger operand of {@code +}, {@code *} and {@code -} stands left, so no value is ever negative. Nothing is
 * lost by that: where the target is not negative, {@code a-b} with {@code a<b} can be written {@code b-a} and the
 * sign moved outwards until it meets the subtraction or the second sign that undoes it.
 */
public final class CountdownSolver {
    private CountdownSolver() {}

    /** Every solution, in a fixed order. Four numbers take a millisecond, six take seconds. */
    public static Set<Expression> solutions(List<Integer> numbers, long target) {
        var found = new LinkedHashSet<Expression>();
        search(pool(numbers), true, expression -> {
            if (expression.value().is(target)) {
                found.add(expression);
            }
            return false;
        });
        return found;
    }

    /** A fixed one of the solutions, without fractions where there is one such. */
    public static Optional<Expression> solution(List<Integer> numbers, long target) {
        var found = new Expression[1];
        Predicate<Expression> stop = expression -> {
            found[0] = expression;
            return expression.value().is(target);
        };
        return search(pool(numbers), false, stop) || search(pool(numbers), true, stop)
                ? Optional.of(found[0])
                : Optional.empty();
    }

    private static Expression[] pool(List<Integer> numbers) {
        return numbers.stream().map(Expression::of).toArray(Expression[]::new);
    }

    /** Joins two of the pool in every way until one is left; true as soon as {@code visit} says to stop. */
    private static boolean search(Expression[] pool, boolean fractions, Predicate<Expression> visit) {
        if (pool.length == 1) {
            return visit.test(pool[0]);
        }
        for (int j = 1; j < pool.length; j++) {
            for (int i = 0; i < j; i++) {
                boolean ordered = pool[i].value().compareTo(pool[j].value()) >= 0;
                Expression large = ordered ? pool[i] : pool[j];
                Expression small = ordered ? pool[j] : pool[i];
                var rest = new Expression[pool.length - 1];
                for (int k = 0, to = 0; k < pool.length; k++) {
                    if (k != i && k != j) {
                        rest[to++] = pool[k];
                    }
                }
                boolean same = large.value().equals(small.value());
                if (join(rest, large, '+', small, fractions, visit)
                        || join(rest, large, '-', small, fractions, visit)
                        || join(rest, large, '*', small, fractions, visit)
                        || join(rest, large, '/', small, fractions, visit)
                        || !same && join(rest, small, '/', large, fractions, visit)) {
                    return true;
                }
            }
        }
        return false;
    }

    private static boolean join(
            Expression[] rest,
            Expression a,
            char symbol,
            Expression b,
            boolean fractions,
            Predicate<Expression> visit) {
        Expression joined = Expression.of(a, symbol, b);
        if (joined.value().equals(Rational.UNDEFINED)
                || !fractions && !joined.value().isWhole()) {
            return false;
        }
        rest[rest.length - 1] = joined;
        return search(rest, fractions, visit);
    }
}
