package dev.isthmus.train.data;

import dev.isthmus.tensor.IsthmusException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A row of a dataset; what is wrong with it is said with its file, line and field.
 *
 * @param file its name
 * @param line counted from 1
 */
public record Row(String file, int line, ObjectNode json) {
    private static final int SHOWN = 200;

    /** Whether there is a field of this name. */
    public boolean has(String field) {
        return json.has(field);
    }

    /** The names of all fields, for a message. */
    public String fields() {
        return json.isEmpty() ? "nothing" : shortened(String.join(", ", json.propertyNames()));
    }

    /** The field, of whatever kind. */
    public JsonNode field(String name) {
        JsonNode value = json.get(name);
        if (value == null) {
            throw wrong("has no \"" + name + "\"");
        }
        return value;
    }

    /** The field, which must be a string. */
    public String string(String name) {
        JsonNode value = field(name);
        if (!value.isString()) {
            throw found(name, "a string", value);
        }
        return value.stringValue();
    }

    /** The field, which must be a finite number; {@code otherwise} if there is none. */
    public double number(String name, double otherwise) {
        JsonNode value = json.get(name);
        if (value == null) {
            return otherwise;
        }
        if (!value.isNumber() || !Double.isFinite(value.asDouble())) {
            throw found(name, "a number", value);
        }
        return value.asDouble();
    }

    /** The field, which must be true or false. */
    public boolean bool(String name) {
        return bool("\"" + name + "\"", field(name));
    }

    private boolean bool(String where, JsonNode value) {
        if (value.isBoolean()) {
            return value.booleanValue();
        }
        if (value.isInt() && (value.intValue() == 0 || value.intValue() == 1)) {
            return value.intValue() == 1;
        }
        throw wrong(where + " must be true or false, found " + shortened(value.toString()));
    }

    /** The field, which must be a list of strings. */
    public List<String> strings(String name) {
        List<String> strings = new ArrayList<>();
        for (JsonNode value : list(name)) {
            if (!value.isString()) {
                throw found(name + "[" + strings.size() + "]", "a string", value);
            }
            strings.add(value.stringValue());
        }
        return strings;
    }

    /** The field, which must be a list of true and false. */
    public boolean[] bools(String name) {
        JsonNode list = list(name);
        boolean[] values = new boolean[list.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = bool("\"" + name + "[" + i + "]\"", list.get(i));
        }
        return values;
    }

    private JsonNode list(String name) {
        JsonNode value = field(name);
        if (!value.isArray()) {
            throw found(name, "a list", value);
        }
        return value;
    }

    /** Whether the field holds a conversation rather than a string. */
    public boolean isConversation(String name) {
        JsonNode value = field(name);
        if (!value.isArray() && !value.isString()) {
            throw found(name, "a string or a conversation", value);
        }
        return value.isArray();
    }

    /** The field, which must be a conversation: a list of objects with a {@code role}. */
    public List<Map<String, @Nullable Object>> messages(String name) {
        List<Map<String, @Nullable Object>> messages = new ArrayList<>();
        for (JsonNode value : list(name)) {
            String where = name + "[" + messages.size() + "]";
            if (!value.isObject()) {
                throw found(where, "an object with role and content", value);
            }
            if (!value.path("role").isString()) {
                throw wrong("\"" + where + "\" has no \"role\"");
            }
            Map<String, @Nullable Object> message = new LinkedHashMap<>();
            for (Map.Entry<String, JsonNode> entry : value.properties()) {
                message.put(entry.getKey(), JsonMapper.shared().convertValue(entry.getValue(), Object.class));
            }
            messages.add(message);
        }
        if (messages.isEmpty()) {
            throw wrong("\"" + name + "\" is a conversation without messages");
        }
        return messages;
    }

    private IsthmusException found(String name, String expected, JsonNode value) {
        return wrong("\"" + name + "\" must be " + expected + ", found " + shortened(value.toString()));
    }

    /** What to throw: {@code problem} with file and line before it. */
    public IsthmusException wrong(String problem) {
        return new IsthmusException(file + ", line " + line + ": " + problem);
    }

    static String shortened(String text) {
        return text.length() <= SHOWN ? text : text.substring(0, SHOWN) + "...";
    }
}
