#!/usr/bin/python3
"""Trains the golden programs in PyTorch and writes what they gave to <name>.json, beside their .mp files.

Needs PyTorch (Debian's python3-torch will do); nothing that is built or tested does. Run it from anywhere:

  make_golden.py [name ...]     all programs, or these
  make_golden.py --data         writes data/*.csv again, which are made up

A file holds, of a run on one thread:

  weights           of every parameter and buffer before training: SHA-256 of its little-endian f32 or i32 bytes, or, for
                    the few drawn by `normal`, all values or 64 of them at `indices`
  batch_losses      the first 20 batches' losses, or as many as the program says
  stable_batches    how many of these PyTorch itself gets to 1e-6 when its linear and convolutional layers are computed in double
  gradients         of every parameter in the first step that is not skipped: its norm, and all values or 64 of them at `indices`;
                    `double`: the norm of the difference to the same in double, over its norm
  skipped           steps an epoch, where the loss is scaled
  epochs            [train loss] or [train loss, test loss] or [train loss, test loss, accuracy] an epoch
  loss_tolerance, gradient_tolerance    where compare.py's are too strict
  buffers           the values of every buffer after training
  stable_epochs     the last epoch up to which PyTorch agrees with itself to 1e-6 when these layers are in double
"""

import argparse
import fnmatch
import hashlib
import json
import math
import os
import random
import sys
import tempfile
from fractions import Fraction

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)
import models

SAMPLED = 64
WHOLE = 256  # tensors of up to so many elements are written whole
AGREES = 1e-6

LOSSES = {"mse": nn.MSELoss, "l1": nn.L1Loss, "bce": nn.BCELoss, "cross_entropy": nn.CrossEntropyLoss,
          "huber": lambda: nn.HuberLoss(delta=0.25), "squares": lambda: nn.MSELoss(reduction="sum")}


class LossScale:
    """What torch.cuda.amp.GradScaler does with its defaults; it needs a GPU."""

    def __init__(self, scales):
        self.scales, self.scale, self.good_steps = scales, 65536.0 if scales else 1.0, 0

    def unscale(self, model):
        """Whether the step is to be taken: all gradients are finite."""
        finite = all(bool(value.grad.isfinite().all()) for value in model.parameters())
        for value in model.parameters():
            value.grad /= self.scale
        self.good_steps = self.good_steps + 1 if finite else 0
        if not self.scales:
            return True
        if not finite:
            self.scale *= 0.5
        elif self.good_steps == 2000:
            self.scale, self.good_steps = self.scale * 2, 0
        return finite


def shortest(value):
    """A float that prints as the shortest decimal that is this f32."""
    return float(str(np.float32(value)))


def require_nearest(text, value):
    """The f32 nearest to the decimal: by way of a double it could be rounded twice."""
    exact, value = Fraction(text), np.float32(value)
    for other in (np.nextafter(value, np.float32(np.inf)), np.nextafter(value, np.float32(-np.inf))):
        assert abs(Fraction(float(value)) - exact) <= abs(Fraction(float(other)) - exact), text


def read_csv(path):
    """Rows of f32; a first line with a field that is no number is a header."""
    with open(os.path.join(FOLDER, path)) as file:
        rows = [line.strip().split(",") for line in file]
    try:
        [float(field) for field in rows[0]]
    except ValueError:
        rows = rows[1:]
    for field in {field for row in rows for field in row}:
        require_nearest(field, float(field))
    return torch.tensor(np.array([[float(field) for field in row] for row in rows], dtype=np.float32))


def read_rows(program, path):
    """Rows of a table, or of a text: a window of bytes and the byte after it."""
    if not path.endswith(".txt"):
        return read_csv(path)
    with open(os.path.join(FOLDER, path), "rb") as file:
        tokens = torch.tensor(list(file.read()))
    count = (len(tokens) - 1) // program.inputs
    return torch.stack([tokens[i * program.inputs:(i + 1) * program.inputs + 1] for i in range(count)])


def tensors(program, rows):
    """Inputs and targets; a file with only the inputs is its own target, a text's are the next bytes."""
    if rows.dtype == torch.int64:
        return TensorDataset(rows[:, :-1], rows[:, 1:])
    x, y = rows[:, :program.inputs], rows[:, program.inputs:]
    if y.shape[1] == 0:
        y = x
    if program.integers:
        x = x.long()
    return TensorDataset(x, y[:, 0].long() if program.loss == "cross_entropy" else y)


