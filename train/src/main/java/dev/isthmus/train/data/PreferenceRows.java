package dev.isthmus.train.data;

import dev.isthmus.train.data.RowEncoder.Prompted;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Rows of a prompt with a better and a worse completion: {@code {"prompt", "chosen", "rejected"}}, or {@code {"chosen", "rejected"}}
 * whose common beginning is the prompt, as in TRL.
 */
public final class PreferenceRows {
    private PreferenceRows() {}

    /** The prompt with each completion. */
    public record Pair(Prompted chosen, Prompted rejected) {}

    /** Whether a row is of this kind. */
    public static boolean matches(Row row) {
        return row.has("chosen") || row.has("rejected");
    }

    /** The tokens of a row. */
    public static Pair read(Row row, RowEncoder encoder) {
        row.field("chosen");
        row.field("rejected");
        if (row.has("prompt")) {
            return new Pair(
                    encoder.promptCompletion(row, "prompt", "chosen"),
                    encoder.promptCompletion(row, "prompt", "rejected"));
        }
        boolean conversation = row.isConversation("chosen");
        if (row.isConversation("rejected") != conversation) {
            throw row.wrong("\"chosen\" and \"rejected\" must both be strings or both be conversations");
        }
        return conversation ? conversations(row, encoder) : texts(row, encoder);
    }

    private static Pair texts(Row row, RowEncoder encoder) {
        String chosen = row.string("chosen");
        String rejected = row.string("rejected");
        int shorter = Math.min(chosen.length(), rejected.length());
        int same = 0;
        while (same < shorter && chosen.charAt(same) == rejected.charAt(same)) {
            same++;
        }
        // TRL leaves a completion its space, and both a character where one is the beginning of the other.
        if (same == shorter || same > 0 && chosen.charAt(same - 1) == ' ') {
            same--;
        }
        if (same < 0) {
            throw row.wrong("\"chosen\" or \"rejected\" is empty");
        }
        String prompt = chosen.substring(0, same);
        return new Pair(
                encoder.text(row, "chosen", prompt, chosen.substring(same)),
                encoder.text(row, "rejected", prompt, rejected.substring(same)));
    }

    private static Pair conversations(Row row, RowEncoder encoder) {
        List<Map<String, @Nullable Object>> chosen = row.messages("chosen");
        List<Map<String, @Nullable Object>> rejected = row.messages("rejected");
        int shorter = Math.min(chosen.size(), rejected.size());
        int same = 0;
        while (same < shorter && chosen.get(same).equals(rejected.get(same))) {
            same++;
        }
        same = Math.min(same, shorter - 1);
        if (same == 0) {
            throw row.wrong("\"chosen\" and \"rejected\" have no common beginning that could be the prompt");
        }
        return new Pair(
                encoder.conversation(row, "chosen", chosen.subList(0, same), chosen.subList(same, chosen.size())),
                encoder.conversation(
                        row, "rejected", rejected.subList(0, same), rejected.subList(same, rejected.size())));
    }
}
