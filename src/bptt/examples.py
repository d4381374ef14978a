"""Examples for checks: a random run with a loss, and the exact derivative along a direction."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._arguments import Array, array, instance, number
from .cells import Cell
from .optimisers import each, leaves
from .recurrence import Unrolled, init, unroll


class Example(NamedTuple):
    """A run, which holds its cell, params, x and states; and dh (T, B, n), the derivative of the
    loss ``(dh * run.h[1:]).sum()`` with respect to h_1 … h_T.
    """

    run: Unrolled
    dh: Array


def example(cell: Cell, T: int = 6, B: int = 2, d: int = 2, n: int = 3, seed: int = 0) -> Example:
    """A run with random parameters (:func:`bptt.init`), normal x and dh, and uniform s0.

    Takes a cell, T, B, d and n of at least 1, and a seed of at least 0; equal arguments give equal
    runs. Raises TypeError or ValueError for anything else.

    Example:
        >>> import bptt, bptt.examples
        >>> run, dh = bptt.examples.example(bptt.LSTM, T=5, n=4)
        >>> run.s.shape, dh.shape
        ((6, 2, 8), (5, 2, 4))
    """
    T, B, d, n = (number(k, v, 1) for k, v in {"T": T, "B": B, "d": d, "n": n}.items())
    rng = np.random.default_rng([number("seed", seed, 0), T, B, d, n])
    params, x = init(cell, d, n, rng=rng), rng.standard_normal((T, B, d))
    s0, dh = rng.uniform(-1, 1, (B, cell.parts * n)), rng.standard_normal((T, B, n))
    return Example(unroll(cell, params, x, s0), dh)


def along(function: Callable[[Any], Any], point: Any, direction: Any) -> Any:
    r"""The derivative of a function along a direction, of the form of the function's value.

    One complex evaluation, :math:`\mathrm{Im} f(x + i \epsilon v) / \epsilon` with :math:`\epsilon`
    1e-100, exact up to rounding if f is analytic and its imaginary parts are normal numbers:
    derivatives below 2.3e-208, also of what f computes on the way, lose digits, and below 2.5e-224
    all of them. ``point`` and ``direction``, x and v, are float64 arrays of one shape, or
    NamedTuples of such; ``function`` returns an array, or a tuple of arrays such as Gradients.
    Raises TypeError or ValueError if an argument does not fit, or the function returns real
    numbers. Source: Squire and Trapp (1998).

    Example:
        >>> from bptt.examples import along
        >>> float(along(lambda x: x**3, 2.0, 1.0))
        12.0
    """
    instance("function", function, Callable)
    shapes = [
        [array(name, a, "...", "d").shape for a in leaves(tree).values()]
        for name, tree in (("point", point), ("direction", direction))
    ]
    if shapes[0] != shapes[1]:
        raise ValueError(f"direction: got {shapes[1]}, needs {shapes[0]}, the shapes of point")
    eps = 1e-100
    with np.errstate(under="ignore"):
        value = function(each(lambda x, v: x + 1j * eps * np.asarray(v), point, direction))
        return each(lambda f: array("function(point)", f, "...", "c").imag / eps, value)
