package dev.isthmus.tensor.cpu;

import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall;

/** The vector twin: the Vector API over native memory. What it has no kernel for, the scalar twin runs. */
final class VectorDevice implements Device {
    private final ScalarDevice scalar;

    VectorDevice(ScalarDevice scalar) {
        this.scalar = scalar;
    }

    @Override
    public void run(KernelCall call) {
        switch (call) {
            case KernelCall.MatMul c when c.c().dtype() == DType.FLOAT32 -> GemmKernels.matMul(c);
            case KernelCall.PackMatrix c when c.b().dtype() == DType.FLOAT32 -> GemmKernels.packMatrix(c);
            case KernelCall.SumRows c when c.x().dtype() == DType.FLOAT32 -> GemmKernels.sumRows(c);
            case KernelCall.Attention c when c.q().dtype() == DType.FLOAT32 -> AttentionKernels.attention(c);
            case KernelCall.AttentionBackward c when c.q().dtype() == DType.FLOAT32 -> AttentionKernels.attentionBackward(c);
            case KernelCall.KvAppend c when c.k().dtype() == DType.FLOAT32 -> CachedAttentionKernels.append(c);
            case KernelCall.CachedAttention c when c.q().dtype() == DType.FLOAT32 -> CachedAttentionKernels.attention(c);
            default -> scalar.run(call);
        }
    }

    @Override
    public String name() {
        return "cpu vector " + Simd.F.vectorBitSize() + "-bit, " + WorkerPool.threads() + " threads";
    }
}
