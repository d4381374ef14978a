"""Slopes by differences that know their own error."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._arguments import Array, array

Function = Callable[[Array], Any]
SAFETY = 10  # standard deviations of rounding that the error of a slope allows for


class Slope(NamedTuple):
    """A derivative along a direction of length 1, and what its differences say about it."""

    value: float
    truncation: float  # the part of its error that falls with the step
    rounding: float  # the part that grows
    bend: float  # the slope ahead less the slope behind
    kink: float  # what remains of the bend as the step goes to 0

    def error(self) -> float:
        return self.truncation + self.rounding


class Near:
    """A function near a point: its noise, and slopes that know their own error."""

    def __init__(self, f: Function, x: Array, v: Array, accuracy: float) -> None:
        """Measure the noise along v, and find the step with which the error there is least."""
        self.f, self.x = f, _in_double(f, x)
        at, again = (value_of(f, self.x) for _ in range(2))
        self.at, held = float(at), np.finfo(at.dtype)
        self.last, self.grain = float(held.eps) / 4, float(held.eps) * float(held.tiny)
        if abs(at - again) > 256 * self.last * abs(at):
            raise ValueError(f"f(x): got {at} and {again} for one x, needs one value")
        held = np.finfo(self.x.dtype)
        eps, least = float(held.eps), float(held.tiny)  # with less, steps would be 0
        size = max(float(abs(x).max()), least) if x.any() else 1.0
        # values that f rounds show their noise only over many steps, wherever x lies between two
        reach = 176 * size * eps**0.7
        while reach < 2 * size and max(self._levels(v, end) for end in (reach, -reach)) < 4:
            reach *= 4
        # not at equal distances, at which the rounding may happen to be the same
        distances = np.linspace(0, 1, 20) ** 1.5
        values = np.array([self(v, reach * d) for d in distances])
        polynomials = np.linalg.qr(np.vander(distances, 5))[0]
        with np.errstate(all="ignore"):  # what leaves the range, check refuses
            rises = values - self.at
            self.noise = norm(rises - polynomials @ (polynomials.T @ rises)) / (20 - 5) ** 0.5
            rise = max(abs(rises[-1]), self.noise, self.last * abs(values).max())
            self.enough = accuracy * rise / (reach * norm(v))
        self.least = step = 2.0 ** np.ceil(np.log2(4096 * eps * size))  # x + step * v is exact
        self.along = self.extrapolated(v, step)
        while self.along.error() > self.enough and 128 * step * norm(v) <= (norm(x) or 1):
            larger = self.extrapolated(v, 8 * step)
            if larger.error() >= self.along.error():
                break
            self.along, step = larger, 8 * step
        self.step = 2.0 ** np.floor(np.log2(step * norm(v)))

    def __call__(self, direction: Array, step: float) -> float:
        return float(value_of(self.f, self.x, direction, step))

    def _levels(self, v: Array, reach: float) -> int:
        return len({self.at, *(self(v, reach / k) for k in (128, 64, 32))})

    def slope(self, direction: Array) -> Slope:
        """By steps that shrink as long as truncation is most of the error."""
        step = self.step
        best = tried = self.extrapolated(direction, step)
        while (
            best.truncation > max(3 * best.rounding, self.enough)
            and best.error() > 4 * tried.rounding
            and step > self.least
        ):
            step /= 4
            tried = self.extrapolated(direction, step)
            best = min(best, tried, key=Slope.error)
        return best

    def extrapolated(self, direction: Array, step: float) -> Slope:
        """From values of f one, two and four steps ahead and behind."""
        steps = step * np.array([1, 2, 4])
        ahead, behind = (np.array([self(direction, s) for s in side]) for side in (steps, -steps))
        largest = abs(np.append(ahead, behind)).max()
        noise = max(self.noise, self.last * largest, min(self.grain, largest))
        steps = steps * norm(direction)
        with np.errstate(all="ignore"):
            central, bends = (ahead - behind) / (2 * steps), (ahead + behind - 2 * self.at) / steps
            once, kinks = central[:2] + (central[:2] - central[1:]) / 3, 2 * bends[:2] - bends[1:]
            truncation = np.maximum(abs(once[0] - once[1]), abs(kinks[0]))  # NaN if one of them is
            rounding = SAFETY * noise / steps[0]
            lasts = abs(kinks[0]) > max(rounding, 4 * abs(kinks[0] - kinks[1]))
            twice = once[0] + (once[0] - once[1]) / 15
            return Slope(twice, truncation, rounding, bends[0], kinks[0] if lasts else 0.0)


def norm(a: Array) -> float:
    return float(np.hypot.reduce(a, axis=None))  # squares might leave the range


def _in_double(f: Function, x: Array) -> Array:
    """x in float64, if f takes it and answers in it."""
    double = x.astype(np.float64)
    try:
        return double if np.asarray(f(double.copy())).dtype == double.dtype else x
    except Exception:  # whatever f has against float64
        return x


def unit(x: Array, index: tuple[int, ...]) -> Array:
    unit = np.zeros_like(x)
    unit[index] = 1
    return unit


def value_of(f: Function, x: Array, direction: Any = 0.0, step: float = 0.0) -> Array:
    """f at a copy of x, moved."""
    moved = x.copy()
    moved += x.dtype.type(step) * direction
    return array("f near x" if step else "f(x)", f(moved), "", "fd")
