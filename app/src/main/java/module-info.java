/** The command line. */
module dev.isthmus.app {
    requires static org.jspecify;
    requires dev.isthmus.rl;
    requires info.picocli;
}
