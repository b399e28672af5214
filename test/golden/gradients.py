#!/usr/bin/python3
"""Writes test/passes/gradients: a test for each rule of differentiation, with PyTorch's numbers.

    /usr/bin/python3 test/golden/gradients.py        (PyTorch 1.13, Debian's python3-torch)

Each test is a graph whose loss is the mean of the operation's result times fixed weights; its
operands are parameters, so that all their gradients are asked for. Two things are checked of each:
the gradients agree with central finite differences, both taken in double, and with what PyTorch
computes in double. Tests in KINKS sit where an operation is not smooth, and where finite
differences say nothing: there PyTorch's choice counts.
"""

import os
import random
import sys
import zlib

import torch
import torch.nn.functional as F

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "passes", "gradients")
ROWS = 3  # of the batch
BATCH = "batch"


def text_of_type(shape, element="f32"):
    sizes = "".join(("?" if size == BATCH else str(size)) + "x" for size in shape)
    return f"tensor<{sizes}{element}, #mp.dims<{', '.join(str(size) for size in shape)}>>"


class Value:
    def __init__(self, name, shape, data, element="f32"):
        self.name, self.shape, self.data, self.element = name, tuple(shape), data, element

    @property
    def type(self):
        return text_of_type(self.shape, self.element)


class Graph:
    """A program being written, and what PyTorch makes of it."""

    def __init__(self, name):
        self.random = random.Random(zlib.crc32(name.encode()))
        self.parameters, self.arguments, self.lines = [], [], []
        self.unused = 0

    def numbers(self, shape, low, high, sign):
        def number():
            value = self.random.randrange(int(low * 4096), int(high * 4096)) / 4096
            return -value if sign and self.random.random() < 0.5 else value

        sizes = [ROWS if size == BATCH else size for size in shape]
        count = 1
        for size in sizes:
            count *= size
        return torch.tensor([number() for _ in range(count)], dtype=torch.float64).reshape(sizes)

    def parameter(self, name, shape, low=0.125, high=1.0, sign=True, data=None):
        data = self.numbers(shape, low, high, sign) if data is None else torch.tensor(data, dtype=torch.float64)
        value = Value(name, shape, data.requires_grad_())
        self.parameters.append(value)
        self.lines.append(f"%{name} = mp.read @{name} : {value.type}")
        return value

    def argument(self, name, shape, low=0.125, high=1.0, sign=True):
        value = Value(name, shape, self.numbers(shape, low, high, sign))
        self.arguments.append(value)
        return value

    def integers(self, name, shape, below):
        """An i32 argument of numbers in [0, below)."""
        sizes = [ROWS if size == BATCH else size for size in shape]
        data = torch.zeros(sizes, dtype=torch.int64)
        data = data.apply_(lambda _: self.random.randrange(below))
        value = Value(name, shape, data, "i32")
        self.arguments.append(value)
        return value

    def result(self, shape, data, element="f32"):
        self.unused += 1
        return Value(f"v{self.unused}", shape, data, element)

    def op(self, text, operands, shape, function, element="f32", others=()):
        """`text` holds {0}, {1}, … for the operands' names, {types} for the operands' types, {result} for
        the result's. `others`: shapes of results after the first, which nothing reads."""
        value = self.result(shape, function(*[operand.data for operand in operands]), element)
        types = ", ".join(operand.type for operand in operands)
        names = ["%" + operand.name for operand in operands]
        result = value.type
        if others:
            result = "(" + ", ".join([result] + [text_of_type(other) for other in others]) + ")"
        filled = text.format(*names, types=types, result=result)
        count = f":{1 + len(others)}" if others else ""
        self.lines.append(f"%{value.name}{count} = mp.{filled}")
        return value

    def elementwise(self, mnemonic, operands, function, element="f32", attributes=""):
        names = ", ".join("{%d}" % index for index in range(len(operands)))
        text = f"{mnemonic} {names}{attributes} : {{types}} -> {{result}}"
        return self.op(text, operands, operands[-1].shape, function, element)

    def spread(self, value, shape, dimensions):
        """Broadcasts over the batch, or anything else."""

        def function(data):
            kept = [d for d in dimensions if d >= 0]
            data = data.permute(kept + [d for d in range(data.dim()) if d not in kept])
            data = data.reshape([data.shape[kept.index(d)] if d >= 0 else 1 for d in dimensions])
            return data.expand([ROWS if size == BATCH else size for size in shape])

        return self.op(f"broadcast {{0}} {dimensions} : {{types}} -> {{result}}", [value], shape, function)

    def loss(self, value):
        """The mean of the elements, each times a number of its own."""
        weights = self.argument("weights", value.shape)
        product = self.elementwise("mul", [value, weights], lambda a, b: a * b)
        dimensions = list(range(len(value.shape)))
        mean = self.op(f"reduce mean {{0}} {dimensions} : {{types}} -> {{result}}", [product], (), lambda a: a.mean())
        return mean

    def text(self, name, summary, loss, smooth):
        runs = []
        if smooth:
            runs += [f"// RUN: mp-run %s --phase grad --rows {ROWS} --input %S/Inputs/{name}.txt --check-gradients | FileCheck %s"]
        runs += [
            f"// RUN: mp-run %s --phase grad --rows {ROWS} --input %S/Inputs/{name}.txt --expect %S/Inputs/{name}.txt \\",
            "// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH",
            "// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES",
        ]
        arguments = ", ".join(f"%{a.name}: {a.type}" for a in self.arguments)
        names = ", ".join(f'"{a.name}"' for a in self.arguments)
        lines = [f"// Tests {summary}. Written by test/golden/gradients.py.", *runs, ""]
        lines += ["// CHECK: gradients agree"] if smooth else []
        lines += [f"// TORCH: {len(self.parameters) + 1} tensors agree", "// PHASES: @train is the same in all phases"]
        lines += ["mp.model @Test {"]
        lines += [f"  mp.parameter @{p.name} : {p.type} init zeros []" for p in self.parameters]
        lines += [
            '  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}',
            '    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}',
            f"  mp.program @train [{names}] {{",
            f"  ^bb0({arguments}):",
        ]
        lines += ["    " + line for line in self.lines]
        lines += [f"    mp.return %{loss.name} : {loss.type}", "  }", "}", ""]
        return "\n".join(lines)

    def golden(self, name, loss):
        loss.data.backward()
        lines = [f"# {name}: inputs, and what PyTorch {torch.__version__} makes of them in double"]

        def line(label, data):
            lines.append(f"{label} = " + ", ".join(repr(float(each)) for each in data.detach().reshape(-1)))

        for value in self.arguments + self.parameters:
            line(value.name, value.data)
        line("loss", loss.data)
        for value in self.parameters:
            gradient = value.data.grad
            line("gradient " + value.name, torch.zeros_like(value.data) if gradient is None else gradient)
        return "\n".join(lines) + "\n"


