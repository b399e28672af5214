#!/usr/bin/env python3
"""Writes optimizer_golden.inc and scalar_golden.inc: what torch computes, for the tests of the kernels.

Run from this folder with a Python that has torch; the two files are committed, so that no test needs torch.
Gradients are random, but the third step's are partly zero: moments of dead units.
"""
import numpy
import torch
import torch.nn.functional as F

COUNT = 37
STEPS = 3


def literal(value):
    value = float(numpy.float32(value))
    return "NAN" if value != value else value.hex() + "f"


def array(name, values):
    rows = [", ".join(literal(v) for v in values[i : i + 4]) for i in range(0, len(values), 4)]
    return f"const float {name}[] = {{\n    " + ",\n    ".join(rows) + "};\n"


def gradients(generator):
    steps = [torch.randn(COUNT, generator=generator) * 0.1 for _ in range(STEPS)]
    steps[2][::5] = 0
    return steps


def optimizers(out):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(COUNT, generator=generator)
    steps = gradients(generator)
    out.write(array("start", start.tolist()))
    for i, step in enumerate(steps):
        out.write(array(f"gradient{i + 1}", step.tolist()))
    cases = {
        "sgd_plain": (torch.optim.SGD, dict(lr=0.05)),
        "sgd_decay": (torch.optim.SGD, dict(lr=0.05, weight_decay=0.01)),
        "sgd_momentum": (torch.optim.SGD, dict(lr=0.05, momentum=0.9)),
        "sgd_momentum_decay": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.01)),
        "adam_plain": (torch.optim.Adam, dict(lr=1e-3)),
        "adam_decay": (torch.optim.Adam, dict(lr=3e-3, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.02)),
        "adamw_plain": (torch.optim.AdamW, dict(lr=1e-3)),
        "adamw_other": (torch.optim.AdamW, dict(lr=2e-3, betas=(0.7, 0.95), eps=1e-7, weight_decay=0.1)),
    }
    for name, (kind, arguments) in cases.items():
        parameter = start.clone().requires_grad_()
        optimizer = kind([parameter], **arguments)
        for step in steps:
            parameter.grad = step.clone()
            optimizer.step()
        out.write(array(name, parameter.detach().tolist()))


def scalars(out):
    x = torch.linspace(-6, 6, 61)
    p = torch.linspace(0, 1, 21)
    t = torch.linspace(1, 0, 21).round()
    t[::3] = 0.25
    out.write(array("x_values", x.tolist()))
    functions = {
        "relu": F.relu,
        "leaky_relu": lambda v: F.leaky_relu(v, 0.01),
        "gelu": F.gelu,
        "gelu_tanh": lambda v: F.gelu(v, approximate="tanh"),
        "silu": F.silu,
        "sigmoid": torch.sigmoid,
        "clamp": lambda v: torch.clamp(v, -0.5, 2),
        "rsqrt": torch.rsqrt,
    }
    for name, function in functions.items():
        v = x.clone().requires_grad_()
        y = function(v)
        out.write(array(f"expected_{name}", y.detach().tolist()))
        if name in ("gelu", "gelu_tanh", "silu"):
            y.sum().backward()
            out.write(array(f"expected_{name}_derivative", v.grad.tolist()))
    for exponent, name in ((2, "2"), (3, "3"), (0.5, "half"), (-0.5, "minus_half"), (-1, "minus_1"), (-2, "minus_2"), (1.7, "1_7")):
        out.write(array(f"expected_pow_{name}", torch.pow(x, exponent).tolist()))
    v = p.clone().requires_grad_()
    y = F.binary_cross_entropy(v, t, reduction="none")
    y.sum().backward()
    out.write(array("probabilities", p.tolist()))
    out.write(array("targets", t.tolist()))
    out.write(array("expected_binary_cross_entropy", y.detach().tolist()))
    out.write(array("expected_binary_cross_entropy_derivative", v.grad.tolist()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, write in (("optimizer_golden.inc", optimizers), ("scalar_golden.inc", scalars)):
        with open(name, "w") as out:
            out.write(f"// Written by make_golden.py with torch {torch.__version__}.\n")
            write(out)
