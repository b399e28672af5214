#!/usr/bin/env python3
"""Writes golden_random.inc: what PyTorch draws, for random_test.cpp. Run with a Python that has torch; the head of the
file says which one made it. Floats are given by their bits, long draws by a checksum of theirs."""
import math
import os
import struct

import torch
from torch.utils.data import DataLoader, TensorDataset


def bits(tensor):
    return [struct.unpack("<I", struct.pack("<f", v))[0] for v in tensor.flatten().tolist()]


def checksum(words, width=4):
    """FNV-1a over the little-endian bytes."""
    value = 0xCBF29CE484222325
    for word in words:
        for byte in word.to_bytes(width, "little"):
            value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


lines = []


def array(kind, name, values, suffix=""):
    lines.append(f"const {kind} {name}[] = {{{', '.join(str(v) + suffix for v in values)}}};")


seeds = [0, 1, 42, 2**31, 2**32 - 1, 2**32, 2**32 + 7, 2**63, 2**64 - 1]
array("uint64_t", "seeds", seeds, "u")

first, sums, draws64 = [], [], []
for seed in seeds:
    torch.manual_seed(seed)
    values = bits(torch.rand(2000))
    first += values[:4]
    sums.append(checksum(values))
    torch.manual_seed(seed)
    draws64 += [torch.empty((), dtype=torch.int64).random_().item() for _ in range(3)]
array("uint32_t", "rand_first", first, "u")
array("uint64_t", "rand_checksum", sums, "u")
array("int64_t", "int64_draws", draws64)

bounds = [(-1.0, 1.0), (-0.28867513459481287, 0.28867513459481287), (0.1, 0.7), (3.0, 3.0), (-1e-3, 5.0)]
sums = []
for low, high in bounds:
    torch.manual_seed(5)
    sums.append(checksum(bits(torch.empty(777).uniform_(low, high))))
array("double", "uniform_bounds", [b for pair in bounds for b in pair])
array("uint64_t", "uniform_checksum", sums, "u")

# Counts around the border of 16 and with a tail, one after the other from one generator; a draw after each shows
# that exactly as many numbers were used.
counts = [1, 3, 15, 16, 17, 31, 32, 5, 100, 2, 1]
torch.manual_seed(11)
values, after = [], []
for count in counts:
    values += torch.empty(count).normal_(0.5, 2.0).flatten().tolist()
    after.append(torch.empty((), dtype=torch.int64).random_().item())
array("int64_t", "normal_counts", counts)
lines.append(f"const float normal_values[] = {{{', '.join(f'{v!r}' for v in values)}}};")
array("int64_t", "normal_after", after)

sizes = [1, 2, 3, 10, 1000, 70000]
sums = []
for size in sizes:
    torch.manual_seed(3)
    sums.append(checksum(torch.randperm(size).tolist(), 8))
array("int64_t", "permutation_sizes", sizes)
array("uint64_t", "permutation_checksum", sums, "u")

# Layers made in order, then an epoch loop over two loaders: the weights, the rows of every batch, the loaders' draws.
torch.manual_seed(7)
layers = [torch.nn.Linear(12, 20), torch.nn.Linear(20, 3, bias=False), torch.nn.Linear(3, 5)]
xavier = torch.nn.init.xavier_uniform_(torch.empty(9, 4))
array("uint64_t", "linear_checksum", [checksum(bits(p)) for l in layers for p in l.parameters()] + [checksum(bits(xavier))], "u")
train = TensorDataset(torch.arange(23))
test = TensorDataset(torch.arange(4))
for shuffle, name in ((True, "shuffled"), (False, "in_order")):
    train_loader = DataLoader(train, batch_size=5, shuffle=shuffle)
    test_loader = DataLoader(test, batch_size=5)
    rows = []
    for _ in range(3):
        for (batch,) in train_loader:
            rows += batch.tolist()
        for _ in test_loader:
            pass
    array("int64_t", f"rows_{name}", rows)
    array("int64_t", f"after_{name}", [torch.empty((), dtype=torch.int64).random_().item()])

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "golden_random.inc"), "w") as out:
    out.write(f"// Written by golden_random.py with PyTorch {torch.__version__}. Do not edit.\n// clang-format off\n")
    out.write("\n".join(lines) + "\n")
