package dev.isthmus.rl.improve;

import dev.isthmus.rl.eval.Bootstrap;
import dev.isthmus.rl.eval.Interval;
import dev.isthmus.rl.recipe.Recipe;
import dev.isthmus.rl.task.Problem;
import dev.isthmus.tensor.Rng;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** What {@code summary.json} says of a run; all of it but the seconds is a function of recipe and seed. */
final class Summary {
    private Summary() {}

    static ObjectNode of(Recipe recipe, RunState state, List<Problem> heldOut, double seconds) {
        Measurement before = Objects.requireNonNull(state.before);
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("recipe", recipe.name()).put("seed", recipe.seed()).put("seconds", seconds);
        json.set("before", before.figures());
        List<Measurement> main = state.main();
        json.set("after", main.getLast().figures());
        put(json, gain(before, main.getLast()));
        ArrayNode rounds = json.putArray("rounds");
        main.forEach(m -> rounds.add(m.figures()));
        ObjectNode controls = json.putObject("controls");
        for (Map.Entry<String, List<Measurement>> stage : state.rounds.entrySet()) {
            if (!stage.getKey().equals(Control.NONE.key())) {
                ObjectNode control = controls.putObject(stage.getKey());
                control.set("after", stage.getValue().getLast().figures());
                put(control, gain(before, stage.getValue().getLast()));
                ArrayNode list = control.putArray("rounds");
                stage.getValue().forEach(m -> list.add(m.figures()));
            }
        }
        List<HeldOut.Part> parts = HeldOut.byDifficulty(heldOut, before, main.getLast());
        if (!parts.isEmpty()) {
            HeldOut.put(json, parts);
        }
        return json;
    }

    private static void put(ObjectNode json, Interval gain) {
        json.put("gain", gain.mean());
        json.putArray("gain_interval").add(gain.low()).add(gain.high());
    }

    /** The change of greedy accuracy, problem by problem. */
    static Interval gain(Measurement before, Measurement after) {
        return Bootstrap.difference(scores(before), scores(after), Rng.of(0).split("gain"));
    }

    private static double[] scores(Measurement m) {
        return m.solved().chars().mapToDouble(c -> c - '0').toArray();
    }
}
