"""Objects that are what their class and parameters are: equal, printed and told apart by these."""

import hashlib
import inspect
import sys
from typing import Any

import numpy as np

# Arrays print in full and to the last digit, whatever the reader has set.
EXACT: Any = {
    **{"threshold": sys.maxsize, "floatmode": "unique", "formatter": {}, "legacy": False},
    **{"linewidth": 75, "sign": "-", "suppress": False, "nanstr": "nan", "infstr": "inf"},
}


class ByParameters:
    """Equality, hash and ``repr`` by the class and what its ``__init__`` takes.

    A parameter is found under its own name, also with an underscore before it; where ``__init__``
    keeps one under another, all attributes count. Without parameters, those do that were put in
    place of the class's own.
    """

    @property
    def name(self) -> str:
        """What stands before the parameters."""
        return type(self).__name__

    def __repr__(self) -> str:
        found = {key.removeprefix("_"): value for key, value in vars(self).items()} | vars(self)
        names = [*inspect.signature(type(self)).parameters]
        if not names:
            names = sorted(key for key in vars(self) if hasattr(type(self), key))
        elif not all(key in found for key in names):
            names = sorted(vars(self))
        parameters = ", ".join(f"{key}={_exact(found[key])}" for key in names)
        return f"{self.name}({parameters})" if names else self.name

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


def _exact(value: Any) -> str:
    """A parameter in words that differ wherever it does: a hash stands for a long array, and for a
    function the name by which one imports it.
    """
    found: Any = (module := sys.modules.get(getattr(value, "__module__", None) or ""))
    path = getattr(value, "__qualname__", "")
    for name in path.split("."):
        found = getattr(found, name, None)
    if module and found is value:
        return f"{module.__name__}.{path}"
    if not isinstance(value, np.ndarray | np.generic):
        with np.printoptions(**EXACT):  # of arrays in lists, dicts and the like
            return repr(value)
    if value.size <= 8:
        return repr(value.tolist())
    return f"{value.dtype}{value.shape}#{hashlib.sha256(value.tobytes()).hexdigest()[:16]}"
