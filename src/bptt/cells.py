r"""Cells: what one step does, and its derivative. A cell knows nothing of time.

Every cell sees the past through :math:`p_t = W h_{t-1}` and the present through :math:`q_t = U x_t
+ b`. It maps :math:`s_t = \varphi(s_{t-1}, p_t, q_t)` unit by unit, and :math:`h_t` is the first
part of :math:`s_t`. So its derivative is a handful of numbers per unit, which depend on the forward
run alone and are computed for many steps at once.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ._arguments import Array, as_array
from ._identity import ByParameters


class Partials(NamedTuple):
    r"""Unit-wise partial derivatives of the k parts of :math:`s_t`, for many steps at once.

    ``p`` (..., k, columns, n): with respect to each gate's rows of :math:`p_t` and, in ``direct``
    more columns, to the last parts of :math:`s_{t-1}`. ``q`` (..., k, gates + own, n): with respect
    to each gate's rows of :math:`q_t` and to the cell's own parameters; None if it is as for p.
    """

    p: Array
    q: Array | None = None

    @classmethod
    def of(cls, p: Sequence[Sequence[Any]], q: Sequence[Sequence[Any]] | None = None) -> "Partials":
        """The tables from their entries, ``p[part][column]``, each an array (..., n) or a number.

        Numbers take the shape and the dtype of the arrays, of which there must be at least one.
        Raises ValueError if there is none, if their shapes do not fit, or if a table has no rows,
        or rows that are empty or differ in length; TypeError if p or q is not a table, or an entry
        is not numeric.

        Example:
            >>> import bptt, numpy as np
            >>> bptt.Partials.of([[np.ones((7, 2, 3)), 0.5]]).p.shape  # one gate, one direct column
            (7, 2, 1, 2, 3)
        """
        tables = {"p": p} if q is None else {"p": p, "q": q}
        for name, rows in tables.items():
            if not np.iterable(rows) or not all(map(np.iterable, rows)):
                raise TypeError(f"{name}: got {rows!r}, needs a row of entries for each part")
            if len(set(lengths := [len(row) for row in rows])) != 1 or 0 in lengths:
                raise ValueError(f"{name}: got rows of length {lengths}, needs one length, from 1")
            for i, row in enumerate(rows):
                for j, entry in enumerate(row):
                    as_array(f"{name}[{i}][{j}]", entry, "fdcib")
        entries = [entry for rows in tables.values() for row in rows for entry in row]
        shapes = [np.shape(entry) for entry in entries]
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError as error:
            raise ValueError(f"p and q: got shapes {shapes}, needs one (..., n)") from error
        # a float64 number leaves arrays of float32 what they are
        dtype = np.result_type(*(e.item() if isinstance(e, np.generic) else e for e in entries))
        if not shape:
            raise ValueError("p: got numbers alone, needs an array (..., n), such as ones like h")
        return cls(*(_table(rows, shape, dtype) for rows in tables.values()))


class Cell(ByParameters, ABC):
    r"""One step :math:`s_t = \varphi(s_{t-1}, p_t, q_t)` and its unit-wise partial derivatives.

    ``step`` and ``partials`` see the same arrays: the first axis says which part, gate or kept
    array, the last two are (B, n). Cells are equal if their classes and parameters are, the
    parameters being what ``__init__`` takes; ``repr`` shows both.
    """

    parts: int  #: k, how many parts the state has, 1 (h) or more (h and c)
    direct: int  #: how many of the last parts of s_{t-1} act beside the product with W
    scale: tuple[float, ...]  #: a factor for each gate's rows of W, U, b, -1 if logistic
    #: how many arrays of the size of h a step keeps for ``partials``; the first ``gates + own``
    #: hold q_t when the step begins (if ``kept`` is 0, the place of s_t holds it)
    kept: int
    #: a unit's parameters besides those of its gates, row blocks of b below theirs, none in W or U
    own: int = 0
    order: tuple[int, ...] | None = None  #: of the gates within a step, if not that of W's rows
    _chained: Callable[[Array, Array, Array], tuple[Partials, Array]]  # see _shortcut

    @property
    def gates(self) -> int:
        """Gates, that is row blocks of W and U."""
        return len(self.scale)

    @property
    def name(self) -> str:
        """Its class in the book's way of writing, TORCH_GRU for ``TorchGRUCell``."""
        words = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(self).__name__.removesuffix("Cell"))
        return words.upper()

    @abstractmethod
    def step(self, before: Array, p: Array, q: Array, s: Array, kept: Array) -> None:
        r"""Write :math:`s_t` into ``s``, and into ``kept`` what :meth:`partials` needs.

        Shapes: ``before`` and ``s`` (k, B, n); ``p`` (gates, B, n) and ``q`` (gates + own, B, n),
        their gates times ``scale`` and in ``order``; ``kept`` (kept, B, n). ``p`` and ``q`` may be
        overwritten.
        """

    @abstractmethod
    def partials(self, before: Array, s: Array, kept: Array) -> Partials:
        """The derivatives of :meth:`step`, at many steps: ``before`` and ``s`` (k, ..., B, n) and
        ``kept`` (kept, ..., B, n).

        What is given is read-only, and what is returned is never written to.
        """

    @property
    def _shortcut(self) -> Callable[[Array, Array, Array], tuple[Partials, Array]] | None:
        """``_chained``, unless a subclass, a mixin or the cell itself has ``partials`` after it.

        For a cell with two parts, one of them direct, and the same derivatives for q as for p, if
        only the last gate and the last part of s_t act on h_t. It is :meth:`partials` in fewer
        numbers: a table of one row, the derivatives of h_t with respect to the last gate and of the
        last part with respect to all else; and the derivative of h_t with respect to the last part,
        (..., n).
        """
        every = map(vars, (self, *type(self).__mro__))
        nearest = next(names for names in every if "_chained" in names or "partials" in names)
        return self._chained if "_chained" in nearest else None


