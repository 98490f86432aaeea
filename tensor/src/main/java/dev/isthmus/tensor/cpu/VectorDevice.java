package dev.isthmus.tensor.cpu;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall;
import java.lang.ref.Reference;

/** The vector twin: the Vector API over native memory. What it has no kernel for, the scalar twin runs. */
final class VectorDevice implements Device {
    private final ScalarDevice scalar;

    VectorDevice(ScalarDevice scalar) {
        this.scalar = scalar;
    }

    @Override
    public void run(KernelCall call) {
        try {
            dispatch(call);
        } finally {
            Reference.reachabilityFence(
                    call); // kernels hold addresses only, and tensors outside of scopes are collected
        }
    }

    private void dispatch(KernelCall call) {
        switch (call) {
            case KernelCall.MatMul c when c.c().dtype() == DType.FLOAT32 -> GemmKernels.matMul(c);
            case KernelCall.PackMatrix c when c.b().dtype() == DType.FLOAT32 -> GemmKernels.packMatrix(c);
            case KernelCall.PackWeight c -> PackedWeights.pack(c);
            case KernelCall.WeightMatMul c when c.c().dtype() == DType.FLOAT32 -> WeightKernels.matMul(c);
            case KernelCall.WeightMatMuls c
            when c.calls().getFirst().c().dtype() == DType.FLOAT32 -> WeightKernels.matMul(c.calls());
            case KernelCall.UnpackWeight c when c.out().dtype() == DType.FLOAT32 -> WeightKernels.unpack(c);
            case KernelCall.SumRows c when c.x().dtype() == DType.FLOAT32 -> GemmKernels.sumRows(c);
            case KernelCall.Attention c when c.q().dtype() == DType.FLOAT32 -> AttentionKernels.attention(c);
            case KernelCall.AttentionBackward c
            when c.q().dtype() == DType.FLOAT32 -> AttentionKernels.attentionBackward(c);
            case KernelCall.KvAppend c when c.k().dtype() == DType.FLOAT32 -> CachedAttentionKernels.append(c);
            case KernelCall.CachedAttention c
            when c.q().dtype() == DType.FLOAT32 -> CachedAttentionKernels.attention(c);
            case KernelCall.Rope c when c.x().dtype() == DType.FLOAT32 -> RopeKernels.rope(c);
            case KernelCall.RmsNorm c when c.x().dtype() == DType.FLOAT32 -> NormKernels.rmsNorm(c);
            case KernelCall.RmsNormBackward c when c.x().dtype() == DType.FLOAT32 -> NormKernels.rmsNormBackward(c);
            case KernelCall.LayerNorm c when c.x().dtype() == DType.FLOAT32 -> NormKernels.layerNorm(c);
            case KernelCall.LayerNormBackward c when c.x().dtype() == DType.FLOAT32 -> NormKernels.layerNormBackward(c);
            case KernelCall.SwiGlu c when c.out().dtype() == DType.FLOAT32 -> ActivationKernels.swiGlu(c);
            case KernelCall.SwiGluBackward c
            when c.dOut().dtype() == DType.FLOAT32 -> ActivationKernels.swiGluBackward(c);
            case KernelCall.Embedding c when c.out().dtype() == DType.FLOAT32 -> EmbeddingKernels.embedding(c);
            case KernelCall.EmbeddingBackward c
            when c.dOut().dtype() == DType.FLOAT32 -> EmbeddingKernels.embeddingBackward(c);
            case KernelCall.Softmax c when c.x().dtype() == DType.FLOAT32 -> SoftmaxKernels.softmax(c);
            case KernelCall.SoftmaxBackward c when c.y().dtype() == DType.FLOAT32 -> SoftmaxKernels.softmaxBackward(c);
            case KernelCall.CrossEntropy c when c.logits().dtype() == DType.FLOAT32 -> SoftmaxKernels.crossEntropy(c);
            case KernelCall.CrossEntropyBackward c
            when c.logits().dtype() == DType.FLOAT32 -> SoftmaxKernels.crossEntropyBackward(c);
            case KernelCall.OptimizerStep c when c.param().dtype() == DType.FLOAT32 -> OptimizerKernels.step(c);
            case KernelCall.SumSquares c when c.x().dtype() == DType.FLOAT32 -> SumSquaresKernel.run(c);
            case KernelCall.Unary c
            when c.y().dtype() == DType.FLOAT32 && UnaryKernels.has(c.op()) -> UnaryKernels.unary(c);
            case KernelCall.UnaryBackward c when c.dx().dtype() == DType.FLOAT32 -> SlopeKernels.backward(c);
            case KernelCall.Dropout c when c.x().dtype() == DType.FLOAT32 -> ElementwiseKernels.dropout(c);
            case KernelCall.Binary c
            when c.a().dtype() == DType.FLOAT32 && ElementwiseKernels.has(c.op()) -> ElementwiseKernels.binary(c);
            case KernelCall.Binary c
            when c.a().dtype() == DType.FLOAT32 && BoolKernels.has(c) -> BoolKernels.compare(c);
            case KernelCall.Where c when c.out().dtype() == DType.FLOAT32 -> BoolKernels.where(c);
            case KernelCall.Copy c
            when c.from().dtype() == DType.FLOAT32 && c.to().dtype() == DType.FLOAT32 -> ElementwiseKernels.copy(c);
            case KernelCall.Copy c when ConversionKernels.has(c) -> ConversionKernels.convert(c);
            case KernelCall.Reduce c
            when c.x().dtype() == DType.FLOAT32 && ReductionKernels.has(c) -> ReductionKernels.reduce(c);
            case KernelCall.Scan c when c.y().dtype() == DType.FLOAT32 -> ReductionKernels.scan(c);
            case KernelCall.Fill c when c.x().dtype() == DType.FLOAT32 -> ElementwiseKernels.fill(c);
            case KernelCall.Gather c -> IndexKernels.gather(c);
            case KernelCall.Scatter c when IndexKernels.has(c) -> IndexKernels.scatter(c);
            case KernelCall.Sort c when SortKernels.has(c) -> SortKernels.sort(c);
            default -> scalar.run(call);
        }
    }

    @Override
    public String name() {
        return "cpu vector " + Simd.F.vectorBitSize() + "-bit, " + WorkerPool.threads() + " threads";
    }
}
