/** Tensors, kernels and autograd. */
module dev.isthmus.tensor {
    requires static org.jspecify;
    requires static jdk.incubator.vector;

    exports dev.isthmus.tensor;
}
