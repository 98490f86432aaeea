package dev.isthmus.tensor;

import dev.isthmus.tensor.KernelCall.BinaryOp;
import dev.isthmus.tensor.KernelCall.ReduceOp;
import dev.isthmus.tensor.KernelCall.UnaryOp;

/**
 * The operations of a {@link Tensor}, named as in PyTorch; what they compute and their gradients stand in one class per family.
 */
abstract sealed class TensorOperations permits Tensor {
    /** This, as the class that it is. */
    private Tensor self() {
        return (Tensor) this;
    }

    // ---- elementwise ----------------------------------------------------------------------------------------------

    public Tensor add(Tensor b) {
        return Elementwise.binary(BinaryOp.ADD, self(), b);
    }

    public Tensor sub(Tensor b) {
        return Elementwise.binary(BinaryOp.SUB, self(), b);
    }

    public Tensor mul(Tensor b) {
        return Elementwise.binary(BinaryOp.MUL, self(), b);
    }

    public Tensor div(Tensor b) {
        return Elementwise.binary(BinaryOp.DIV, self(), b);
    }

    public Tensor pow(Tensor b) {
        return Elementwise.binary(BinaryOp.POW, self(), b);
    }

    public Tensor maximum(Tensor b) {
        return Elementwise.binary(BinaryOp.MAXIMUM, self(), b);
    }

    public Tensor minimum(Tensor b) {
        return Elementwise.binary(BinaryOp.MINIMUM, self(), b);
    }

    /** {@code this - other floor(this / other)}, which has the sign of {@code other}. */
    public Tensor remainder(Tensor b) {
        return Elementwise.binary(BinaryOp.REMAINDER, self(), b);
    }

    public Tensor add(double b) {
        return Elementwise.unary(UnaryOp.AFFINE, self(), 1, b);
    }

    public Tensor sub(double b) {
        return add(-b);
    }

    public Tensor mul(double b) {
        return Elementwise.unary(UnaryOp.AFFINE, self(), b, 0);
    }

    public Tensor div(double b) {
        return div(Elementwise.number(b, DType.promote(self().dtype(), DType.FLOAT32)));
    }

    public Tensor pow(double exponent) {
        return Elementwise.unary(UnaryOp.POW, self(), exponent, 0);
    }

    public Tensor remainder(double b) {
        return remainder(Elementwise.number(b, self().dtype()));
    }

    /** The numbers limited to {@code [min, max]}; the gradient passes inside, the limits included. */
    public Tensor clamp(double min, double max) {
        return Elementwise.unary(UnaryOp.CLAMP, self(), min, max);
    }

    public Tensor clampMin(double min) {
        return clamp(min, Double.POSITIVE_INFINITY);
    }

    public Tensor clampMax(double max) {
        return clamp(Double.NEGATIVE_INFINITY, max);
    }

    /** A function without constants. */
    public Tensor unary(UnaryOp op) {
        return Elementwise.unary(op, self(), 0, 0);
    }

    public Tensor neg() {
        return unary(UnaryOp.NEG);
    }

    public Tensor exp() {
        return unary(UnaryOp.EXP);
    }

    public Tensor log() {
        return unary(UnaryOp.LOG);
    }

    public Tensor log1p() {
        return unary(UnaryOp.LOG1P);
    }

    public Tensor expm1() {
        return unary(UnaryOp.EXPM1);
    }

    public Tensor sqrt() {
        return unary(UnaryOp.SQRT);
    }

    public Tensor rsqrt() {
        return unary(UnaryOp.RSQRT);
    }

    public Tensor reciprocal() {
        return unary(UnaryOp.RECIPROCAL);
    }

    public Tensor abs() {
        return unary(UnaryOp.ABS);
    }

    /** 1, 0 or -1. */
    public Tensor sign() {
        return unary(UnaryOp.SIGN);
    }

    public Tensor square() {
        return unary(UnaryOp.SQUARE);
    }

    public Tensor sin() {
        return unary(UnaryOp.SIN);
    }

    public Tensor cos() {
        return unary(UnaryOp.COS);
    }

    public Tensor tanh() {
        return unary(UnaryOp.TANH);
    }

    public Tensor sigmoid() {
        return unary(UnaryOp.SIGMOID);
    }

    public Tensor logsigmoid() {
        return unary(UnaryOp.LOGSIGMOID);
    }

