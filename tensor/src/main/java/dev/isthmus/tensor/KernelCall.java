package dev.isthmus.tensor;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What is done to numbers, as a value: an operation, its buffers and its sizes.
 *
 * <p>A matrix argument is a buffer and a leading dimension {@code ld}: the distance in elements from one row to the next,
 * at least the number of columns, so that columns of a wider matrix can be used without a copy. Buffers of one call have one
 * floating-point type, indices are {@link DType#INT32}. Results do not overlap arguments unless a call says that they may.
 * An {@code accumulate} flag means {@code out += result} instead of {@code out = result}.
 *
 * <p>Every value of a result has one fixed order of additions that depends on nothing but the sizes along which it is
 * summed: not on the number of threads, not on the other rows of the call. That is what makes a token's log-probability the
 * same number in decoding and in training.
 */
public sealed interface KernelCall {

    // ---- matrix products ------------------------------------------------------------------------------------------

    /** How the second matrix of a product is stored. */
    enum Storing {
        /** {@code [K, N]}. */
        PLAIN,
        /** {@code [N, K]}: the product uses the transpose. */
        TRANSPOSED,
        /** Panels of {@link PackMatrix#PANEL} columns as {@link PackMatrix} writes them. */
        PACKED
    }

    /**
     * {@code C[M, N] = A[M, K] B[K, N] (+ bias[N]) (+ C)} for each of {@code batch} matrices.
     *
     * <p>Each element is the sum over blocks of {@value #K_BLOCK} terms, each block summed in order by fused multiply-add
     * from zero, the blocks added in order; then the bias is added, and last the old value if {@code accumulate}.
     *
     * @param transA whether A is stored {@code [K, M]}
     * @param strideA elements from one matrix of the batch to the next; 0 repeats one matrix; likewise B and C
     */
    record MatMul(
            boolean transA,
            Storing storingB,
            int m,
            int n,
            int k,
            Buffer a,
            long lda,
            Buffer b,
            long ldb,
            @Nullable Buffer bias,
            Buffer c,
            long ldc,
            boolean accumulate,
            int batch,
            long strideA,
            long strideB,
            long strideC)
            implements KernelCall {
        /** The number of terms that are summed in one run. */
        public static final int K_BLOCK = 256;

        /** One product. */
        public MatMul(
                boolean transA,
                Storing storingB,
                int m,
                int n,
                int k,
                Buffer a,
                long lda,
                Buffer b,
                long ldb,
                @Nullable Buffer bias,
                Buffer c,
                long ldc,
                boolean accumulate) {
            this(transA, storingB, m, n, k, a, lda, b, ldb, bias, c, ldc, accumulate, 1, 0, 0, 0);
        }
    }

    /**
     * Copies {@code B[K, N]} into panels of {@value #PANEL} columns: {@code [ceil(N / PANEL), K, PANEL]}, zeros behind N.
     *
     * <p>A weight that serves many products, as in decoding, is packed once.
     */
    record PackMatrix(boolean transposed, int k, int n, Buffer b, long ldb, Buffer packed) implements KernelCall {
        /** The width of a panel. */
        public static final int PANEL = 32;

        /** The number of elements that a packed {@code [K, N]} matrix takes. */
        public static long size(long k, long n) {
            return (n + PANEL - 1) / PANEL * PANEL * k;
        }
    }

    /** How files store the rows of a weight; little-endian, one row after another. */
    enum WeightFormat {
        F32(1, 4),
        /** The upper half of a float32. */
        BF16(1, 2),
        /** IEEE 754 binary16. */
        F16(1, 2),
        /** GGML: a float16 {@code d} and 32 int8 {@code q}, {@code w = d q}. */
        Q8_0(32, 34),
        /**
         * GGML: a float16 {@code d} and 16 bytes, {@code w = d (q - 8)}; the lower four bits of the bytes are the first 16
         * numbers, the upper ones the last.
         */
        Q4_0(32, 18);

        private final int block;
        private final int blockBytes;

        WeightFormat(int block, int blockBytes) {
            this.block = block;
            this.blockBytes = blockBytes;
        }

        /** The numbers of a block: the size of a row is a multiple. */
        public int block() {
            return block;
        }

        /** Whether products read it as {@link PackWeight} lays it out. */
        public boolean isPacked() {
            return block > 1;
        }

        /** The bytes of a row of {@code k} numbers. */
        public long rowBytes(int k) {
            return (long) k / block * blockBytes;
        }
    }

    /**
     * {@code C[M, N] = A[M, K] W[N, K]^T (+ bias[N])} with a weight as a file holds it, mapped perhaps.
     *
     * <p>Weights become float32 exactly. Each element is 16 partial sums: term k goes to sum {@code k % 16} by fused multiply-add,
     * in order; sums are added in halves ({@code 0 + 8, 1 + 9, ...}, then {@code 0 + 4}, ...), then the bias. Of blocks, each
     * element is {@code sum_b d_b (sum_{k in b} a_k q_k)}, both sums by fused multiply-add, in order, then the bias. So a row has
     * the same bits alone and among others.
     *
     * @param w the rows of a file; those of blocks as {@link PackWeight} lays them out
     */
    record WeightMatMul(
            WeightFormat format,
            int m,
            int n,
            int k,
            Buffer a,
            long lda,
            MemorySegment w,
            @Nullable Buffer bias,
            Buffer c,
            long ldc)
            implements KernelCall {}

    /**
     * Lays out a weight of blocks for {@link WeightMatMul}, {@value #ROWS} rows at a time, so that one load has numbers of all of them.
     *
     * <p>A panel is {@code [K / 8, 16]} int32 of eight numbers of four bits, or {@code [K / 4, 16]} of four of eight bits (with 128
     * added), the first in the lowest bits, and then the scales, {@code [K / 32, 16]} float32. Rows that the last panel lacks are 0.
     *
     * @param packed {@link #bytes} bytes, zeros
     */
    record PackWeight(WeightFormat format, int n, int k, MemorySegment w, MemorySegment packed) implements KernelCall {
        /** The rows of a panel. */
        public static final int ROWS = 16;

        /** The bytes of a packed weight {@code [N, K]}. */
        public static long bytes(WeightFormat format, int n, int k) {
            long panels = (n + ROWS - 1) / ROWS;
            return panels * ROWS * k / format.block() * (format == WeightFormat.Q4_0 ? 20 : 36);
        }
    }

    /** Products with several weights that do not need each other: threads go from one to the next without a wait in between. */
    record WeightMatMuls(List<WeightMatMul> calls) implements KernelCall {}

    /**
     * {@code out[rows, K]}: rows of a weight as a file holds it, exactly.
     *
     * @param ids {@code [rows]} int32, which ones; null for the first, in order
     */
    record UnpackWeight(
            WeightFormat format,
            int rows,
            int k,
            MemorySegment w,
            @Nullable Buffer ids,
            Buffer out) implements KernelCall {}

    /** {@code out[N] (+)= sum over rows of x[M, N]}: the gradient of a bias. */
    record SumRows(int m, int n, Buffer x, long ldx, Buffer out, boolean accumulate) implements KernelCall {}

    // ---- attention ------------------------------------------------------------------------------------------------

    /**
     * The sequences of a ragged batch: rows {@code starts[i]} to {@code starts[i + 1]} are sequence {@code i}.
     *
     * <p>There is no padding: tokens of all sequences stand one after another.
     */
    record Ragged(int[] starts) {
        /** The number of sequences. */
        public int count() {
            return starts.length - 1;
        }

        /** The number of tokens of all sequences. */
        public int rows() {
            return starts[starts.length - 1];
        }
    }

    /**
     * The heads of an attention: query head {@code h} reads key/value head {@code h / (heads / kvHeads)}.
     *
     * @param window how many keys a causal query sees, its own and those just before it (Beltagy et al. 2020, section 3.1); 0 for
     *     all of them
     * @param softCap a score {@code s} becomes {@code softCap tanh(s / softCap)} (Gemma Team 2024, section 2); 0 for none
     */
    record Heads(int heads, int kvHeads, int headDim, double scale, boolean causal, int window, double softCap) {
        public Heads {
            if (window < 0 || window > 0 && !causal || softCap < 0) {
                throw new TensorException(
                        "attention: a window of " + window + (causal ? "" : " without a causal mask") + " and a cap of "
                                + softCap + "; expected none of them negative, and a window only where it is causal");
            }
        }

        /** Heads that see all keys, with scores as they are. */
        public Heads(int heads, int kvHeads, int headDim, double scale, boolean causal) {
            this(heads, kvHeads, headDim, scale, causal, 0, 0);
        }
    }

    /**
     * Scaled dot-product attention within each sequence (Vaswani et al. 2017, eq. 1).
     *
     * <p>{@code q [rows, heads * headDim]}, {@code k, v [rows, kvHeads * headDim]}, {@code out} like {@code q}; {@code lse
     * [rows, heads]} receives {@code log(sum_j exp(scale q.k_j))} for the backward call. A score is one fused multiply-add
     * chain over headDim; a sum over keys runs in key order from the start of the sequence.
     */
    record Attention(
            Ragged ragged,
            Heads heads,
            Buffer q,
            long ldq,
            Buffer k,
            long ldk,
            Buffer v,
            long ldv,
            Buffer out,
            long ldo,
            Buffer lse)
            implements KernelCall {}

    /**
     * Gradients of {@link Attention}, with the probabilities computed again (Dao et al. 2022, section 3.1).
     *
     * <p>With {@code P = softmax(S)}: {@code dV = P^T dO, dP = dO V^T, dS = P (dP - rowsum(dO O)), dQ = scale dS K, dK = scale
     * dS^T Q}; a cap multiplies {@code dS} by {@code 1 - (S / softCap)^2}. The gradients are overwritten; {@code dq} has {@code ldq}, {@code dk} {@code ldk}, {@code dv} {@code ldv}.
     */
    record AttentionBackward(
            Ragged ragged,
            Heads heads,
            Buffer q,
            long ldq,
            Buffer k,
            long ldk,
            Buffer v,
            long ldv,
            Buffer out,
            Buffer dOut,
            long ldo,
            Buffer lse,
            Buffer dq,
            Buffer dk,
            Buffer dv)
            implements KernelCall {}

    /**
     * The keys and values of many sequences in pages of {@value #PAGE} tokens, shared between forks.
     *
     * <p>{@code keys} is {@code [pages, kvHeads, headDim, PAGE]} (transposed, so that lanes run over keys), {@code values}
     * {@code [pages, kvHeads, PAGE, headDim]}. A sequence fills its pages one after the other, but behind its first {@code shared}
     * tokens, which others read where they lie, it begins a new one.
     */
    record KvPages(Buffer keys, Buffer values) {
        /** The number of tokens of a page. */
        public static final int PAGE = 16;

        /** Which of a sequence's pages its token {@code t} is in. */
        public static int page(int t, int shared) {
            return t < shared ? t / PAGE : (shared + PAGE - 1) / PAGE + (t - shared) / PAGE;
        }

        /** Where in its page token {@code t} of a sequence is. */
        public static int slot(int t, int shared) {
            return (t < shared ? t : t - shared) % PAGE;
        }
    }

    /** Writes row {@code i} of {@code k, v [rows, kvHeads * headDim]} to page {@code page[i]}, slot {@code slot[i]}. */
    record KvAppend(
            int rows,
            int kvHeads,
            int headDim,
            Buffer k,
            long ldk,
            Buffer v,
            long ldv,
            KvPages cache,
            int[] page,
            int[] slot)
            implements KernelCall {}

    /**
     * Attention of single queries to cached keys: bit for bit the row that {@link Attention} computes.
     *
     * <p>Row {@code i} of {@code q [rows, heads * headDim]} attends to the first {@code length[i]} tokens of the pages {@code
     * pages[i]}, of which {@code shared[i]} are shared, or to the last of those that its window holds. Row {@code i} of {@code append}
     * is written before it is read; no other row of the call may read or write its page.
     */
    record CachedAttention(
            int rows,
            Heads heads,
            Buffer q,
            long ldq,
            KvPages cache,
            int[][] pages,
            int[] shared,
            int[] length,
            @Nullable KvAppend append,
            Buffer out,
            long ldo)
            implements KernelCall {}

    /**
     * Rotary position embedding in place, of {@code heads} heads of {@code x [rows, heads * headDim]} (Su et al. 2021).
     *
     * <p>{@code cos, sin [positions, headDim / 2]}; row {@code i} stands at {@code position[i]}. The pair is {@code (j, j +
     * headDim / 2)} as in Hugging Face, or {@code (2j, 2j + 1)} if {@code interleaved}. {@code inverse} rotates back, which is
     * the gradient.
     */
    record Rope(
            int rows,
            int heads,
            int headDim,
            Buffer x,
            long ldx,
            Buffer cos,
            Buffer sin,
            Buffer position,
            boolean interleaved,
            boolean inverse)
            implements KernelCall {}

    // ---- norms and activations ------------------------------------------------------------------------------------

    /**
     * {@code y = x rstd weight, rstd = 1 / sqrt(mean(x^2) + eps)} for each row (Zhang and Sennrich 2019).
     *
     * <p>{@code rstd [rows]} is kept for the backward call. {@code ldx} lets the rows be heads of a wider matrix; {@code y}
     * has the same leading dimension.
     */
    record RmsNorm(int rows, int cols, double eps, Buffer x, long ldx, Buffer weight, Buffer y, long ldy, Buffer rstd)
            implements KernelCall {}

    /**
     * With {@code g = dy weight, n = x rstd}: {@code dx (+)= rstd (g - n mean(g n)), dweight (+)= sum over rows dy n}.
     *
     * <p>{@code dx} is skipped when null, {@code dweight} likewise.
     */
    record RmsNormBackward(
            int rows,
            int cols,
            Buffer x,
            long ldx,
            Buffer weight,
            Buffer rstd,
            Buffer dy,
            long ldy,
            @Nullable Buffer dx,
            boolean accumulateX,
            @Nullable Buffer dweight,
            boolean accumulateWeight)
            implements KernelCall {}

    /** {@code y = (x - mean) rstd weight + bias} for each row (Ba et al. 2016); {@code mean, rstd [rows]} are kept. */
    record LayerNorm(
            int rows,
            int cols,
            double eps,
            Buffer x,
            @Nullable Buffer weight,
            @Nullable Buffer bias,
            Buffer y,
            Buffer mean,
            Buffer rstd)
            implements KernelCall {}

    /**
     * With {@code g = dy weight, n = (x - mean) rstd}: {@code dx (+)= rstd (g - mean(g) - n mean(g n))}, {@code dweight (+)=
     * sum dy n, dbias (+)= sum dy}.
     */
    record LayerNormBackward(
            int rows,
            int cols,
            Buffer x,
            @Nullable Buffer weight,
            Buffer mean,
            Buffer rstd,
            Buffer dy,
            @Nullable Buffer dx,
            boolean accumulateX,
            @Nullable Buffer dweight,
            boolean accumulateWeight,
            @Nullable Buffer dbias,
            boolean accumulateBias)
            implements KernelCall {}

    /**
     * {@code out = silu(gate) up} (Shazeer 2020): {@code gateUp [rows, 2 cols]} holds the gate in its first half and up in its
     * second.
     */
    record SwiGlu(int rows, int cols, Buffer gateUp, Buffer out) implements KernelCall {}

    /**
     * With {@code s = sigmoid(gate)}: {@code dgate = dout up s (1 + gate (1 - s)), dup = dout gate s}. {@code dGateUp} may be
     * {@code gateUp}.
     */
    record SwiGluBackward(int rows, int cols, Buffer gateUp, Buffer dOut, Buffer dGateUp) implements KernelCall {}

    // ---- embedding, softmax, cross-entropy ------------------------------------------------------------------------

    /** {@code out[i] (+)= table[ids[i]]}, {@code table [words, cols]}, {@code ids [rows]} of INT32. */
    record Embedding(int rows, int cols, Buffer table, Buffer ids, Buffer out, boolean accumulate)
            implements KernelCall {}

    /** {@code dTable[ids[i]] += dOut[i]} in the order of i; {@code dTable [words, cols]} is zeroed first unless {@code accumulate}. */
    record EmbeddingBackward(int rows, int cols, int words, Buffer ids, Buffer dOut, Buffer dTable, boolean accumulate)
            implements KernelCall {}

    /** {@code y = softmax(x)} or {@code log_softmax(x)} of each row; {@code y} may be {@code x}. */
    record Softmax(int rows, int cols, Buffer x, Buffer y, boolean log) implements KernelCall {}

    /** {@code dx = y (dy - sum(dy y))}, or for log {@code dx = dy - exp(y) sum(dy)}; {@code dx} may be {@code dy}. */
    record SoftmaxBackward(int rows, int cols, Buffer y, Buffer dy, Buffer dx, boolean log) implements KernelCall {}

    /**
     * {@code loss[i] = lse[i] - z[target[i]]}, {@code z = logits invTemperature}, {@code lse = log sum exp z}; 0 where the
     * target is negative.
     *
     * <p>{@code logits [rows, words]}, {@code target [rows]} of INT32; {@code entropy}, when given, receives {@code lse - sum
     * softmax(z) z}. With {@code s = smoothing} (Szegedy et al. 2016, section 7) and {@code w = weight [words]}, ones when null,
     * the loss is {@code (1 - s) w[target] (lse - z[target]) + s mean_j w[j] (lse - z[j])}.
     */
    record CrossEntropy(
            int rows,
            int words,
            Buffer logits,
            double invTemperature,
            Buffer target,
            double smoothing,
            @Nullable Buffer weight,
            Buffer loss,
            Buffer lse,
            @Nullable Buffer entropy)
            implements KernelCall {
        /** Without smoothing and weights. */
        public CrossEntropy(
                int rows,
                int words,
                Buffer logits,
                double invTemperature,
                Buffer target,
                Buffer loss,
                Buffer lse,
                @Nullable Buffer entropy) {
            this(rows, words, logits, invTemperature, target, 0, null, loss, lse, entropy);
        }
    }

    /**
     * {@code dLogits[i] = dLoss[i] invTemperature (softmax(z[i]) - onehot(target[i]))}, 0 where the target is negative.
     * {@code dLogits} may be {@code logits}.
     *
     * <p>With {@code s = smoothing} and {@code w = weight}: {@code dLoss[i] invTemperature (((1 - s) w[target] + s mean(w))
     * softmax(z[i]) - (1 - s) w[target] onehot(target[i]) - s w / words)}.
     */
    record CrossEntropyBackward(
            int rows,
            int words,
            Buffer logits,
            double invTemperature,
            Buffer target,
            double smoothing,
            @Nullable Buffer weight,
            Buffer lse,
            Buffer dLoss,
            Buffer dLogits)
            implements KernelCall {
        /** Without smoothing and weights. */
        public CrossEntropyBackward(
                int rows,
                int words,
                Buffer logits,
                double invTemperature,
                Buffer target,
                Buffer lse,
                Buffer dLoss,
                Buffer dLogits) {
            this(rows, words, logits, invTemperature, target, 0, null, lse, dLoss, dLogits);
        }
    }

    // ---- elementwise, reductions, movement ------------------------------------------------------------------------

    /** Functions of one number; {@code p} and {@code q} are the constants of the call. */
    enum UnaryOp {
        NEG,
        EXP,
        LOG,
        LOG1P,
        EXPM1,
        SQRT,
        RSQRT,
        RECIPROCAL,
        ABS,
        SIGN,
        SQUARE,
        SIN,
        COS,
        TANH,
        SIGMOID,
        LOGSIGMOID,
        RELU,
        GELU,
        GELU_TANH,
        SILU,
        MISH,
        ERF,
        FLOOR,
        CEIL,
        /** To the nearest integer, ties to even. */
        ROUND,
        /** {@code log(1 + exp(p x)) / p}; {@code x} where {@code p x > q}. */
        SOFTPLUS,
        /** {@code x} if positive, else {@code p x}. */
        LEAKY_RELU,
        /** {@code x} if positive, else {@code p (exp(x) - 1)}. */
        ELU,
        /** {@code p x + q}. */
        AFFINE,
        /** {@code x^p}. */
        POW,
        /** {@code min(max(x, p), q)}. */
        CLAMP
    }

    /** {@code y = f(x)} for {@code n} numbers; {@code y} may be {@code x}. */
    record Unary(UnaryOp op, long n, Buffer x, Buffer y, double p, double q) implements KernelCall {}

    /** {@code y_i = 0} where {@code rng.floatAt(i) < p}, else {@code x_i / (1 - p)}; {@code y} may be {@code x}. */
    record Dropout(long n, Buffer x, Buffer y, Rng rng, double p) implements KernelCall {}

    /** {@code dx (+)= dy f'(x)}; {@code dx} may be {@code dy}. */
    record UnaryBackward(UnaryOp op, long n, Buffer x, Buffer dy, Buffer dx, double p, double q, boolean accumulate)
            implements KernelCall {}

    /** Functions of two numbers. */
    enum BinaryOp {
        ADD,
        SUB,
        MUL,
        DIV,
        POW,
        MAXIMUM,
        MINIMUM,
        /** {@code a - b floor(a / b)}. */
        REMAINDER,
        /** Whether {@code a > b}, and so on: a BOOL. */
        GT,
        GE,
        EQ,
        NE;

        /** Whether the result is a BOOL. */
        public boolean isComparison() {
            return compareTo(GT) >= 0;
        }
    }

    /**
     * {@code out = f(a, b)} over {@code shape}; strides are in elements, 0 where an argument is broadcast.
     *
     * <p>{@code a} and {@code b} have one type, which is {@code out}'s unless the function is a comparison. {@code out} may be
     * an argument of its type and strides.
     */
    record Binary(
            BinaryOp op, long[] shape, Buffer a, long[] strideA, Buffer b, long[] strideB, Buffer out, long[] strideOut)
            implements KernelCall {}

    /** {@code to (+)= from} over {@code shape}, element by element, converting between types. */
    record Copy(long[] shape, Buffer from, long[] strideFrom, Buffer to, long[] strideTo, boolean accumulate)
            implements KernelCall {}

    /** Sets {@code n} numbers. */
    record Fill(long n, Buffer x, double value) implements KernelCall {}

    /** {@code out = cond ? a : b} over {@code shape}; {@code cond} is BOOL, the others have one type. */
    record Where(
            long[] shape,
            Buffer cond,
            long[] strideCond,
            Buffer a,
            long[] strideA,
            Buffer b,
            long[] strideB,
            Buffer out)
            implements KernelCall {}

    /** Folds over one dimension. */
    enum ReduceOp {
        SUM,
        PROD,
        MAX,
        MIN,
        /** The index (INT32) of the first largest or smallest element. */
        ARGMAX,
        ARGMIN
    }

    /** {@code out[outer, inner] = fold over d of x[outer, d, inner]}. Integers are added and multiplied as INT64. */
    record Reduce(ReduceOp op, long outer, long dim, long inner, Buffer x, Buffer out) implements KernelCall {}

    /**
     * {@code y[outer, d, inner] = fold of x[outer, 0..d, inner]}, a SUM or PROD; from the end if {@code reverse}. {@code y} may
     * be {@code x}.
     */
    record Scan(ReduceOp op, long outer, long dim, long inner, Buffer x, Buffer y, boolean reverse)
            implements KernelCall {}

    /**
     * {@code out[i] = x[i with index[i] at dim]} over {@code shape}; {@code out} is contiguous, {@code index} INT32 or INT64.
     *
     * <p>Indices have been checked. A stride of 0 of the index picks the same for a whole dimension.
     */
    record Gather(long[] shape, int dim, Buffer x, long[] strideX, Buffer index, long[] strideIndex, Buffer out)
            implements KernelCall {}

    /**
     * {@code x[i with index[i] at dim] = src[i]} over {@code shape}, or {@code +=} if {@code accumulate}; in the order of {@code
     * i[dim]}, so that the last of several wins.
     */
    record Scatter(
            long[] shape,
            int dim,
            Buffer x,
            long[] strideX,
            Buffer index,
            long[] strideIndex,
            Buffer src,
            long[] strideSrc,
            boolean accumulate)
            implements KernelCall {}

    /**
     * {@code index[row, 0..k]} (INT32): the places of the first {@code k} numbers of each row of {@code x [rows, cols]} in
     * ascending or descending order. Equal numbers stay in their order; NaN is larger than all others.
     */
    record Sort(int rows, int cols, int k, boolean descending, Buffer x, Buffer index) implements KernelCall {}

    // ---- optimizer ------------------------------------------------------------------------------------------------

    /**
     * One step of an optimizer in one pass over memory: what {@code rule} says, with {@code g = scale grad}.
     *
     * @param state one buffer of {@code n} numbers for each of {@link UpdateRule#state()}
     * @param weightDecay of these numbers
     * @param step the number of this step, from 1
     * @param scale what the gradient is multiplied by on its way in, such as for clipping
     */
    record OptimizerStep(
            UpdateRule rule,
            long n,
            Buffer param,
            Buffer grad,
            List<Buffer> state,
            double lr,
            double weightDecay,
            long step,
            double scale)
            implements KernelCall {
        public OptimizerStep {
            if (state.size() != rule.state().size()) {
                throw new TensorException(
                        rule + " keeps " + rule.state() + "; " + state.size() + " buffers were given");
            }
        }
    }

    /** {@code out[0]} (FLOAT64) {@code = sum of x^2}, added in double precision. */
    record SumSquares(long n, Buffer x, Buffer out) implements KernelCall {}
}
