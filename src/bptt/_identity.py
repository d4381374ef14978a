"""Objects that are what their class and parameters are: equal, printed and told apart by these."""

import hashlib
import inspect
from typing import Any

import numpy as np


class ByParameters:
    """Equality, hash and ``repr`` by the class and what its ``__init__`` takes.

    A parameter is found under its own name; where ``__init__`` keeps one under another, all
    attributes count.
    """

    @property
    def name(self) -> str:
        """What stands before the parameters."""
        return type(self).__name__

    def __repr__(self) -> str:
        names, found = list(inspect.signature(type(self)).parameters), vars(self)
        if not all(key in found for key in names):
            names = sorted(found)
        parameters = ", ".join(f"{key}={_exact(found[key])!r}" for key in names)
        return f"{self.name}({parameters})" if names else self.name

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class _Words(str):
    """Words that stand in a list without quotation marks."""

    __slots__ = ()
    __repr__ = str.__str__


def _exact(value: Any) -> Any:
    """What prints in words that differ wherever a parameter does, also for arrays in lists, tuples
    and dicts; a hash stands for a long array.
    """
    if type(value) in (list, tuple) or hasattr(value, "_make"):
        return getattr(type(value), "_make", type(value))(map(_exact, value))
    if type(value) is dict:
        return {key: _exact(entry) for key, entry in value.items()}
    if not isinstance(value, np.ndarray | np.generic):
        return value
    if value.size <= 8:
        return _Words(repr(value.tolist()))
    return _Words(f"{value.dtype}{value.shape}#{hashlib.sha256(value.tobytes()).hexdigest()[:16]}")