    public Tensor silu() {
        return unary(UnaryOp.SILU);
    }

    public Tensor relu() {
        return unary(UnaryOp.RELU);
    }

    public Tensor erf() {
        return unary(UnaryOp.ERF);
    }

    public Tensor floor() {
        return unary(UnaryOp.FLOOR);
    }

    public Tensor ceil() {
        return unary(UnaryOp.CEIL);
    }

    /** The nearest integers, of two equally near ones the even one. */
    public Tensor round() {
        return unary(UnaryOp.ROUND);
    }

    // ---- comparison and logic: tensors of BOOL, without gradient ----------------------------------------------------

    public Tensor gt(Tensor b) {
        return Elementwise.binary(BinaryOp.GT, self(), b);
    }

    public Tensor gt(double b) {
        return gt(Elementwise.number(b, self().dtype()));
    }

    public Tensor ge(Tensor b) {
        return Elementwise.binary(BinaryOp.GE, self(), b);
    }

    public Tensor ge(double b) {
        return ge(Elementwise.number(b, self().dtype()));
    }

    public Tensor lt(Tensor b) {
        return Elementwise.binary(BinaryOp.GT, b, self());
    }

    public Tensor lt(double b) {
        return lt(Elementwise.number(b, self().dtype()));
    }

    public Tensor le(Tensor b) {
        return Elementwise.binary(BinaryOp.GE, b, self());
    }

    public Tensor le(double b) {
        return le(Elementwise.number(b, self().dtype()));
    }

    public Tensor eq(Tensor b) {
        return Elementwise.binary(BinaryOp.EQ, self(), b);
    }

    public Tensor eq(double b) {
        return eq(Elementwise.number(b, self().dtype()));
    }

    public Tensor ne(Tensor b) {
        return Elementwise.binary(BinaryOp.NE, self(), b);
    }

    public Tensor ne(double b) {
        return ne(Elementwise.number(b, self().dtype()));
    }

    /** Whether both are not zero. */
    public Tensor logicalAnd(Tensor b) {
        return to(DType.BOOL).mul(b.to(DType.BOOL));
    }

    /** Whether one or both are not zero. */
    public Tensor logicalOr(Tensor b) {
        return to(DType.BOOL).add(b.to(DType.BOOL));
    }

    /** Whether exactly one is not zero. */
    public Tensor logicalXor(Tensor b) {
        return to(DType.BOOL).ne(b.to(DType.BOOL));
    }

    public Tensor logicalNot() {
        return eq(0);
    }

    public Tensor isnan() {
        return ne(self());
    }

    public Tensor isinf() {
        return eq(Double.POSITIVE_INFINITY).logicalOr(eq(Double.NEGATIVE_INFINITY));
    }

    public Tensor isfinite() {
        return gt(Double.NEGATIVE_INFINITY).logicalAnd(lt(Double.POSITIVE_INFINITY));
    }

    /** {@code condition ? this : other}, all broadcast; {@code condition} is BOOL. */
    public Tensor where(Tensor condition, Tensor other) {
        return Elementwise.where(condition, self(), other);
    }

    /** {@code value} where {@code mask} (BOOL) is true, else the number as it is. */
    public Tensor maskedFill(Tensor mask, double value) {
        return Elementwise.maskedFill(self(), mask, value);
    }

    // ---- types ----------------------------------------------------------------------------------------------------

    /** The numbers converted to another type; from floating-point numbers to integers by cutting off, to BOOL by {@code ne(0)}. */
    public Tensor to(DType dtype) {
        return Movement.to(self(), dtype);
    }

    // ---- in place -------------------------------------------------------------------------------------------------
    // Each returns this. The operand is broadcast to this tensor's shape. A parameter can be changed within noGrad
    // only.

    public Tensor add_(Tensor b) {
        return InPlace.binary(BinaryOp.ADD, self(), b);
    }

    public Tensor sub_(Tensor b) {
        return InPlace.binary(BinaryOp.SUB, self(), b);
    }

    public Tensor mul_(Tensor b) {
        return InPlace.binary(BinaryOp.MUL, self(), b);
    }

    public Tensor div_(Tensor b) {
        return InPlace.binary(BinaryOp.DIV, self(), b);
    }

    public Tensor add_(double b) {
        return InPlace.binary(BinaryOp.ADD, self(), b);
    }

    public Tensor sub_(double b) {
        return InPlace.binary(BinaryOp.SUB, self(), b);
    }