TESTS = {}
KINKS = set()


def test(summary, name=None, smooth=True):
    def register(function):
        key = name or function.__name__
        TESTS[key] = (summary, function)
        if not smooth:
            KINKS.add(key)
        return function

    return register


# --- element by element -----------------------------------------------------------------------------


def unary(name, summary, function, low=0.125, high=1.0, sign=True, attributes="", mnemonic=None):
    @test(f"the rule of {summary}", name)
    def build(graph):
        a = graph.parameter("a", (2, 5), low, high, sign)
        wide = graph.spread(a, (BATCH, 2, 5), [-1, 0, 1])
        x = graph.argument("x", (BATCH, 2, 5), 0.5, 1.0, sign)
        product = graph.elementwise("mul", [wide, x], lambda p, q: p * q)
        return graph.elementwise(mnemonic or name, [product], function, attributes=attributes)


unary("neg", "negation", lambda a: -a)
unary("relu", "relu", torch.relu)
unary("leaky_relu", "leaky_relu", lambda a: F.leaky_relu(a, 0.125), attributes=" slope 1.25e-1")
unary("gelu", "gelu", F.gelu, high=3.0)
unary("gelu_tanh", "gelu's approximation by tanh", lambda a: F.gelu(a, approximate="tanh"), high=3.0)
unary("silu", "silu", F.silu, high=3.0)
unary("sigmoid", "sigmoid", torch.sigmoid, high=3.0)
unary("tanh", "tanh", torch.tanh, high=2.0)
unary("exp", "exp", torch.exp)
unary("log", "log", torch.log, sign=False)
unary("sqrt", "sqrt", torch.sqrt, sign=False)
unary("rsqrt", "rsqrt", torch.rsqrt, sign=False)
unary("abs", "abs", torch.abs)
unary("sin", "sin", torch.sin, high=3.0)
unary("cos", "cos", torch.cos, high=3.0)
unary("clamp", "clamp", lambda a: torch.clamp(a, -0.25, 0.375), attributes=" from -2.5e-1 to 3.75e-1")


def binary(name, summary, function, sign=True, low=0.125, high=1.0):
    @test(f"both rules of {summary}", name)
    def build(graph):
        a = graph.parameter("a", (3, 4), low, high, sign)
        b = graph.parameter("b", (3, 4), low, high, sign)
        return graph.elementwise(name, [a, b], function)


binary("add", "addition", lambda a, b: a + b)
binary("sub", "subtraction", lambda a, b: a - b)
binary("mul", "multiplication", lambda a, b: a * b)
binary("div", "division", lambda a, b: a / b)
binary("remainder", "remainder", torch.remainder)
binary("pow", "a power", torch.pow, sign=False, high=3.0)
binary("minimum", "the smaller of two", torch.minimum)
binary("maximum", "the larger of two", torch.maximum)


