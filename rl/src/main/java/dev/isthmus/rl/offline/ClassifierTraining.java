package dev.isthmus.rl.offline;

import dev.isthmus.model.Parameter;
import dev.isthmus.rl.reward.Classifier;
import dev.isthmus.train.data.TrainingData;
import dev.isthmus.train.loop.TrainedModel;
import java.nio.file.Path;
import java.util.List;

/**
 * Teaches a model to say numbers.
 *
 * @param <E> an example
 */
abstract class ClassifierTraining<E> extends OfflineTraining<E> {
    final Classifier classifier;

    ClassifierTraining(TrainedModel trained, TrainingData<E> data, Classifier classifier) {
        super(trained, data);
        this.classifier = classifier;
    }

    @Override
    public List<Parameter> parameters() {
        return classifier.parameters();
    }

    @Override
    public List<String> shown() {
        return List.of("accuracy");
    }

    @Override
    public void saveModel(Path directory) {
        classifier.save(directory);
        trained.saveTokenizer(directory);
    }
}
