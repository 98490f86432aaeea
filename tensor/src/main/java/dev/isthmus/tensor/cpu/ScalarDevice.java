package dev.isthmus.tensor.cpu;

import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall;

/**
 * The scalar twin: plain loops that add in double precision and round once to the type of the result.
 *
 * <p>It is the meaning of every call, in the order of {@link KernelCall}, for float32 and float64 alike.
 */
final class ScalarDevice implements Device {
    @Override
    public void run(KernelCall call) {
        switch (call) {
            case KernelCall.MatMul c -> ScalarMatrix.matMul(c);
            case KernelCall.PackMatrix c -> ScalarMatrix.packMatrix(c);
            case KernelCall.PackWeight c -> PackedWeights.pack(c);
            case KernelCall.WeightMatMul c -> ScalarWeight.matMul(c);
            case KernelCall.WeightMatMuls c -> c.calls().forEach(ScalarWeight::matMul);
            case KernelCall.UnpackWeight c -> ScalarWeight.unpack(c);
            case KernelCall.SumRows c -> ScalarMatrix.sumRows(c);
            case KernelCall.Attention c -> ScalarAttention.attention(c);
            case KernelCall.AttentionBackward c -> ScalarAttention.attentionBackward(c);
            case KernelCall.KvAppend c -> ScalarAttention.kvAppend(c);
            case KernelCall.CachedAttention c -> ScalarAttention.cachedAttention(c);
            case KernelCall.Rope c -> ScalarAttention.rope(c);
            case KernelCall.RmsNorm c -> ScalarNorm.rmsNorm(c);
            case KernelCall.RmsNormBackward c -> ScalarNorm.rmsNormBackward(c);
            case KernelCall.LayerNorm c -> ScalarNorm.layerNorm(c);
            case KernelCall.LayerNormBackward c -> ScalarNorm.layerNormBackward(c);
            case KernelCall.SwiGlu c -> ScalarNorm.swiGlu(c);
            case KernelCall.SwiGluBackward c -> ScalarNorm.swiGluBackward(c);
            case KernelCall.Embedding c -> ScalarLoss.embedding(c);
            case KernelCall.EmbeddingBackward c -> ScalarLoss.embeddingBackward(c);
            case KernelCall.Softmax c -> ScalarLoss.softmax(c);
            case KernelCall.SoftmaxBackward c -> ScalarLoss.softmaxBackward(c);
            case KernelCall.CrossEntropy c -> ScalarLoss.crossEntropy(c);
            case KernelCall.CrossEntropyBackward c -> ScalarLoss.crossEntropyBackward(c);
            case KernelCall.Unary c -> ScalarElementwise.unary(c);
            case KernelCall.UnaryBackward c -> ScalarElementwise.unaryBackward(c);
            case KernelCall.Dropout c -> ScalarElementwise.dropout(c);
            case KernelCall.Binary c -> ScalarElementwise.binary(c);
            case KernelCall.Copy c -> ScalarElementwise.copy(c);
            case KernelCall.Fill c -> ScalarElementwise.fill(c);
            case KernelCall.Where c -> ScalarElementwise.where(c);
            case KernelCall.Reduce c -> ScalarReductions.reduce(c);
            case KernelCall.Scan c -> ScalarReductions.scan(c);
            case KernelCall.Gather c -> ScalarIndex.gather(c);
            case KernelCall.Scatter c -> ScalarIndex.scatter(c);
            case KernelCall.Sort c -> ScalarIndex.sort(c);
            case KernelCall.OptimizerStep c -> ScalarOptimizer.step(c);
            case KernelCall.SumSquares c -> ScalarOptimizer.sumSquares(c);
        }
    }

    @Override
    public String name() {
        return "cpu scalar";
    }
}