@test("powers with a constant exponent, of bases of either sign")
def pow_constant(graph):
    a = graph.parameter("a", (6,), 0.25, 2.0)
    results = []
    for exponent in (2.0, 3.0, -1.0):
        p = graph.op(f"constant {exponent:.1f} : f64 : {{result}}", [], (6,), lambda: torch.full((6,), exponent, dtype=torch.float64))
        results.append(graph.elementwise("pow", [a, p], torch.pow))
    total = graph.elementwise("add", results[:2], lambda x, y: x + y)
    return graph.elementwise("add", [total, results[2]], lambda x, y: x + y)


@test("both rules of the binary cross-entropy")
def binary_cross_entropy(graph):
    p = graph.parameter("p", (3, 4), 0.125, 0.875, False)
    t = graph.parameter("t", (3, 4), 0.125, 0.875, False)
    return graph.elementwise("binary_cross_entropy", [p, t], lambda p, t: -(t * p.log() + (1 - t) * (1 - p).log()))


@test("the rules of select, and that its condition has none")
def select(graph):
    a, b = graph.parameter("a", (3, 4)), graph.parameter("b", (3, 4))
    c = graph.op("compare lt {0}, {1} : {types} -> {result}", [a, b], (3, 4), lambda x, y: x < y, "i1")
    square = graph.elementwise("mul", [b, b], lambda x, y: x * y)
    return graph.elementwise("select", [c, a, square], torch.where)


@test("the rule of a cast: through the reals alone, none through integers")
def cast(graph):
    a = graph.parameter("a", (3, 4), 0.125, 0.875)
    same = graph.op("cast {0} : {types} -> {result}", [a], (3, 4), lambda x: x * 1.0)
    x = graph.argument("x", (3, 4), 1.125, 4.875)
    whole = graph.op("cast {0} : {types} -> {result}", [x], (3, 4), lambda v: v.trunc(), "i32")
    back = graph.op("cast {0} : {types} -> {result}", [whole], (3, 4), lambda v: v)
    return graph.elementwise("mul", [same, back], lambda p, q: p * q)


@test("that no gradient flows through a sign", smooth=False)
def sign(graph):
    a = graph.parameter("a", (3, 4))
    return graph.elementwise("mul", [a, graph.elementwise("sign", [a], torch.sign)], lambda p, q: p * q)


@test("that no gradient flows through detach", smooth=False)
def detach(graph):
    a = graph.parameter("a", (3, 4))
    fixed = graph.op("detach {0} : {types} -> {result}", [a], (3, 4), lambda x: x.detach())
    return graph.elementwise("mul", [a, fixed], lambda p, q: p * q)


# --- shapes ----------------------------------------------------------------------------------------


def broadcast(name, summary, shape, to, dimensions):
    @test(f"the rule of a broadcast {summary}", name)
    def build(graph):
        a = graph.parameter("a", shape)
        square = graph.elementwise("mul", [a, a], lambda x, y: x * y)
        return graph.spread(square, to, dimensions)


broadcast("broadcast_rows", "of a vector over the rows of the batch", (4,), (BATCH, 4), [-1, 0])
broadcast("broadcast_scalar", "of a scalar", (), (2, BATCH, 3), [-1, -1, -1])
broadcast("broadcast_inner", "along the last dimension", (4,), (4, 3), [0, -1])
broadcast("broadcast_ones", "along dimensions of size 1", (1, 3, 1), (BATCH, 2, 3, 4), [-1, 0, 1, 2])
broadcast("broadcast_middle", "around a dimension", (2, 3), (2, 5, 3), [0, -1, 1])
broadcast("broadcast_reorder", "that also reorders", (2, 3), (3, BATCH, 2), [1, -1, 0])


@test("the rule of reshape")
def reshape(graph):
    a = graph.parameter("a", (2, 6))
    wide = graph.spread(a, (BATCH, 2, 6), [-1, 0, 1])
    return graph.op("reshape {0} : {types} -> {result}", [wide], (BATCH, 3, 4), lambda x: x.reshape(ROWS, 3, 4))


@test("the rule of a permutation that is not its own inverse")
def permute(graph):
    a = graph.parameter("a", (2, 3, 4))
    wide = graph.spread(a, (BATCH, 2, 3, 4), [-1, 0, 1, 2])
    return graph.op("permute {0} [3, 1, 0, 2] : {types} -> {result}", [wide], (4, 2, BATCH, 3), lambda x: x.permute(3, 1, 0, 2))


@test("the rule of a slice, from the middle of a dimension")
def slice_middle(graph):
    a = graph.parameter("a", (3, 7, 2))
    return graph.op("slice {0} dimension 1 from 2 to 5 : {types} -> {result}", [a], (3, 3, 2), lambda x: x[:, 2:5])


@test("the rule of pad")
def pad(graph):
    a = graph.parameter("a", (3, 2))
    return graph.op("pad {0} dimension 1 before 1 after 3 : {types} -> {result}", [a], (3, 6), lambda x: F.pad(x, (1, 3)))


@test("the rule of a concatenation of three, one of them twice")
def concat(graph):
    a, b = graph.parameter("a", (2, 3, 2)), graph.parameter("b", (2, 1, 2))
    text = "concat {0}, {1}, {2} dimension 1 : ({types}) -> {result}"
    return graph.op(text, [a, b, a], (2, 7, 2), lambda x, y, z: torch.cat([x, y, z], 1))


