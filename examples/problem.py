"""The network, the weights and the text that the programs beside this file share."""

from types import SimpleNamespace

import numpy as np

import bptt

T, B, d, n, m = 12, 2, 3, 5, 4  # steps, sequences, inputs, units, classes
LENGTHS = 12, 7  # of the two sequences, where they are padded
WEIGHTS = "W", "U", "b", "V", "c"
PARAMETERS = *WEIGHTS, "s0"
CELLS = {"RNN": bptt.ELMAN, "LSTM": bptt.LSTM, "GRU": bptt.GRU}  # by PyTorch's names


def problem(name: str) -> SimpleNamespace:
    """Weights W, U, b, V, c, a sequence x (T, B, d), targets (T, B), the initial state s0."""
    cell, rng = CELLS[name], np.random.default_rng([2026, len(name)])
    W, U, b = bptt.init(cell, d, n, rng=rng)
    V, c = rng.standard_normal((m, n)), rng.standard_normal(m)
    s0 = rng.uniform(-1, 1, (B, cell.parts * n))
    x, targets = rng.standard_normal((T, B, d)), rng.integers(m, size=(T, B))
    return SimpleNamespace(cell=cell, W=W, U=U, b=b, V=V, c=c, s0=s0, x=x, targets=targets)


def directions(p: SimpleNamespace) -> dict[str, np.ndarray]:
    """A direction in the space of each weight, for second derivatives."""
    rng = np.random.default_rng(1)
    return {name: rng.standard_normal(getattr(p, name).shape) for name in WEIGHTS}
