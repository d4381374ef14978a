r"""Cells: what one step does, and its derivative. A cell knows nothing of time.

Every cell sees the past through :math:`p_t = W h_{t-1}`, the present through
:math:`q_t = U x_t + b`, and maps :math:`s_t = \varphi(s_{t-1}, p_t, q_t)` unit by unit; the hidden
state :math:`h_t` is the first part of :math:`s_t`. So its derivative is a handful of numbers per
unit. They depend on the forward run alone and are computed for many steps at once.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from ._arguments import Array


class Partials(NamedTuple):
    r"""Unit-wise partial derivatives of the k parts of :math:`s_t`, for many steps at once.

    ``p`` (..., k, columns, n): by each gate's rows of :math:`p_t` and, if the cell is ``direct``,
    in one more column by the last part of :math:`s_{t-1}`. ``q`` (..., k, gates, n): by each gate's
    rows of :math:`q_t`; None if it is as by p.
    """

    p: Array
    q: Array | None = None


class Cell(ABC):
    r"""One step :math:`s_t = \varphi(s_{t-1}, p_t, q_t)` and its unit-wise partial derivatives."""

    parts: int  #: k, how many parts the state has, 1 (h) or 2 (h and c)
    direct: bool  #: whether the last part of s_{t-1} acts beside the product with W
    scale: tuple[float, ...]  #: a factor for each gate's rows of W, U, b, -1 if logistic
    #: arrays of the size of h that a step keeps for ``partials``; the first ``gates`` of them hold
    #: q_t when the step begins (if there are none, the place of s_t does)
    kept: int

    @property
    def gates(self) -> int:
        """Gates, that is row blocks of W, U and b."""
        return len(self.scale)

    def __repr__(self) -> str:
        return type(self).__name__.removesuffix("Cell").upper()

    @abstractmethod
    def step(self, before: Array, p: Array, q: Array, s: Array, kept: Array) -> None:
        r"""Write :math:`s_t` into ``s``, and into ``kept`` what :meth:`partials` needs.

        Shapes: ``before`` and ``s`` ``(B, k n)``; ``p`` and ``q`` ``(gates, B, n)``, scaled;
        ``kept`` ``(kept, B, n)``. ``p`` and ``q`` may be overwritten.
        """

    @abstractmethod
    def partials(self, before: Array, s: Array, kept: Array) -> Partials:
        """The derivatives of :meth:`step`, for arrays with any axes before B."""


def _logistic(negative: Array) -> None:
    """From -a to 1/(1 + exp(-a)), in place; ``scale`` has turned the sign of the rows of a."""
    np.minimum(negative, 88, out=negative)  # the exponential stays finite, in float32 too
    np.exp(negative, out=negative)
    negative += 1
    np.reciprocal(negative, out=negative)


class ElmanCell(Cell):
    r"""The plain recurrent network :math:`h_t = \tanh(W h_{t-1} + U x_t + b)` (Elman 1990)."""

    parts, direct, scale, kept = 1, False, (1.0,), 0

    def step(self, before: Array, p: Array, q: Array, s: Array, kept: Array) -> None:
        np.add(p[0], q[0], out=s)
        np.tanh(s, out=s)

    def partials(self, before: Array, s: Array, kept: Array) -> Partials:
        return Partials((1 - s * s)[..., None, None, :])


class LSTMCell(Cell):
    r"""Long short-term memory, :math:`s_t = (h_t, c_t)` (Hochreiter and Schmidhuber 1997).

    :math:`c_t = f \odot c_{t-1} + i \odot g` and :math:`h_t = o \odot \tanh(c_t)`, with logistic
    gates i, f, o and tanh gate g, in the order i f g o, as PyTorch stacks them. The forget gate is
    that of Gers, Schmidhuber and Cummins (2000).
    """

    parts, direct, scale, kept = 2, True, (-1.0, -1.0, 1.0, -1.0), 5

    def step(self, before: Array, p: Array, q: Array, s: Array, kept: Array) -> None:
        np.add(p, q, out=q)
        i, f, g, o, tanh_c = kept
        np.tanh(g, out=tanh_c)
        _logistic(q)  # of all gates in one go; g, which is no such gate, waits in a free place
        g[...] = tanh_c
        n = i.shape[-1]
        h, c = s[:, :n], s[:, n:]
        np.multiply(f, before[:, n:], out=c)
        np.multiply(i, g, out=h)
        c += h
        np.tanh(c, out=tanh_c)
        np.multiply(o, tanh_c, out=h)

    def partials(self, before: Array, s: Array, kept: Array) -> Partials:
        i, f, g, o, tanh_c = np.moveaxis(kept, -3, 0)
        c_before = before[..., i.shape[-1] :]
        p = np.empty((*i.shape[:-1], 2, 5, i.shape[-1]), i.dtype)
        dh, dc = p[..., 0, :, :], p[..., 1, :, :]
        np.multiply(g * i, 1 - i, out=dc[..., 0, :])
        np.multiply(c_before * f, 1 - f, out=dc[..., 1, :])
        np.multiply(i, 1 - g * g, out=dc[..., 2, :])
        dc[..., 3, :] = 0
        dc[..., 4, :] = f
        np.multiply((o * (1 - tanh_c * tanh_c))[..., None, :], dc, out=dh)
        np.multiply(tanh_c * o, 1 - o, out=dh[..., 3, :])
        return Partials(p)


class GRUCell(Cell):
    r"""The gated recurrent unit (Cho and others 2014), in PyTorch's form and gate order r z n.

    :math:`h_t = (1 - z) \odot n + z \odot h_{t-1}` with :math:`n = \tanh(q_n + r \odot p_n)`.
    """

    parts, direct, scale, kept = 1, True, (-1.0, -1.0, 1.0), 4

    def step(self, before: Array, p: Array, q: Array, s: Array, kept: Array) -> None:
        r, z, new, p_new = kept
        r_and_z = kept[:2]
        r_and_z += p[:2]
        _logistic(r_and_z)
        p_new[...] = p[2]
        np.multiply(r, p_new, out=s)
        new += s
        np.tanh(new, out=new)
        np.subtract(before, new, out=s)
        s *= z
        s += new

    def partials(self, before: Array, s: Array, kept: Array) -> Partials:
        r, z, new, p_new = np.moveaxis(kept, -3, 0)
        by_new = (1 - z) * (1 - new * new)
        by_r = by_new * p_new * r * (1 - r)
        by_z = (before - new) * z * (1 - z)
        p = np.stack([by_r, by_z, by_new * r, z], axis=-2)
        q = np.stack([by_r, by_z, by_new], axis=-2)
        return Partials(p[..., None, :, :], q[..., None, :, :])


ELMAN, LSTM, GRU = ElmanCell(), LSTMCell(), GRUCell()
