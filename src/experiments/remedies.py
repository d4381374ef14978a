"""Chapter 12: where can a plain network be trained? By spectral radius, length and first W."""

from itertools import product
from typing import Any

import numpy as np
from numpy.random import Generator

from bptt._arguments import Array
from bptt.cells import ELMAN, Cell, Partials
from bptt.network import Batch, Network, init_network, predict
from bptt.optimisers import sgd
from bptt.readout import cross_entropy
from bptt.training import fit

from .runner import Experiment


class Leaky(Cell):
    """The leaky unit: h_t = (1 - a) h_{t-1} + a tanh(W h_{t-1} + U x_t + b)."""

    parts, direct, scale, kept = 1, 1, (1.0,), 1

    def __init__(self, a: float) -> None:
        self.a = a

    def step(self, before: Array, p: Array, q: Array, s: Array, kept: Array) -> None:
        np.tanh(p + q, out=kept)
        s[...] = (1 - self.a) * before + self.a * kept

    def partials(self, before: Array, s: Array, kept: Array) -> Partials:
        return Partials.of([[self.a * (1 - kept[0] ** 2), 1 - self.a]])


class Relu(Cell):
    """The network h_t = max(0, W h_{t-1} + U x_t + b)."""

    parts, direct, scale, kept = 1, 0, (1.0,), 0

    def step(self, before: Array, p: Array, q: Array, s: Array, kept: Array) -> None:
        np.maximum(0, p + q, out=s)

    def partials(self, before: Array, s: Array, kept: Array) -> Partials:
        return Partials.of([[s[0] > 0]])


# By name: the cell, and how W of spectral radius about 1 is drawn.
def gaussian(n: int, rng: Generator) -> Array:
    """Independent entries; the spectral radius tends to 1 as n grows."""
    return rng.standard_normal((n, n)) / np.sqrt(n)


def orthogonal(n: int, rng: Generator) -> Array:
    """Uniform among the orthogonal matrices: the Q of a Gaussian matrix, its signs made unique."""
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    return Q * np.sign(np.diag(R))


def identity(n: int, rng: Generator) -> Array:
    """The identity."""
    return np.eye(n)


STARTS = {
    "gaussian": (ELMAN, gaussian),
    "orthogonal": (ELMAN, orthogonal),
    "leaky": (Leaky(0.1), gaussian),
    "identity": (Relu(), identity),
}


def network(start: str, radius: float, n: int, rng: Generator) -> tuple[Cell, Network]:
    """A cell, and a network that begins with W of about this spectral radius, and without bias."""
    cell, recurrent = STARTS[start]
    drawn = init_network(cell, 2, n, 2, rng=rng)
    W = radius * recurrent(n, rng)
    return cell, drawn._replace(W=W, b=np.zeros(n), U=rng.standard_normal((n, 2)) / 2)


def first_input(T: int, B: int, rng: Generator) -> Batch:
    """Was the first input +1 or -1? Asked after T steps, with noise on a second input all along."""
    sign = rng.integers(0, 2, B)
    x = np.zeros((T, B, 2))
    x[0, :, 0] = 2 * sign - 1
    x[:, :, 1] = rng.uniform(-1, 1, (T, B))
    counts = np.zeros((T, B), bool)
    counts[-1] = True
    return Batch(x, np.broadcast_to(sign, (T, B)), counts)


def train(seed: int, start: str, radius: float, T: int, clip: float | None = 1.0) -> dict[str, Any]:
    """Solved: at least 95 per cent of 400 fresh sequences right, within 150 updates."""
    rng = np.random.default_rng([seed, T])
    cell, begin = network(start, radius, 24, rng)
    test = first_input(T, 400, rng)

    def right(network: Network) -> float:
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                z = predict(cell, network, test.x)[-1]
        except FloatingPointError:  # what overflows has no answer
            return 0.0
        return float((z.argmax(axis=1) == test.target[-1]).mean())

    result = fit(
        cell,
        begin,
        lambda rng: first_input(T, 32, rng),
        cross_entropy,
        sgd(0.1, 0.9),
        steps=150,
        rng=rng,
        clip=clip,
        criterion=lambda network: right(network) >= 0.95,
        every=25,
        progress=False,
    )
    history = result.history
    return {
        "first": history.losses[:5],
        "solved": history.solved,
        "right": right(result.network),
        "updates": history.updates,
        "diverged": history.diverged,
    }


RADII = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0)
LENGTHS = (8, 16, 32, 64, 128)

PHASES = Experiment(
    "phases",
    train,
    [
        {"start": start, "radius": radius, "T": T}
        for start, radius, T in product(STARTS, RADII, LENGTHS)
    ],
    range(5),
)

UNCLIPPED = Experiment(
    "unclipped",
    train,
    [
        {"start": start, "radius": radius, "T": T, "clip": None}
        for start, radius, T in product(("gaussian", "identity"), RADII[3:], (16, 64))
    ],
    range(5),
)
