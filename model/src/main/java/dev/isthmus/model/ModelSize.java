package dev.isthmus.model;

/** The sizes of small models that this project speaks of: Llama style, with a tied head. */
public enum ModelSize {
    /** 0.4 million weights. */
    S(128, 352, 2, 4),
    /** 1.8 million weights. */
    M(192, 512, 4, 6),
    /** 4.7 million weights. */
    L(256, 704, 6, 8);

    private final int hiddenSize;
    private final int intermediateSize;
    private final int layers;
    private final int heads;

    ModelSize(int hiddenSize, int intermediateSize, int layers, int heads) {
        this.hiddenSize = hiddenSize;
        this.intermediateSize = intermediateSize;
        this.layers = layers;
        this.heads = heads;
    }

    /** The configuration for a vocabulary and a longest sequence. */
    public DecoderConfig config(int vocabSize, int maxPositionEmbeddings) {
        return DecoderConfig.llama(
                vocabSize, hiddenSize, intermediateSize, layers, heads, heads, maxPositionEmbeddings, true);
    }
}
