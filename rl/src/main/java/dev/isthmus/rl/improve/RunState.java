package dev.isthmus.rl.improve;

import dev.isthmus.train.run.Checkpoint;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** How far a run has come: all that a checkpoint holds beside weights. */
final class RunState {
    /** Steps logged, over all stages. */
    long globalStep;

    /** Tokens trained on, over all stages. */
    long numTokens;

    /** Optimizer steps of the stage that is under way, whose weights lie in the checkpoint; 0 if it begins anew. */
    long trainerStep;

    /** The base model on the held-out problems, once it is trained. */
    @Nullable
    Measurement before;

    /** The rounds of the improvement and of each control, by {@link Control#key()}. */
    final Map<String, List<Measurement>> rounds = new LinkedHashMap<>();

    /** Seconds taken so far. */
    double seconds;

    /** Where to load the weights of the stage under way from, after a resume. */
    @Nullable
    Checkpoint restoreFrom;

    /** The rounds of the improvement itself. */
    List<Measurement> main() {
        return rounds.getOrDefault(Control.NONE.key(), List.of());
    }

    static RunState fromCheckpoint(Checkpoint checkpoint) {
        JsonNode json = checkpoint.state();
        RunState state = new RunState();
        state.globalStep = json.get("global_step").asLong();
        state.numTokens = json.get("num_tokens").asLong();
        state.trainerStep = json.get("trainer_step").asLong();
        state.seconds = json.get("seconds").asDouble();
        if (json.has("before")) {
            state.before = Measurement.fromJson(json.get("before"));
        }
        for (Map.Entry<String, JsonNode> stage : json.get("rounds").properties()) {
            state.rounds.put(
                    stage.getKey(),
                    new ArrayList<>(stage.getValue()
                            .valueStream()
                            .map(Measurement::fromJson)
                            .toList()));
        }
        state.restoreFrom = checkpoint;
        return state;
    }

    ObjectNode toJson() {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("global_step", globalStep).put("num_tokens", numTokens).put("trainer_step", trainerStep);
        json.put("seconds", seconds);
        if (before != null) {
            json.set("before", before.toJson());
        }
        ObjectNode stages = json.putObject("rounds");
        rounds.forEach((key, list) -> {
            ArrayNode array = stages.putArray(key);
            list.forEach(m -> array.add(m.toJson()));
        });
        return json;
    }
}
