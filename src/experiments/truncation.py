"""Cutting it short: training with a window, and how far its gradient is off on the way.

At each step the network says what its input was four steps ago. Inputs are +1 or -1 at random, so
that there is nothing to guess from. Of 10 steps there are only 1,024 sequences: the loss and the
gradients are measured on all of them, without an error of sampling.
"""

from typing import Any

import numpy as np
from numpy.random import Generator

from bptt.cells import ELMAN, LSTM
from bptt.lags import summands
from bptt.network import Batch, Network, init_network, loss_and_gradients
from bptt.optimisers import adam
from bptt.readout import mean_squared_error
from bptt.recurrence import Params, unroll

from .runner import Experiment

DELAY, T, UNITS, BATCH, RATE = 4, 10, 12, 10, 0.03
UPDATES, EVERY = 200, 20
CELLS = {"ELMAN": ELMAN, "LSTM": LSTM}


def delayed(x: Any) -> Batch:
    """Inputs (T, B, 1), and as targets the inputs of four steps ago."""
    target = np.zeros(x.shape)
    target[DELAY:] = x[:-DELAY]
    counts = np.broadcast_to(np.arange(len(x))[:, None] >= DELAY, x.shape[:2])
    return Batch(x, target, counts)


def sample(rng: Generator) -> Batch:
    """Ten sequences."""
    return delayed(rng.choice([-1.0, 1.0], (T, BATCH, 1)))


def every_sequence() -> Batch:
    """All sequences of T steps."""
    bits = np.arange(2**T) >> np.arange(T)[:, None] & 1
    return delayed(2.0 * bits[..., None] - 1)


def by_window(cell: Any, network: Network, batch: Batch) -> dict[str, Any]:
    """The loss, and how the gradient of each window below T compares with the whole gradient.

    Gradients are with respect to W, U and b together. ``size`` is that of the window's gradient,
    relative to the whole, ``error`` that of the difference.
    """
    run = unroll(cell, Params(*network[:3]), batch.x)
    y = run.h[1:] @ network.V.T + network.c
    loss, dy = mean_squared_error(y[DELAY:], batch.target[DELAY:])
    dh = np.zeros(run.h[1:].shape)
    dh[DELAY:] = dy @ network.V
    by_lag = [part.reshape(T, -1) for part in summands(run, dh)[:3]]
    *kept, whole = np.cumsum(np.concatenate(by_lag, axis=1), axis=0)
    length, sizes = np.linalg.norm(whole), np.linalg.norm(kept, axis=1)
    return {
        "loss": loss,
        "norm of U": np.linalg.norm(network.U),
        "cosine": kept @ whole / sizes / length,
        "size": sizes / length,
        "error": np.linalg.norm(kept - whole, axis=1) / length,
    }


def four_digits(values: list[Any]) -> Any:
    """So that the stored rows stay small."""
    return np.vectorize(lambda x: float(f"{x:.4g}"))(values)


def train(seed: int, cell: str, window: int) -> dict[str, Any]:
    """Train with the gradient of a window; look at those of all windows every 20 updates."""
    kind, rng = CELLS[cell], np.random.default_rng(seed)
    network, optimiser = init_network(kind, 1, UNITS, 1, rng=rng), adam(RATE)
    moments, losses, looks, test = optimiser.start(network), [], [], every_sequence()
    for update in range(UPDATES + 1):
        if update % EVERY == 0:
            looks.append(by_window(kind, network, test))
        loss, gradients, *_ = loss_and_gradients(
            kind, network, sample(rng), mean_squared_error, window=window
        )
        losses.append(loss)
        network, moments = optimiser.step(network, gradients, moments)
    found = {key: four_digits([look[key] for look in looks]) for key in looks[0]}
    return {"first": losses[:3], "solved": None, **found}


WINDOWS = Experiment(
    "windows",
    train,
    [
        {"cell": "ELMAN", "window": DELAY},
        {"cell": "ELMAN", "window": DELAY + 1},
        {"cell": "ELMAN", "window": T},
        {"cell": "LSTM", "window": T},
    ],
    range(20),
)