    public Tensor mul_(double b) {
        return InPlace.binary(BinaryOp.MUL, self(), b);
    }

    public Tensor div_(double b) {
        return InPlace.binary(BinaryOp.DIV, self(), b);
    }

    /** Limits the numbers to {@code [min, max]}. */
    public Tensor clamp_(double min, double max) {
        return InPlace.clamp(self(), min, max);
    }

    public Tensor zero_() {
        return InPlace.fill("zero_", self(), 0);
    }

    public Tensor fill_(double value) {
        return InPlace.fill("fill_", self(), value);
    }

    /** Overwrites the numbers with those of {@code from}, converted to this type. */
    public Tensor copy_(Tensor from) {
        return InPlace.copy(self(), from);
    }

    // ---- reductions -----------------------------------------------------------------------------------------------

    /** The sum of all elements, of shape {@code []}. */
    public Tensor sum() {
        return Reductions.sum(self(), Reductions.all(self()), false);
    }

    /** The sum along a dimension. */
    public Tensor sum(int dim, boolean keepdim) {
        return Reductions.sum(self(), new int[] {dim}, keepdim);
    }

    /** The sum over some dimensions. */
    public Tensor sum(int[] dims, boolean keepdim) {
        return Reductions.sum(self(), dims, keepdim);
    }

    /** The mean of all elements, of shape {@code []}. */
    public Tensor mean() {
        return Reductions.mean(self(), Reductions.all(self()), false);
    }

    /** The mean along a dimension. */
    public Tensor mean(int dim, boolean keepdim) {
        return Reductions.mean(self(), new int[] {dim}, keepdim);
    }

    /** The mean over some dimensions. */
    public Tensor mean(int[] dims, boolean keepdim) {
        return Reductions.mean(self(), dims, keepdim);
    }

    /** The sum of squared distances from the mean, divided by the number of elements less {@code correction}:
     * the variance of all elements, of shape {@code []}. */
    public Tensor var(int correction) {
        return Reductions.var(self(), Reductions.all(self()), correction, false);
    }

    /** The sum of squared distances from the mean, divided by the number of elements less {@code correction}:
     * the variance along a dimension. */
    public Tensor var(int dim, int correction, boolean keepdim) {
        return Reductions.var(self(), new int[] {dim}, correction, keepdim);
    }

    /** The sum of squared distances from the mean, divided by the number of elements less {@code correction}:
     * the variance over some dimensions. */
    public Tensor var(int[] dims, int correction, boolean keepdim) {
        return Reductions.var(self(), dims, correction, keepdim);
    }

    /** The root of the variance of all elements, of shape {@code []}. */
    public Tensor std(int correction) {
        return Reductions.std(self(), Reductions.all(self()), correction, false);
    }

    /** The root of the variance along a dimension. */
    public Tensor std(int dim, int correction, boolean keepdim) {
        return Reductions.std(self(), new int[] {dim}, correction, keepdim);
    }

    /** The root of the variance over some dimensions. */
    public Tensor std(int[] dims, int correction, boolean keepdim) {
        return Reductions.std(self(), dims, correction, keepdim);
    }

    /** The product of all elements, of shape {@code []}. */
    public Tensor prod() {
        return Reductions.prod(self(), Reductions.all(self()), false);
    }

    /** The product along a dimension. */
    public Tensor prod(int dim, boolean keepdim) {
        return Reductions.prod(self(), new int[] {dim}, keepdim);
    }

    /** The product over some dimensions. */
    public Tensor prod(int[] dims, boolean keepdim) {
        return Reductions.prod(self(), dims, keepdim);
    }

    /** The largest of all elements, of shape {@code []}; equal ones share the gradient. */
    public Tensor max() {
        return amax(Reductions.all(self()), false);
    }

    /** The smallest of all elements, of shape {@code []}; equal ones share the gradient. */
    public Tensor min() {
        return amin(Reductions.all(self()), false);
    }

    /** The largest element along a dimension; the gradient goes to the first of equal ones. */
    public Tensor max(int dim, boolean keepdim) {
        return Reductions.found(ReduceOp.ARGMAX, self(), dim, keepdim);
    }

    /** The smallest element along a dimension; the gradient goes to the first of equal ones. */
    public Tensor min(int dim, boolean keepdim) {
        return Reductions.found(ReduceOp.ARGMIN, self(), dim, keepdim);
    }