# --- products and reductions --------------------------------------------------------------------------


def matmul(name, leading, transpose_a, transpose_b):
    what = ["plain", "with the second transposed", "with the first transposed", "with both transposed"][2 * transpose_a + transpose_b]
    @test(f"both rules of a matrix product, {what}{', batched' if leading else ''}", name)
    def build(graph):
        a = graph.parameter("a", leading + ((3, 2) if transpose_a else (2, 3)))
        b = graph.parameter("b", leading + ((4, 3) if transpose_b else (3, 4)))
        flags = (" transpose_a" if transpose_a else "") + (" transpose_b" if transpose_b else "")
        def product(x, y):
            return (x.transpose(-1, -2) if transpose_a else x) @ (y.transpose(-1, -2) if transpose_b else y)
        return graph.op(f"matmul {{0}}, {{1}}{flags} : {{types}} -> {{result}}", [a, b], leading + (2, 4), product)


for _a in (False, True):
    for _b in (False, True):
        _suffix = "nt"[_a] + "nt"[_b]
        matmul("matmul_" + _suffix, (), _a, _b)
        matmul("matmul_batched_" + _suffix, (2, 3), _a, _b)


@test("the rules of a product over the rows of the batch")
def matmul_rows(graph):
    a, b = graph.parameter("a", (3, 2)), graph.parameter("b", (3, 2))
    x = graph.argument("x", (BATCH, 2))
    h = graph.op("matmul {0}, {1} transpose_b : {types} -> {result}", [x, a], (BATCH, 3), lambda p, q: p @ q.T)
    return graph.op("matmul {0}, {1} : {types} -> {result}", [h, b], (BATCH, 2), lambda p, q: p @ q)


def reduction(name, kind, summary, dimensions, function):
    @test(f"the rule of {summary}", name)
    def build(graph):
        a = graph.parameter("a", (2, 3, 4))
        x = graph.argument("x", (BATCH, 2, 3, 4), 0.5, 1.0)
        wide = graph.spread(a, (BATCH, 2, 3, 4), [-1, 0, 1, 2])
        product = graph.elementwise("mul", [wide, x], lambda p, q: p * q)
        kept = tuple(size for index, size in enumerate((BATCH, 2, 3, 4)) if index not in dimensions)
        return graph.op(f"reduce {kind} {{0}} {dimensions} : {{types}} -> {{result}}", [product], kept, function)


for _kind, _word in (("sum", "a sum"), ("mean", "a mean")):
    for _name, _dimensions in (("last", [3]), ("rows", [0]), ("two", [1, 3]), ("rows_and_inner", [0, 2]), ("all", [0, 1, 2, 3])):
        reduction(f"reduce_{_kind}_{_name}", _kind, f"{_word} over {_name.replace('_', ' ')}", _dimensions,
                  lambda x, k=_kind, d=_dimensions: getattr(torch, k)(x, dim=d))
for _kind, _word in (("maximum", "a maximum"), ("minimum", "a minimum")):
    for _name, _dimension in (("last", 3), ("middle", 1)):
        reduction(f"reduce_{_kind}_{_name}", _kind, f"{_word} over the {_name} dimension", [_dimension],
                  lambda x, k=_kind, d=_dimension: (torch.max if k == "maximum" else torch.min)(x, dim=d).values)
    reduction(f"reduce_{_kind}_all", _kind, f"{_word} over everything", [0, 1, 2, 3],
              lambda x, k=_kind: (torch.max if k == "maximum" else torch.min)(x))


def along(name, summary, mnemonic, dimension, function):
    @test(f"the rule of {summary}", name)
    def build(graph):
        a = graph.parameter("a", (3, 4), high=2.0)
        x = graph.argument("x", (BATCH, 3, 4), 0.5, 1.0)
        wide = graph.spread(a, (BATCH, 3, 4), [-1, 0, 1])
        product = graph.elementwise("mul", [wide, x], lambda p, q: p * q)
        text = f"{mnemonic} {{0}} dimension {dimension} : {{types}} -> {{result}}"
        return graph.op(text, [product], (BATCH, 3, 4), lambda v: function(v, dim=dimension))


along("softmax_last", "softmax along the last dimension", "softmax", 2, torch.softmax)
along("softmax_middle", "softmax along a dimension in the middle", "softmax", 1, torch.softmax)
along("log_softmax_last", "log_softmax along the last dimension", "log_softmax", 2, torch.log_softmax)
along("log_softmax_middle", "log_softmax along a dimension in the middle", "log_softmax", 1, torch.log_softmax)


# --- positions from another tensor ---------------------------------------------------------------------


def gather(name, summary, table, ids):
    @test(f"the rule of {summary}", name)
    def build(graph):
        a = graph.parameter("a", table)
        square = graph.elementwise("mul", [a, a], lambda x, y: x * y)
        i = graph.integers("i", ids, 3)
        text = "gather {0}, {1} : {types} -> {result}"
        return graph.op(text, [square, i], ids + table[1:], lambda x, y: x[y])