def cut(program, x, y):
    """The parts of a batch that go through the model one by one, and which replica's each is: those of replicas,
    each cut into microbatches, the first ones a row longer."""
    shares = min(program.replicas, len(x))
    for replica, (own, targets) in enumerate(zip(x.tensor_split(shares), y.tensor_split(shares))):
        parts = min(program.microbatches, len(own))
        for part, target in zip(own.tensor_split(parts), targets.tensor_split(parts)):
            yield replica, part, target


def go_back(program, model, criterion, x, y, scale=1.0):
    """Sums the gradients of the batch's mean loss, and returns that. Each part's own graph goes back before the next goes
    forward; of the losses, which are means, each counts as much as it has rows. Buffers are those of the first replica, which
    the others begin a step with, as DistributedDataParallel has it."""
    loss, buffers, current = 0, dict(model.named_buffers()), 0
    begin = {name: value.clone() for name, value in buffers.items()}
    first = {}
    for replica, part, target in cut(program, x, y):
        if replica != current:
            if replica == 1:
                first = {name: value.clone() for name, value in buffers.items()}
            for name, value in buffers.items():
                value.copy_(begin[name])
            current = replica
        share = criterion(model(part), target) * (len(part) / len(x))
        (share * scale).backward()
        loss = loss + share.detach()
    for name, value in first.items():
        buffers[name].copy_(value)
    return loss


class DoubleProducts:
    """Computes what linear and convolutional layers call in double while it is entered."""

    def __enter__(self):
        self.functions = {name: getattr(F, name) for name in ("linear", "conv1d", "conv2d")}

        def in_double(function):
            def compute(x, weight, bias=None, *others):
                return function(x.double(), weight.double(), None if bias is None else bias.double(), *others).float()

            return compute

        for name, function in self.functions.items():
            setattr(F, name, in_double(function))

    def __exit__(self, *_):
        for name, function in self.functions.items():
            setattr(F, name, function)


def make_optimizer(program, model):
    """What one of the patterns matches is a group of its own, without weight decay."""
    if not program.no_weight_decay:
        return program.optimizer(model.parameters())
    matched, others = [], []
    for name, parameter in model.named_parameters():
        is_matched = any(fnmatch.fnmatchcase(name, pattern) for pattern in program.no_weight_decay)
        (matched if is_matched else others).append(parameter)
    return program.optimizer([{"params": others}, {"params": matched, "weight_decay": 0.0}])


def criterion_of(program):
    def criterion(output, y):
        # Classes are in the last dimension; torch wants them in the second.
        if program.loss == "cross_entropy" and output.dim() > 2:
            output = output.movedim(-1, 1)
        return LOSSES[program.loss]()(output, y)

    return criterion


def train(program):
    """Trains, in as many processes as the program says. Returns what `train_alone` does."""
    if program.processes == 1:
        return train_alone(program)
    with tempfile.TemporaryDirectory() as folder:
        # Forked, so that products are in double there where they are here.
        torch.multiprocessing.start_processes(train_beside, (program, folder), program.processes, start_method="fork")
        return torch.load(os.path.join(folder, "result"))


def train_beside(rank, program, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=program.processes)
    result = train_alone(program, rank)
    if rank == 0:
        torch.save(result, os.path.join(folder, "result"))
    torch.distributed.barrier()


