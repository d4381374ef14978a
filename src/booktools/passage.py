"""What trained networks use of a passage: data of the figure that moves in Reading.

For each character that is predicted: the size of the gradient with respect to each character
before it, what was expected, and what it cost. Computed when the book is built, and handed to the
page in few digits.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bptt import backward, cross_entropy, softmax, unroll
from bptt._arguments import Array
from bptt.cells import Cell
from bptt.network import Network
from bptt.recurrence import Params

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
LAGS, GUESSES, MOST = 40, 5, 20.0  # lags and guesses shown; the most bits that two digits hold


class Use(NamedTuple):
    """Of N predictions, the gradient's norms by lag (lags, N) and the probabilities (N, m)."""

    by_lag: Array
    y: Array


def use(cell: Cell, network: Network, code: Array, first: int, lags: int = LAGS) -> Use:
    """What predictions of ``code[first:]`` use, each with its loss alone.

    The network reads ``code`` from its beginning. The derivative is that of the loss of one
    prediction with respect to the inputs, one-hot, of the ``lags`` steps before it.
    """
    if first < lags:
        raise ValueError(f"first: got {first}, needs {lags} or more, one character for each lag")
    params, m = Params(*network[:3]), len(network.c)
    one_hot = np.eye(m, dtype=network.c.dtype)
    states = unroll(cell, params, one_hot[code[:-1]][:, None]).s[:, 0]
    places = np.arange(first, len(code))
    past = np.stack([code[t - lags : t] for t in places], axis=1)
    run = unroll(cell, params, one_hot[past], states[places - lags])
    z = run.h[-1] @ network.V.T + network.c
    _, dz = cross_entropy(z, code[places])
    dh = np.zeros_like(run.h[1:])
    dh[-1] = len(places) * dz @ network.V  # of each loss, not of their mean
    return Use(np.linalg.norm(backward(run, dh).x[::-1], axis=2), softmax(z))


def digits(shares: Any, width: int) -> str:
    """Numbers from 0 to 1, rounded, in so many digits of base 64 each."""
    most = 64**width - 1
    whole = np.rint(most * np.asarray(shares, float)).astype(int).ravel()
    if whole.size and not 0 <= whole.min() <= whole.max() <= most:
        raise ValueError(f"shares: got {np.min(shares)} to {np.max(shares)}, needs 0 to 1")
    powers = 64 ** np.arange(width)[::-1]
    return "".join(DIGITS[d] for d in (whole[:, None] // powers % 64).ravel())


class Passage:
    """A passage and what networks use of it; the last line of a cell.

    Args:
        letters (str): The character of each number.
        code (array (length,)): The passage; the networks read it from its beginning.
        shown (int): Where the part that is shown begins.
        first (int): The first character whose prediction is shown.
        networks (mapping from name to (cell, network)): In the order in which they stand.
    """

    def __init__(
        self,
        letters: str,
        code: Array,
        shown: int,
        first: int,
        networks: Mapping[str, tuple[Cell, Network]],
    ) -> None:
        came = code[first:]
        self.data: dict[str, Any] = {
            "text": "".join(letters[c] for c in code[shown:]),
            "first": first - shown,
            "lags": LAGS,
            "networks": [],
        }
        for name, (cell, network) in networks.items():
            by_lag, y = use(cell, network, code, first)
            best = np.argsort(-y, axis=1, kind="stable")[:, :GUESSES]
            bits = -np.log2(y[np.arange(len(came)), came])
            self.data["networks"].append(
                {
                    "name": name,
                    # the square root shows what is small, too
                    "used": digits(np.sqrt(by_lag / by_lag.max(axis=0)).T, 1),
                    "guesses": "".join(letters[c] for c in best.ravel()),
                    "chances": digits(np.take_along_axis(y, best, axis=1), 2),
                    "bits": digits(np.minimum(bits / MOST, 1), 2),
                }
            )

    def __repr__(self) -> str:
        return f"<{len(self.data['text'])} characters, {len(self.data['networks'])} networks>"

    def _repr_html_(self) -> str:
        """For the page, which moves it into a file of its own (booktools.explorables)."""
        text = json.dumps(self.data, separators=(",", ":")).replace("<", "\\u003c")
        return f'<script type="application/json" data-explorable="reading">{text}</script>'