gather("gather", "rows of a table, some of them read often, one never", (4, 3), (BATCH, 5))
gather("gather_numbers", "single numbers of a table", (4,), (BATCH, 2))
gather("gather_planes", "rows of two dimensions", (4, 2, 3), (BATCH,))
gather("gather_constant", "rows that do not depend on the batch", (4, 3), (2, 3))


@test("that what two lookups of one table sum up is added")
def gather_twice(graph):
    a = graph.parameter("a", (4, 2))
    i, j = graph.integers("i", (BATCH, 2), 4), graph.integers("j", (BATCH,), 4)
    text = "gather {0}, {1} : {types} -> {result}"
    first = graph.op(text, [a, i], (BATCH, 2, 2), lambda x, y: x[y])
    second = graph.op(text, [a, j], (BATCH, 2), lambda x, y: x[y])
    total = graph.op("reduce sum {0} [1] : {types} -> {result}", [first], (BATCH, 2), lambda x: x.sum(1))
    return graph.elementwise("mul", [total, second], lambda x, y: x * y)


def cross_entropy(name, summary, shape):
    @test(f"the rule of the cross-entropy, {summary}", name)
    def build(graph):
        a = graph.parameter("a", shape[1:], high=3.0)
        x = graph.argument("x", shape, 0.5, 1.0)
        target = graph.integers("target", shape[:-1], 3)
        wide = graph.spread(a, shape, list(range(-1, len(shape) - 1)))
        product = graph.elementwise("mul", [wide, x], lambda p, q: p * q)

        def function(data, classes):
            losses = F.cross_entropy(data.reshape(-1, shape[-1]), classes.reshape(-1), reduction="none")
            return losses.reshape(classes.shape)

        text = "cross_entropy {0}, {1} : {types} -> {result}"
        return graph.op(text, [product, target], shape[:-1], function)


cross_entropy("cross_entropy", "a class a row", (BATCH, 4))
cross_entropy("cross_entropy_positions", "a class for each position of a row", (BATCH, 3, 5))


# --- attention and normalization ------------------------------------------------------------------------


def attend(q, k, v, causal):
    if q.dim() > 2:
        k, v = (x.repeat_interleave(q.shape[-3] // x.shape[-3], dim=-3) for x in (k, v))
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(hidden, float("-inf"))
    return torch.softmax(scores, dim=-1) @ v


class RoundedAttention(torch.autograd.Function):
    """Attention whose products are of rounded numbers, by the definition of `rounding` in MpAttention.td: what no sequence
    of PyTorch's functions does, since it multiplies exponentials before they are divided by their sum."""

    @staticmethod
    def forward(context, q, k, v, causal, element):
        q, k, v = (x.to(element).double() for x in (q, k, v))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), float("-inf"))
        exponentials = torch.exp(scores - scores.amax(-1, keepdim=True))
        sums = exponentials.sum(-1, keepdim=True)
        y = exponentials.to(element).double() @ v / sums
        context.save_for_backward(q, k, v, y, exponentials / sums)
        context.element = element
        return y

    @staticmethod
    def backward(context, gradient):
        q, k, v, y, probabilities = context.saved_tensors
        gradient = gradient.to(context.element).double()
        means = (gradient * y).sum(-1, keepdim=True)
        changes = probabilities * (gradient @ v.transpose(-1, -2) - means) / q.shape[-1] ** 0.5
        probabilities, changes = (x.to(context.element).double() for x in (probabilities, changes))
        return changes @ k, changes.transpose(-1, -2) @ q, probabilities.transpose(-1, -2) @ gradient, None, None


def attention(name, summary, q, k, v, causal=False, leading=(), rounding=None):
    """Shapes without the leading dimensions; with a batch among these, the operands are spread over it."""
    @test(f"the rules of attention {summary}", name, smooth=rounding is None)
    def build(graph):
        operands = []
        for letter, shape in zip("qkv", (q, k, v)):
            operand = graph.parameter(letter, leading[1:] + shape, high=2.0)
            if leading:
                wide = graph.spread(operand, leading + shape, [-1] + list(range(len(leading) - 1 + len(shape))))
                x = graph.argument("x" + letter, leading + shape, 0.5, 1.0)
                operand = graph.elementwise("mul", [wide, x], lambda a, b: a * b)
            operands.append(operand)
        text = "attention {0}, {1}, {2}" + (" causal" if causal else "")
        if rounding:
            text += f" rounding {rounding}"
        elements = {"bf16": torch.bfloat16, "f16": torch.float16}

        def compute(*values):
            if rounding:
                return RoundedAttention.apply(*values, causal, elements[rounding])
            return attend(*values, causal)

        return graph.op(text + " : ({types}) -> {result}", operands, leading + q[:-1] + v[-1:], compute,
                        others=[leading + q[:-1]])


