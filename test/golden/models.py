"""The golden programs in PyTorch, one function a .mp file of the same name.

Each is written as a user of PyTorch writes it: modules in the order of the program's layers, under the same names.
A function returns a Program; make_golden.py trains it.
"""

import dataclasses
import importlib.util
import os
import typing

import torch
from torch import nn
from torch.nn import functional as F

SUNSPOTS = "../../examples/autoencoder/sunspots.csv"
DIGITS = "../../examples/digits/digits.csv"


@dataclasses.dataclass
class Program:
    """What a .mp file says; the defaults are the language's."""

    model: typing.Callable  # makes the module, after the seed is set
    inputs: int  # columns; of text, the tokens of a row
    data: str
    test: float = 0.0
    test_data: str = None
    loss: str = "mse"
    optimizer: typing.Callable = lambda parameters: torch.optim.Adam(parameters, lr=1e-3)
    epochs: int = 10
    batch: int = 32
    shuffle: bool = True
    seed: int = 0
    integers: bool = False  # the inputs are i32
    batches: int = 20  # whose losses are compared
    # Relative, of losses and gradients, where those of compare.py are too strict: all batches and epochs are compared then.
    loss_tolerance: float = None
    gradient_tolerance: float = None
    lr_schedule: typing.Callable = None  # (optimizer, steps of the run) to the learning rate of step 0, 1, …
    clip_norm: float = None
    no_weight_decay: tuple = ()  # patterns of the parameters' names
    scales_loss: bool = False  # as torch.cuda.amp.GradScaler does
    microbatches: int = 1  # whose gradients are accumulated, with the whole batch's divisor
    processes: int = 1  # of DistributedDataParallel over Gloo, which share each batch out evenly
    replicas: int = 1  # each of which cuts its rows into microbatches


