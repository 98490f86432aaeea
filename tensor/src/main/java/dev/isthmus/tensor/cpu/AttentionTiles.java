package dev.isthmus.tensor.cpu;

import static dev.isthmus.tensor.cpu.Simd.BYTES;
import static dev.isthmus.tensor.cpu.Simd.F;
import static dev.isthmus.tensor.cpu.Simd.load;
import static dev.isthmus.tensor.cpu.Simd.repeat;
import static dev.isthmus.tensor.cpu.Simd.store;

import jdk.incubator.vector.FloatVector;

/**
 * The products inside attention: eight rows of A times two vectors of B's columns, over all of K in one chain.
 *
 * <p>Unlike the tiles of a matrix product they never split K, since the order of a sum over keys must not depend on where a
 * block begins. Everything lies in scratch memory padded to whole tiles. Strides are bytes.
 */
final class AttentionTiles {
    /** The rows of a tile. */
    static final int HEIGHT = 8;

    private AttentionTiles() {}

    /** {@code C = scale (A B)}, A stored {@code [HEIGHT, K]}. */
    static void rows(int k, long a, long lda, long b, long ldb, long c, long ldc, float scale) {
        long a1 = a + lda;
        long a2 = a1 + lda;
        long a3 = a2 + lda;
        long a4 = a3 + lda;
        long a5 = a4 + lda;
        long a6 = a5 + lda;
        long a7 = a6 + lda;
        FloatVector c00 = FloatVector.zero(F), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        FloatVector c40 = c00, c41 = c00, c50 = c00, c51 = c00, c60 = c00, c61 = c00, c70 = c00, c71 = c00;
        for (int i = 0; i < k; i++) {
            FloatVector b0 = load(b);
            FloatVector b1 = load(b + BYTES);
            FloatVector x = repeat(a + i * 4L);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = repeat(a1 + i * 4L);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = repeat(a2 + i * 4L);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = repeat(a3 + i * 4L);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = repeat(a4 + i * 4L);
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = repeat(a5 + i * 4L);
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            x = repeat(a6 + i * 4L);
            c60 = x.fma(b0, c60);
            c61 = x.fma(b1, c61);
            x = repeat(a7 + i * 4L);
            c70 = x.fma(b0, c70);
            c71 = x.fma(b1, c71);
            b += ldb;
        }
        store(c00.mul(scale), c);
        store(c01.mul(scale), c + BYTES);
        store(c10.mul(scale), c + ldc);
        store(c11.mul(scale), c + ldc + BYTES);
        store(c20.mul(scale), c + 2 * ldc);
        store(c21.mul(scale), c + 2 * ldc + BYTES);
        store(c30.mul(scale), c + 3 * ldc);
        store(c31.mul(scale), c + 3 * ldc + BYTES);
        store(c40.mul(scale), c + 4 * ldc);
        store(c41.mul(scale), c + 4 * ldc + BYTES);
        store(c50.mul(scale), c + 5 * ldc);
        store(c51.mul(scale), c + 5 * ldc + BYTES);
        store(c60.mul(scale), c + 6 * ldc);
        store(c61.mul(scale), c + 6 * ldc + BYTES);
        store(c70.mul(scale), c + 7 * ldc);
        store(c71.mul(scale), c + 7 * ldc + BYTES);
    }

    /** {@code C += A B}, each chain going on from C, A stored {@code [HEIGHT, K]}. */
    static void addRows(int k, long a, long lda, long b, long ldb, long c, long ldc) {
        long a1 = a + lda;
        long a2 = a1 + lda;
        long a3 = a2 + lda;
        long a4 = a3 + lda;
        long a5 = a4 + lda;
        long a6 = a5 + lda;
        long a7 = a6 + lda;
        FloatVector c00 = load(c), c01 = load(c + BYTES);
        FloatVector c10 = load(c + ldc), c11 = load(c + ldc + BYTES);
        FloatVector c20 = load(c + 2 * ldc), c21 = load(c + 2 * ldc + BYTES);
        FloatVector c30 = load(c + 3 * ldc), c31 = load(c + 3 * ldc + BYTES);
        FloatVector c40 = load(c + 4 * ldc), c41 = load(c + 4 * ldc + BYTES);
        FloatVector c50 = load(c + 5 * ldc), c51 = load(c + 5 * ldc + BYTES);
        FloatVector c60 = load(c + 6 * ldc), c61 = load(c + 6 * ldc + BYTES);
        FloatVector c70 = load(c + 7 * ldc), c71 = load(c + 7 * ldc + BYTES);
        for (int i = 0; i < k; i++) {
            FloatVector b0 = load(b);
            FloatVector b1 = load(b + BYTES);
            FloatVector x = repeat(a + i * 4L);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = repeat(a1 + i * 4L);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = repeat(a2 + i * 4L);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = repeat(a3 + i * 4L);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = repeat(a4 + i * 4L);
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = repeat(a5 + i * 4L);
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            x = repeat(a6 + i * 4L);
            c60 = x.fma(b0, c60);
            c61 = x.fma(b1, c61);
            x = repeat(a7 + i * 4L);
            c70 = x.fma(b0, c70);
            c71 = x.fma(b1, c71);
            b += ldb;
        }
        store(c00, c);
        store(c01, c + BYTES);
        store(c10, c + ldc);
        store(c11, c + ldc + BYTES);
        store(c20, c + 2 * ldc);
        store(c21, c + 2 * ldc + BYTES);
        store(c30, c + 3 * ldc);
        store(c31, c + 3 * ldc + BYTES);
        store(c40, c + 4 * ldc);
        store(c41, c + 4 * ldc + BYTES);
        store(c50, c + 5 * ldc);
        store(c51, c + 5 * ldc + BYTES);
        store(c60, c + 6 * ldc);
        store(c61, c + 6 * ldc + BYTES);
        store(c70, c + 7 * ldc);
        store(c71, c + 7 * ldc + BYTES);
    }

    /** {@code C = A B}, A stored {@code [K, HEIGHT]}. */
    static void columns(int k, long a, long lda, long b, long ldb, long c, long ldc) {
        FloatVector c00 = FloatVector.zero(F), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        FloatVector c40 = c00, c41 = c00, c50 = c00, c51 = c00, c60 = c00, c61 = c00, c70 = c00, c71 = c00;
        for (int i = 0; i < k; i++) {
            FloatVector b0 = load(b);
            FloatVector b1 = load(b + BYTES);
            FloatVector x = repeat(a);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = repeat(a + 4);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = repeat(a + 8);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = repeat(a + 12);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = repeat(a + 16);
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = repeat(a + 20);
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            x = repeat(a + 24);
            c60 = x.fma(b0, c60);
            c61 = x.fma(b1, c61);
            x = repeat(a + 28);
            c70 = x.fma(b0, c70);
            c71 = x.fma(b1, c71);
            a += lda;
            b += ldb;
        }
        store(c00, c);
        store(c01, c + BYTES);
        store(c10, c + ldc);
        store(c11, c + ldc + BYTES);
        store(c20, c + 2 * ldc);
        store(c21, c + 2 * ldc + BYTES);
        store(c30, c + 3 * ldc);
        store(c31, c + 3 * ldc + BYTES);
        store(c40, c + 4 * ldc);
        store(c41, c + 4 * ldc + BYTES);
        store(c50, c + 5 * ldc);
        store(c51, c + 5 * ldc + BYTES);
        store(c60, c + 6 * ldc);
        store(c61, c + 6 * ldc + BYTES);
        store(c70, c + 7 * ldc);
        store(c71, c + 7 * ldc + BYTES);
    }
}
