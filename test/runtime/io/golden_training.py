#!/usr/bin/env python3
"""Writes golden_training.inc: the losses PyTorch gets for the programs of program_test.cpp, over the rows that
program_test.cpp writes. Run with a Python that has torch."""
import os

import torch
from torch.utils.data import DataLoader, TensorDataset


def cell(row, column):
    return ((row * 131 + column * 57 + row * row * column % 97) % 401 - 200) / 100


ROWS = 43


def table(columns):
    return torch.tensor([[cell(r, c) for c in range(columns)] for r in range(ROWS)], dtype=torch.float32)


labels = torch.tensor([(r * 7 + r // 3) % 4 for r in range(ROWS)])


def run(name, inputs, targets, out, optimizer, classes=False, shuffle=True, batch=4, test=0.2, epochs=3):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, out)
    criterion = torch.nn.CrossEntropyLoss() if classes else torch.nn.MSELoss()
    step = optimizer(model.parameters())
    held_out = int(len(inputs) * test)
    split = len(inputs) - held_out
    train = DataLoader(TensorDataset(inputs[:split], targets[:split]), batch_size=batch, shuffle=shuffle)
    rest = DataLoader(TensorDataset(inputs[split:], targets[split:]), batch_size=batch) if held_out else None
    values = []
    for _ in range(epochs):
        total = 0.0
        for x, y in train:
            step.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            step.step()
            total += loss.item()
        values.append(total / len(train))
        if rest is None:
            continue
        total, correct = 0.0, 0
        with torch.no_grad():
            for x, y in rest:
                output = model(x)
                total += criterion(output, y).item()
                correct += (output.argmax(-1) == y).sum().item() if classes else 0
        values.append(total / len(rest))
        if classes:
            values.append(correct / held_out)
    return f"const double {name}[] = {{{', '.join(map(repr, values))}}};"


adam = lambda parameters: torch.optim.Adam(parameters, lr=1e-2)
momentum = lambda parameters: torch.optim.SGD(parameters, lr=1e-2, momentum=0.9)
sgd = lambda parameters: torch.optim.SGD(parameters, lr=1e-2)
six, four, three = table(6), table(4), table(3)
lines = [
    run("adam_losses", six[:, :3], six[:, 3:], 3, adam),
    run("adam_own_target", three, three, 3, adam),
    run("momentum_losses", six[:, :3], six[:, 3:], 3, momentum),
    run("regression_losses", four[:, :3], four[:, 3:], 1, sgd),
    run("classes_losses", three, labels, 4, adam, classes=True),
    run("in_order_losses", six[:, :3], six[:, 3:], 3, adam, shuffle=False, batch=64),
]
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "golden_training.inc"), "w") as out:
    out.write(f"// Written by golden_training.py with PyTorch {torch.__version__}. Do not edit.\n// clang-format off\n")
    out.write("\n".join(lines) + "\n")