class Model(nn.Module):
    """A module from its layers and its forward function, which gets the module and the input."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.function = forward

    def forward(self, x):
        return self.function(self, x)


def sgd(lr, momentum=0.0, weight_decay=0.0):
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)


def adam(lr, **arguments):
    return lambda parameters: torch.optim.Adam(parameters, lr=lr, **arguments)


def adamw(lr, **arguments):
    return lambda parameters: torch.optim.AdamW(parameters, lr=lr, **arguments)


def rmsprop(lr, **arguments):
    return lambda parameters: torch.optim.RMSprop(parameters, lr=lr, **arguments)


def adagrad(lr, **arguments):
    return lambda parameters: torch.optim.Adagrad(parameters, lr=lr, **arguments)


def schedule(make, warmup=0):
    """The closed form of one of torch's schedulers, made of the optimizer and the steps that are left after a linear
    warm-up; it stays at its end."""

    def rates(optimizer, steps):
        scheduler = make(optimizer, steps - warmup)
        base = scheduler.base_lrs[0]
        length = getattr(scheduler, "T_max", getattr(scheduler, "total_iters", steps))

        def rate(step):
            if step < warmup:
                return base * ((step + 1) / warmup)
            scheduler.last_epoch = min(step - warmup, length)
            return scheduler._get_closed_form_lr()[0]

        return rate

    return rates


def autoencoder():
    def forward(m, x):
        h = F.relu(m.layer4(F.relu(m.layer3(F.relu(m.layer2(F.relu(m.layer1(x))))))))
        return m.layer8(F.relu(m.layer7(F.relu(m.layer6(F.relu(m.layer5(h)))))))

    return Model(forward, layer1=nn.Linear(12, 256), layer2=nn.Linear(256, 128), layer3=nn.Linear(128, 64),
                 layer4=nn.Linear(64, 8), layer5=nn.Linear(8, 64), layer6=nn.Linear(64, 128),
                 layer7=nn.Linear(128, 256), layer8=nn.Linear(256, 12))


def article():
    return Program(autoencoder, 12, SUNSPOTS, test=0.2)


def article_sgd():
    return Program(autoencoder, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.05), epochs=8)


def replicas():
    # DistributedDataParallel's processes add up what one that accumulates gradients adds up.
    return Program(autoencoder, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.05, momentum=0.5), epochs=6, batch=50, microbatches=4)


def digits():
    def model():
        return Model(lambda m, x: m.output(F.relu(m.hidden2(F.relu(m.hidden1(x))))),
                     hidden1=nn.Linear(64, 256), hidden2=nn.Linear(256, 128), output=nn.Linear(128, 10))

    return Program(model, 64, DIGITS, test=0.2, loss="cross_entropy", optimizer=adamw(1e-3), epochs=15, batch=16)


def cnn():
    def forward(m, x):
        h = F.max_pool2d(F.relu(m.conv1(x.reshape(-1, 1, 8, 8) / 16)), 2)
        return m.output(torch.tanh(m.conv3(F.relu(m.conv2(h))).flatten(1)))

    def model():
        return Model(forward, conv1=nn.Conv2d(1, 8, 3, padding=1), conv2=nn.Conv2d(8, 12, 3, bias=False),
                     conv3=nn.Conv2d(12, 16, 2, stride=2), output=nn.Linear(16, 10))

    return Program(model, 64, DIGITS, test=0.2, loss="cross_entropy", optimizer=sgd(0.2, momentum=0.5), epochs=3,
                   batch=100, seed=41)


def convolutions():
    def forward(m, x):
        a = m.line(x.reshape(-1, 2, 6)).flatten(1)
        return m.output(torch.cat([a, m.plane(x.reshape(-1, 1, 3, 4))], dim=1))

    def model():
        line = nn.Sequential(nn.Conv1d(2, 6, 3, padding=2, dilation=2, groups=2), nn.Tanh(),
                             nn.AvgPool1d(3, stride=2, padding=1), nn.Conv1d(6, 4, 2, bias=False),
                             nn.MaxPool1d(2, stride=1), nn.AdaptiveAvgPool1d(1))
        plane = nn.Sequential(nn.Conv2d(1, 8, 3, stride=1, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                              nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(8, 8, 2, groups=8),
                              nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False), nn.Tanh(),
                              nn.Conv2d(8, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return Model(forward, line=line, plane=plane, output=nn.Linear(10, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1, momentum=0.5), epochs=3, batch=80, seed=43,
                   gradient_tolerance=5e-6)


def rounded_up():
    def forward(m, x):
        h = torch.tanh(m.plane(x.reshape(-1, 1, 3, 4)))
        along = m.line(h.reshape(-1, 4, 12))
        parts = m.largest(h), m.mean(h), m.within(h), m.largest_of_line(along), m.mean_of_line(along)
        return m.output(torch.cat([part.flatten(1) for part in parts], dim=1))

    def model():
        return Model(forward, plane=nn.Conv2d(1, 4, (2, 3), padding="same", dilation=(1, 2)),
                     line=nn.Conv1d(4, 4, 4, padding="same", groups=2), largest=nn.MaxPool2d(2, ceil_mode=True),
                     mean=nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True),
                     within=nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
                     largest_of_line=nn.MaxPool1d(5, 4, 1, ceil_mode=True),
                     mean_of_line=nn.AvgPool1d(5, 4, 1, True, False), output=nn.Linear(88, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1, momentum=0.5), epochs=3, batch=80, seed=45)


def edges():
    def forward(m, x):
        line = m.around(torch.tanh(m.mirrored(x.reshape(-1, 1, 12))))
        plane = torch.tanh(m.same(torch.tanh(m.repeated(x.reshape(-1, 1, 3, 4)))))
        parts = line, m.halves(plane), m.shares(plane), m.wraps(plane)
        return m.output(torch.cat([part.flatten(1) for part in parts], dim=1))

    def model():
        return Model(forward, mirrored=nn.Conv1d(1, 4, 5, padding=3, padding_mode="reflect"),
                     around=nn.Conv1d(4, 4, 4, stride=2, padding=2, groups=2, padding_mode="circular"),
                     repeated=nn.Conv2d(1, 4, 3, padding=(3, 2), dilation=(2, 1), padding_mode="replicate"),
                     same=nn.Conv2d(4, 4, (2, 3), padding="same", dilation=(1, 2), bias=False, padding_mode="reflect"),
                     wraps=nn.Conv2d(4, 2, 3, padding=1, padding_mode="circular"),
                     halves=nn.AvgPool2d(2, divisor_override=3),
                     shares=nn.AvgPool2d((3, 2), stride=2, padding=1, ceil_mode=True, divisor_override=4),
                     output=nn.Linear(164, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1, momentum=0.5), epochs=3, batch=80, seed=46,
                   gradient_tolerance=5e-6)


def apart():
    def forward(m, x):
        h = F.relu(m.plane(x.reshape(-1, 1, 3, 4)))
        k = F.relu(m.line(h.reshape(-1, 4, 12)))
        parts = m.spread(h), m.stepped(h), m.uneven(h), m.along(k), m.wide(k), m.more(k), k
        return m.output(torch.cat([part.flatten(1) for part in parts], dim=1))

    def model():
        return Model(forward, plane=nn.Conv2d(1, 4, 3, padding=1), line=nn.Conv1d(4, 4, 3, padding=1),
                     spread=nn.MaxPool2d(2, stride=1, dilation=2),
                     stepped=nn.MaxPool2d((2, 3), stride=(1, 2), padding=(0, 1), dilation=(1, 2), ceil_mode=True),
                     along=nn.MaxPool1d(3, 2, 1, 3), wide=nn.MaxPool1d(2, 3, dilation=5),
                     uneven=nn.AdaptiveAvgPool2d((2, 3)), more=nn.AdaptiveAvgPool1d(7), output=nn.Linear(152, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1, momentum=0.5), epochs=3, batch=80, seed=47)


def rectangles():
    def forward(m, x):
        return m.output(m.plane(x.reshape(-1, 1, 4, 3)))

    def model():
        plane = nn.Sequential(nn.Conv2d(1, 4, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1)), nn.Tanh(),
                              nn.MaxPool2d((1, 2), stride=1, padding=(0, 1)),
                              nn.Conv2d(4, 6, (1, 3), padding=(0, 1), groups=2, bias=False),
                              nn.AvgPool2d((2, 1), stride=(1, 1)), nn.AdaptiveAvgPool2d((3, 1)), nn.Flatten())
        return Model(forward, plane=plane, output=nn.Linear(18, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1, momentum=0.5), epochs=3, batch=80, seed=44)


def digits_sgd():
    def model():
        return Model(lambda m, x: m.output(F.relu(m.wide(x / 16 - 0.5))), wide=nn.Linear(64, 500),
                     output=nn.Linear(500, 10))

    return Program(model, 64, DIGITS, test=0.1, loss="cross_entropy",
                   optimizer=sgd(0.1, momentum=0.9, weight_decay=5e-4), epochs=6, batch=250, seed=3)


def defaults():
    def model():
        return Model(lambda m, x: m.output(torch.tanh(m.hidden(x))), hidden=nn.Linear(12, 24),
                     output=nn.Linear(24, 12))

    return Program(model, 12, SUNSPOTS, test=0.15)


def in_order():
    def model():
        return Model(lambda m, x: m.output(torch.sigmoid(m.hidden(x))), hidden=nn.Linear(12, 40),
                     output=nn.Linear(40, 12))

    return Program(model, 12, SUNSPOTS, optimizer=sgd(0.2), epochs=5, batch=50, shuffle=False, seed=1)


def momentum():
    def model():
        return Model(lambda m, x: m.d(torch.tanh(m.c(torch.tanh(m.b(torch.tanh(m.a(x))))))), a=nn.Linear(12, 33),
                     b=nn.Linear(33, 17), c=nn.Linear(17, 29), d=nn.Linear(29, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.05, momentum=0.9, weight_decay=1e-3), epochs=6,
                   batch=64, seed=7)


def batch_one():
    def model():
        return Model(lambda m, x: m.output(F.relu(m.hidden(x))), hidden=nn.Linear(3, 20), output=nn.Linear(20, 2))

    return Program(model, 3, "data/plane.csv", test=0.3, optimizer=sgd(0.01), epochs=4, batch=1, seed=11)


def test_file():
    def model():
        return Model(lambda m, x: m.output(F.gelu(m.hidden2(F.gelu(m.hidden1(x))))), hidden1=nn.Linear(3, 16),
                     hidden2=nn.Linear(16, 16), output=nn.Linear(16, 2))

    return Program(model, 3, "data/plane.csv", test_data="data/plane_test.csv",
                   optimizer=adamw(2e-3, betas=(0.85, 0.98), weight_decay=0.1), epochs=6, batch=20, seed=5)


def own_target():
    def model():
        return Model(lambda m, x: m.up2(F.gelu(m.up1(m.down2(F.gelu(m.down1(x)))))), down1=nn.Linear(6, 24),
                     down2=nn.Linear(24, 2), up1=nn.Linear(2, 24), up2=nn.Linear(24, 6))

    return Program(model, 6, "data/curves.csv", test=0.25,
                   optimizer=adam(3e-3, betas=(0.8, 0.99), eps=1e-6, weight_decay=1e-4), epochs=8, batch=17,
                   seed=8589934597)


def bce():
    def model():
        return Model(lambda m, x: torch.sigmoid(m.output(F.silu(m.hidden2(F.silu(m.hidden1(x)))))),
                     hidden1=nn.Linear(5, 32), hidden2=nn.Linear(32, 16), output=nn.Linear(16, 1))

    return Program(model, 5, "data/binary.csv", test=0.2, loss="bce", optimizer=adamw(2e-3, weight_decay=0.05),
                   epochs=7, seed=20260122)


def l1():
    def model():
        return Model(lambda m, x: m.output(F.leaky_relu(m.hidden2(F.leaky_relu(m.hidden1(x), 0.2)))),
                     hidden1=nn.Linear(12, 48), hidden2=nn.Linear(48, 48), output=nn.Linear(48, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, loss="l1", optimizer=adam(5e-4, weight_decay=0.01), epochs=5,
                   batch=40, seed=2)


def deep_gelu_tanh():
    def forward(m, x):
        h = F.gelu(m.first(x), approximate="tanh")
        for layer in m.middle:
            h = F.gelu(layer(h), approximate="tanh")
        return m.last(h)

    def model():
        return Model(forward, first=nn.Linear(12, 16), middle=nn.ModuleList(nn.Linear(16, 16) for _ in range(10)),
                     last=nn.Linear(16, 12))

    return Program(model, 12, SUNSPOTS, test=0.1, optimizer=sgd(0.1, momentum=0.5), epochs=4, batch=128, seed=99)


def layer_norm():
    def model():
        return Model(lambda m, x: m.output(F.silu(m.norm2(m.hidden2(F.relu(m.norm1(m.hidden1(x))))))),
                     hidden1=nn.Linear(12, 64), norm1=nn.LayerNorm(64), hidden2=nn.Linear(64, 30),
                     norm2=nn.LayerNorm(30), output=nn.Linear(30, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=adamw(1e-3), epochs=5, batch=100, seed=42)


def no_bias():
    def model():
        return Model(lambda m, x: m.c(F.silu(m.b(F.silu(m.a(x))))), a=nn.Linear(12, 31, bias=False),
                     b=nn.Linear(31, 31, bias=False), c=nn.Linear(31, 12, bias=False))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1), epochs=5, batch=48, seed=13)


def log_softmax():
    def model():
        return Model(lambda m, x: F.log_softmax(m.output(torch.tanh(m.hidden2(torch.tanh(m.hidden1(x))))), dim=-1),
                     hidden1=nn.Linear(2, 32), hidden2=nn.Linear(32, 32), output=nn.Linear(32, 3))

    return Program(model, 2, "data/rings.csv", test=0.2, loss="cross_entropy", optimizer=sgd(0.5, momentum=0.9),
                   epochs=40, batch=1000, seed=4)


def softmax():
    def forward(m, x):
        h = torch.tanh(m.hidden(x))
        weights = F.softmax(m.gate(h), dim=-1)
        return m.output(36 * h * weights)

    def model():
        return Model(forward, hidden=nn.Linear(12, 36), gate=nn.Linear(36, 36), output=nn.Linear(36, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1), epochs=5, seed=6)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))


def residual():
    def forward(m, x):
        h = m.embed(x)
        for block in m.block:
            h = block(h)
        return m.head(m.norm(h))

    def model():
        return Model(forward, embed=nn.Linear(12, 20), block=nn.ModuleList(Block(20) for _ in range(6)),
                     norm=nn.LayerNorm(20), head=nn.Linear(20, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, epochs=4, batch=64, seed=21)


def twice():
    def forward(m, x):
        h = m.input(x)
        for _ in range(3):
            h = torch.tanh(m.step(h))
        return m.output(h)

    def model():
        return Model(forward, input=nn.Linear(12, 32), step=nn.Linear(32, 32), output=nn.Linear(32, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1), epochs=5, seed=17)


def gated_unit():
    def forward(m, x):
        u = m.up(x)
        h = F.silu(u[:, :32]) * u[:, 32:]
        return m.output(torch.cat([m.left(h), m.right(h), h], dim=-1))

    def model():
        return Model(forward, up=nn.Linear(12, 64), left=nn.Linear(32, 10), right=nn.Linear(32, 10),
                     output=nn.Linear(52, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, epochs=3, seed=30)


class Halves(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.both = nn.Linear(width, 2 * width)
        self.gate = nn.Linear(width, width)

    def forward(self, x):
        value, hidden = self.both(x).chunk(2, dim=-1)
        return value, torch.sigmoid(self.gate(torch.tanh(hidden)))


def several_results():
    def forward(m, x):
        value, gate = m.halves(x)
        a, b, c = m.mix(value * gate).chunk(3, dim=-1)
        even, odd = (a * b).reshape(-1, 6, 2).unbind(-1)
        return m.output(torch.cat([c, odd, even], dim=-1))

    def model():
        return Model(forward, halves=Halves(12), mix=nn.Linear(12, 36), output=nn.Linear(24, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, epochs=3, seed=31)


def batch_norm():
    def forward(m, x):
        h = F.relu(m.norm1(m.hidden1(x)))
        h = m.norm2(m.hidden2(h).reshape(-1, 6, 2, 3)).flatten(1)
        return m.output(torch.tanh(m.norm3(h.reshape(-1, 4, 9)).flatten(1)))

    def model():
        return Model(forward, hidden1=nn.Linear(12, 48, bias=False), norm1=nn.BatchNorm1d(48),
                     hidden2=nn.Linear(48, 36, bias=False), norm2=nn.BatchNorm2d(6, eps=1e-3, momentum=0.3),
                     norm3=nn.BatchNorm1d(4, affine=False, track_running_stats=False), output=nn.Linear(36, 12))

    # What norm3 takes away again makes the gradient of norm2.weight small: PyTorch itself is off by 7e-7.
    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.05), epochs=4, batch=64, seed=23,
                   gradient_tolerance=2e-6)


class Standardized(nn.Module):
    """Batch normalization by hand, with a spread that is not squared."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.register_buffer("running", torch.zeros(width))
        self.register_buffer("distance", torch.ones(width))

    def forward(self, x):
        center, spread = self.running, self.distance
        if self.training:
            center = x.mean(0)
            spread = (x - center).abs().mean(0)
            self.running.copy_((self.running + 0.25 * (center.detach() - self.running)))
            self.distance.copy_((self.distance + 0.25 * (spread.detach() - self.distance)))
        return (x - center) * (self.weight / (spread + 0.1)) + 0.1 * self.running