attention("attention_matrices", "without heads, of other values than keys", (3, 4), (5, 4), (5, 2))
attention("attention_causal", "in which a query sees what came before", (2, 5, 3), (2, 5, 3), (2, 5, 3), True)
attention("attention_heads", "over the rows of the batch", (2, 3, 4), (2, 3, 4), (2, 3, 4), leading=(BATCH,))
attention("attention_grouped", "of two heads a key", (4, 4, 2), (2, 4, 2), (2, 4, 2), True, leading=(BATCH, 2))
attention("attention_fewer_keys", "with more queries than keys", (1, 6, 2), (1, 3, 2), (1, 3, 2), True)
attention("attention_more_keys", "with keys that no query sees", (2, 3, 2), (1, 5, 2), (1, 5, 2), True)
attention("attention_bf16", "of products in bf16", (2, 5, 3), (2, 5, 3), (2, 5, 4), True, leading=(BATCH,), rounding="bf16")
attention("attention_f16", "of products in f16", (3, 4), (5, 4), (5, 2), rounding="f16")


def normalization(name, summary, mnemonic, shape, count, weighted, biased=False):
    @test(f"the rules of {summary}", name)
    def build(graph):
        a = graph.parameter("a", shape, high=2.0)
        x = graph.argument("x", (BATCH,) + shape, 0.5, 1.0)
        wide = graph.spread(a, (BATCH,) + shape, [-1] + list(range(len(shape))))
        operands = [graph.elementwise("mul", [wide, x], lambda p, q: p * q)]
        last = shape[len(shape) - count:]
        text = mnemonic + " {0}"
        for word in ["weight"] * weighted + ["bias"] * biased:
            text += f" {word} {{{len(operands)}}}"
            operands.append(graph.parameter(word, last))
        def function(value, weight=None, bias=None):
            if mnemonic == "layer_norm":
                if biased and not weighted:
                    weight, bias = None, weight
                return F.layer_norm(value, last, weight, bias, eps=0.125)
            result = value * torch.rsqrt((value * value).mean(dim=list(range(-count, 0)), keepdim=True) + 0.125)
            return result if weight is None else result * weight
        statistic = (BATCH,) + shape[:len(shape) - count]
        return graph.op(f"{text} dimensions {count} eps 1.25e-1 : ({{types}}) -> {{result}}", operands, (BATCH,) + shape,
                        function, others=[statistic] * (2 if mnemonic == "layer_norm" else 1))


normalization("layer_norm", "layer normalization", "layer_norm", (3, 5), 1, True, True)
normalization("layer_norm_two", "layer normalization over two dimensions", "layer_norm", (2, 3, 4), 2, True, True)
normalization("layer_norm_plain", "layer normalization without weight and bias", "layer_norm", (5,), 1, False)
normalization("layer_norm_weight", "layer normalization with a weight alone", "layer_norm", (3, 4), 1, True)
normalization("layer_norm_bias", "layer normalization with a bias alone", "layer_norm", (3, 4), 1, False, True)
normalization("rms_norm", "RMS normalization", "rms_norm", (3, 5), 1, True)
normalization("rms_norm_plain", "RMS normalization without a weight", "rms_norm", (2, 3), 2, False)


# --- convolution and pooling -----------------------------------------------------------------------------


def spread_over_batch(graph, name, shape, leading):
    """A parameter of `shape`; with a batch among `leading`, spread over it and multiplied by what differs a row."""
    operand = graph.parameter(name, leading[1:] + shape, high=2.0)
    if not leading:
        return operand
    wide = graph.spread(operand, leading + shape, [-1] + list(range(len(leading) - 1 + len(shape))))
    x = graph.argument("x" + name, leading + shape, 0.5, 1.0)
    return graph.elementwise("mul", [wide, x], lambda a, b: a * b)


def flatten_leading(count, function):
    """`function` of a tensor of one leading dimension, on tensors of any that end in `count` others."""
    def apply(x, *others):
        y = function(x.reshape((-1,) + x.shape[x.dim() - count:]), *others)
        return y.reshape(x.shape[:x.dim() - count] + y.shape[1:])

    return apply


def positions_of(sizes, kernel, stride, padding, dilation):
    return tuple((size + 2 * p - d * (k - 1) - 1) // s + 1
                 for size, k, s, p, d in zip(sizes, kernel, stride, padding, dilation))


def convolution(name, summary, x, weight, stride, padding, dilation, groups=1, leading=(BATCH,)):
    """`x` from the channels on."""
    @test(f"both rules of a convolution {summary}", name)
    def build(graph):
        spatial = len(weight) - 2
        operands = [spread_over_batch(graph, "a", x, leading), graph.parameter("weight", weight)]
        function = (F.conv1d, F.conv2d, F.conv3d)[spatial - 1]
        text = (f"conv {{0}}, {{1}} stride {list(stride)} padding {list(padding)} dilation {list(dilation)} "
                f"groups {groups} : ({{types}}) -> {{result}}")
        shape = leading + weight[:1] + positions_of(x[1:], weight[2:], stride, padding, dilation)
        return graph.op(text, operands, shape, flatten_leading(
            spatial + 1, lambda a, w: function(a, w, None, stride, padding, dilation, groups)))


