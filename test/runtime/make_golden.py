#!/usr/bin/env python3
"""Writes optimizer_golden.inc, learning_rate_golden.inc and scalar_golden.inc: what torch computes, for the tests.

Run from this folder with a Python that has torch; the files are committed, so that no test needs torch.
Gradients are random, but the third step's are partly zero: moments of dead units.
"""
import numpy
import torch
import torch.nn.functional as F

COUNT = 37
STEPS = 3
UNDECAYED_FROM = 20  # of the values in two groups
SCALE = 0.625  # of their gradients


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
        "sgd_dampening": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.01)),
        "sgd_nesterov": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, nesterov=True)),
        "sgd_nesterov_decay": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01)),
        "adagrad_plain": (torch.optim.Adagrad, dict()),
        "adagrad_other": (torch.optim.Adagrad, dict(lr=0.03, lr_decay=0.1, weight_decay=0.02,
                                                    initial_accumulator_value=0.1, eps=1e-6)),
        "rmsprop_plain": (torch.optim.RMSprop, dict()),
        "rmsprop_decay": (torch.optim.RMSprop, dict(lr=3e-3, alpha=0.9, eps=1e-6, weight_decay=0.02)),
        "rmsprop_momentum": (torch.optim.RMSprop, dict(lr=3e-3, momentum=0.9)),
        "rmsprop_centered": (torch.optim.RMSprop, dict(lr=3e-3, alpha=0.8, centered=True, eps=1e-3)),
        "rmsprop_all": (torch.optim.RMSprop, dict(lr=3e-3, alpha=0.8, centered=True, momentum=0.7, eps=1e-3,
                                                  weight_decay=0.02)),
        "adam_amsgrad": (torch.optim.Adam, dict(lr=3e-3, betas=(0.8, 0.9), weight_decay=0.02, amsgrad=True)),
        "adamw_amsgrad": (torch.optim.AdamW, dict(lr=3e-3, betas=(0.8, 0.9), amsgrad=True)),
        "adamw_other": (torch.optim.AdamW, dict(lr=2e-3, betas=(0.7, 0.95), eps=1e-7, weight_decay=0.1)),
    }
    for name, (kind, arguments) in cases.items():
        parameter = start.clone().requires_grad_()
        optimizer = kind([parameter], **arguments)
        for step in steps:
            parameter.grad = step.clone()
            optimizer.step()
        out.write(array(name, parameter.detach().tolist()))
    # The same values as two tensors, of which the second has no weight decay; gradients are clipped.
    for name, kind, arguments in (("groups_sgd", torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.1)),
                                  ("groups_adam", torch.optim.Adam, dict(lr=1e-3, weight_decay=0.1)),
                                  ("groups_adamw", torch.optim.AdamW, dict(lr=1e-3, weight_decay=0.1)),
                                  ("groups_adagrad", torch.optim.Adagrad, dict(lr=0.01, weight_decay=0.1)),
                                  ("groups_rmsprop", torch.optim.RMSprop, dict(lr=0.01, weight_decay=0.1))):
        parameters = [part.clone().requires_grad_() for part in start.split(UNDECAYED_FROM)]
        optimizer = kind([dict(params=parameters[:1]), dict(params=parameters[1:], weight_decay=0.0)], **arguments)
        for step in steps:
            for parameter, gradient in zip(parameters, step.split(UNDECAYED_FROM)):
                parameter.grad = gradient * SCALE
            optimizer.step()
        out.write(array(name, torch.cat(parameters).detach().tolist()))
    tensors = [torch.zeros(count, requires_grad=True) for count in (5, 4096, 9001)]
    scales, norms = [], []
    for maximum in (0.5, 1.0, 1e3):
        for tensor in tensors:
            tensor.grad = torch.arange(len(tensor)).sin() * 0.1
        before = tensors[0].grad[1].item()
        norms.append(torch.nn.utils.clip_grad_norm_(tensors, maximum).item())
        scales.append(tensors[0].grad[1].item() / before)
    out.write(array("clip_norms", norms))
    out.write(array("clip_scales", scales))


def learning_rates(out):
    """The closed forms of torch's schedulers, step by step; warm-up by LambdaLR."""
    def rates(schedule, lr, warmup, count, after):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
        scheduler = schedule(optimizer)
        warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: (epoch + 1) / warmup if warmup else 1.0)
        result = []
        for step in range(count):
            if step < warmup:
                warm.last_epoch = step
                warm._get_lr_called_within_step = True
                result.append(warm.get_lr()[0])
            else:
                scheduler.last_epoch = min(step - warmup, after)
                result.append(scheduler._get_closed_form_lr()[0])
        return result

    module = torch.optim.lr_scheduler
    never = 10**9
    cases = {
        "cosine": rates(lambda o: module.CosineAnnealingLR(o, 20), 1e-3, 0, 24, 20),
        "cosine_warm": rates(lambda o: module.CosineAnnealingLR(o, 37, eta_min=3e-5), 3e-3, 7, 48, 37),
        "linear": rates(lambda o: module.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=13), 0.1, 0, 16, 13),
        "linear_warm": rates(lambda o: module.LinearLR(o, start_factor=0.7, end_factor=0.05, total_iters=11), 0.3, 3,
                             18, 11),
        "steps": rates(lambda o: module.StepLR(o, 4, gamma=0.3), 0.02, 0, 20, never),
        "steps_warm": rates(lambda o: module.StepLR(o, 3), 0.02, 5, 20, never),
    }
    for name, values in cases.items():
        rows = ",\n    ".join(float(value).hex() for value in values)
        out.write(f"const double {name}[] = {{\n    {rows}}};\n")


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
    for name, write in (("optimizer_golden.inc", optimizers), ("learning_rate_golden.inc", learning_rates),
                        ("scalar_golden.inc", scalars)):
        with open(name, "w") as out:
            out.write(f"// Written by make_golden.py with torch {torch.__version__}.\n")
            write(out)
