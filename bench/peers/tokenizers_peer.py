"""Encodes with Hugging Face's tokenizers what `bench tokenize` encodes: one text, on one thread.

Says who it is, then answers each line of standard input, the fields of a figure, with {"median": seconds, "best": seconds}, or {} where
there is no tokenizer.json.
"""

import json
import os
import statistics
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
try:
    import tokenizers
except ImportError as e:
    print(json.dumps({"missing": str(e)}), flush=True)
    sys.exit()


def tokenize(q):
    path = q["tokenizer"] + "/tokenizer.json"
    if not os.path.exists(path):
        return {}
    tokenizer = tokenizers.Tokenizer.from_file(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    with open(q["text"], encoding="utf-8", newline="") as file:
        text = file.read()
    times, begun = [], time.perf_counter()
    while len(times) < 3 or len(times) < q["windows"] and time.perf_counter() - begun < q["limit"]:
        start = time.perf_counter()
        tokenizer.encode(text, add_special_tokens=False)
        times.append(time.perf_counter() - start)
    return {"median": statistics.median(times), "best": min(times)}


print(json.dumps({"peer": "tokenizers " + tokenizers.__version__}), flush=True)
for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps(tokenize(question) if question["bench"] == "tokenize" else {}), flush=True)