    /** The largest element over some dimensions; equal ones share the gradient. */
    public Tensor amax(int[] dims, boolean keepdim) {
        return Reductions.extreme(ReduceOp.MAX, self(), dims, keepdim);
    }

    /** The smallest element over some dimensions; equal ones share the gradient. */
    public Tensor amin(int[] dims, boolean keepdim) {
        return Reductions.extreme(ReduceOp.MIN, self(), dims, keepdim);
    }

    /** The index (int32) of the first largest element in row-major order. */
    public Tensor argmax() {
        return reshape(self().count()).argmax(0, false);
    }

    /** The index (int32) of the first smallest element in row-major order. */
    public Tensor argmin() {
        return reshape(self().count()).argmin(0, false);
    }

    /** The index (int32) of the first largest element along a dimension. */
    public Tensor argmax(int dim, boolean keepdim) {
        return Reductions.index(ReduceOp.ARGMAX, self(), dim, keepdim);
    }

    /** The index (int32) of the first smallest element along a dimension. */
    public Tensor argmin(int dim, boolean keepdim) {
        return Reductions.index(ReduceOp.ARGMIN, self(), dim, keepdim);
    }

    /** Whether one of all elements is not zero. */
    public Tensor any() {
        return to(DType.BOOL).sum().ne(0);
    }

    /** Whether one of the elements along a dimension is not zero. */
    public Tensor any(int dim, boolean keepdim) {
        return to(DType.BOOL).sum(dim, keepdim).ne(0);
    }

    /** Whether none of all elements is zero. */
    public Tensor all() {
        return eq(0).sum().eq(0);
    }

    /** Whether none of the elements along a dimension is zero. */
    public Tensor all(int dim, boolean keepdim) {
        return eq(0).sum(dim, keepdim).eq(0);
    }

    /** {@code log(sum(exp(x)))} along a dimension. */
    public Tensor logsumexp(int dim, boolean keepdim) {
        return logsumexp(new int[] {dim}, keepdim);
    }

    /** {@code log(sum(exp(x)))} over some dimensions. */
    public Tensor logsumexp(int[] dims, boolean keepdim) {
        return Reductions.logsumexp(self(), dims, keepdim);
    }

    /** {@code (sum |x|^p)^(1 / p)} over all elements, of shape {@code []}; the largest {@code |x|} for an infinite p. */
    public Tensor norm(double p) {
        return Reductions.norm(self(), p, Reductions.all(self()), false);
    }

    /** {@code (sum |x|^p)^(1 / p)} along a dimension. */
    public Tensor norm(double p, int dim, boolean keepdim) {
        return norm(p, new int[] {dim}, keepdim);
    }

    /** {@code (sum |x|^p)^(1 / p)} over some dimensions. */
    public Tensor norm(double p, int[] dims, boolean keepdim) {
        return Reductions.norm(self(), p, dims, keepdim);
    }

    public Tensor cumsum(int dim) {
        return Reductions.cumsum(self(), dim);
    }

    public Tensor cumprod(int dim) {
        return Reductions.cumprod(self(), dim);
    }

    public Tensor softmax(int dim) {
        return Reductions.softmax(self(), dim, false);
    }

    public Tensor logSoftmax(int dim) {
        return Reductions.softmax(self(), dim, true);
    }

    // ---- movement -------------------------------------------------------------------------------------------------

    /** The elements in another shape; a view where the layout allows, else a copy. One size may be -1. */
    public Tensor reshape(long... shape) {
        return Movement.reshape(self(), shape);
    }

    /**
     * The elements in another shape, in the same memory. One size may be -1.
     *
     * @throws TensorException if the layout does not allow it
     */
    public Tensor view(long... shape) {
        return Movement.view(self(), shape);
    }

    /** Dimensions {@code startDim} to {@code endDim}, both included, as one. */
    public Tensor flatten(int startDim, int endDim) {
        return Movement.flatten(self(), startDim, endDim);
    }

    /** All dimensions as one. */
    public Tensor flatten() {
        return Movement.flatten(self(), 0, -1);
    }

    /** Without the dimensions of size 1; a view. */
    public Tensor squeeze() {
        return Movement.squeeze(self());
    }

    /** Without dimension {@code dim} if its size is 1; a view. */
    public Tensor squeeze(int dim) {
        return Movement.squeeze(self(), dim);
    }

