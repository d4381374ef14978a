"""Checking a gradient against numbers that know nothing of how it was derived."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from ._arguments import REAL, Array, array, instance, number
from ._differences import Function, Near, norm, unit, value_of

ENTRIES = 200  # entries that check compares one by one; a random direction covers the others
DIGITS = 1e-3  # what check must be able to see, relative to the largest entry, unless told


class GradientMismatch(AssertionError):
    """A gradient that the function's own values contradict: :func:`check` shows which entry."""


class CannotJudge(AssertionError):
    """Values that cannot show whether a gradient is right: too coarse, too large, or at a kink."""


class Report(NamedTuple):
    """What :func:`check` found: how many entries it compared, and where they differ most.

    Any one entry that is wrong by more than ``resolution`` would have been noticed.
    """

    entries: int
    worst: tuple[int, ...]
    gradient: float
    difference_quotient: float
    resolution: float


def central_difference(f: Function, x: Array, eps: float | None = None) -> Array:
    r"""The gradient of f by :math:`(f(x + \epsilon e_i) - f(x - \epsilon e_i)) / 2\epsilon`.

    Takes a function f that maps an array like x (a fresh copy each time) to a real scalar; and x,
    float32 or float64. If the step ``eps`` is not given, it is the cube root of the machine epsilon
    times max(1, ``|x_i|``), near which truncation and rounding balance. Returns an array like x.
    Raises TypeError or ValueError if an argument does not fit, or f returns no finite real scalar.

    Example:
        >>> import bptt, numpy as np
        >>> bptt.central_difference(lambda x: (x * x * x).sum(), np.array([0.0, 2.0]), eps=0.5)
        array([ 0.25, 12.25])
    """
    x = array("x", x, "...", "fd")
    instance("f", f, Callable)
    if eps is not None:
        number("eps", eps, np.finfo(x.dtype).tiny, kinds=REAL)
    gradient = np.empty_like(x)
    with np.errstate(under="ignore"):  # of steps, which are no fault of f
        for index in np.ndindex(x.shape):
            step = eps or np.cbrt(np.finfo(x.dtype).eps) * max(1.0, abs(x[index]))
            ahead, behind = (float(value_of(f, x, unit(x, index), s)) for s in (step, -step))
            gradient[index] = (ahead - behind) / (2 * step)
    return gradient


def complex_step(f: Function, x: Array) -> Array:
    r"""The gradient by :math:`\mathrm{Im} f(x + i \epsilon e_i) / \epsilon`, exact up to rounding.

    No difference is taken, so nothing cancels and :math:`\epsilon` can be 1e-100. The imaginary
    parts have all digits if they are normal numbers: derivatives below 2.3e-208, also of what f
    computes on the way, lose digits, and below 2.5e-224 all of them. f has to be analytic and let
    complex numbers pass. Returns an array like ``x``, which is float64. Raises TypeError or
    ValueError if ``x`` does not fit or f returns no finite complex scalar. Source: Squire and Trapp
    (1998).

    Example:
        >>> import bptt, numpy as np
        >>> bptt.complex_step(lambda x: (x * x * x).sum(), np.array([1.0, 2.0]))
        array([ 3., 12.])
    """
    x = array("x", x, "...", "d")
    instance("f", f, Callable)
    eps, gradient = 1e-100, np.empty_like(x)
    with np.errstate(under="ignore"):
        for index in np.ndindex(x.shape):
            moved = x.astype(np.complex128)
            moved[index] += 1j * eps
            gradient[index] = array("f(x)", f(moved), "", "c").imag / eps
    return gradient


