"""Checking a gradient against numbers that know nothing of how it was derived."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from ._arguments import REAL, Array, array, instance, number

Function = Callable[[Array], Any]
ENTRIES = 200  # entries that check compares one by one; a random direction covers the others


class GradientMismatch(AssertionError):
    """A gradient that the function's own values contradict."""


class Report(NamedTuple):
    """What :func:`check` found: how many entries it compared, and where they differ most."""

    entries: int
    worst: tuple[int, ...]
    gradient: float
    difference_quotient: float


def central_difference(f: Function, x: Array, eps: float | None = None) -> Array:
    r"""The gradient of f by :math:`(f(x + \epsilon e_i) - f(x - \epsilon e_i)) / 2\epsilon`.

    Args:
        f (function): From an array like ``x`` to a real scalar.
        x (array of any shape): float32 or float64.
        eps (float, optional): The step. If not given, the cube root of the machine epsilon times
            max(1, largest ``|x|``), near which the errors of truncation and rounding balance.
    Returns:
        array of the shape of x: Two evaluations of f for each entry.
    Raises:
        TypeError, ValueError: If an argument does not fit, or f returns no finite real scalar.
    """
    x = array("x", x, "...", "fd")
    eps = _step(x) if eps is None else number("eps", eps, np.finfo(x.dtype).tiny, kinds=REAL)
    slopes = [_slope(f, x, _unit(x, entry), eps) for entry in range(x.size)]
    return np.array(slopes, x.dtype).reshape(x.shape)


def complex_step(f: Function, x: Array) -> Array:
    r"""The gradient by :math:`\mathrm{Im} f(x + i \epsilon e_i) / \epsilon`, exact to rounding.

    No difference is taken, so nothing cancels and :math:`\epsilon` can be 1e-100. f has to be
    analytic and let complex numbers pass. Returns an array like ``x``, which is float64. Raises
    TypeError or ValueError if ``x`` does not fit or f returns no finite complex scalar. Source:
    Squire and Trapp (1998).
    """
    x = array("x", x, "...", "d")
    instance("f", f, Callable)
    eps, gradient = 1e-100, np.empty_like(x)
    for index in np.ndindex(x.shape):
        moved = x.astype(np.complex128)
        moved[index] += 1j * eps
        gradient[index] = array("f(x)", f(moved), "", "c").imag / eps
    return gradient


def check(
    f: Function, x: Array, gradient: Array, *, rtol: float = 1e-6, atol: Any = None, rng: Generator
) -> Report:
    """Compare a gradient with central differences of f, entry by entry and along a direction.

    Args:
        f (function): From an array like ``x`` to a real scalar.
        x, gradient (float32 or float64 arrays of one shape): The point, and the claim there.
        rtol, atol (float): A difference of ``atol + rtol |central difference|`` is allowed; atol is
            100 times the rounding error to expect of a central difference if not given.
        rng (numpy.random.Generator): Draws the direction and, of more than 200 entries, which.
    Raises:
        GradientMismatch: Naming the entry that differs most, and both values.
        TypeError, ValueError: If an argument does not fit, or f returns no finite real scalar.
    """
    x = array("x", x, "...", "fd")
    gradient = array("gradient", gradient, "...", "fd")
    if gradient.shape != x.shape:
        raise ValueError(f"gradient: got shape {gradient.shape}, needs {x.shape}, as x")
    instance("rng", rng, Generator)
    eps, rtol = _step(x), number("rtol", rtol, 0, kinds=REAL)
    rounding = 100 * np.finfo(x.dtype).eps / eps * max(1.0, abs(_value(f, x)))
    atol = rounding if atol is None else number("atol", atol, 0, kinds=REAL)
    entries = np.sort(rng.permutation(x.size)[:ENTRIES])
    units = (_unit(x, entry) for entry in entries)
    random = rng.standard_normal(x.shape).astype(x.dtype)
    quotients = np.array([_slope(f, x, v, eps) for v in (*units, random / np.linalg.norm(random))])
    claimed = np.append(
        gradient.ravel()[entries], np.vdot(random, gradient) / np.linalg.norm(random)
    )
    excess = abs(claimed - quotients) - atol - rtol * abs(quotients)
    worst = int(np.argmax(excess[:-1]))
    index = tuple(int(i) for i in np.unravel_index(entries[worst], x.shape))
    for k, place in ((worst, f"entry {index}"), (-1, "a random direction")):
        if excess[k] > 0:
            raise GradientMismatch(
                f"{place}: gradient {claimed[k]:.9g}, central difference {quotients[k]:.9g}; "
                f"{np.sum(excess[:-1] > 0)} of {len(entries)} entries compared differ"
            )
    return Report(len(entries), index, float(claimed[worst]), float(quotients[worst]))


def _step(x: Array) -> float:
    return float(np.cbrt(np.finfo(x.dtype).eps) * max(1.0, abs(x).max()))


def _unit(x: Array, entry: int) -> Array:
    return (np.arange(x.size).reshape(x.shape) == entry).astype(x.dtype)


def _value(f: Function, x: Array) -> float:
    instance("f", f, Callable)
    return float(array("f(x)", f(x), "", "fd"))


def _slope(f: Function, x: Array, direction: Array, eps: float) -> float:
    ahead, behind = x + x.dtype.type(eps) * direction, x - x.dtype.type(eps) * direction
    return (_value(f, ahead) - _value(f, behind)) / (2 * eps)
