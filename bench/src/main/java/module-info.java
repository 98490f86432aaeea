/** Benchmarks, and peers measured side by side. */
module dev.isthmus.bench {
    requires static org.jspecify;
    requires dev.isthmus.rl;
}
