"""Learning online: rules that keep a part of the gradient, on a delayed copy; and UORO's noise.

At each step the network says what its input was a few steps ago. Inputs are +1 or -1 at random, so
that there is nothing to guess from. The weights move once a sequence: rules differ in the gradient
and in nothing else.
"""

from typing import Any

import numpy as np
from numpy.random import Generator

from bptt._arguments import Array
from bptt.cells import ELMAN, LSTM
from bptt.lags import truncated
from bptt.network import Batch, Network, init_network
from bptt.optimisers import adam, clip_by_norm
from bptt.readout import mean_squared_error
from bptt.recurrence import Params, Unrolled, backward, init, unroll

from .remedies import Leaky
from .runner import Experiment

UNITS, T, BATCH, RATE, UPDATES, EVERY = 16, 24, 16, 0.01, 500, 10
SIGNS = (-1.0, 1.0)
CELLS = {"plain": ELMAN, "leaky": Leaky(0.2), "LSTM": LSTM}


def diagonal(W: Array) -> Array:
    """Of each gate's square block, the diagonal."""
    return W * np.tile(np.eye(W.shape[1]), (len(W) // W.shape[1], 1))


def through(run: Unrolled, S: Array) -> Unrolled:
    """The same run, for gradients: S in place of W wherever the past comes in."""
    return run._replace(params=run.params._replace(W=S))


def uoro(run: Unrolled, dh: Array, signs: Array) -> Array:
    """Of each sequence of a plain network, one estimate of the gradient by [W U b], side by side.

    Carries a column, one number for each unit, and a matrix, one for each weight. On average over
    the ``signs`` (T, B, n), which are +1 or -1, their product is the derivative of h_t.
    """
    W, one = run.params.W, np.ones((*run.x.shape[:2], 1))
    before, slope = np.concatenate([run.h[:-1], run.x, one], axis=2), 1 - run.h[1:] ** 2
    column = np.zeros(run.h.shape[1:])
    total = matrix = np.zeros((*column.shape, before.shape[2]))
    for t, (dh_t, sign) in enumerate(zip(dh, signs, strict=True)):
        fresh = (sign * slope[t])[:, :, None] * before[t][:, None]
        column = slope[t] * (column @ W.T)
        old, new = balance(matrix, column), balance(fresh, sign)
        column, matrix = old * column + new * sign, over(matrix, old) + over(fresh, new)
        total = total + (dh_t * column).sum(axis=1)[:, None, None] * matrix
    return total


def balance(matrix: Array, column: Array) -> Array:
    """For each sequence the factor that makes both of equal length; 1 where one of them is zero."""
    lengths = np.linalg.norm(matrix, axis=(1, 2)), np.linalg.norm(column, axis=1)
    there = np.minimum(*lengths) > 0
    return np.sqrt(np.where(there, lengths[0], 1) / np.where(there, lengths[1], 1))[:, None]


def over(matrix: Array, factor: Array) -> Array:
    """Each sequence's matrix divided by its factor."""
    return matrix / factor[..., None]


def gradient(rule: str, run: Unrolled, dh: Array, delay: int, rng: Generator) -> Any:
    """What a rule takes for the gradients by W, U and b."""
    W, d = run.params.W, run.x.shape[2]
    if rule == "UORO":
        return np.split(
            uoro(run, dh, rng.choice(SIGNS, dh.shape)).sum(axis=0),
            [W.shape[1], W.shape[1] + d],
            axis=1,
        )
    if rule == "read-out only":
        return [np.zeros_like(a) for a in run.params]
    if rule.startswith("window"):
        return truncated(run, dh, delay + rule.endswith("+ 1"))[:3]
    S = {"exact": W, "diagonal": diagonal(W), "zero": 0 * W}[rule]
    return backward(through(run, S), dh)[:3]


def delayed(delay: int, rng: Generator) -> Batch:
    """Random signs, and as targets those of ``delay`` steps before."""
    x = rng.choice(SIGNS, (T, BATCH, 1))
    target = np.zeros(x.shape)
    target[delay:] = x[:-delay]
    return Batch(x, target, np.broadcast_to(np.arange(T)[:, None] >= delay, x.shape[:2]))


def learn(seed: int, cell: str, delay: int, rule: str) -> dict[str, Any]:
    """Solved: a squared error below 0.1 in the mean of the last 50 updates. Guessing has 1."""
    rng, own = np.random.default_rng([seed, delay]), np.random.default_rng([seed, delay, 1])
    kind, optimiser, losses = CELLS[cell], adam(RATE), []
    network = init_network(kind, 1, UNITS, 1, rng=rng)
    moments = optimiser.start(network)
    for _ in range(UPDATES):
        batch = delayed(delay, rng)
        run = unroll(kind, Params(*network[:3]), batch.x)
        h = run.h[1 + delay :]
        loss, dy = mean_squared_error(h @ network.V.T + network.c, batch.target[delay:])
        dh = np.zeros(run.h[1:].shape)
        dh[delay:] = dy @ network.V
        W, U, b = gradient(rule, run, dh, delay, own)
        V, c = np.tensordot(dy, h, axes=([0, 1], [0, 1])), dy.sum(axis=(0, 1))
        step = clip_by_norm(Network(W, U, b.reshape(-1), V, c), 1.0)
        network, moments = optimiser.step(network, step, moments)
        losses.append(float(loss))
    end = float(np.mean(losses[-50:]))
    curve = np.mean(np.reshape(losses, (-1, EVERY)), axis=1)
    return {
        "first": losses[:3],
        "solved": end < 0.1,
        "end": float(f"{end:.4g}"),
        "reached": next((k + 1 for k, loss in enumerate(losses) if loss < 0.1), None),
        "curve": [float(f"{loss:.4g}") for loss in curve],
    }


RULES = ("exact", "window + 1", "window", "diagonal", "zero", "UORO", "read-out only")
DELAYS = (1, 2, 3, 5)

DELAYED_COPY = Experiment(
    "delayed_copy",
    learn,
    [
        *({"cell": "plain", "delay": delay, "rule": r} for delay in DELAYS for r in RULES),
        *(
            {"cell": cell, "delay": delay, "rule": r}
            for cell in ("leaky", "LSTM")
            for delay in (2, 5)
            for r in ("exact", "diagonal", "zero", "read-out only")
        ),
    ],
    range(10),
)


def scatter(seed: int, n: int, steps: int, radius: float, draws: int = 100) -> dict[str, Any]:
    """How far one estimate of UORO is from the gradient, over ``draws`` estimates for one run.

    The loss looks at every step. ``noise`` is the root of the mean squared error over the length
    of the gradient, ``cosine`` the median over the estimates, ``mean`` the relative error of the
    mean of all estimates.
    """
    rng = np.random.default_rng([seed, n, steps, round(100 * radius)])
    params = init(ELMAN, 3, n, rng=rng)
    W = rng.standard_normal((n, n))
    W *= radius / abs(np.linalg.eigvals(W)).max()
    x, dh = rng.standard_normal((steps, 1, 3)), rng.standard_normal((steps, 1, n))
    run = unroll(ELMAN, params._replace(W=W), x)
    exact = np.concatenate([part.reshape(n, -1) for part in backward(run, dh)[:3]], axis=1)
    many = unroll(ELMAN, params._replace(W=W), np.repeat(x, draws, axis=1))
    signs = rng.choice(SIGNS, many.h[1:].shape)
    estimates = uoro(many, np.repeat(dh, draws, axis=1), signs)
    lengths, length = np.linalg.norm(estimates, axis=(1, 2)), np.linalg.norm(exact)
    errors = np.linalg.norm(estimates - exact, axis=(1, 2)) / length
    return {
        "first": [float(length)],
        "solved": None,
        "noise": float(np.sqrt(np.mean(errors**2))),
        "cosine": float(np.median((estimates * exact).sum(axis=(1, 2)) / lengths / length)),
        "mean": float(np.linalg.norm(estimates.mean(axis=0) - exact) / length),
    }


NOISE = Experiment(
    "uoro_noise",
    scatter,
    [
        *({"n": n, "steps": 50, "radius": 0.9} for n in (4, 8, 16, 32, 64)),
        *(
            {"n": 16, "steps": steps, "radius": radius}
            for radius in (0.5, 0.9, 1.2, 1.5)
            for steps in (10, 40, 160)
        ),
    ],
    range(10),
)
