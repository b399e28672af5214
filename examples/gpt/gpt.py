#!/usr/bin/env python3
"""The same model in PyTorch, by hand: prints the loss of each of the first steps, for comparison.

  gpt.py [--load init.safetensors] [--steps 200] [--gradients first.safetensors] [--threads N]

`gpt --epochs 0 --save init.safetensors` writes the weights that both may begin with. Needs PyTorch and NumPy, and nothing
else: safetensors are read and written here. Run it in this folder.
"""

import argparse
import json
import math
import struct

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

WIDTH, HEADS, LAYERS, CONTEXT, BATCH, TEST, SEED = 128, 4, 4, 128, 16, 0.05, 1


class Table(nn.Embedding):
    def reset_parameters(self):
        nn.init.normal_(self.weight, std=0.02)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(WIDTH, 3 * WIDTH)
        self.c_proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        batch, time, _ = x.shape
        q, k, v = (each.view(batch, time, HEADS, WIDTH // HEADS).transpose(1, 2) for each in self.c_attn(x).split(WIDTH, dim=-1))
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(-2, -1) / math.sqrt(WIDTH // HEADS)
            hidden = torch.ones(time, time, dtype=torch.bool).triu(1)
            y = F.softmax(scores.masked_fill(hidden, -math.inf), dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).reshape(batch, time, WIDTH))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_fc = nn.Linear(WIDTH, 4 * WIDTH)
        self.c_proj = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(WIDTH)
        self.attn = Attention()
        self.ln_2 = nn.LayerNorm(WIDTH)
        self.mlp = Mlp()

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Head(nn.Module):
    """A linear layer whose weight is the table's: it has none of its own, and draws none."""

    def __init__(self, table):
        super().__init__()
        self.weight = table.weight

    def forward(self, x):
        return F.linear(x, self.weight)


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = Table(256, WIDTH)
        self.wpe = Table(CONTEXT, WIDTH)
        self.h = nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = nn.LayerNorm(WIDTH)
        self.lm_head = Head(self.wte)

    def forward(self, text):
        x = self.wte(text) + self.wpe(torch.arange(text.shape[1], device=text.device))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def read_safetensors(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = torch.from_numpy(np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).copy())
    return tensors


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        values = tensor.detach().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def windows():
    """Rows of the text and the bytes that follow; the last rows are the test set."""
    text = np.fromfile("devils_dictionary.txt", dtype=np.uint8).astype(np.int64)
    rows = (len(text) - 1) // CONTEXT
    inputs = torch.from_numpy(text[:rows * CONTEXT].reshape(rows, CONTEXT))
    targets = torch.from_numpy(text[1:rows * CONTEXT + 1].reshape(rows, CONTEXT))
    train = rows - int(rows * TEST)
    return TensorDataset(inputs[:train], targets[:train]), TensorDataset(inputs[train:], targets[train:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--load")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--gradients")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(SEED)
    model = Gpt()
    if arguments.load:
        model.load_state_dict(read_safetensors(arguments.load), strict=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    train, test = windows()
    loader, test_loader = DataLoader(train, batch_size=BATCH, shuffle=True), DataLoader(test, batch_size=BATCH)
    step = 0
    while step < arguments.steps:
        for inputs, targets in loader:
            loss = F.cross_entropy(model(inputs).transpose(1, 2), targets)
            optimizer.zero_grad()
            loss.backward()
            if step == 0 and arguments.gradients:
                write_safetensors(arguments.gradients, {name: value.grad for name, value in model.named_parameters()})
            optimizer.step()
            print(float(str(np.float32(loss.item()))), flush=True)
            step += 1
            if step == arguments.steps:
                return
        # After an epoch the program evaluates. That changes no weight, but whoever begins to iterate over a loader draws
        # from the generator that orders the next epoch.
        iter(test_loader)


if __name__ == "__main__":
    main()
