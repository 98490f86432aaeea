package dev.isthmus.model.chat;

import dev.isthmus.tensor.IsthmusException;

/** A chat template that cannot be read, fails on a conversation, or rejects it. */
public final class TemplateException extends IsthmusException {
    private static final int MAX_MESSAGE = 600;

    private static final long serialVersionUID = 1;

    private final boolean rejection;

    TemplateException(String message) {
        this(message, false);
    }

    private TemplateException(String message, boolean rejection) {
        // A template can make a message of any length.
        super(message.length() <= MAX_MESSAGE ? message : message.substring(0, MAX_MESSAGE) + "...");
        this.rejection = rejection;
    }

    /** What a template says when it calls {@code raise_exception}. */
    static TemplateException rejection(String message) {
        return new TemplateException(message, true);
    }

    /** Whether the template itself rejected the conversation; the message is the template's own. */
    public boolean isRejection() {
        return rejection;
    }

    /** This with the line of the template where it happened, if it is not known yet. */
    TemplateException at(int line) {
        String message = String.valueOf(getMessage());
        return rejection || message.startsWith("line ") ? this : new TemplateException("line " + line + ": " + message);
    }
}
