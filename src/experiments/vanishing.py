"""Chapter 11, vanishing and exploding: summands by lag before and after learning to latch one bit.

The first input is +1 or -1, all later ones are noise; at the last step the network says which it
was. This is the kind of task by which Bengio, Simard and Frasconi (1994) showed the difficulty.
"""

from typing import Any

import numpy as np
from numpy.random import Generator

from bptt.cells import ELMAN, GRU, LSTM
from bptt.lags import summands
from bptt.network import Batch, Network, init_network, predict
from bptt.optimisers import adam
from bptt.readout import cross_entropy
from bptt.recurrence import Params, unroll
from bptt.training import fit

from .runner import Experiment

T, UNITS, NOISE = 16, 16, 0.1
CELLS = {"ELMAN": ELMAN, "LSTM": LSTM, "GRU": GRU}


def latch(rng: Generator, B: int = 32) -> Batch:
    """B sequences of T steps, one bit each."""
    x, bits = NOISE * rng.standard_normal((T, B, 1)), rng.integers(0, 2, B)
    x[0, :, 0] = 2 * bits - 1
    target, counts = np.zeros((T, B), int), np.zeros((T, B), bool)
    target[-1], counts[-1] = bits, True
    return Batch(x, target, counts)


def norms_by_lag(cell: Any, network: Network, x: Any) -> Any:
    """The norm of each summand by W, median over sequences.

    The loss is the difference of the two outputs, with the read-out scaled to length 1.
    """
    direction = network.V[1] - network.V[0]
    dh = np.zeros((T, 1, UNITS))
    dh[-1] = direction / np.linalg.norm(direction)
    runs = [unroll(cell, Params(*network[:3]), one[:, None]) for one in x.swapaxes(0, 1)]
    found = [np.linalg.norm(summands(run, dh).W, axis=(1, 2)) for run in runs]
    return np.median(found, axis=0)


def train(seed: int, cell: str, steps: int = 1000) -> dict[str, Any]:
    """Train until every test sequence is answered rightly, with a loss below 0.01."""
    rng, kind = np.random.default_rng(seed), CELLS[cell]
    start = init_network(kind, 1, UNITS, 2, rng=rng)
    test = latch(np.random.default_rng([seed, 1]), 64)
    bits = test.target[-1]

    def solved(network: Network) -> bool:
        z = predict(kind, network, test.x)[-1]
        right = bool((z.argmax(axis=1) == bits).all())
        return right and bool(cross_entropy(z, bits)[0] < 0.01)

    trained = fit(
        kind,
        start,
        latch,
        cross_entropy,
        adam(0.01),
        steps=steps,
        rng=rng,
        clip=1.0,
        criterion=solved,
        every=50,
        progress=False,
    )
    return {
        "first": trained.history.losses[:5],
        "solved": trained.history.solved,
        "updates": trained.history.updates,
        "before": norms_by_lag(kind, start, test.x[:, :16]),
        "after": norms_by_lag(kind, trained.network, test.x[:, :16]),
    }


latching = Experiment("latching", train, [{"cell": cell} for cell in CELLS], range(5))
