package dev.isthmus.tensor.cpu;

import dev.isthmus.tensor.Device;
import dev.isthmus.tensor.KernelCall;

/** The scalar twin: plain loops in double precision, rounded to the type of the result. */
final class ScalarDevice implements Device {
    @Override
    public void run(KernelCall call) {
        throw new UnsupportedOperationException(call.getClass().getSimpleName());
    }

    @Override
    public String name() {
        return "cpu scalar";
    }
}