def train_alone(program, rank=0):
    """Trains as the article's loop does; one of several processes has its part of every batch. Returns weights, batch
    losses, gradients of the first step that is taken, epoch lines, buffers, skipped steps an epoch."""
    torch.manual_seed(program.seed)
    model = program.model()
    trained = nn.parallel.DistributedDataParallel(model) if program.processes > 1 else model
    # A tied one under each of its names.
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    rows = read_rows(program, program.data)
    test_count = int(len(rows) * program.test)
    train_rows = rows[:len(rows) - test_count]
    test_rows = read_csv(program.test_data) if program.test_data else rows[len(rows) - test_count:]
    train_loader = DataLoader(tensors(program, train_rows), batch_size=program.batch, shuffle=program.shuffle)
    test_loader = DataLoader(tensors(program, test_rows), batch_size=program.batch, shuffle=False)
    criterion = criterion_of(program)
    optimizer = make_optimizer(program, model)
    rate = program.lr_schedule(optimizer, program.epochs * len(train_loader)) if program.lr_schedule else None
    step = 0
    scale, skipped = LossScale(program.scales_loss), []
    batch_losses, gradients, first, epochs = [], None, None, []
    for _ in range(program.epochs):
        model.train()
        skipped.append(0)
        losses = []
        for x, y in train_loader:
            optimizer.zero_grad()
            assert len(x) % program.processes == 0  # the mean of their means is that of the batch only then
            own, own_target = x.chunk(program.processes)[rank], y.chunk(program.processes)[rank]
            loss = go_back(program, trained, criterion, own, own_target, scale.scale)
            if program.processes > 1:
                torch.distributed.all_reduce(loss)
                loss /= program.processes
            taken = scale.unscale(model)
            skipped[-1] += not taken
            if gradients is None and taken:
                gradients = {name: value.grad.clone() for name, value in model.named_parameters()}
                first = x, y
            if program.clip_norm:
                torch.nn.utils.clip_grad_norm_(model.parameters(), program.clip_norm)
            if rate:
                for group in optimizer.param_groups:
                    group["lr"] = rate(step)
            step += 1
            if taken:
                optimizer.step()
            losses.append(loss.item())
        batch_losses += losses
        line = [sum(losses) / len(losses)]
        if len(test_rows) > 0:
            model.eval()
            losses, correct, positions = [], 0, 0
            with torch.no_grad():
                for x, y in test_loader:
                    output = model(x)
                    losses.append(criterion(output, y).item())
                    if program.loss == "cross_entropy":
                        correct += (output.argmax(dim=-1) == y).sum().item()
                        positions += y.numel()
            line.append(sum(losses) / len(losses))
            if program.loss == "cross_entropy":
                line.append(correct / positions)
        epochs.append(line)
    return weights, batch_losses[:program.batches], gradients, first, epochs, dict(model.named_buffers()), skipped


def double_gradients(program, weights, x, y):
    """The gradients of the first step, all of it in double."""
    torch.manual_seed(program.seed)
    model = program.model().double()
    model.load_state_dict({name: value.double() for name, value in weights.items()}, strict=False)
    if y.dtype == torch.float32:
        y = y.double()
    go_back(program, model, criterion_of(program), x if program.integers else x.double(), y)
    return {name: value.grad for name, value in model.named_parameters()}


def agree(a, b):
    return all(abs(p - q) <= AGREES * abs(q) for p, q in zip(a, b))


def stable(these, those):
    """How many entries from the first on agree."""
    count = 0
    while count < len(these) and agree(these[count], those[count]):
        count += 1
    return count


def describe_gradient(name, gradient, exact):
    values = gradient.flatten().numpy()
    norm = float(exact.norm())
    entry = {"shape": list(gradient.shape), "norm": float(gradient.double().norm()),
             "double": float("%.2g" % (float((gradient.double() - exact).norm()) / norm if norm else 0))}
    if len(values) > WHOLE:
        entry["indices"] = sorted(random.Random(name).sample(range(len(values)), SAMPLED))
        values = values[entry["indices"]]
    entry["values"] = [shortest(value) for value in values]
    return entry


def golden(name):
    program = models.PROGRAMS[name]()
    weights, batch_losses, gradients, first, epochs, buffers, skipped = train(program)
    with DoubleProducts():
        other = train(program)
    exact = double_gradients(program, weights, *first)
    result = {
        "torch": torch.__version__,
        "loss": program.loss,
        "weights": {},
        "batch_losses": [shortest(value) for value in batch_losses],
        "stable_batches": stable([[value] for value in batch_losses], [[value] for value in other[1]]),
        "gradients": {key: describe_gradient(key, value, exact[key]) for key, value in gradients.items()},
        "epochs": epochs,
        # Accuracy is a count: a row on the border may fall to either side.
        "stable_epochs": stable([line[:2] for line in epochs], [line[:2] for line in other[4]]),
    }
    for key, value in weights.items():
        drawn_normal = key in models.DRAWN_NORMAL.get(name, ())
        data = value.numpy().astype("<f4" if value.is_floating_point() else "<i4")
        if not drawn_normal:
            result["weights"][key] = hashlib.sha256(data.tobytes()).hexdigest()
        elif data.size <= WHOLE:
            result["weights"][key] = [shortest(v) for v in data.flatten()]
        else:
            indices = sorted(random.Random(key).sample(range(data.size), SAMPLED))
            result["weights"][key] = {"indices": indices, "values": [shortest(data.flatten()[i]) for i in indices]}
    if buffers:
        result["buffers"] = {key: {"dtype": "F32" if value.is_floating_point() else "I32", "shape": list(value.shape),
                                   "values": [shortest(v) for v in value.flatten().tolist()]}
                             for key, value in buffers.items()}
    if program.scales_loss:
        result["skipped"] = skipped
    for key in ("loss_tolerance", "gradient_tolerance"):
        if getattr(program, key):
            result[key] = getattr(program, key)
    if program.loss_tolerance:
        result["stable_batches"], result["stable_epochs"] = len(batch_losses), len(epochs)
    path = os.path.join(FOLDER, name + ".json")
    text = json.dumps(result, indent=1)
    # One line for each list of numbers.
    with open(path, "w") as file:
        file.write(join_lists(text) + "\n")
    worst = max(entry["double"] for entry in result["gradients"].values())
    print(f"{name}: {result['stable_batches']}/{len(batch_losses)} batches and {result['stable_epochs']}/{len(epochs)} "
          f"epochs stable, gradients to {worst}, last line {epochs[-1]}, {os.path.getsize(path)} bytes", flush=True)


