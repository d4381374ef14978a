"""Equations that are executed: the book does not build while one of them fails."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ._arguments import REAL, array, number


class EquationFails(AssertionError):
    """An equation whose two sides differ."""


def verified(label: str, left: Any, right: Any, *, tol: float, relation: str = "==") -> None:
    """Check that two sides, computed independently, agree; print one line, or raise.

    Args:
        label (str): The label of the displayed equation.
        left, right (arrays, numbers or SymPy expressions, or lists or tuples of them): The sides;
            lists are compared item by item, so that one line can cover several cases.
        tol (float): The largest difference allowed, relative to the largest entry of the two sides,
            up to 0.5. SymPy expressions ignore it: their difference must simplify to 0.
        relation ("==" or "<="): ``<=`` checks an inequality entry by entry, with no tolerance.
    Raises:
        EquationFails: Naming the label, the case, the entry that differs most, and both values.
        TypeError, ValueError: If an argument does not fit, sides differ in shape, or a number or
            the absolute value of a complex number is not finite.
    Example:
        >>> import bptt
        >>> bptt.verified("eq-square", [(2 + 1) ** 2, 0.5**2], [4 + 4 + 1, 0.25], tol=0)
        eq-square checked in 2 cases: largest relative difference 0.0e+00
    """
    if not isinstance(label, str) or len(label.split()) != 1:
        raise ValueError(f"label: got {label!r}, needs one word")
    number("tol", tol, 0, 0.5, kinds=REAL)
    if relation not in ("==", "<="):
        raise ValueError(f"relation: got {relation!r}, needs '==' or '<='")
    cases = list(_pairs(label, left, right))
    if not cases:
        raise ValueError(f"{label}: got nothing to compare, needs at least one pair")
    of, residuals = (f" in {len(cases)} cases" if len(cases) > 1 else ""), []
    for k, (a, b) in enumerate(cases, start=1):
        case = f"{label}, case {k} of {len(cases)}" if of else label
        if hasattr(a, "free_symbols") or hasattr(b, "free_symbols"):
            _equal_expressions(case, a, b, relation)
        else:
            residuals.append(_residual(case, a, b, tol, relation))
    found = "equal as expressions"
    if residuals:
        equal = f"largest relative difference {max(residuals):.1e}"
        found = equal if relation == "==" else f"smallest margin {min(residuals):.1e}"
    print(f"{label} checked{of}: {found}")


def _pairs(label: str, left: Any, right: Any) -> Iterator[tuple[Any, Any]]:
    """The sides, item by item where they are lists or tuples; two Nones say nothing."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right) or not left:
            raise ValueError(f"{label}: got {len(left)} and {len(right)} items, needs as many")
        for a, b in zip(left, right, strict=True):
            if a is not None or b is not None:
                yield from _pairs(label, a, b)
    else:
        yield left, right


def _equal_expressions(case: str, left: Any, right: Any, relation: str) -> None:
    import sympy  # its expressions have come in, so it is there; bptt itself does not need it

    if relation != "==":
        raise TypeError(f"{case}: got expressions and relation {relation!r}, needs numbers")
    a, b = (sympy.sympify(side) for side in (left, right))
    if getattr(a, "shape", ()) != getattr(b, "shape", ()):
        raise ValueError(f"{case}: got {a} and {b}, needs one shape")
    difference = sympy.simplify(a - b)
    if difference.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
        raise ValueError(f"{case}: got {a} and {b}, needs finite expressions")
    if difference != 0 * difference:
        raise EquationFails(f"{case}: left minus right is {difference}, not zero")


@np.errstate(all="ignore")
def _residual(case: str, left: Any, right: Any, tol: float, relation: str) -> float:
    """The largest relative difference of two arrays, or the smallest margin of right over left."""
    equal = relation == "=="
    sides = [array(case, side, "...", "fdci" if equal else "fdi") for side in (left, right)]
    if any(a.dtype.kind in "iu" and ((a > 2**53) | (a < -(2**53))).any() for a in sides):
        raise ValueError(f"{case}: got an integer beyond 2**53, needs numbers that floats can hold")
    a, b = (1.0 * side for side in sides)  # as floats: small or unsigned integers wrap around
    if a.shape != b.shape:
        raise ValueError(f"{case}: got shapes {a.shape} and {b.shape}, needs one shape")
    # of a complex number that is finite, the absolute value may not be
    largest = array(f"{case}, absolute value", max(abs(a).max(), abs(b).max()), "")
    excess = abs(a - b) / (largest or 1) if equal else a - b
    if excess.max() > (tol if equal else 0):
        worst = tuple(int(i) for i in np.unravel_index(np.argmax(excess), excess.shape))
        raise EquationFails(
            f"{case}: left {relation} right fails by {excess.max():.1e}, tol {tol:.1e}; "
            f"at {worst} left is {a[worst]:.9g}, right is {b[worst]:.9g}"
        )
    return float(excess.max() if equal else -excess.max())
