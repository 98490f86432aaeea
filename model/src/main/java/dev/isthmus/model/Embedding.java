package dev.isthmus.model;

import dev.isthmus.tensor.Functional;
import dev.isthmus.tensor.StoredWeight;
import dev.isthmus.tensor.Tensor;
import java.util.List;

/** The table of the words' vectors, which may be the output projection as well. */
sealed interface Embedding {
    /** The vectors {@code [N, C]} of {@code ids [N]}. */
    Tensor forward(Tensor ids);

    /** The weight of an output projection that is tied to it. */
    Matrix matrix();

    /** The same without gradients for its own numbers. */
    Embedding frozen();

    /** A table {@code [V, C]} that is trained. */
    record Trained(Tensor table) implements Embedding {
        @Override
        public Tensor forward(Tensor ids) {
            return Functional.embedding(table, ids);
        }

        @Override
        public Matrix matrix() {
            return new Matrix.Trained(table, false);
        }

        @Override
        public Embedding frozen() {
            return new Trained(table.detach());
        }
    }

    /** A frozen table as a file holds it. */
    record Stored(StoredWeight table) implements Embedding {
        @Override
        public Tensor forward(Tensor ids) {
            return table.embedding(ids);
        }

        @Override
        public Matrix matrix() {
            return new Matrix.Stored(List.of(table));
        }

        @Override
        public Embedding frozen() {
            return this;
        }
    }
}
