"""Arguments are checked once, at the door: a wrong one raises at once and says what it needs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
REAL = int | float | np.integer | np.floating
DTYPES = {"f": "float32", "d": "float64", "c": "complex128", "i": "integer", "b": "bool"}
CODES = {"f": "f", "d": "d", "D": "c", "?": "b", **dict.fromkeys(np.typecodes["AllInteger"], "i")}


class OutOfRange(FloatingPointError):
    """Numbers that the precision cannot hold: what diverging training comes to."""


def as_array(name: str, value: Any, dtypes: str = "") -> Array:
    """``value`` as an array of one of the dtypes, any if none is given, in native byte order."""
    if _masked(value):
        raise TypeError(f"{name}: got a masked array, needs one without a mask: .filled(...)")
    try:
        got = np.asarray(value)
    except ValueError as error:
        rows = repr(value)
        rows = rows if len(rows) <= 2000 else f"{rows[:2000]} …"
        raise ValueError(f"{name}: got {rows}, needs rows of one length") from error
    if dtypes and CODES.get(got.dtype.char, "none") not in dtypes:
        needed = " or ".join(DTYPES[code] for code in dtypes)
        raise TypeError(f"{name}: got dtype {got.dtype}, needs {needed}")
    return got if got.dtype.isnative else got.astype(got.dtype.newbyteorder("="))


def _masked(value: Any) -> bool:
    """Whether it has a mask that ``np.asarray`` would lose, also in a list."""
    if isinstance(value, list | tuple):
        return not {*map(type, value)} <= {int, float} and any(map(_masked, value))
    return isinstance(value, np.ma.MaskedArray)


def array(name: str, value: Any, axes: str, dtypes: str = "fdc", **sizes: int) -> Array:
    """``value`` as a finite array with the named axes, ``"T B d"``; a size not given is free.

    A leading ``...`` stands for any number of axes.
    """
    got = as_array(name, value, dtypes)
    names = axes.split()
    if names[:1] == ["..."]:
        names[:1] = ["..."] * (got.ndim + 1 - len(names))
    fits = [sizes.get(axis, size) == size for axis, size in zip(names, got.shape, strict=False)]
    if len(names) != got.ndim or not all(fits):
        shape = ", ".join(f"{a}={sizes[a]}" if a in sizes else a for a in axes.split())
        raise ValueError(f"{name}: got shape {got.shape}, needs ({shape})")
    if got.size == 0:
        raise ValueError(f"{name}: got shape {got.shape}, needs at least one entry on each axis")
    if not (finite := np.isfinite(got)).all():
        where = tuple(np.argwhere(~finite)[0].tolist())
        raise ValueError(f"{name}: got {got[where]} at {where}, needs finite numbers")
    return got


def in_range(name: str, computed: Array) -> Array:
    """``computed``, if it is finite; else OutOfRange."""
    if not np.isfinite(computed).all():
        large = f"numbers too large for {computed.dtype}"
        raise OutOfRange(f"{name}: got {large if np.isinf(computed).any() else 'nan'}")
    return computed


def same_precision(**arrays: Array) -> np.dtype[Any]:
    """The common dtype; float64 may meet complex128, float32 meets only itself."""
    if len({array.dtype.char == "f" for array in arrays.values()}) > 1:
        got = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise TypeError(f"{', '.join(arrays)}: got {got}, needs one precision for all")
    return np.result_type(*arrays.values())


def precision(dtype: Any) -> np.dtype[Any]:
    """float32 or float64, however it is named."""
    try:
        found = None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if found not in (np.float32, np.float64):
        raise TypeError(f"dtype: got {dtype!r}, needs float32 or float64")
    return found


def number(name: str, value: Any, least: float, most: float = np.inf, kinds: Any = None) -> Any:
    """``value`` from ``least`` to ``most``, as a finite float; as an integer if without kinds."""
    needs = f"{'a finite number' if kinds else 'an integer'} from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, kinds or int | np.integer):
        raise TypeError(f"{name}: got {value!r}, needs {needs}")
    try:
        found = float(value) if kinds else int(value)
    except OverflowError:  # an integer beyond all floats
        found = value = np.inf
    if not least <= found <= most or found == np.inf:
        raise ValueError(f"{name}: got {value}, needs {needs}")
    return found


def instance(name: str, value: Any, kind: Any) -> None:
    """Raise unless ``value`` is a ``kind``."""
    if not isinstance(value, kind):
        got = type(value).__name__
        if name_of_value := getattr(value, "__name__", ""):  # not called, or not made
            got = f"the {'class' if isinstance(value, type) else got} {name_of_value}"
        if any(str(base) == str(kind) for base in type(value).__mro__):
            got += " from before bptt was loaded again"
        raise TypeError(f"{name}: got {got}, needs {kind.__name__}")
