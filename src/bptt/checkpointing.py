r"""Backpropagation through time in bounded memory: keep a few states, and run again between them.

The forward run makes the states from first to last, the backward sweep needs them from last to
first. What is not kept until then has to be made again.
"""

from collections.abc import Callable
from itertools import count
from math import comb

import numpy as np

from ._arguments import Array, array, instance, number
from .cells import Cell
from .recurrence import Gradients, Params, backward, finite, run_arguments, unroll

LossDerivative = Callable[[slice, Array], Array]
MAY_RETURN = {"float32": "f", "float64": "d", "complex128": "dc"}  # by the run's dtype


def checkpointed(
    cell: Cell,
    params: Params,
    x: Array,
    dh: LossDerivative,
    s0: Array | None = None,
    *,
    checkpoints: int,
    segment: int | None = None,
) -> Gradients:
    r"""The gradients of :func:`backward`, with few states in memory and some steps run again.

    The steps are cut into segments, of which the first may be shorter. At most ``checkpoints``
    states are kept at once, plus the run of one segment. The last segment is run from the nearest
    kept state and swept backward, then the one before it, and so on. Which states are kept follows
    the binomial schedule: with s checkpoints and :math:`\binom{s + r}{s}` segments or fewer, no
    segment is run more than r + 1 times, and the runs in all are as few as possible. The gradients
    are those of :func:`backward` up to rounding. Source: Griewank and Walther (2000).

    Args:
        cell, params, x, s0: As for :func:`unroll`, but x is not copied: ``dh`` must not change it.
        dh (function): ``dh(steps, h)`` returns the loss's derivative with respect to the hidden
            states ``h`` (len, B, n) after the steps ``steps``, a slice of ``range(T)``, as an array
            like h, the other states held fixed. It is called once for each segment, the last first,
            and cannot write to h. For an array, give ``lambda steps, h: array[steps]``.
        checkpoints (int): States kept at once, at least 1: the first state is one of them.
        segment (int, optional): Steps in a segment, at least 1; 1 keeps the least in memory. If not
            given, T / (checkpoints + 1) rounded up, so that one more forward run is enough.
    Raises:
        TypeError, ValueError: If an argument, or what dh returns, does not fit.
        FloatingPointError: If a state or a gradient is too large for the precision.
    Example:
        >>> import bptt, bptt.examples
        >>> run, dh = bptt.examples.example(bptt.LSTM, T=1000)
        >>> few = bptt.checkpointed(*run[:3], lambda steps, h: dh[steps], run.s[0], checkpoints=9)
        >>> bool(abs(few.W - bptt.backward(run, dh).W).max() < 1e-9)
        True
    """
    params, x, s0 = run_arguments(cell, params, x, s0)
    # what dh might change while it is called; x, which may be long, it must leave
    params, s0 = Params(*(a.copy() for a in params)), s0.copy()
    dtype = np.result_type(*params, x, s0)
    instance("dh", dh, Callable)
    checkpoints = number("checkpoints", checkpoints, 1)
    T = len(x)
    segment = number("segment", -(-T // (checkpoints + 1)) if segment is None else segment, 1)
    cuts = [0, *reversed(range(T, 0, -segment))]

    def swept(steps: slice, s: Array, ds: Array | None) -> Gradients:
        """The gradients of one segment, run from s; its states live as long as this call."""
        run = unroll(cell, params, x[steps], s)
        h = run.h[1:]
        h.setflags(write=False)
        name = f"dh(slice({steps.start}, {steps.stop}), h)"
        sizes = dict(zip(("steps", "B", "n"), h.shape, strict=True))
        by_h = array(name, dh(steps, h), "steps B n", MAY_RETURN[h.dtype.name], **sizes)
        return backward(run, by_h, ds)

    W, U, b, by_x = (np.zeros(a.shape, dtype) for a in (*params, x))
    ds: Array | None = None
    kept = [(0, s0)]
    for last in reversed(range(len(cuts) - 1)):
        at, s = kept[-1]
        while at < last:
            ahead = _ahead(last + 1 - at, checkpoints + 1 - len(kept))
            for k in range(at, at + ahead):
                s = unroll(cell, params, x[cuts[k] : cuts[k + 1]], s).s[-1].copy()
            at += ahead
            if at < last:
                kept.append((at, s))
        if kept[-1][0] == last:
            kept.pop()
        steps = slice(cuts[last], cuts[last + 1])
        part = swept(steps, s, ds)
        with np.errstate(over="ignore"):  # the sums are looked at
            for total, added in zip((W, U, b), part, strict=False):
                total += added
        by_x[steps], ds = part.x, part.s0
    return finite(Gradients(W, U, b, by_x, part.s0))


def _ahead(segments: int, places: int) -> int:
    """How far to run from a kept state, given the places for states, its own among them.

    With p places, and r the least repeats that can do, the schedule is optimal if it leaves
    C(p + r - 2, p) to C(p + r - 1, p) segments behind, and C(p + r - 2, p - 1) to
    C(p + r - 1, p - 1) ahead. This is the farthest such point.
    """
    r = next(r for r in count() if comb(places + r, places) >= segments)
    return min(comb(places + r - 1, places), segments - comb(places + r - 2, places - 1))
