"""What the package is compared with: the cells from their textbook formulas, derived by autograd.

Nothing here knows how the package works. The forward passes are written out gate by gate with the
logistic function itself, and the derivatives are those of HIPS autograd. Every step gets its own
copy of the parameters, so that one backward pass by autograd for each loss time gives every path
on its own: from the loss at t to the use of the parameters at step u. Sums of these paths are the
gradient, its summands by lag and what a window keeps.
"""

from typing import Any, NamedTuple

import autograd
import autograd.numpy as anp
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

import bptt

CELLS = {"ELMAN": bptt.ELMAN, "LSTM": bptt.LSTM, "GRU": bptt.GRU}
GATES = {"ELMAN": 1, "LSTM": 4, "GRU": 3}
PARTS = {"ELMAN": 1, "LSTM": 2, "GRU": 1}

# The same examples on every machine and in every run; no deadline, since no test is timed.
SETTINGS = settings(max_examples=20, deadline=None, derandomize=True, database=None)


class Problem(NamedTuple):
    """Everything a run and its loss need; the loss is the sum of dh times h over all steps."""

    name: str
    params: bptt.Params
    x: np.ndarray
    s0: np.ndarray
    dh: np.ndarray

    @property
    def cell(self) -> bptt.Cell:
        return CELLS[self.name]

    def run(self) -> bptt.Unrolled:
        return bptt.unroll(self.cell, self.params, self.x, self.s0)

    def astype(self, dtype: Any) -> "Problem":
        params = bptt.Params(*(a.astype(dtype) for a in self.params))
        return Problem(self.name, params, *(a.astype(dtype) for a in self[2:]))


def problem(name: str, T: int, B: int, d: int, n: int, seed: int = 0, gain: float = 1.0) -> Problem:
    """A random problem; ``gain`` 1 draws the weights as wide as PyTorch does.

    With that gain and three inputs no pre-activation passes 5 in size. Far beyond, 1 - h**2 has
    lost more digits than the tolerances allow, however it is used: h itself is rounded.
    """
    rng = np.random.default_rng(seed)
    rows = GATES[name] * n
    W, U, b = (
        gain / np.sqrt(n) * rng.uniform(-1, 1, shape) for shape in ((rows, n), (rows, d), rows)
    )
    x, s0 = (rng.uniform(-1, 1, shape) for shape in ((T, B, d), (B, PARTS[name] * n)))
    return Problem(name, bptt.Params(W, U, b), x, s0, rng.standard_normal((T, B, n)))


def problems(name: str, T: int = 6) -> st.SearchStrategy[Problem]:
    """Problems of one cell: up to T steps, three sequences, three inputs, four units."""
    return st.builds(
        problem,
        st.just(name),
        T=st.integers(1, T),
        B=st.integers(1, 3),
        d=st.integers(1, 3),
        n=st.integers(1, 4),
        seed=st.integers(0, 2**32 - 1),
        gain=st.sampled_from([0.1, 0.5, 1.0]),
    )


def sigmoid(a: Any) -> Any:
    return 1 / (1 + anp.exp(-a))


def step(name: str, W: Any, U: Any, b: Any, x: Any, s: Any) -> Any:
    """One step of the textbook: rows are sequences, and gates are cut from stacked rows."""
    n = W.shape[1]
    h = s[:, :n]

    def gate(k: int, past: Any = 1.0) -> Any:
        rows = slice(k * n, (k + 1) * n)
        return past * anp.dot(h, W[rows].T) + anp.dot(x, U[rows].T) + b[rows]

    if name == "ELMAN":
        return anp.tanh(gate(0))
    if name == "LSTM":
        i, f, g, o = sigmoid(gate(0)), sigmoid(gate(1)), anp.tanh(gate(2)), sigmoid(gate(3))
        c = f * s[:, n:] + i * g
        return anp.concatenate([o * anp.tanh(c), c], axis=1)
    r, z = sigmoid(gate(0)), sigmoid(gate(1))
    return (1 - z) * anp.tanh(gate(2, past=r)) + z * h


def states(name: str, W: Any, U: Any, b: Any, x: Any, s0: Any) -> list[Any]:
    """s_0 … s_T; W, U and b have one entry for each step."""
    s = [s0]
    for t in range(len(x)):
        s.append(step(name, W[t], U[t], b[t], x[t], s[t]))
    return s


def gradients(p: Problem) -> bptt.Gradients:
    """The gradient of the loss, by one backward pass of autograd."""
    n, T = p.dh.shape[2], len(p.x)

    def loss(W: Any, U: Any, b: Any, x: Any, s0: Any) -> Any:
        s = states(p.name, [W] * T, [U] * T, [b] * T, x, s0)
        return sum(anp.sum(p.dh[t] * s[t + 1][:, :n]) for t in range(T))

    return bptt.Gradients(*autograd.grad(loss, argnum=(0, 1, 2, 3, 4))(*p.params, p.x, p.s0))


def paths(p: Problem) -> bptt.Gradients:
    """By W, U, b and x: [t, u] goes from the loss at step t to the use at step u; by s0: [t]."""
    n, T = p.dh.shape[2], len(p.x)
    copies = [np.stack([a] * T) for a in p.params]
    found = []
    for t in range(T):

        def loss(W: Any, U: Any, b: Any, x: Any, s0: Any, t: int = t) -> Any:
            return anp.sum(p.dh[t] * states(p.name, W, U, b, x[: t + 1], s0)[t + 1][:, :n])

        found.append(autograd.grad(loss, argnum=(0, 1, 2, 3, 4))(*copies, p.x, p.s0))
    return bptt.Gradients(*map(np.stack, zip(*found, strict=True)))


def first_lags(p: Problem, window: int) -> bptt.Gradients:
    """The paths that reach back over less than ``window`` steps, added up."""
    every, T = paths(p), len(p.x)
    loss_time, use = np.indices((T, T))
    kept = (loss_time - use >= 0) & (loss_time - use < window)
    W, U, b = (np.einsum("tu,tu...->...", kept, a) for a in every[:3])
    return bptt.Gradients(
        W, U, b, np.einsum("tu,tu...->u...", kept, every.x), every.s0[:window].sum(0)
    )


def difference(ours: Any, reference: Any) -> float:
    """The largest difference, relative to the largest entry of the reference."""
    ours, reference = np.asarray(ours), np.asarray(reference)
    assert ours.shape == reference.shape
    assert np.isfinite(ours).all()
    largest = abs(ours - reference).max()
    return 0.0 if largest == 0 else float(largest / abs(reference).max())


def agree(ours: bptt.Gradients, reference: bptt.Gradients, tol: float) -> None:
    """Assert that every gradient the reference has is there, in its dtype and to ``tol``."""
    assert isinstance(ours, bptt.Gradients)
    for name, a, b in zip(ours._fields, ours, reference, strict=True):
        if b is None:
            assert a is None, name
        else:
            assert a.dtype == b.dtype, name
            assert difference(a, b) <= tol, name
