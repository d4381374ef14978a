"""Linear recurrences: how many rounds Newton's method needs to unroll a plain network all at once.

One round linearises the network around a guess of all its states and solves the linear recurrence
that comes out. Here it is solved step by step: what is counted are rounds, not seconds.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .runner import Experiment

T, UNITS, BURN_IN, STEPS = 512, 16, 200, 2000
EXACT, SHOWN = 1e-9, 16


def network(seed: int, radius: float) -> Any:
    """Normal random W, scaled to its spectral radius."""
    W = np.random.default_rng(seed).standard_normal((UNITS, UNITS))
    return radius * W / abs(np.linalg.eigvals(W)).max()


def inputs(seed: int, drive: float, steps: int) -> Any:
    """Normal random inputs, one for each unit."""
    return drive * np.random.default_rng([seed, 1]).standard_normal((steps, UNITS))


def unrolled(W: Any, x: Any) -> Any:
    """The states h_0 = 0, ..., h_T, one after the other."""
    h = np.zeros((len(x) + 1, UNITS))
    for t, x_t in enumerate(x):
        h[t + 1] = np.tanh(W @ h[t] + x_t)
    return h


def newton(W: Any, x: Any, guess: Any, through: Any) -> Any:
    """One round: the recurrence linearised around the guess, and its states.

    ``through`` is what Jacobians have in the place of W: W itself, or its diagonal alone.
    """
    f = np.tanh(guess[:-1] @ W.T + x)
    slopes, h = 1 - f * f, guess.copy()
    for t in range(len(x)):
        h[t + 1] = f[t] + slopes[t] * (through @ (h[t] - guess[t]))
    return np.where(np.isfinite(h), h, 0)


def right(W: Any, x: Any, guess: Any) -> int:
    """How many steps follow from the ones before, from the first on."""
    off = abs(guess[1:] - np.tanh(guess[:-1] @ W.T + x)).max(axis=1)
    return int(np.argmax(np.append(off, 1) > EXACT))


def guesses(W: Any, x: Any, guess: Any, through: Any) -> Iterator[Any]:
    """The states after 0, 1, ... rounds, until all follow, or for T rounds."""
    for _ in x:
        yield guess
        if right(W, x, guess) == len(x):
            return
        guess = newton(W, x, guess, through)
    yield guess


def exponent(W: Any, x: Any) -> float:
    """Of a small difference of two states, the mean logarithm of its factor per step."""
    v, total = np.ones(UNITS) / np.sqrt(UNITS), 0.0
    for t, h in enumerate(unrolled(W, x)[1:]):
        v = (1 - h * h) * (W @ v)
        size = np.linalg.norm(v)
        v, total = v / size, total + (t >= BURN_IN) * np.log(size)
    return total / (len(x) - BURN_IN)


def train(
    seed: int, radius: float, drive: float, keep: str = "all", start: str = "zeros"
) -> dict[str, Any]:
    """Rounds until each state follows from the one before, and what the first rounds leave.

    ``errors`` are the largest differences from the states of the loop, ``prefix`` counts the steps
    that follow from the ones before; both begin with the guess, which is zero, or with
    ``start="shuffled"`` the true states in another order. With ``keep="diagonal"`` rounds use no
    more of the Jacobians.
    """
    W, x = network(seed, radius), inputs(seed, drive, T)
    h, long = unrolled(W, x), inputs(seed, drive, BURN_IN + STEPS)
    guess = 0 * h
    if start == "shuffled":
        guess[1:] = np.random.default_rng([seed, 2]).permutation(h[1:])
    found = list(guesses(W, x, guess, W if keep == "all" else np.diag(np.diag(W))))
    errors = [float(f"{abs(guess - h).max():.2g}") for guess in found[:SHOWN]]
    return {
        "first": [float(abs(guess - h).max()) for guess in found[:3]],
        "solved": None,
        "rounds": len(found) - 1,
        "errors": errors,
        "prefix": [right(W, x, guess) for guess in found[:SHOWN]],
        "exponent": round(exponent(W, long), 4),
    }


NEWTON = Experiment(
    "newton",
    train,
    [
        *(
            {"radius": radius, "drive": drive} | start
            for start in ({}, {"start": "shuffled"})
            for drive in (1.0, 0.1)
            for radius in (0.5, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5, 2.0)
        ),
        *({"radius": radius, "drive": 1.0, "keep": "diagonal"} for radius in (0.5, 0.9, 1.0, 1.2)),
    ],
    range(10),
)
