/** Benchmarks, and peers measured side by side. */
module dev.isthmus.bench {
    requires static org.jspecify;
    requires transitive dev.isthmus.rl;
    requires jmh.core;

    exports dev.isthmus.bench;
}
