/** The command line. */
module dev.isthmus.app {
    requires static org.jspecify;
    requires static jdk.incubator.vector;
    requires dev.isthmus.bench;
    requires dev.isthmus.rl;
    requires info.picocli;
    requires jdk.management;

    opens dev.isthmus.app to
            info.picocli;
}
