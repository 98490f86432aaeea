"""Does in PyTorch what the benchmarks of Isthmus do.

Says who it is, then answers each line of standard input, the fields of a figure, with {"median": seconds, "best": seconds} of a
run, or {} where it has nothing to compare. By hand:

    echo '{"bench": "gemm", "op": "NN", "m": 1024, "n": 1024, "k": 1024, "threads": 2,
           "warmup": 0.3, "window": 0.06, "windows": 9, "limit": 8}' | tr -d '\\n' | python3 torch_peer.py
"""

import copy
import json
import math
import random
import sys
import time

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError as e:
    print(json.dumps({"missing": str(e)}), flush=True)
    sys.exit()


def measure(q, run):
    """The windows of Measurement.java: warmed up until they no longer get faster, then the median and the best."""

    def window(runs):
        start = time.perf_counter()
        for _ in range(runs):
            run()
        return (time.perf_counter() - start) / runs

    def runs(seconds):
        return max(1, int(q["window"] / seconds))

    once = window(1)
    spent, before, last = once, math.inf, []
    while spent < q["limit"]:
        n = runs(once)
        once = window(n)
        spent += once * n
        last.append(once)
        if len(last) == 3:
            now, last = min(last), []
            if spent >= q["warmup"] and now > 0.98 * before:
                break
            before = min(before, now)
    n, times, measured = runs(once), [], 0
    while len(times) < q["windows"] and (len(times) < 3 or measured < q["limit"]):
        times.append(window(n))
        measured += times[-1] * n
    times.sort()
    return {"median": times[len(times) // 2], "best": times[0]}


# ---- matrix products and attention --------------------------------------------------------------------------------


def gemm(q):
    m, n, k = q["m"], q["n"], q["k"]
    a = torch.randn(k, m).t() if q["op"][0] == "T" else torch.randn(m, k)
    b = torch.randn(n, k).t() if q["op"][1] == "T" else torch.randn(k, n)
    c = torch.empty(m, n)
    with torch.no_grad():
        return measure(q, lambda: torch.mm(a, b, out=c))


def kernels(q):
    if q["op"] not in ("attention", "attention_backward"):
        return {}
    shape = q["batch"], q["heads"], q["length"], q["head_dim"]
    query, key, value = (torch.randn(shape, requires_grad=True) for _ in range(3))
    if q["op"] == "attention":
        with torch.no_grad():
            return measure(q, lambda: F.scaled_dot_product_attention(query, key, value, is_causal=True))
    out = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    dout = torch.randn(shape)
    return measure(q, lambda: torch.autograd.grad(out, (query, key, value), dout, retain_graph=True))


# ---- training steps and rollouts ----------------------------------------------------------------------------------


class Attention(nn.Module):
    def __init__(self, width, heads, bias):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, x, start, rotate, cache):
        b, t, c = x.shape
        q, k, v = (p.view(b, t, self.heads, c // self.heads).transpose(1, 2) for p in self.qkv(x).split(c, 2))
        if rotate is not None:
            cos, sin = (r[start : start + t] for r in rotate)
            q, k = rotary(q, cos, sin), rotary(k, cos, sin)
        if cache is not None:
            keys, values = cache
            keys[:, :, start : start + t] = k
            values[:, :, start : start + t] = v
            k, v = keys[:, :, : start + t], values[:, :, : start + t]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=t > 1)
        return self.out(y.transpose(1, 2).reshape(b, t, c))


def rotary(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class SwiGlu(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.inner = inner
        self.up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        gate, up = self.up(x).split(self.inner, 2)
        return self.down(F.silu(gate) * up)


class GeluMlp(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)

    def forward(self, x):
        return self.down(F.gelu(self.up(x), approximate="tanh"))


class Decoder(nn.Module):
    """Llama style with rotary positions, RMSNorm and SwiGLU, or GPT-2 style; the head is the embedding."""

    def __init__(self, q):
        super().__init__()
        width, heads, layers, llama = q["hidden_size"], q["heads"], q["layers"], q["style"] == "llama"
        norm = (lambda: nn.RMSNorm(width, 1e-5)) if llama else (lambda: nn.LayerNorm(width))
        mlp = SwiGlu if llama else GeluMlp
        self.tokens = nn.Embedding(q["vocab_size"], width)
        self.positions = None if llama else nn.Embedding(q["max_position_embeddings"], width)
        self.norms = nn.ModuleList(norm() for _ in range(2 * layers + 1))
        self.attention = nn.ModuleList(Attention(width, heads, not llama) for _ in range(layers))
        self.mlp = nn.ModuleList(mlp(width, q["intermediate_size"]) for _ in range(layers))
        half = width // heads // 2
        angles = torch.outer(torch.arange(q["max_position_embeddings"]), 10000 ** (-torch.arange(half) / half))
        self.rotate = (angles.cos(), angles.sin()) if llama else None
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids, start=0, caches=None):
        """Logits; with caches, of tokens that stand behind `start` others."""
        h = self.tokens(ids)
        if self.positions is not None:
            h = h + self.positions(torch.arange(start, start + ids.shape[1]))
        for i, (attention, mlp) in enumerate(zip(self.attention, self.mlp)):
            h = h + attention(self.norms[2 * i](h), start, self.rotate, caches and caches[i])
            h = h + mlp(self.norms[2 * i + 1](h))
        return F.linear(self.norms[-1](h), self.tokens.weight)


def step(q):
    torch.manual_seed(1)
    model = Decoder(q)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0, fused=True)
    tokens = torch.randint(q["vocab_size"], (q["batch"], q["length"] + 1))
    ids, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].flatten()

    def run():
        loss = F.cross_entropy(model(ids).flatten(0, 1), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return measure(q, run)


def rollout(q):
    """A plain loop with a cache; prompts are read once for all of their samples."""
    torch.manual_seed(1)
    model = Decoder(q)
    prompts = torch.randint(q["vocab_size"], (q["prompts"], q["prompt_tokens"]))
    end = q["prompt_tokens"] + q["length"]
    head = q["hidden_size"] // q["heads"]

    def caches(rows):
        return [tuple(torch.zeros(rows, q["heads"], end, head) for _ in range(2)) for _ in range(q["layers"])]

    @torch.inference_mode()
    def run():
        read = caches(q["prompts"])
        logits = model(prompts, 0, read)[:, -1].repeat_interleave(q["samples"], 0)
        written = [tuple(c.repeat_interleave(q["samples"], 0) for c in layer) for layer in read]
        for at in range(q["prompt_tokens"], end):
            log_probs = logits.log_softmax(-1)
            ids = torch.multinomial(log_probs.exp(), 1)
            log_probs.gather(1, ids)
            if at + 1 < end:
                logits = model(ids, at, written)[:, -1]

    return measure(q, run)


def rl(q):
    return grpo(q) if q["method"] == "grpo" else dpo(q)


def trained(q):
    model = Decoder(q)
    return model, torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0, fused=True)


def update(model, optimizer, loss):
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def log_probs(model, ids, prompt, entropy=False):
    """Of the tokens behind the prompt, [B, T], and the entropy of their distributions."""
    logits = model(ids[:, :-1])[:, prompt - 1 :]
    all_words = logits.log_softmax(-1)
    picked = all_words.gather(2, ids[:, prompt:, None]).squeeze(2)
    with torch.no_grad():
        return picked, -(all_words.exp() * all_words).sum(-1) if entropy else None


def grpo(q):
    """A plain loop: sums of three digits, completions from a cache, digits that are right rewarded, one clipped update."""
    torch.manual_seed(1)
    model, optimizer = trained(q)
    reference = copy.deepcopy(model) if q["beta"] else None
    words = {c: i for i, c in enumerate("0123456789+=")}
    letters = "0123456789+=" + "?" * (q["vocab_size"] - 12)
    prompt, end, head = 8, 8 + q["length"], q["hidden_size"] // q["heads"]

    def caches(rows):
        return [tuple(torch.zeros(rows, q["heads"], end, head) for _ in range(2)) for _ in range(q["layers"])]

    @torch.inference_mode()
    def rollout(prompts):
        read = caches(len(prompts))
        logits = model(prompts, 0, read)[:, -1].repeat_interleave(q["samples"], 0)
        written = [tuple(c.repeat_interleave(q["samples"], 0) for c in layer) for layer in read]
        tokens, probs = [], []
        for at in range(prompt, end):
            log_p = logits.log_softmax(-1)
            ids = torch.multinomial(log_p.exp(), 1)
            tokens.append(ids)
            probs.append(log_p.gather(1, ids))
            if at + 1 < end:
                logits = model(ids, at, written)[:, -1]
        return torch.cat(tokens, 1), torch.cat(probs, 1)

    def run():
        sums = [(random.randint(100, 999), random.randint(100, 999)) for _ in range(q["prompts"])]
        prompts = torch.tensor([[words[c] for c in f"{a}+{b}="] for a, b in sums])
        tokens, old = (t.clone() for t in rollout(prompts))
        rewards = []
        for i, row in enumerate(tokens.tolist()):
            a, b = sums[i // q["samples"]]
            text, answer = "".join(letters[t] for t in row), str(a + b)
            rewards.append((text == answer) + sum(x == y for x, y in zip(text, answer)))
        groups = torch.tensor(rewards, dtype=torch.float32).view(-1, q["samples"])
        advantages = (groups - groups.mean(1, True)) / (groups.std(1, keepdim=True) + 1e-4)
        advantages = advantages.view(-1, 1)
        ids = torch.cat((prompts.repeat_interleave(q["samples"], 0), tokens), 1)
        if reference is not None:
            with torch.no_grad():
                ref = log_probs(reference, ids, prompt)[0]
        logps, _ = log_probs(model, ids, prompt, entropy=True)
        ratio = (logps - old).exp()
        loss = -torch.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
        if reference is not None:
            loss = loss + q["beta"] * ((ref - logps).exp() - (ref - logps) - 1)
        return update(model, optimizer, loss.mean())

    return measure(q, run)


def dpo(q):
    """Both completions of all pairs in one pass; the reference's log-probabilities are known."""
    torch.manual_seed(1)
    model, optimizer = trained(q)
    prompts = torch.randint(q["vocab_size"], (q["batch"], q["prompt_tokens"])).repeat(2, 1)
    ids = torch.cat((prompts, torch.randint(q["vocab_size"], (2 * q["batch"], q["length"]))), 1)
    reference = torch.randn(q["batch"])

    def run():
        chosen, rejected = log_probs(model, ids, q["prompt_tokens"])[0].sum(1).chunk(2)
        return update(model, optimizer, -F.logsigmoid(0.1 * (chosen - rejected - reference)).mean())

    return measure(q, run)


def main():
    print(json.dumps({"peer": "torch " + torch.__version__.split("+")[0]}), flush=True)
    does = {"gemm": gemm, "kernels": kernels, "step": step, "rollout": rollout, "rl": rl}
    for line in sys.stdin:
        q = json.loads(line)
        torch.set_num_threads(q["threads"])
        answer = does[q["bench"]](q) if q["bench"] in does else {}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
