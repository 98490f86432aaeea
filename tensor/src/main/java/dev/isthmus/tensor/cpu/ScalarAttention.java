package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Numbers.add;
import static dev.isthmus.tensor.cpu.Numbers.get;
import static dev.isthmus.tensor.cpu.Numbers.getInt;
import static dev.isthmus.tensor.cpu.Numbers.set;

import dev.isthmus.tensor.Buffer;
import dev.isthmus.tensor.KernelCall.Attention;
import dev.isthmus.tensor.KernelCall.AttentionBackward;
import dev.isthmus.tensor.KernelCall.CachedAttention;
import dev.isthmus.tensor.KernelCall.Heads;
import dev.isthmus.tensor.KernelCall.KvAppend;
import dev.isthmus.tensor.KernelCall.KvPages;
import dev.isthmus.tensor.KernelCall.Ragged;
import dev.isthmus.tensor.KernelCall.Rope;
import java.util.Arrays;

/** Attention and its cache, scalar. */
final class ScalarAttention {
    private ScalarAttention() {}

    static void attention(Attention c) {
        Heads heads = c.heads();
        int d = heads.headDim();
        int[] starts = c.ragged().starts();
        for (int s = 0; s < c.ragged().count(); s++) {
            for (int h = 0; h < heads.heads(); h++) {
                int kvAt = kvHead(heads, h) * d;
                for (int i = starts[s]; i < starts[s + 1]; i++) {
                    int end = heads.causal() ? i + 1 : starts[s + 1];
                    int begin = begin(heads, starts[s], i);
                    double[] p = new double[end - begin];
                    for (int j = begin; j < end; j++) {
                        p[j - begin] = capped(
                                heads, heads.scale() * dot(c.q(), i * c.ldq() + h * d, c.k(), j * c.ldk() + kvAt, d));
                    }
                    set(c.lse(), (long) i * heads.heads() + h, softmax(p));
                    for (int x = 0; x < d; x++) {
                        double sum = 0;
                        for (int j = begin; j < end; j++) {
                            sum += p[j - begin] * get(c.v(), j * c.ldv() + kvAt + x);
                        }
                        set(c.out(), i * c.ldo() + h * d + x, sum);
                    }
                }
            }
        }
    }

    static void attentionBackward(AttentionBackward c) {
        Heads heads = c.heads();
        Ragged ragged = c.ragged();
        int d = heads.headDim();
        for (int i = 0; i < ragged.rows(); i++) {
            for (int x = 0; x < heads.heads() * d; x++) {
                set(c.dq(), i * c.ldq() + x, 0);
            }
            for (int x = 0; x < heads.kvHeads() * d; x++) {
                set(c.dk(), i * c.ldk() + x, 0);
                set(c.dv(), i * c.ldv() + x, 0);
            }
        }
        for (int s = 0; s < ragged.count(); s++) {
            for (int h = 0; h < heads.heads(); h++) {
                for (int i = ragged.starts()[s]; i < ragged.starts()[s + 1]; i++) {
                    int end = heads.causal() ? i + 1 : ragged.starts()[s + 1];
                    backwardRow(c, h, i, begin(heads, ragged.starts()[s], i), end);
                }
            }
        }
    }

    private static void backwardRow(AttentionBackward c, int h, int i, int begin, int end) {
        int d = c.heads().headDim();
        int kvAt = kvHead(c.heads(), h) * d;
        long q = i * c.ldq() + h * d;
        long o = i * c.ldo() + h * d;
        double lse = get(c.lse(), (long) i * c.heads().heads() + h);
        double delta = dot(c.dOut(), o, c.out(), o, d);
        double[] score = new double[end - begin];
        double[] probability = new double[end - begin];
        double sum = 0; // not 1: lse is rounded
        for (int j = begin; j < end; j++) {
            score[j - begin] = capped(c.heads(), c.heads().scale() * dot(c.q(), q, c.k(), j * c.ldk() + kvAt, d));
            probability[j - begin] = Math.exp(score[j - begin] - lse);
            sum += probability[j - begin];
        }
        for (int j = begin; j < end; j++) {
            long k = j * c.ldk() + kvAt;
            long v = j * c.ldv() + kvAt;
            double p = probability[j - begin] / sum;
            double ds = c.heads().scale() * p * (dot(c.dOut(), o, c.v(), v, d) - delta);
            if (c.heads().softCap() > 0) {
                double capped = score[j - begin] / c.heads().softCap();
                ds *= 1 - capped * capped;
            }
            for (int x = 0; x < d; x++) {
                add(c.dv(), v + x, p * get(c.dOut(), o + x));
                add(c.dq(), q + x, ds * get(c.k(), k + x));
                add(c.dk(), k + x, ds * get(c.q(), q + x));
            }
        }
    }

