/** Checkpoint files in and out: Hugging Face directories (config.json, safetensors) and llama2.c files. */
@org.jspecify.annotations.NullMarked
package dev.isthmus.model.io;