def batch_norm_parts(replicas=1, microbatches=4):
    # Accumulated gradients: each part of a batch goes by its own statistics, and sets the running ones in its turn.
    def forward(m, x):
        h = F.relu(m.norm1(m.hidden1(x)))
        h = m.norm2(m.hidden2(h).reshape(-1, 6, 2, 3)).flatten(1)
        return m.output(m.own(torch.tanh(h)))

    def model():
        return Model(forward, hidden1=nn.Linear(12, 48, bias=False), norm1=nn.BatchNorm1d(48),
                     hidden2=nn.Linear(48, 36, bias=False), norm2=nn.BatchNorm2d(6, eps=1e-3, momentum=0.3),
                     own=Standardized(36), output=nn.Linear(36, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.05), epochs=4, batch=50, seed=24,
                   gradient_tolerance=2e-6, replicas=replicas, microbatches=microbatches)


def batch_norm_replicas():
    return batch_norm_parts(replicas=2, microbatches=2)


def integers():
    def forward(m, x):
        a, k = x[:, :3], x[:, 3:].int()
        even = k % 2 == 0
        largest = a.argmax(-1)
        total = k.sum(-1)
        spread = k.amax(-1, keepdim=True) - k.amin(-1, keepdim=True)
        sign = torch.where((k > 1) & ~even | (k == torch.clamp(k, max=-2)), 1, -1)
        chosen = torch.where(torch.arange(3) == largest[:, None], a, torch.zeros(()))
        mixed = (largest * 2 - total.abs())[:, None].float()
        counts = even.sum(1, keepdim=True) + spread
        nearby = torch.clamp(k, -1, 2).argmax(1) >= 1
        parts = [a, chosen, k, even, sign * k, mixed, counts, a.mean(1, keepdim=True), nearby[:, None]]
        return m.output(torch.tanh(m.hidden(torch.cat([part.to(x.dtype) for part in parts], dim=-1))))

    def model():
        return Model(forward, hidden=nn.Linear(16, 24), output=nn.Linear(24, 2))

    return Program(model, 5, "data/mixed.csv", test=0.2, optimizer=adam(2e-3), epochs=8, batch=24, seed=15)