    static void kvAppend(KvAppend c) {
        int d = c.headDim();
        for (int i = 0; i < c.rows(); i++) {
            for (int h = 0; h < c.kvHeads(); h++) {
                for (int x = 0; x < d; x++) {
                    set(
                            c.cache().keys(),
                            keyAt(c.kvHeads(), d, c.page()[i], h, x, c.slot()[i]),
                            get(c.k(), i * c.ldk() + h * d + x));
                    set(
                            c.cache().values(),
                            valueAt(c.kvHeads(), d, c.page()[i], h, x, c.slot()[i]),
                            get(c.v(), i * c.ldv() + h * d + x));
                }
            }
        }
    }

    static void cachedAttention(CachedAttention c) {
        Heads heads = c.heads();
        int d = heads.headDim();
        if (c.append() != null) {
            kvAppend(c.append());
        }
        for (int i = 0; i < c.rows(); i++) {
            for (int h = 0; h < heads.heads(); h++) {
                int kv = kvHead(heads, h);
                int begin = begin(heads, 0, c.length()[i] - 1);
                double[] p = new double[c.length()[i] - begin];
                for (int t = begin; t < c.length()[i]; t++) {
                    int page = c.pages()[i][KvPages.page(t, c.shared()[i])];
                    int slot = KvPages.slot(t, c.shared()[i]);
                    for (int x = 0; x < d; x++) {
                        p[t - begin] += heads.scale()
                                * get(c.q(), i * c.ldq() + h * d + x)
                                * get(c.cache().keys(), keyAt(heads.kvHeads(), d, page, kv, x, slot));
                    }
                    p[t - begin] = capped(heads, p[t - begin]);
                }
                softmax(p);
                for (int x = 0; x < d; x++) {
                    double sum = 0;
                    for (int t = begin; t < c.length()[i]; t++) {
                        int page = c.pages()[i][KvPages.page(t, c.shared()[i])];
                        int slot = KvPages.slot(t, c.shared()[i]);
                        sum += p[t - begin] * get(c.cache().values(), valueAt(heads.kvHeads(), d, page, kv, x, slot));
                    }
                    set(c.out(), i * c.ldo() + h * d + x, sum);
                }
            }
        }
    }

    static void rope(Rope c) {
        int half = c.headDim() / 2;
        for (int i = 0; i < c.rows(); i++) {
            long at = (long) getInt(c.position(), i) * half;
            for (int h = 0; h < c.heads(); h++) {
                long row = i * c.ldx() + (long) h * c.headDim();
                for (int j = 0; j < half; j++) {
                    long first = c.interleaved() ? row + 2 * j : row + j;
                    long second = c.interleaved() ? first + 1 : first + half;
                    double cos = get(c.cos(), at + j);
                    double sin = c.inverse() ? -get(c.sin(), at + j) : get(c.sin(), at + j);
                    double x = get(c.x(), first);
                    double y = get(c.x(), second);
                    set(c.x(), first, x * cos - y * sin);
                    set(c.x(), second, y * cos + x * sin);
                }
            }
        }
    }

    private static int kvHead(Heads heads, int h) {
        return h / (heads.heads() / heads.kvHeads());
    }

    /** The first key that query {@code i} of a sequence that begins at {@code start} sees. */
    private static int begin(Heads heads, int start, int i) {
        return heads.window() == 0 ? start : Math.max(start, i - heads.window() + 1);
    }

    private static double capped(Heads heads, double score) {
        return heads.softCap() == 0 ? score : heads.softCap() * Math.tanh(score / heads.softCap());
    }

    private static long keyAt(int kvHeads, int d, int page, int h, int x, int slot) {
        return (((long) page * kvHeads + h) * d + x) * KvPages.PAGE + slot;
    }

    private static long valueAt(int kvHeads, int d, int page, int h, int x, int slot) {
        return (((long) page * kvHeads + h) * KvPages.PAGE + slot) * d + x;
    }

    private static double dot(Buffer a, long atA, Buffer b, long atB, int n) {
        double sum = 0;
        for (int x = 0; x < n; x++) {
            sum += get(a, atA + x) * get(b, atB + x);
        }
        return sum;
    }

    /** Replaces scores by probabilities and returns the log of the sum of their exponentials. */
    private static double softmax(double[] p) {
        double max = Arrays.stream(p).max().orElse(0);
        double sum = 0;
        for (int j = 0; j < p.length; j++) {
            p[j] = Math.exp(p[j] - max);
            sum += p[j];
        }
        for (int j = 0; j < p.length; j++) {
            p[j] /= sum;
        }
        return max + Math.log(sum);
    }
}
