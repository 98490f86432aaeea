package dev.isthmus.rl.eval;

import dev.isthmus.tensor.IsthmusException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/**
 * Whether a policy that goes after a proxy reward still gains the gold reward (Gao et al. 2023, arXiv 2210.10760): points by their
 * divergence from the reference.
 *
 * @param points by growing KL divergence; at least one
 */
public record OverOptimization(List<Point> points) {
    /**
     * A policy at some time of training.
     *
     * @param kl its divergence from the reference, in nats a sequence
     * @param proxy the mean reward that it was trained on
     * @param gold the mean of the reward that is wanted
     */
    public record Point(double kl, double proxy, double gold) {}

    public OverOptimization {
        if (points.isEmpty()) {
            throw new IsthmusException("Over-optimization is seen over at least one point.");
        }
        points = points.stream().sorted(Comparator.comparingDouble(Point::kl)).toList();
    }

    /** Where the gold reward is the highest, at the least divergence. */
    public Point peak() {
        Point peak = points.getFirst();
        for (Point point : points) {
            peak = point.gold > peak.gold ? point : peak;
        }
        return peak;
    }

    /** How much of the gold reward at the peak the last point has lost. */
    public double lost() {
        return peak().gold - points.getLast().gold;
    }

    /** Whether the proxy has grown since the peak while the gold reward fell: what it then measures is no longer what is wanted. */
    public boolean hacked() {
        return lost() > 0 && points.getLast().proxy > peak().proxy;
    }

    /** The gold reward at a divergence, by the line between the points beside it; at the ends, of the last point. */
    public double goldAt(double kl) {
        Point below = points.getFirst();
        for (Point above : points) {
            if (above.kl >= kl) {
                return above.kl <= below.kl
                        ? above.gold
                        : below.gold + (above.gold - below.gold) * Math.max(0, kl - below.kl) / (above.kl - below.kl);
            }
            below = above;
        }
        return below.gold;
    }

    /** A table of the points, a line each, and what they say. */
    public List<String> lines() {
        List<String> lines = new ArrayList<>();
        lines.add(String.format(Locale.ROOT, "%10s %10s %10s", "kl", "proxy", "gold"));
        for (Point point : points) {
            lines.add(String.format(Locale.ROOT, "%10.3f %10.4f %10.4f", point.kl, point.proxy, point.gold));
        }
        lines.add(String.format(
                Locale.ROOT,
                "gold is highest at kl %.3f; the last point has %s",
                peak().kl,
                lost() > 0
                        ? String.format(Locale.ROOT, "%.4f less%s", lost(), hacked() ? " at more proxy reward" : "")
                        : "all of it"));
        return List.copyOf(lines);
    }
}
