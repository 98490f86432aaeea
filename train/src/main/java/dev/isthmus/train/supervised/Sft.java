package dev.isthmus.train.supervised;

import dev.isthmus.model.Decoder;
import dev.isthmus.model.Pretrained;
import dev.isthmus.model.generate.LanguageModel;
import dev.isthmus.model.tokenizer.Tokenizer;
import dev.isthmus.model.tokenizer.Tokenizers;
import dev.isthmus.tensor.Rng;
import dev.isthmus.train.loop.MethodConfig;
import dev.isthmus.train.loop.Start;
import dev.isthmus.train.loop.Training;
import dev.isthmus.train.loop.TrainingMethod;
import java.nio.file.Path;
import java.util.Objects;

/** Supervised fine-tuning on completions of prompts, or on texts. */
public final class Sft implements TrainingMethod<SftConfig> {
    @Override
    public String key() {
        return "sft";
    }

    @Override
    public Class<SftConfig> settings() {
        return SftConfig.class;
    }

    @Override
    public Training prepare(MethodConfig<SftConfig> config, Start start) {
        Path weights = Objects.requireNonNull(start.weights());
        Rng rng = Rng.of(config.base().seed());
        Decoder model = Pretrained.load(weights);
        Tokenizer tokenizer = Tokenizers.load(weights);
        LanguageModel.requireFit(model.config(), tokenizer);
        DataFile data = DataFile.read(config.data());
        String evalData = config.base().evalData();
        DataFile held = evalData == null ? null : DataFile.read(evalData);
        int readable = Math.min(config.own().maxLength(), model.config().maxPositionEmbeddings());
        DatasetRows source = new DatasetRows(data, held, tokenizer, readable, rng.split("data"));
        String id = held == null ? data.crc32c() : data.crc32c() + held.crc32c();
        return new SupervisedTraining(config.base(), model, tokenizer, weights, source, id, false);
    }
}