    /** With a new dimension {@code dim} of size 1; a view. */
    public Tensor unsqueeze(int dim) {
        return Movement.unsqueeze(self(), dim);
    }

    /** The dimensions in another order; a view. */
    public Tensor permute(int... dims) {
        return Movement.permute(self(), dims);
    }

    /** Two dimensions in each other's place; a view. */
    public Tensor transpose(int dim0, int dim1) {
        return Movement.transpose(self(), dim0, dim1);
    }

    /** A matrix transposed; a view. */
    public Tensor t() {
        return Movement.t(self());
    }

    /** {@code length} elements along {@code dim} from {@code start}; a view. */
    public Tensor narrow(int dim, long start, long length) {
        return Movement.narrow(self(), dim, start, length);
    }

    /** {@code x[start:]} along {@code dim}; negative counts from the end; a view. */
    public Tensor slice(int dim, long start) {
        return Movement.slice(self(), dim, start, Long.MAX_VALUE, 1);
    }

    /** {@code x[start:end]} along {@code dim}; negative counts from the end; a view. */
    public Tensor slice(int dim, long start, long end) {
        return Movement.slice(self(), dim, start, end, 1);
    }

    /** {@code x[start:end:step]} along {@code dim}; negative counts from the end; a view. */
    public Tensor slice(int dim, long start, long end, long step) {
        return Movement.slice(self(), dim, start, end, step);
    }

    /** One element along {@code dim}, which disappears; negative counts from the end; a view. */
    public Tensor select(int dim, long index) {
        return Movement.select(self(), dim, index);
    }

    /** The elements {@code (i, i + offset)} of two dimensions, as a new last dimension; a view. */
    public Tensor diagonal(long offset, int dim1, int dim2) {
        return Movement.diagonal(self(), offset, dim1, dim2);
    }

    /** Parts of {@code size} along {@code dim}, the last perhaps smaller; views. */
    public Tensor[] split(long size, int dim) {
        return Movement.split(self(), size, dim);
    }

    /** Parts of the given sizes along {@code dim}; views. */
    public Tensor[] split(long[] sizes, int dim) {
        return Movement.split(self(), dim, sizes);
    }

    /** At most {@code chunks} equal parts along {@code dim}, the last perhaps smaller; views. */
    public Tensor[] chunk(int chunks, int dim) {
        return Movement.chunk(self(), chunks, dim);
    }

    /** Each element along {@code dim}, which disappears; views. */
    public Tensor[] unbind(int dim) {
        return Movement.unbind(self(), dim);
    }

    /** The tensor repeated to a larger shape, -1 for a size that stays; a view. */
    public Tensor expand(long... shape) {
        return Movement.expand(self(), shape);
    }

    /** The tensor repeated to a larger shape; a view. */
    public Tensor broadcastTo(long... shape) {
        return Movement.expand(self(), shape);
    }

    /** The whole tensor so many times along each dimension. */
    public Tensor repeat(long... repeats) {
        return Movement.repeat(self(), repeats);
    }

    /** Each element so many times in a row along {@code dim}. */
    public Tensor repeatInterleave(long repeats, int dim) {
        return Movement.repeatInterleave(self(), repeats, dim);
    }

    /** The elements from the last to the first along {@code dims}. */
    public Tensor flip(int... dims) {
        return Movement.flip(self(), dims);
    }

    /** The elements moved on by {@code shift} along {@code dim}, those beyond the end to the beginning. */
    public Tensor roll(long shift, int dim) {
        return Movement.roll(self(), shift, dim);
    }

    /**
     * The tensor with {@code value} around it.
     *
     * @param pad how many before and behind the last dimension, then the one before it, and so on; negative takes away
     */
    public Tensor pad(double value, long... pad) {
        return Movement.pad(self(), value, pad);
    }

    /** The lower triangle of each matrix: 0 where {@code col - row > diagonal}. */
    public Tensor tril(long diagonal) {
        return Movement.tril(self(), diagonal);
    }

    /** The upper triangle of each matrix: 0 where {@code col - row < diagonal}. */
    public Tensor triu(long diagonal) {
        return Movement.triu(self(), diagonal);
    }

    /** The tensor itself, or a copy in row-major order. */
    public Tensor contiguous() {
        return Movement.contiguous(self());
    }

    // ---- picking --------------------------------------------------------------------------------------------------