def activation_layers():
    def forward(m, x):
        h = m.act4(m.fc4(m.act3(m.fc3(m.act2(m.fc2(m.act1(m.fc1(x))))))))
        return m.fc7(m.act6(m.fc6(m.act5(m.fc5(h)))))

    def model():
        return Model(forward, fc1=nn.Linear(12, 16), act1=nn.LeakyReLU(0.1), fc2=nn.Linear(16, 16), act2=nn.GELU(),
                     fc3=nn.Linear(16, 16), act3=nn.SiLU(), fc4=nn.Linear(16, 16), act4=nn.Sigmoid(),
                     fc5=nn.Linear(16, 16), act5=nn.Tanh(), fc6=nn.Linear(16, 16), act6=nn.ReLU(),
                     fc7=nn.Linear(16, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1, momentum=0.9), epochs=4)


def element_wise():
    def forward(m, x):
        centred = x - x.mean(dim=-1, keepdim=True)
        scaled = centred * torch.rsqrt(x.var(dim=-1, keepdim=True) + 0.01)
        bounded = torch.clamp(torch.log(x + 0.5), -0.5, 0.5)
        waves = torch.sin(x) + torch.exp(-x) * torch.sqrt(torch.abs(centred) + 1)
        h = m.hidden(torch.cat([scaled, bounded, waves], dim=-1))
        return m.output(torch.maximum(h, 0.1 * torch.pow(h, 2)))

    def model():
        return Model(forward, hidden=nn.Linear(36, 24), output=nn.Linear(24, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.02), epochs=4, seed=9)


