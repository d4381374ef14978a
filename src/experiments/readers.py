"""A plain network and an LSTM learn to read as the GRU of :mod:`experiments.reading` does.

The text, the units, the batches and the updates are the same, so that the gradients of three
kinds of cell can stand side by side.
"""

from typing import Any

import numpy as np

from bptt.cells import ELMAN, GRU, LSTM, Cell
from bptt.network import Network, init_network, predict
from bptt.optimisers import adam
from bptt.readout import cross_entropy, softmax
from bptt.training import fit

from .reading import (
    KEPT,
    LONG,
    RATE,
    STEPS,
    STREAMS,
    TEXT,
    UNITS,
    UPDATES,
    Streams,
    corpus,
    one_hot,
    pack,
    unpack_network,
)
from .runner import Experiment, stored

CELLS: dict[str, Cell] = {"ELMAN": ELMAN, "LSTM": LSTM}


def start(cell: Cell, seed: int, m: int) -> Network:
    """The network before training."""
    rng = np.random.default_rng(seed)
    return init_network(cell, m, UNITS, m, rng=rng, dtype=np.float32)


def train(seed: int, cell: str, updates: int, stop: int | None = None) -> dict[str, Any]:
    """So many updates, or the first of them.

    Solved means better than the frequencies of single characters.
    """
    letters, learned, held_out = corpus()
    m, kind = len(letters), CELLS[cell]
    batches = Streams(learned, m, STREAMS, STEPS)
    found = fit(
        *(kind, start(kind, seed, m), batches, cross_entropy, adam(RATE, until=updates)),
        steps=stop or updates,
        rng=np.random.default_rng(seed),
        clip=1.0,
        carry=True,
        progress=False,
    )
    z = predict(kind, found.network, one_hot(held_out[:-1], m)[:, None])[:, 0]
    paid = -np.log2(softmax(z)[np.arange(len(z)), held_out[1:]])
    frequency = (np.bincount(learned, minlength=m) + 1) / (len(learned) + m)
    return {
        "first": found.history.losses[:20],
        "solved": bool(paid.mean() < -np.log2(frequency[held_out[1:]]).mean()),
        "bits": paid.mean(),
        "network": pack(*found.network),
    }


READERS = Experiment(
    "readers",
    train,
    [{"cell": cell, "updates": UPDATES} for cell in CELLS],
    [0],
    [TEXT],
)


def three() -> dict[Cell, Network]:
    """The trained networks by their cells: plain, LSTM, GRU."""
    m = len(corpus().letters)
    rows = [*stored(READERS), stored(LONG)[KEPT]]
    return {
        cell: unpack_network(row.measured["network"], start(cell, row.seed, m))
        for cell, row in zip((*CELLS.values(), GRU), rows, strict=True)
    }
