/** Chat templates: conversations as the text that a model was trained to continue. */
@NullMarked
package dev.isthmus.model.chat;

import org.jspecify.annotations.NullMarked;