convolution("conv", "of two dimensions", (2, 4, 5), (3, 2, 3, 2), (1, 1), (1, 0), (1, 1))
convolution("conv_strided", "that steps over positions, and leaves some out", (1, 6, 7), (2, 1, 2, 3), (3, 2), (0, 1), (1, 1))
convolution("conv_dilated", "of a kernel whose elements lie apart", (2, 6, 5), (2, 2, 2, 3), (1, 1), (1, 2), (3, 2))
convolution("conv_groups", "in groups of channels", (4, 3, 3), (6, 2, 2, 2), (1, 1), (1, 1), (1, 1), 2)
convolution("conv_depthwise", "of each channel by itself", (3, 3, 4), (3, 1, 2, 2), (1, 2), (0, 0), (1, 1), 3)
convolution("conv_line", "of one dimension", (2, 7), (3, 2, 3), (2,), (1,), (1,))
convolution("conv_volume", "of three dimensions", (2, 2, 3, 4), (2, 2, 1, 2, 3), (1, 1, 2), (0, 1, 1), (1, 1, 1))
convolution("conv_leading", "with two dimensions before the channels", (1, 5), (2, 1, 2), (1,), (0,), (1,), leading=(BATCH, 2))
convolution("conv_constant", "of what does not depend on the batch", (2, 3, 3), (1, 2, 2, 2), (1, 1), (0, 0), (1, 1), leading=())


def pooling(name, summary, mnemonic, x, kernel, stride, padding, leading=(BATCH,), count_padding=False):
    @test(f"the rule of a {summary}", name)
    def build(graph):
        spatial = len(kernel)
        operand = spread_over_batch(graph, "a", x, leading)
        shape = leading + x[:len(x) - spatial] + positions_of(x[len(x) - spatial:], kernel, stride, padding, (1,) * spatial)
        text = f"{mnemonic} {{0}} kernel {list(kernel)} stride {list(stride)} padding {list(padding)}"
        if mnemonic == "max_pool":
            function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[spatial - 1]
            positions = text_of_type(shape, "i32")
            value = graph.op(text + " : {types} -> {result}, " + positions, [operand], shape,
                             flatten_leading(spatial, lambda a: function(a.unsqueeze(1), kernel, stride, padding).squeeze(1)))
            graph.lines[-1] = graph.lines[-1].replace(" =", ":2 =", 1)
            return value
        function = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[spatial - 1]
        return graph.op(text + (" count_padding" if count_padding else "") + " : ({types}) -> {result}", [operand], shape,
                        flatten_leading(spatial, lambda a: function(
                            a.unsqueeze(1), kernel, stride, padding, count_include_pad=count_padding).squeeze(1)))


pooling("max_pool", "maximum under windows that lie side by side", "max_pool", (2, 4, 6), (2, 3), (2, 3), (0, 0))
pooling("max_pool_overlapping", "maximum under windows that overlap, and reach over the edges", "max_pool", (2, 5, 5), (3, 2),
        (1, 1), (1, 1))
pooling("max_pool_line", "maximum over one dimension, of which some is left out", "max_pool", (3, 8), (3,), (2,), (0,))
pooling("max_pool_volume", "maximum over three dimensions", "max_pool", (2, 3, 4), (2, 2, 2), (1, 2, 2), (1, 0, 0))
pooling("max_pool_constant", "maximum of what does not depend on the batch", "max_pool", (2, 4), (1, 2), (1, 2), (0, 0), leading=())
pooling("avg_pool", "mean under windows that overlap", "avg_pool", (2, 4, 5), (2, 3), (1, 2), (0, 0))
pooling("avg_pool_padding", "mean that counts the padding", "avg_pool", (2, 4, 5), (3, 3), (2, 3), (1, 1), count_padding=True)
pooling("avg_pool_within", "mean of what lies within", "avg_pool", (2, 4, 5), (3, 3), (2, 3), (1, 1))
pooling("avg_pool_line", "mean over one dimension, of which some is left out", "avg_pool", (2, 2, 8), (3,), (3,), (0,))
pooling("avg_pool_volume", "mean over three dimensions", "avg_pool", (3, 2, 4), (2, 1, 2), (1, 1, 2), (1, 0, 1), count_padding=True)


# --- uses, and constants -----------------------------------------------------------------------------


@test("that the gradients of four uses are summed, of a parameter read twice too")
def uses(graph):
    a = graph.parameter("a", (3, 4))
    graph.lines.append(f"%again = mp.read @a : {a.type}")
    again = Value("again", a.shape, a.data)
    s = graph.elementwise("sin", [a], torch.sin)
    p = graph.elementwise("mul", [s, a], lambda x, y: x * y)
    q = graph.elementwise("mul", [p, s], lambda x, y: x * y)
    return graph.elementwise("add", [q, again], lambda x, y: x + y)


