package dev.isthmus.train.supervised;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.DecoderConfig;
import dev.isthmus.model.ModelSize;
import dev.isthmus.model.tokenizer.CharTokenizer;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.DType;
import dev.isthmus.tensor.IsthmusException;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.TrainedModel;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;
import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Language modelling on every token of a text: by a new model that reads characters, or by one that there is. */
public final class Pretrain implements TrainingMethod<PretrainConfig> {
    @Override
    public String key() {
        return "pretrain";
    }

    @Override
    public Class<PretrainConfig> settings() {
        return PretrainConfig.class;
    }

    @Override
    public void check(MethodConfig<PretrainConfig> config) {
        config.data();
        if (config.base().model() != null && config.own().size() != null) {
            throw new IsthmusException(
                    key() + ": size is that of a new model and cannot go with model, which has its own");
        }
    }

    @Override
    public Training prepare(MethodConfig<PretrainConfig> config, Start start) {
        Path weights = start.weights();
        Rng rng = Rng.of(config.base().seed());
        int length = config.own().maxLength();
        // The model comes first: a wrong path is told before a long text is read.
        Decoder existing = weights == null ? null : config.load(start);
        DataFile data = DataFile.read(config.data());
        String evalData = config.base().evalData();
        DataFile held = evalData == null ? null : DataFile.read(evalData);
        Tokenizer tokenizer = tokenizer(data, weights, existing);
        Decoder model = existing == null ? fresh(config.own(), tokenizer, rng) : existing;
        if (length > model.config().maxPositionEmbeddings()) {
            throw new IsthmusException("max_length " + length + " is longer than the model's "
                    + model.config().maxPositionEmbeddings() + " positions (max_position_embeddings)");
        }
        TextWindows source = new TextWindows(data, held, tokenizer, length, rng.split("data"));
        return new SupervisedTraining(
                config.base(), new TrainedModel(model, tokenizer, weights), source, LossType.NLL, 0);
    }

    private static Decoder fresh(PretrainConfig settings, Tokenizer tokenizer, Rng rng) {
        ModelSize size = Objects.requireNonNullElse(settings.size(), ModelSize.S);
        DecoderConfig config = size.config(tokenizer.vocabSize(), settings.maxLength())
                .withTokens(
                        tokenizer.bosTokenId(),
                        tokenizer.eosTokenId().stream().boxed().toList());
        return new Decoder(config, DType.FLOAT32).initialize(rng.split("init"));
    }

    private static Tokenizer tokenizer(DataFile data, @Nullable Path weights, @Nullable Decoder existing) {
        if (weights != null && Tokenizers.present(weights)) {
            return Tokenizers.load(weights);
        }
        CharTokenizer characters = new CharTokenizer(data.text(), false);
        if (existing != null && characters.vocabSize() != existing.config().vocabSize()) {
            throw new IsthmusException("there is no tokenizer in " + weights + ", and " + data.name() + " has "
                    + characters.vocabSize() + " characters where the model has "
                    + existing.config().vocabSize() + " tokens");
        }
        return characters;
    }
}
