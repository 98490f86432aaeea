package dev.isthmus.app;

import static java.util.Map.entry;

import java.util.Map;
import java.util.Optional;

/** What stands for an option of TRL and transformers that no trainer has. */
final class TrlOptions {
    private static final String FLOAT32 =
            "weights, gradients and moments are float32; --dtype bfloat16 holds those under an adapter";
    private static final String QUANTIZED = "--dtype q8_0 or q4_0 holds the weights under an adapter (--peft lora)";
    private static final String ALWAYS = "metrics.jsonl and TensorBoard's files are always written to --out";
    private static final String SAMPLED_HERE = "the trainer samples by itself, with the log-probs that it trains";

    private static final Map<String, String> INSTEAD = Map.ofEntries(
            entry("--model-name-or-path", "it is --model here"),
            entry("--dataset-name", "it is --data here, files in JSON Lines"),
            entry("--dataset-path", "it is --data here, files in JSON Lines"),
            entry("--output-dir", "it is --out here"),
            entry("--resume-from-checkpoint", "it is --resume DIR here, with the directory of the run"),
            entry("--use-peft", "it is --peft lora here"),
            entry("--max-seq-length", "it is --max-length"),
            entry("--warmup-ratio", "it is --warmup-steps below 1"),
            entry("--eval-strategy", "--eval-steps says how often"),
            entry("--save-strategy", "--save-steps says how often"),
            entry("--logging-strategy", "--logging-steps says how often"),
            entry("--bf16", FLOAT32),
            entry("--fp16", FLOAT32),
            entry("--load-in-8bit", QUANTIZED),
            entry("--load-in-4bit", QUANTIZED),
            entry("--report-to", ALWAYS),
            entry("--logging-dir", ALWAYS),
            entry("--use-vllm", SAMPLED_HERE));

    private TrlOptions() {}

    /** Advice to who has given {@code option}, such as {@code --output-dir}; empty if TRL has no such option, either. */
    static Optional<String> instead(String option) {
        return Optional.ofNullable(INSTEAD.get(option));
    }
}
