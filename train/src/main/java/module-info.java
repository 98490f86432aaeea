/** Optimizers, schedules, data, trainers and run directories. */
module dev.isthmus.train {
    requires static org.jspecify;
    requires transitive dev.isthmus.model;
    requires transitive com.fasterxml.jackson.annotation;
    requires transitive tools.jackson.databind;
    requires tools.jackson.dataformat.yaml;

    exports dev.isthmus.train;
    exports dev.isthmus.train.data;
    exports dev.isthmus.train.loop;
    exports dev.isthmus.train.optim;
    exports dev.isthmus.train.report;
    exports dev.isthmus.train.run;
    exports dev.isthmus.train.schedule;
    exports dev.isthmus.train.supervised;

    // Jackson makes the records.
    opens dev.isthmus.train.loop to
            tools.jackson.databind;
    opens dev.isthmus.train.supervised to
            tools.jackson.databind;
}
