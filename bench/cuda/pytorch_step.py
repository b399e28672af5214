#!/usr/bin/env python3
"""Times training steps on a GPU in PyTorch. Prints a line of JSON a mode, as soon as it is known: the median of the steps in
microseconds, by CUDA events over runs of them, the most memory that PyTorch had allocated, in bytes, and the version; or why the
mode does not run.

  pytorch_step.py MODEL [--batch N] [--modes eager compile reduce-overhead] [--precision f32|tf32|bf16] [--seconds 3]

MODEL: `article` (eight linear layers, mse, Adam), `wide` (eight linear layers 8192 wide) or `gpt2` (124 million parameters,
1,024 tokens). PyTorch is given its best: fused optimisers, flash attention, parameters and batch on the GPU all the time;
`compile` and `reduce-overhead` compile forward, loss and backward, the latter as CUDA graphs. A step is what a loop does for a
batch: forward, loss, zero_grad, backward, the optimiser's step; the loss is not read.
"""

import argparse
import contextlib
import gc
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

MODES = ["eager", "compile", "reduce-overhead"]
ARTICLE = [12, 256, 128, 64, 8, 64, 128, 256, 12]


def chain(widths):
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.attn_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.mlp_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        rows, length, width = x.shape
        parts = self.c_attn(self.ln_1(x)).view(rows, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_proj(y.transpose(1, 2).reshape(rows, length, width))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, vocabulary=50257, context=1024, width=768, layers=12, heads=12):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        nn.init.normal_(self.wte.weight, std=0.02)
        nn.init.normal_(self.wpe.weight, std=0.02)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        for block in self.h:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)


def make(name, batch, device):
    """The model, its optimiser, its loss of (output, target), and a batch: all on the GPU."""
    torch.manual_seed(1)
    with torch.device(device):
        if name == "gpt2":
            model = Gpt2()
            optimizer = torch.optim.AdamW(model.parameters(), lr=6e-4, weight_decay=0.1, fused=True)
            x, y = torch.randint(50257, (batch, 1024)), torch.randint(50257, (batch, 1024))
            return model, optimizer, lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten()), x, y
        widths = ARTICLE if name == "article" else [8192] * 9
        model = chain(widths)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        return model, optimizer, F.mse_loss, torch.rand(batch, widths[0]), torch.rand(batch, widths[-1])


def time_mode(arguments, mode):
    """(microseconds a step, the most bytes)."""
    model, optimizer, criterion, x, y = make(arguments.model, arguments.batch, "cuda")

    def loss_of(x, y):
        half = arguments.precision == "bf16"
        with torch.autocast("cuda", torch.bfloat16) if half else contextlib.nullcontext():
            return criterion(model(x), y)

    if mode != "eager":
        loss_of = torch.compile(loss_of, mode=None if mode == "compile" else "reduce-overhead")

    def step():
        loss = loss_of(x, y)
        optimizer.zero_grad(set_to_none=mode != "reduce-overhead")
        loss.backward()
        optimizer.step()

    def run(steps):
        """Microseconds a step, of so many one after the other."""
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(steps):
            step()
        end.record()
        end.synchronize()
        return 1e3 * begin.elapsed_time(end) / steps

    for _ in range(5):
        step()
    steps = max(1, int(1e5 / run(3)))  # about a tenth of a second
    run(steps)
    times, until = [], time.perf_counter() + arguments.seconds
    while len(times) < 5 or time.perf_counter() < until:
        times.append(run(steps))
    return statistics.median(times), torch.cuda.max_memory_allocated()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=["article", "wide", "gpt2"])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--precision", choices=["f32", "tf32", "bf16"], default="f32")
    parser.add_argument("--seconds", type=float, default=3)
    arguments = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = arguments.precision == "tf32"
    for mode in arguments.modes:
        found = {"mode": mode, "torch": torch.__version__}
        try:
            step_us, found["bytes"] = time_mode(arguments, mode)
            found["step_us"] = round(step_us, 2)
        except Exception as error:  # out of memory, or what the compiler cannot do: the other modes may
            found["error"] = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        print(json.dumps(found), flush=True)
        # What the mode leaves behind counts for the next one otherwise.
        torch._dynamo.reset()
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    main()
