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

    /** 1 where {@code this > b}, else 0; no gradient. */
    public Tensor gt(Tensor b) {
        return Elementwise.binary(BinaryOp.GT, self(), b);
    }

    /** 1 where {@code this >= b}, else 0; no gradient. */
    public Tensor ge(Tensor b) {
        return Elementwise.binary(BinaryOp.GE, self(), b);
    }

    /** 1 where {@code this == b}, else 0; no gradient. */
    public Tensor eq(Tensor b) {
        return Elementwise.binary(BinaryOp.EQ, self(), b);
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
        return mul(1 / b);
    }

    public Tensor pow(double exponent) {
        return Elementwise.unary(UnaryOp.POW, self(), exponent, 0);
    }

    /** The numbers limited to {@code [min, max]}; the gradient passes inside, the limits included. */
    public Tensor clamp(double min, double max) {
        return Elementwise.unary(UnaryOp.CLAMP, self(), min, max);
    }

    /** 1 where {@code this > b}, else 0; no gradient. */
    public Tensor gt(double b) {
        return Elementwise.unary(UnaryOp.GREATER, self(), b, 0);
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

    public Tensor sqrt() {
        return unary(UnaryOp.SQRT);
    }

    public Tensor rsqrt() {
        return unary(UnaryOp.RSQRT);
    }

    public Tensor abs() {
        return unary(UnaryOp.ABS);
    }

    public Tensor square() {
        return unary(UnaryOp.SQUARE);
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

    /** {@code condition ? this : other}, all broadcast; {@code condition} is not zero where true. */
    public Tensor where(Tensor condition, Tensor other) {
        return Elementwise.where(condition, self(), other);
    }

    /** The numbers converted to another type. */
    public Tensor to(DType dtype) {
        return Movement.to(self(), dtype);
    }

    // ---- reductions -----------------------------------------------------------------------------------------------

    /** The sum of all elements, of shape {@code []}. */
    public Tensor sum() {
        return Reductions.sum(reshape(self().count()), 0, false).reshape();
    }

    public Tensor sum(int dim, boolean keepdim) {
        return Reductions.sum(self(), dim, keepdim);
    }

    /** The mean of all elements, of shape {@code []}. */
    public Tensor mean() {
        return sum().mul(1.0 / self().count());
    }

    public Tensor mean(int dim, boolean keepdim) {
        return sum(dim, keepdim).mul(1.0 / self().size(dim));
    }

    /** The largest element along a dimension; the gradient goes to the first of equal ones. */
    public Tensor max(int dim, boolean keepdim) {
        return Reductions.extreme(ReduceOp.ARGMAX, self(), dim, keepdim);
    }

    /** The smallest element along a dimension; the gradient goes to the first of equal ones. */
    public Tensor min(int dim, boolean keepdim) {
        return Reductions.extreme(ReduceOp.ARGMIN, self(), dim, keepdim);
    }

    /** The index (int32) of the first largest element along a dimension. */
    public Tensor argmax(int dim, boolean keepdim) {
        return Reductions.index(ReduceOp.ARGMAX, self(), dim, keepdim);
    }

    public Tensor cumsum(int dim) {
        return Reductions.cumsum(self(), dim);
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

    public Tensor permute(int... dims) {
        return Movement.permute(self(), dims);
    }

    public Tensor transpose(int dim0, int dim1) {
        return Movement.transpose(self(), dim0, dim1);
    }

    /** {@code length} elements along {@code dim} from {@code start}; a view. */
    public Tensor narrow(int dim, long start, long length) {
        return Movement.slice(self(), dim, start, length, 1);
    }

    /** One element along {@code dim}, which disappears; a view. */
    public Tensor select(int dim, long index) {
        return Movement.select(self(), dim, index);
    }

    /** The tensor repeated to a larger shape; a view. */
    public Tensor expand(long... shape) {
        return Movement.expand(self(), shape);
    }

    /** The tensor itself, or a copy in row-major order. */
    public Tensor contiguous() {
        return Movement.contiguous(self());
    }

    /** The elements that {@code index} (int32) names along {@code dim}. */
    public Tensor gather(int dim, Tensor index) {
        return Movement.gather(self(), dim, index);
    }

    // ---- matrix products ------------------------------------------------------------------------------------------

    /** The matrix product of the last two dimensions, the others broadcast, as {@code torch.matmul}. */
    public Tensor matmul(Tensor b) {
        return MatrixProducts.matmul(self(), b);
    }
}