def _table(rows: Sequence[Sequence[Any]], shape: tuple[int, ...], dtype: Any) -> Array:
    """Entries [part][column], brought to one shape (..., n), as (..., parts, columns, n)."""
    even = [np.broadcast_to(np.asarray(entry, dtype), shape) for row in rows for entry in row]
    return np.stack(even, axis=-2).reshape(*shape[:-1], len(rows), len(rows[0]), shape[-1])


def _logistic(negative: Array) -> None:
    """From -a to 1/(1 + exp(-a)), in place; ``scale`` has turned the sign of the rows of a."""
    if negative.dtype.kind == "c":  # complex128, for which 1/(1 + inf) is not 0
        np.minimum(negative, 709.78, out=negative)  # beyond, the exponential is inf
    np.exp(negative, out=negative)
    negative += 1
    np.reciprocal(negative, out=negative)


def _columns(like: Array, number: int) -> tuple[Array, Array]:
    """A table of one row and so many columns, and its columns."""
    table = np.empty((*like.shape[:-1], 1, number, like.shape[-1]), like.dtype)
    return table, np.moveaxis(table[..., 0, :, :], -2, 0)


class ElmanCell(Cell):
    r"""The plain recurrent network :math:`h_t = \tanh(W h_{t-1} + U x_t + b)` (Elman 1990).

    Its slope :math:`1 - h_t^2` is computed from the rounded state: for a saturated unit its
    relative error is about :math:`u / (1 - h_t^2)`, with u the unit roundoff.
    """

    parts, direct, scale, kept = 1, 0, (1.0,), 0

    def step(self, before: Array, p: Array, q: Array, s: Array, kept: Array) -> None:
        np.add(p, q, out=s)
        np.tanh(s, out=s)

    def partials(self, before: Array, s: Array, kept: Array) -> Partials:
        p = s[0] * s[0]
        return Partials(np.subtract(1, p, out=p)[..., None, None, :])


