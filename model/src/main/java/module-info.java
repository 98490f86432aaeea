/** Transformers, tokenizers, checkpoint formats and generation. */
module dev.isthmus.model {
    requires static org.jspecify;
    requires transitive dev.isthmus.tensor;
    requires transitive tools.jackson.databind;

    exports dev.isthmus.model;
    exports dev.isthmus.model.chat;
    exports dev.isthmus.model.eval;
    exports dev.isthmus.model.io;
    exports dev.isthmus.model.generate;
    exports dev.isthmus.model.sample;
    exports dev.isthmus.model.tokenizer;
}
