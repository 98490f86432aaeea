import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.jni.JniUtils;
import dev.isthmus.bench.Measurement;
import dev.isthmus.bench.peer.Answers;
import java.io.IOException;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** Does in PyTorch, called through DJL, what the benchmarks of matrix products do. Run as a source file. */
final class DjlPeer {
    public static void main(String[] args) throws IOException {
        Engine engine = Engine.getEngine("PyTorch");
        Answers.answer("torch " + engine.getVersion() + " through DJL", List.of("gemm"), DjlPeer::measure);
    }

    private static Measurement measure(JsonNode question) {
        JniUtils.setNumThreads(question.get("threads").asInt());
        try (NDManager manager = NDManager.newBaseManager()) {
            String op = question.get("op").asString();
            long m = question.get("m").asLong();
            long n = question.get("n").asLong();
            long k = question.get("k").asLong();
            NDArray a = matrix(manager, m, k, op.charAt(0) == 'T');
            NDArray b = matrix(manager, k, n, op.charAt(1) == 'T');
            return Measurement.of(Answers.effort(question), () -> a.matMul(b).close());
        }
    }

    private static NDArray matrix(NDManager manager, long rows, long cols, boolean transposed) {
        return transposed
                ? manager.randomNormal(new Shape(cols, rows)).transpose()
                : manager.randomNormal(new Shape(rows, cols));
    }
}
