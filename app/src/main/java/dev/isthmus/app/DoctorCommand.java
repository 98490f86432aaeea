package dev.isthmus.app;

import dev.isthmus.bench.Doctor;
import java.io.PrintWriter;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** What this machine offers, what is wrong, and how to mend it. */
@Command(
        name = "doctor",
        description =
                "Shows the JDK, the vectors, the device and its measured speed, and says what is wrong and how to mend it.")
final class DoctorCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init")
    private CommandSpec spec;

    @Override
    public void run() {
        PrintWriter out = spec.commandLine().getOut();
        Doctor.report(Doctor.examine()).forEach(out::println);
    }
}