def attend(q, k, v, causal=False):
    """Scaled dot-product attention by its formula; PyTorch 1.13 has no function for it."""
    k, v = (x.repeat_interleave(q.shape[-3] // x.shape[-3], dim=-3) for x in (k, v))
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), float("-inf"))
    return F.softmax(scores, dim=-1) @ v


def attention():
    def forward(m, x):
        h = m.embed(x.unsqueeze(-1))
        q, k, v = m.qkv(h).reshape(-1, 12, 3, 4, 4).permute(2, 0, 3, 1, 4)
        a = attend(q, k, v, causal=True)
        few = m.kv(m.mix(h.transpose(1, 2)).transpose(1, 2)).reshape(-1, 3, 2, 2, 4).permute(2, 0, 3, 1, 4)
        b = attend(q + a, few[0], few[1])
        return m.output((a + b).transpose(1, 2).reshape(-1, 192))

    def model():
        return Model(forward, embed=nn.Linear(1, 16), qkv=nn.Linear(16, 48), mix=nn.Linear(12, 3),
                     kv=nn.Linear(16, 16), output=nn.Linear(192, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1, momentum=0.9), epochs=3, batch=80, seed=12)


class MultiHeadAttention(nn.Module):
    attend = staticmethod(attend)

    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = self.c_attn(x).reshape(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.c_proj(self.attend(q, k, v, self.causal).transpose(1, 2).reshape(batch, time, width))


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x)))


class TransformerBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = MultiHeadAttention(width, heads, causal=True)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = FeedForward(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.embed = nn.Linear(1, width)
        self.wpe = nn.Parameter(nn.init.uniform_(torch.empty(12, width), -0.1, 0.1))
        self.h = nn.ModuleList(TransformerBlock(width, 3) for _ in range(2))
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        y = self.embed(x.unsqueeze(-1)) + self.wpe
        for block in self.h:
            y = block(y)
        return self.head(self.ln_f(y)).squeeze(-1)


def transformer():
    return Program(Transformer, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.02), epochs=3, batch=96, seed=15)


class RoundedTransformer(Transformer):
    """Under autocast, with the attention that autocast runs in bf16: a function that PyTorch has since 2.0."""

    def __init__(self):
        super().__init__()
        for block in self.h:
            block.attn.attend = lambda q, k, v, causal: F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x).to(x.dtype)