@test("a mean written with an extent: what is divided by grows with the batch")
def extent(graph):
    a = graph.parameter("a", (4,))
    x = graph.argument("x", (BATCH, 4))
    wide = graph.spread(a, (BATCH, 4), [-1, 0])
    p = graph.elementwise("mul", [wide, x], lambda u, v: u * v)
    total = graph.op("reduce sum {0} [0, 1] : {types} -> {result}", [p], (), lambda u: u.sum())
    n = graph.op("extent 4 rows plus -1 : {result}", [], (), lambda: torch.tensor(4.0 * ROWS - 1, dtype=torch.float64))
    return graph.elementwise("div", [total, n], lambda u, v: u / v)


# --- at the kinks, where PyTorch's choice counts --------------------------------------------------------

AT_KINKS = [0.0, 1.0, -1.0, 0.5, 0.0, -0.5]


def kink(name, summary, mnemonic, function, attributes=""):
    @test(f"{summary}, as PyTorch has it", name, smooth=False)
    def build(graph):
        a = graph.parameter("a", (6,), data=AT_KINKS)
        return graph.elementwise(mnemonic, [a], function, attributes=attributes)


kink("relu_at_zero", "that relu's derivative at 0 is 0", "relu", torch.relu)
kink("leaky_relu_at_zero", "that leaky_relu's derivative at 0 is the slope", "leaky_relu",
     lambda a: F.leaky_relu(a, 0.125), " slope 1.25e-1")
kink("abs_at_zero", "that the derivative of abs at 0 is 0", "abs", torch.abs)
kink("clamp_at_bounds", "that clamp's derivative at its bounds is 1", "clamp",
     lambda a: torch.clamp(a, -0.5, 0.5), " from -5.0e-1 to 5.0e-1")


def ties(name, mnemonic, function):
    @test(f"that where both operands of {mnemonic} are equal each takes half, as PyTorch has it", name, smooth=False)
    def build(graph):
        a = graph.parameter("a", (6,), data=AT_KINKS)
        b = graph.parameter("b", (6,), data=[0.0, 0.5, -1.0, 0.5, 1.0, 2.0])
        return graph.elementwise(mnemonic, [a, b], function)


ties("minimum_of_equals", "minimum", torch.minimum)
ties("maximum_of_equals", "maximum", torch.maximum)


def reduction_ties(name, kind, summary, dimensions, shape, function):
    @test(f"that {summary}, as PyTorch has it", name, smooth=False)
    def build(graph):
        a = graph.parameter("a", (2, 3), data=[[1.0, 3.0, 3.0], [-2.0, 3.0, -2.0]])
        return graph.op(f"reduce {kind} {{0}} {dimensions} : {{types}} -> {{result}}", [a], shape, function)


reduction_ties("reduce_maximum_ties_all", "maximum", "equal maxima over everything share evenly", [0, 1], (), torch.max)
reduction_ties("reduce_minimum_ties_all", "minimum", "equal minima over everything share evenly", [0, 1], (), torch.min)
reduction_ties("reduce_maximum_ties_last", "maximum", "of equal maxima along a dimension the first takes all", [1], (2,),
               lambda x: torch.max(x, dim=1).values)
reduction_ties("reduce_minimum_ties_last", "minimum", "of equal minima along a dimension the first takes all", [1], (2,),
               lambda x: torch.min(x, dim=1).values)


@test("that of equal elements under a window the first takes all, as PyTorch has it", smooth=False)
def max_pool_ties(graph):
    a = graph.parameter("a", (2, 4), data=[[1.0, 3.0, 3.0, -2.0], [3.0, 1.0, -2.0, -2.0]])
    value = graph.op("max_pool {0} kernel [2, 2] stride [1, 1] padding [0, 1] : {types} -> {result}, " + text_of_type((1, 5), "i32"),
                     [a], (1, 5), lambda x: F.max_pool2d(x[None, None], 2, 1, (0, 1))[0, 0])
    graph.lines[-1] = graph.lines[-1].replace(" =", ":2 =", 1)
    return value


@test("powers at a base or an exponent of 0, as PyTorch has them", smooth=False)
def pow_at_zero(graph):
    a = graph.parameter("a", (5,), data=[0.0, 0.0, 0.0, 2.0, 1.5])
    b = graph.parameter("b", (5,), data=[2.0, 1.0, 3.0, 0.0, 1.0])
    return graph.elementwise("pow", [a, b], torch.pow)


def main():
    os.makedirs(os.path.join(FOLDER, "Inputs"), exist_ok=True)
    for name, (summary, build) in TESTS.items():
        graph = Graph(name)
        loss = graph.loss(build(graph))
        with open(os.path.join(FOLDER, name + ".mlir"), "w") as file:
            file.write(graph.text(name, summary, loss, name not in KINKS))
        with open(os.path.join(FOLDER, "Inputs", name + ".txt"), "w") as file:
            file.write(graph.golden(name, loss))
    print(f"{len(TESTS)} tests written", file=sys.stderr)


if __name__ == "__main__":
    main()