def join_lists(text):
    """json.dumps with indent puts every number on its own line; lists of plain values are joined to one."""
    lines, result, inside = text.split("\n"), [], None
    for line in lines:
        if inside is None and line.endswith("["):
            inside = [line]
        elif inside is not None and line.endswith("["):
            result += inside
            inside = [line]
        elif inside is not None and line.strip().startswith("]"):
            result.append(inside[0] + " ".join(part.strip() for part in inside[1:]) + line.strip())
            inside = None
        elif inside is not None:
            inside.append(line)
        else:
            result.append(line)
    return "\n".join(result)


def write_data():
    """Small made-up data sets; numbers of few digits, some with exponents, two files with headers and three without."""
    generator = random.Random(1)
    uniform, normal = generator.uniform, generator.gauss

    def write(name, rows, header=None):
        with open(os.path.join(FOLDER, "data", name), "w") as file:
            if header:
                file.write(",".join(header) + "\n")
            for row in rows:
                file.write(",".join(row) + "\n")

    def plane(count):
        for _ in range(count):
            a, b, c = uniform(-1, 1), uniform(-1, 1), uniform(-1, 1)
            yield ["%.4f" % a, "%.3e" % b, "%.5g" % c, "%.4f" % (a + 2 * b * c + normal(0, 0.05)),
                   "%.4f" % (abs(a - b) - c + normal(0, 0.05))]

    def curves(count):
        for _ in range(count):
            phase, height = uniform(0, 2 * math.pi), uniform(0.2, 1)
            yield ["%.4f" % (height * math.sin(phase + i * math.pi / 3) + normal(0, 0.02)) for i in range(6)]

    def binary(count):
        for _ in range(count):
            row = [normal(0, 1) for _ in range(5)]
            yield ["%.3f" % value for value in row] + [str(int(row[0] * row[1] + row[2] + normal(0, 0.3) > 0))]

    def rings(count):
        for _ in range(count):
            kind, angle = generator.randrange(3), uniform(0, 2 * math.pi)
            radius = 0.3 + 0.5 * kind + normal(0, 0.08)
            yield ["%.4f" % (radius * math.cos(angle)), "%.4f" % (radius * math.sin(angle)), str(kind)]

    def words(count):
        # The sum of the first two words decides, the others seldom.
        for _ in range(count):
            row = [generator.randrange(20) for _ in range(4)]
            yield [str(word) for word in row] + [str((row[0] // 7 + row[1] // 7) % 3 if normal(0, 1) < 1.5 else row[3] % 3)]

    def mixed(count):
        for _ in range(count):
            a, b, c = uniform(-1, 1), uniform(-1, 1), uniform(-1, 1)
            k, j = generator.randrange(-3, 6), generator.randrange(4)
            yield ["%.3f" % a, "%.3f" % b, "%.3f" % c, str(k), str(j), "%.4f" % (a * k / 4 + normal(0, 0.05)),
                   "%.4f" % ((b if k > j else c) + 0.1 * (k % 2) + normal(0, 0.05))]

    write("plane.csv", plane(257))
    write("plane_test.csv", plane(61))
    write("curves.csv", curves(403))
    write("binary.csv", binary(517), ["a", "b", "c", "d", "e", "yes"])
    write("rings.csv", rings(450), ["x", "y", "ring"])
    write("words.csv", words(400))
    write("mixed.csv", mixed(411), ["a", "b", "c", "k", "j", "left", "right"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name")
    parser.add_argument("--data", action="store_true", help="write the made-up data sets")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(models.PROGRAMS)
    if unknown:
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    if arguments.data:
        write_data()
    else:
        for name in arguments.names or models.PROGRAMS:
            golden(name)


if __name__ == "__main__":
    main()
