"""Arguments are checked once, at the door: a wrong one raises at once and says what it needs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def array(name: str, value: Any, axes: str, dtypes: str = "fd c", **sizes: int) -> Array:
    """``value`` as an array with the named axes; sizes not given are free.

    ``axes`` is, for example, ``"T B d"``; a leading ``...`` stands for any number of axes. Of
    ``dtypes``, ``fd`` means float32 or float64, ``c`` complex128, ``i`` integers.
    """
    got = np.asarray(value)
    words = {"fd": "float32 or float64", "c": "complex128", "i": "integers"}
    if {"float32": "fd", "float64": "fd", "complex128": "c"}.get(
        got.dtype.name, got.dtype.kind.replace("u", "i")
    ) not in dtypes.split():
        needs = " or ".join(words[code] for code in dtypes.split())
        raise TypeError(f"{name}: got dtype {got.dtype}, needs {needs}")
    names = axes.split()
    shape = got.shape
    if names and names[0] == "...":
        names, shape = names[1:], shape[len(shape) - len(names) + 1 :]
    fits = len(shape) == len(names) and all(
        size == sizes.get(axis, size) for axis, size in zip(names, shape, strict=True)
    )
    if not fits:
        needs = ", ".join(f"{axis}={sizes[axis]}" if axis in sizes else axis for axis in axes.split())
        raise ValueError(f"{name}: got shape {got.shape}, needs ({needs})")
    if got.size == 0:
        raise ValueError(f"{name}: got shape {got.shape}, needs at least one entry on each axis")
    if not (finite := np.isfinite(got)).all():
        where = tuple(np.argwhere(~finite)[0].tolist())
        raise ValueError(f"{name}: got {got[where]} at {where}, needs finite numbers")
    return got


def same_precision(**arrays: Array) -> np.dtype[Any]:
    """The common dtype; float64 may meet complex128, float32 meets only itself."""
    if len({array.dtype == np.float32 for array in arrays.values()}) > 1:
        got = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise TypeError(f"{', '.join(arrays)}: got {got}, needs one precision for all")
    return np.result_type(*arrays.values())


def whole_number(name: str, value: Any, least: int, most: int | None = None) -> int:
    """``value`` as an int between ``least`` and ``most``, both included."""
    needs = f"an integer from {least} {'up' if most is None else f'to {most}'}"
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: got {value!r}, needs {needs}")
    if value < least or (most is not None and value > most):
        raise ValueError(f"{name}: got {value}, needs {needs}")
    return int(value)


def instance(name: str, value: Any, kind: type) -> None:
    """Raise unless ``value`` is a ``kind``."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: got {type(value).__name__}, needs {kind.__name__}")