def rounded_transformer():
    return Program(RoundedTransformer, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.02), epochs=3, batch=96, seed=15,
                   loss_tolerance=0.02, gradient_tolerance=0.02)


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt((x * x).mean(dim=-1, keepdim=True) + self.eps) * self.weight


def rotary(x):
    half = x.shape[-1] // 2
    rate = 1.0 / 10000.0 ** (torch.arange(half) * 2 / x.shape[-1])
    angle = torch.arange(x.shape[-2]).unsqueeze(-1) * rate
    left, right = x[..., :half], x[..., half:]
    return torch.cat([left * angle.cos() - right * angle.sin(), right * angle.cos() + left * angle.sin()], dim=-1)


class LlamaAttention(nn.Module):
    def __init__(self, width, heads, kv_heads):
        super().__init__()
        self.dim = width // heads
        self.q_proj = nn.Linear(width, heads * self.dim, bias=False)
        self.k_proj = nn.Linear(width, kv_heads * self.dim, bias=False)
        self.v_proj = nn.Linear(width, kv_heads * self.dim, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x):
        q, k, v = (layer(x).unflatten(-1, (-1, self.dim)).transpose(1, 2)
                   for layer in (self.q_proj, self.k_proj, self.v_proj))
        return self.o_proj(attend(rotary(q), rotary(k), v, causal=True).transpose(1, 2).flatten(2))


class GroupedAttention(nn.Module):
    def __init__(self, width, heads, kv_heads):
        super().__init__()
        self.dim = width // heads
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * kv_heads * self.dim, bias=False)
        self.c_proj = nn.Linear(width, width, bias=False)

    def forward(self, x):
        q = self.q(x).unflatten(-1, (-1, self.dim)).transpose(1, 2)
        k, v = (part.unflatten(-1, (-1, self.dim)).transpose(1, 2) for part in self.kv(x).chunk(2, -1))
        return self.c_proj(attend(q, k, v, causal=True).transpose(1, 2).flatten(2))


class TanhFeedForward(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.c_fc = nn.Linear(width, hidden, bias=False)
        self.c_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


def attention_layers():
    def forward(m, x):
        y = m.embed(x.unsqueeze(-1))
        z = y + m.open(y)
        g = z + m.grouped(rotary(z))
        w = g + m.widen(g)
        half = m.gates(w) * m.share(w[:, 3:9]) + m.logs(w[:, :6])
        return m.head(half).flatten(1)

    def model():
        return Model(forward, embed=nn.Linear(1, 16), open=MultiHeadAttention(16, 4, False),
                     grouped=GroupedAttention(16, 4, 2), widen=TanhFeedForward(16, 24), gates=nn.GLU(1),
                     share=nn.Softmax(1), logs=nn.LogSoftmax(-1), head=nn.Linear(16, 2))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.002), epochs=3, batch=90, seed=23)


class SwiGLU(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaBlock(nn.Module):
    def __init__(self, width, heads, kv_heads, hidden):
        super().__init__()
        self.input_layernorm = RMSNorm(width, 1e-6)
        self.self_attn = LlamaAttention(width, heads, kv_heads)
        self.post_attention_layernorm = RMSNorm(width, 1e-6)
        self.mlp = SwiGLU(width, hidden)

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


def llama():
    def forward(m, x):
        y = m.embed(x.unsqueeze(-1))
        for block in m.layers:
            y = block(y)
        return m.head(m.norm(y)).squeeze(-1)

    def model():
        return Model(forward, embed=nn.Linear(1, 24), layers=nn.ModuleList(LlamaBlock(24, 4, 2, 40) for _ in range(2)),
                     norm=RMSNorm(24, 1e-5), head=nn.Linear(24, 1, bias=False))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.02), epochs=3, batch=96, seed=18)


