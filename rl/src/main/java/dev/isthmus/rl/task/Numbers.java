package dev.isthmus.rl.task;

/** How numbers are written in prompts and answers. */
final class Numbers {
    private Numbers() {}

    /** Whether a text is a whole number as a task writes it: ASCII digits without a sign or a leading zero. */
    static boolean isWhole(String text) {
        if (text.isEmpty() || text.length() > 1 && text.charAt(0) == '0') {
            return false;
        }
        return text.chars().allMatch(c -> c >= '0' && c <= '9');
    }
}