def check(
    f: Function, x: Array, gradient: Array, *, rtol: Any = None, atol: Any = None, rng: Generator
) -> Report:
    """Compare a gradient with differences of f, entry by entry and along a random direction.

    A difference is Richardson's extrapolation of central ones over steps h, 2h and 4h. It comes
    with its error: two extrapolations show the truncation, and a polynomial fitted to
    values near x leaves the noise over (after Moré and Wild 2011). h follows from both. Where f
    rounds some of its terms to fewer digits than others, the noise of the finest is seen, and a
    right gradient may be called wrong. f is asked in float64 if it takes that, also where x is
    float32.

    Args:
        f (function): Maps an array like ``x`` (a fresh copy each time) to a real scalar.
        x, gradient (float32 or float64 arrays of one shape): The point, and the claim there.
        rtol, atol (float, optional): ``atol + rtol |difference|`` is allowed, plus the error of
            the difference. If not given, 1e-6, and 1000 machine epsilons of the gradient times the
            largest difference.
        rng (numpy.random.Generator): Draws the direction and, if there are more than 200 entries,
            the 200 to compare: at least 100 where ``gradient`` is not 0, if there are that many.
    Raises:
        GradientMismatch: Naming the entry that differs most, and both values.
        CannotJudge: If a difference may be wrong by more than ``atol`` plus ``rtol`` times the
            largest one or, if neither is given, by more than a thousandth of it; or if numbers are
            too large.
        TypeError, ValueError: If an argument does not fit, f returns no finite real scalar, or two
            different ones for one x.
    Example:
        >>> import bptt, numpy as np
        >>> x, rng = np.array([1.0, 2.0]), np.random.default_rng(0)
        >>> bptt.check(lambda x: x @ x, x, 2 * x, rng=rng).entries
        2
        >>> bptt.check(np.sum, x, x, rng=rng)
        Traceback (most recent call last):
        bptt.gradcheck.GradientMismatch: entry (1,): gradient 2, central difference 1; 1 of 2 ...
    """
    x = array("x", x, "...", "fd")
    gradient = array("gradient", gradient, "...", "fd")
    if gradient.shape != x.shape:
        raise ValueError(f"gradient: got shape {gradient.shape}, needs {x.shape}, as x")
    instance("f", f, Callable)
    instance("rng", rng, Generator)
    told = rtol is not None or atol is not None
    rtol = 1e-6 if rtol is None else number("rtol", rtol, 0, kinds=REAL)
    own = 1000 * float(np.finfo(gradient.dtype).eps)
    drawn = rng.permutation(x.size)
    claims = drawn[gradient.flat[drawn] != 0][: ENTRIES // 2]  # of many entries few may have any
    others = np.setdiff1d(drawn, claims, assume_unique=True)[: ENTRIES - len(claims)]
    drawn = np.sort(np.append(claims, others))
    entries = [tuple(int(i) for i in np.unravel_index(k, x.shape)) for k in drawn]
    v = rng.choice([-1, 1], x.shape) * rng.integers(2048, 6145, x.shape) / 4096
    with np.errstate(under="ignore"):
        near, length = Near(f, x, v, (rtol + own) / 10), norm(v)
        slopes = [*(near.slope(unit(x, entry)) for entry in entries), near.along]
    quotients, truncation, rounding, bends, kinks = np.array(slopes).T
    with np.errstate(all="ignore"):
        along = np.vdot(v, gradient) / length
        claimed = np.array([*(gradient[entry] for entry in entries), along])
        sizes = np.append(abs(quotients[:-1]), norm(v * gradient) / length)
        largest, errors = abs(quotients).max(), truncation + rounding
        atol = own * largest if atol is None else number("atol", atol, 0, kinds=REAL)
        seen = max(largest, DIGITS * abs(bends).max())
        needed = atol + rtol * largest if told else DIGITS * seen
        allowed = errors + atol + rtol * sizes
        excess = abs(claimed - quotients) - allowed
    # if it is not, f may vary within the steps, and differences drown in what only looks like noise
    rounded = near.noise <= 1000 * near.last * abs(near.at)
    worst, coarsest = int(np.argmax(excess[:-1])), int(np.argmax(errors[:-1]))
    for k in (worst, coarsest, -1):
        place = "a random direction" if k == -1 else f"entry {entries[k]}"
        if not np.isfinite(excess[k]):
            raise CannotJudge(
                f"{place}: gradient {claimed[k]:.8g}, central difference {quotients[k]:.8g}, with "
                "numbers too large for float64; scale f"
            )
        if excess[k] > 0 and (kinks[k] or rounded or errors[k] <= max(seen, needed)):
            raise GradientMismatch(
                f"{place}: gradient {claimed[k]:.8g}, central difference {quotients[k]:.8g}; "
                f"{np.sum(excess[:-1] > 0)} of {len(entries)} entries compared differ"
            )
        if errors[k] > needed and kinks[k]:
            behind, ahead = quotients[k] - kinks[k] / 2, quotients[k] + kinks[k] / 2
            raise CannotJudge(
                f"{place}: f is not differentiable here or nearby, with slopes {behind:.3g} and "
                f"{ahead:.3g} on either side"
            )
        if errors[k] > needed:
            bound = f"at most {needed:.0e}" if needed or largest else "an atol, as all are 0"
            raise CannotJudge(
                f"{place}: central difference {quotients[k]:.1e} may be wrong by {errors[k]:.0e}, "
                f"needs {bound}; let f compute in float64, subtract a constant from it, sum fewer "
                "terms, give an atol, or use complex_step"
            )
    noticed = allowed + errors
    noticed[-1] *= 2 * length if x.size > len(entries) else 0  # no entry of v is below 1/2
    found = float(claimed[worst]), float(quotients[worst]), float(noticed.max())
    return Report(len(entries), entries[worst], *found)