class Affine(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(outputs, inputs)))
        self.scale = nn.Parameter(torch.ones(outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.shift = nn.Parameter(nn.init.uniform_(torch.empty(outputs), -0.25, 0.5))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias) * self.scale + self.shift


class Normal(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(nn.init.normal_(torch.empty(outputs, inputs), 0, 0.3))
        self.bias = nn.Parameter(nn.init.normal_(torch.empty(outputs), 0.1, 0.05))
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return self.gain * F.linear(x, self.weight) + self.bias


def low_precision():
    def forward(m, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h = m.last(F.relu(m.down(F.relu(m.up(x)))))
        return h.to(x.dtype)

    def model():
        return Model(forward, up=nn.Linear(12, 96), down=nn.Linear(96, 48), last=nn.Linear(48, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, epochs=4, seed=5, loss_tolerance=0.02,
                   gradient_tolerance=0.01)


def halved(x):
    return x.half().to(x.dtype)


class HalfProduct(torch.autograd.Function):
    """What a GPU's f16 product with its bias does, on any processor: operands, bias, result and adjoints of rows are rounded,
    sums are not, nor are the gradients of parameters."""

    @staticmethod
    def forward(context, x, weight, bias):
        x, weight = halved(x), halved(weight)
        context.save_for_backward(x, weight)
        return halved(x @ weight.t() + halved(bias))

    @staticmethod
    def backward(context, gradient):
        x, weight = context.saved_tensors
        gradient = halved(gradient)
        return halved(gradient @ weight), gradient.t() @ x, gradient.sum(0)


class HalfLinear(nn.Linear):
    def forward(self, x):
        return HalfProduct.apply(x, self.weight, self.bias)


def half_precision():
    def model():
        return Model(lambda m, x: m.last(torch.tanh(m.down(F.relu(m.up(x))))), up=HalfLinear(12, 96),
                     down=HalfLinear(96, 48), last=nn.Linear(48, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, loss="squares", clip_norm=2.0, epochs=4, seed=35, scales_loss=True,
                   loss_tolerance=5e-3, gradient_tolerance=1e-4)


def initialisers():
    def model():
        return Model(lambda m, x: m.third(torch.tanh(m.second(torch.tanh(m.first(x))))), first=Affine(12, 22),
                     second=Normal(22, 7), third=nn.Linear(7, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1), epochs=3, seed=77)


def embedding():
    def model():
        return Model(lambda m, x: m.last(torch.tanh(m.words(x).mean(dim=1))), words=nn.Embedding(20, 8),
                     last=nn.Linear(8, 3))

    return Program(model, 4, "data/words.csv", test=0.2, loss="cross_entropy", optimizer=sgd(0.5, momentum=0.5),
                   epochs=8, batch=16, seed=11, integers=True)


def data_parallel_two():
    def model():
        return Model(lambda m, x: m.output(F.relu(m.hidden2(F.relu(m.hidden1(x))))), hidden1=nn.Linear(2, 48),
                     hidden2=nn.Linear(48, 48), output=nn.Linear(48, 3))

    return Program(model, 2, "data/rings.csv", test=0.2, loss="cross_entropy", optimizer=adam(2e-3), epochs=6, batch=48,
                   seed=21, processes=2)


def data_parallel_four():
    def model():
        return Model(lambda m, x: m.last(m.norm(F.gelu(m.mix(m.words(x).flatten(1))))), words=nn.Embedding(20, 8),
                     mix=nn.Linear(32, 24), norm=nn.LayerNorm(24), last=nn.Linear(24, 3))

    return Program(model, 4, "data/words.csv", test=0.2, loss="cross_entropy",
                   optimizer=sgd(0.2, momentum=0.9, weight_decay=1e-3), epochs=6, batch=40, seed=22, integers=True,
                   processes=4)


def padding():
    def model():
        return Model(lambda m, x: m.last(m.norm(m.words(x)).flatten(1)), words=nn.Embedding(20, 8, padding_idx=13),
                     norm=nn.LayerNorm((4, 8)), last=nn.Linear(32, 3))

    return Program(model, 4, "data/words.csv", test=0.2, loss="cross_entropy", optimizer=adamw(1e-3, weight_decay=0.1),
                   epochs=5, batch=16, seed=13, integers=True)


def characters():
    def previous(x):
        return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)

    def forward(m, x):
        e = m.letters(x)
        before = previous(e)
        return m.next(torch.tanh(m.mix(torch.cat([e, before, previous(before)], dim=-1))))

    def model():
        return Model(forward, letters=nn.Embedding(256, 16), mix=nn.Linear(48, 48), next=nn.Linear(48, 256))

    return Program(model, 24, "data/raven.txt", test=0.15, loss="cross_entropy", optimizer=adam(3e-3), epochs=6,
                   batch=8, seed=4, integers=True)


def wave(*widths):
    def model():
        return Model(lambda m, x: m.c(torch.tanh(m.b(torch.tanh(m.a(x))))),
                     a=nn.Linear(12, widths[0]), b=nn.Linear(widths[0], widths[1]), c=nn.Linear(widths[1], 12))

    return model


def averaged_squares():
    return Program(wave(33, 17), 12, SUNSPOTS, test=0.2,
                   optimizer=rmsprop(1e-3, alpha=0.9, momentum=0.5, centered=True, eps=1e-3), epochs=4, seed=31)


def summed_squares():
    return Program(wave(20, 31), 12, SUNSPOTS, test=0.2,
                   optimizer=adagrad(0.02, lr_decay=1e-3, weight_decay=1e-4, initial_accumulator_value=0.1), epochs=4,
                   batch=50, seed=32)


def scheduled():
    def model():
        return Model(lambda m, x: m.output(F.silu(m.norm2(m.hidden2(F.silu(m.norm1(m.hidden1(x))))))),
                     hidden1=nn.Linear(12, 40), norm1=nn.LayerNorm(40), hidden2=nn.Linear(40, 24),
                     norm2=nn.LayerNorm(24), output=nn.Linear(24, 12))

    cosine = schedule(lambda o, steps: torch.optim.lr_scheduler.CosineAnnealingLR(o, steps, eta_min=1e-4), warmup=20)
    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=adamw(3e-3, weight_decay=0.5), epochs=5, batch=100,
                   seed=33, lr_schedule=cosine, clip_norm=0.5, no_weight_decay=("*.bias", "norm*.weight"))


def clipped():
    linear = schedule(lambda o, steps: torch.optim.lr_scheduler.LinearLR(
        o, start_factor=1.0, end_factor=0.1, total_iters=60))
    return Program(wave(24, 24), 12, SUNSPOTS, test=0.2,
                   optimizer=lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.8, nesterov=True), epochs=3, batch=64,
                   seed=34, lr_schedule=linear, clip_norm=0.05)


def accumulated():
    return Program(wave(28, 20), 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1, momentum=0.9), epochs=3, batch=48, seed=36,
                   microbatches=5)


def stepped():
    steps = schedule(lambda o, steps: torch.optim.lr_scheduler.StepLR(o, 30, gamma=0.5), warmup=5)
    return Program(wave(30, 12), 12, SUNSPOTS, test=0.2, optimizer=sgd(0.1, momentum=0.9, weight_decay=0.01), epochs=3,
                   batch=48, seed=35, lr_schedule=steps, no_weight_decay=("[ab].*",))


class Embed(nn.Module):
    def __init__(self, rows, width):
        super().__init__()
        self.weight = nn.Parameter(nn.init.uniform_(torch.empty(rows, width), -0.3, 0.3))

    def forward(self, x):
        return x @ self.weight


class Head(nn.Module):
    """A linear layer that is given its weight, and draws only its bias."""

    def __init__(self, weight, bias):
        super().__init__()
        outputs, inputs = weight.shape
        self.weight = weight
        bound = 1 / inputs**0.5
        self.bias = nn.Parameter(nn.init.uniform_(torch.empty(outputs), -bound, bound)) if bias else None

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


def tied():
    def forward(m, x):
        h = torch.tanh(m.hidden(torch.tanh(m.wte(x))))
        return m.head(h) + 0.1 * m.second(h * h)

    def model():
        wte, hidden = Embed(12, 24), nn.Linear(24, 24)
        return Model(forward, wte=wte, hidden=hidden, head=Head(wte.weight, bias=False),
                     second=Head(wte.weight, bias=True))

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=adamw(2e-3), epochs=4, batch=100, seed=31)