    /** {@code y[i] = x[i with index[i] at dim]}; the index (int32 or int64) may be smaller in the other dimensions. */
    public Tensor gather(int dim, Tensor index) {
        return Indexing.gather(self(), dim, index);
    }

    /** The elements along {@code dim} that the index {@code [n]} (int32 or int64) names. */
    public Tensor indexSelect(int dim, Tensor index) {
        return Indexing.indexSelect(self(), dim, index);
    }

    /** As {@link #gather}, with both broadcast in the other dimensions. */
    public Tensor takeAlongDim(Tensor indices, int dim) {
        return Indexing.takeAlongDim(self(), indices, dim);
    }

    /** A copy with {@code y[i with index[i] at dim] = src[i]}; the last of several wins. */
    public Tensor scatter(int dim, Tensor index, Tensor src) {
        return Indexing.scatter(self(), dim, index, src);
    }

    /** A copy with {@code y[i with index[i] at dim] = value}. */
    public Tensor scatter(int dim, Tensor index, double value) {
        return Indexing.scatter(
                self(), dim, index, Tensor.full(self().dtype(), value).expand(index.shape()));
    }

    /** A copy with {@code y[i with index[i] at dim] += src[i]}, in the order of {@code i}. */
    public Tensor scatterAdd(int dim, Tensor index, Tensor src) {
        return Indexing.scatterAdd(self(), dim, index, src);
    }

    /** A copy to which {@code source} is added along {@code dim} where the index {@code [n]} says, in order. */
    public Tensor indexAdd(int dim, Tensor index, Tensor source) {
        return Indexing.indexAdd(self(), dim, index, source);
    }

    /** The elements where {@code mask} is true (not zero), in row-major order: {@code [n]}. */
    public Tensor maskedSelect(Tensor mask) {
        return Indexing.maskedSelect(self(), mask);
    }

    /** The places of all elements that are not zero, in row-major order: {@code [n, rank]} int64. */
    public Tensor nonzero() {
        return Indexing.nonzero(self());
    }

    /**
     * The elements in ascending or descending order along {@code dim}, and where they were. Equal ones stay in their order; NaN
     * is larger than all others.
     */
    public Tensor.Sorted sort(int dim, boolean descending) {
        return Indexing.sort(self(), dim, descending);
    }

    /** The places (int32) of the elements in ascending or descending order along {@code dim}, as {@link #sort}. */
    public Tensor argsort(int dim, boolean descending) {
        return Indexing.order(self(), self().size(dim), dim, descending);
    }

    /** The {@code k} largest (or smallest) along {@code dim}, in order, and where they were; of equal ones the first. */
    public Tensor.Sorted topk(long k, int dim, boolean largest) {
        return Indexing.topk(self(), k, dim, largest);
    }

    // ---- matrix products ------------------------------------------------------------------------------------------

    /**
     * The matrix product of the last two dimensions, the others broadcast, as {@code torch.matmul}: a vector on the left is a row,
     * one on the right a column. Transposed views are multiplied where they lie.
     */
    public Tensor matmul(Tensor b) {
        return MatrixProducts.matmul(self(), b);
    }

    /** The products of {@code [B, M, K]} and {@code [B, K, N]}: {@code [B, M, N]}. */
    public Tensor bmm(Tensor b) {
        return MatrixProducts.bmm(self(), b);
    }

    /** The product of {@code [M, K]} and a vector {@code [K]}: {@code [M]}. */
    public Tensor mv(Tensor b) {
        return MatrixProducts.mv(self(), b);
    }

    /** The sum of the products of two vectors, of shape {@code []}. */
    public Tensor dot(Tensor b) {
        return MatrixProducts.dot(self(), b);
    }

    /** All products of two vectors {@code [M]} and {@code [N]}: {@code [M, N]}. */
    public Tensor outer(Tensor b) {
        return MatrixProducts.outer(self(), b);
    }

    /** {@code this + a b}, this broadcast to {@code [M, N]}: {@code a [M, K]}, {@code b [K, N]}. */
    public Tensor addmm(Tensor a, Tensor b) {
        return MatrixProducts.addmm(self(), a, b);
    }

    /** {@code this + a b}, this broadcast to {@code [B, M, N]}: {@code a [B, M, K]}, {@code b [B, K, N]}. */
    public Tensor baddbmm(Tensor a, Tensor b) {
        return MatrixProducts.bmm(a, b).add(self());
    }
}