class LSTMCell(Cell):
    r"""Long short-term memory, :math:`s_t = (h_t, c_t)` (Hochreiter and Schmidhuber 1997).

    :math:`c_t = f \odot c_{t-1} + i \odot g` and :math:`h_t = o \odot \tanh(c_t)`, with logistic
    gates i, f, o and tanh gate g, in the order i f g o, as PyTorch stacks them. The forget gate is
    that of Gers, Schmidhuber and Cummins (2000). Slopes of saturated gates, :math:`i (1 - i)` and
    the like, are rounded as those of the plain network.
    """

    parts, direct, scale, kept = 2, 1, (-1.0, -1.0, 1.0, -1.0), 5
    order = 0, 1, 3, 2  # the logistic gates first

    def step(self, before: Array, p: Array, q: Array, s: Array, kept: Array) -> None:
        i, f, o, g, tanh_c, h, c = kept[0], kept[1], kept[2], kept[3], kept[4], s[0], s[1]
        np.add(p, q, out=q)
        _logistic(q[:3])
        np.tanh(g, out=g)
        np.multiply(i, g, out=h)
        np.multiply(f, before[1], out=c)
        np.add(c, h, out=c)
        np.tanh(c, out=tanh_c)
        np.multiply(o, tanh_c, out=h)

    def partials(self, before: Array, s: Array, kept: Array) -> Partials:
        (by_c, _), through = LSTMCell._chained(self, before, s, kept)
        p = np.concatenate([by_c * through[..., None, None, :], by_c], axis=-3)
        p[..., 3, :] = 0
        p[..., 0, 3, :] = by_c[..., 0, 3, :]
        return Partials(p)

    def _chained(self, before: Array, s: Array, kept: Array) -> tuple[Partials, Array]:
        i, f, o, g, tanh_c = kept
        p, (by_i, by_f, by_g, by_o, by_c) = _columns(i, 5)
        np.multiply(g * i, 1 - i, out=by_i)
        np.multiply(before[1] * f, 1 - f, out=by_f)
        np.multiply(i, 1 - g * g, out=by_g)
        np.multiply(tanh_c * o, 1 - o, out=by_o)
        by_c[...] = f
        return Partials(p), o * (1 - tanh_c * tanh_c)


class GRUCell(Cell):
    r"""The gated recurrent unit (Cho and others 2014), in PyTorch's form and gate order r z n.

    :math:`h_t = (1 - z) \odot n + z \odot h_{t-1}` with :math:`n = \tanh(q_n + r \odot p_n)`.
    Slopes of saturated gates are rounded as those of the plain network.
    """

    parts, direct, scale, kept = 1, 1, (-1.0, -1.0, 1.0), 4

    def step(self, before: Array, p: Array, q: Array, s: Array, kept: Array) -> None:
        r, z, new, p_new, r_and_z = kept[0], kept[1], kept[2], kept[-1], kept[:2]
        np.add(r_and_z, p[:2], out=r_and_z)
        _logistic(r_and_z)
        p_new[...] = p[2]
        if self.own:
            p_new += kept[3]
        h = s[0]
        np.multiply(r, p_new, out=h)
        np.add(new, h, out=new)
        np.tanh(new, out=new)
        np.subtract(before[0], new, out=h)
        np.multiply(h, z, out=h)
        np.add(h, new, out=h)

    def partials(self, before: Array, s: Array, kept: Array) -> Partials:
        r, z, new, p_new = kept[0], kept[1], kept[2], kept[-1]
        p, (by_r, by_z, by_p, by_h) = _columns(r, 4)
        q, (q_r, q_z, by_q, *hidden_bias) = _columns(r, 3 + self.own)
        np.multiply(1 - z, 1 - new * new, out=by_q)
        np.multiply(by_q, r, out=by_p)
        np.multiply(by_p * p_new, 1 - r, out=by_r)
        np.multiply((before[0] - new) * z, 1 - z, out=by_z)
        by_h[...], q_r[...], q_z[...] = z, by_r, by_z
        for by_bias in hidden_bias:
            by_bias[...] = by_p
        return Partials(p, q)


class TorchGRUCell(GRUCell):
    r"""The GRU with the second bias that PyTorch has inside the product with r.

    Where ``GRU`` has :math:`p_n`, this cell has :math:`p_n + b_{hn}`; b is (4 n,), and
    :math:`b_{hn}` is its last block.
    """

    own, kept = 1, 5


ELMAN, LSTM, GRU, TORCH_GRU = ElmanCell(), LSTMCell(), GRUCell(), TorchGRUCell()