def tied_embedding():
    def forward(m, x):
        h = m.words(x).mean(dim=1)
        return m.head(h + m.mix(h))

    def model():
        words = nn.Embedding(20, 8)
        mix = nn.Sequential(nn.Linear(8, 24), nn.GELU(), nn.Linear(24, 8))
        return Model(forward, words=words, mix=mix, head=Head(words.weight, bias=False))

    return Program(model, 4, "data/words.csv", test=0.2, loss="cross_entropy", optimizer=adam(5e-3), epochs=6,
                   batch=16, seed=12, integers=True)


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


def containers():
    def forward(m, x):
        return m.flat(m.net(m.mlp(x)).reshape(-1, 3, 4))

    def model():
        mlp = nn.Sequential(nn.Linear(12, 30), nn.Tanh(), nn.Linear(30, 20), nn.Tanh(), nn.Linear(20, 24))
        first = nn.Linear(24, 24)
        rest = Residual(Residual(nn.Sequential(nn.LayerNorm(24), nn.Linear(24, 48), nn.GELU(), nn.Linear(48, 24))))
        net = nn.Sequential(first, nn.SiLU(), nn.Identity(), rest, nn.Linear(24, 12, bias=False))
        return Model(forward, mlp=mlp, first=first, rest=rest, net=net, flat=nn.Flatten())

    return Program(model, 12, SUNSPOTS, test=0.2, optimizer=sgd(0.05, momentum=0.9), epochs=4, batch=50, seed=32)


def own_loss():
    def model():
        return Model(lambda m, x: m.output(torch.tanh(m.hidden(x))), hidden=nn.Linear(12, 40),
                     output=nn.Linear(40, 12))

    return Program(model, 12, SUNSPOTS, test=0.2, loss="huber", epochs=4, batch=64, seed=33)


def gpt():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/gpt/gpt.py")
    spec = importlib.util.spec_from_file_location("gpt", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Program(module.Gpt, 32, "data/raven.txt", test=0.15, loss="cross_entropy", optimizer=adamw(1e-3), epochs=20,
                   batch=8, seed=1, integers=True, batches=200, loss_tolerance=1e-4, gradient_tolerance=1e-5)


PROGRAMS = {function.__name__: function for function in (
    article, article_sgd, digits, digits_sgd, defaults, in_order, momentum, batch_one, test_file, own_target, bce, l1,
    deep_gelu_tanh, layer_norm, no_bias, log_softmax, softmax, residual, twice, gated_unit, several_results, batch_norm,
    batch_norm_parts, batch_norm_replicas,
    integers, activation_layers, element_wise, low_precision, half_precision, initialisers, embedding, padding, characters,
    attention, attention_layers, transformer, rounded_transformer, llama, cnn, convolutions, rectangles, rounded_up,
    edges, apart, averaged_squares, summed_squares, scheduled, clipped, accumulated, stepped, gpt,
    tied, tied_embedding, containers, own_loss, replicas, data_parallel_two, data_parallel_four)}

# Parameters that are not drawn bit for bit: normal() is PyTorch's to 1e-6.
DRAWN_NORMAL = {"initialisers": {"second.weight", "second.bias"}, "embedding": {"words.weight"},
                "padding": {"words.weight"}, "data_parallel_four": {"words.weight"},
                "tied_embedding": {"words.weight", "head.weight"},
                "characters": {"letters.weight"}, "gpt": {"wte.weight", "wpe.weight", "lm_head.weight"}}
