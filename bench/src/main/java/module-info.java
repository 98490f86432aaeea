/** Benchmarks, and peers measured side by side. */
module dev.isthmus.bench {
    requires static org.jspecify;
    requires static jdk.incubator.vector;
    requires transitive dev.isthmus.rl;
    requires jdk.management;
    requires jmh.core;

    exports dev.isthmus.bench;
    exports dev.isthmus.bench.ladder;
    exports dev.isthmus.bench.peer;
}
