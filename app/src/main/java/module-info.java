/** The command line. */
module dev.isthmus.app {
    requires static org.jspecify;
    requires dev.isthmus.bench;
    requires dev.isthmus.rl;
    requires info.picocli;

    opens dev.isthmus.app to
            info.picocli;
}
