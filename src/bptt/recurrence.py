r"""The recurrence: everything that passes through time, written once for every cell.

The product :math:`p_t = W h_{t-1}` stands in one place, in :func:`unroll`. Both factors depend on
W, so its derivative has two terms, :math:`\mathrm{d}W\,h_{t-1} + W\,\mathrm{d}h_{t-1}`. All that
follows repeats that rule over the steps: here from the left, in one sweep; in ``lags`` one summand
at a time; in ``tangents`` from the right.
"""

from contextlib import suppress
from itertools import repeat
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.random import Generator

from ._arguments import (
    Array,
    OutOfRange,
    array,
    instance,
    number,
    precision,
    same_precision,
)
from .cells import Cell, Partials

BLOCK = 2**18  # numbers in one gate table of a block of steps: many steps, but bounded memory


class Params(NamedTuple):
    """Recurrent weights W (gates n, n), input weights U (gates n, d) and bias b (gates n,). A
    cell with ``own`` parameters has them below the bias: b is then (gates n + own n,).
    """

    W: Array
    U: Array
    b: Array


class Gradients(NamedTuple):
    """Derivatives of the loss with respect to the parameters, the inputs x (T, B, d) and the
    initial state s0 (B, k n), each of the shape of what it is taken with respect to.
    """

    W: Array
    U: Array
    b: Array
    x: Array = None  # type: ignore[assignment]  # None only in ParameterGradients
    s0: Array = None  # type: ignore[assignment]


class ParameterGradients(Gradients):
    """Gradients with respect to W, U and b alone; x and s0 are None."""

    __slots__ = ()
    x: None  # type: ignore[assignment]
    s0: None  # type: ignore[assignment]


Found = TypeVar("Found", bound=Gradients)


class Unrolled(NamedTuple):
    """A forward run: what :func:`unroll` was given, all states ``s`` (T + 1, B, k n), and what the
    cell has ``kept`` (T, kept, B, n) of each step for its partial derivatives.

    The arrays are the run's own copies, and read-only: changing the parameters given does not
    change the run. The cell is not copied: the parameters that it holds must stay as they are.
    """

    cell: Cell
    params: Params
    x: Array
    s: Array
    kept: Array

    @property
    def h(self) -> Array:
        """The hidden states, (T + 1, B, n), which are the first part of ``s``."""
        return self.s[..., : self.params.W.shape[1]]

    @np.errstate(under="ignore")
    def partials(self, steps: slice) -> Partials:
        """The cell's partial derivatives at these steps; step t leads from s[t] to s[t + 1].

        Raises TypeError if ``steps`` is not a slice or the cell does not return Partials,
        ValueError if their tables do not have the shape they need.
        """
        instance("steps", steps, slice)
        return self._fitting(self.cell.partials(*self._at(steps)), steps)

    def _at(self, steps: slice) -> tuple[Array, ...]:
        s = _by_part(self.s, self.cell.parts)
        return tuple(a[steps].swapaxes(0, 1) for a in (s[:-1], s[1:], self.kept))

    def _fitting(self, table: Partials, steps: slice) -> Partials:
        cell, lead, n = self.cell, self.s[1:][steps].shape[:2], self.params.W.shape[1]
        if not isinstance(table, Partials):  # to name the cell takes time
            instance(f"partials of {cell}", table, Partials)
        for name, got, columns in zip("pq", table, (cell.direct, cell.own), strict=True):
            needs = *lead, cell.parts, cell.gates + columns, n
            shape = None if got is None else np.shape(got)
            if shape != needs and (got is not None or name == "p" or cell.own):
                raise ValueError(f"partials of {cell}: got {name} of shape {shape}, needs {needs}")
        return table


def init(cell: Cell, d: int, n: int, *, rng: Generator, dtype: Any = np.float64) -> Params:
    r"""Random parameters, uniform on :math:`[-1/\sqrt n, 1/\sqrt n]` like PyTorch's layers.

    Takes a cell, the numbers of inputs d and of units n, each at least 1, the generator ``rng``,
    and ``dtype``, float32 or float64: both round the same draws. Raises TypeError or ValueError
    for anything else.

    Example:
        >>> import bptt, numpy as np
        >>> bptt.init(bptt.LSTM, d=3, n=8, rng=np.random.default_rng(0)).W.shape
        (32, 8)
    """
    instance("cell", cell, Cell)
    d, n = number("d", d, 1), number("n", n, 1)
    instance("rng", rng, Generator)
    dtype, rows, bound = precision(dtype), cell.gates * n, n**-0.5
    shapes = [(rows, n), (rows, d), (rows + cell.own * n,)]
    return Params(*(rng.uniform(-bound, bound, shape).astype(dtype) for shape in shapes))


@np.errstate(all="ignore")  # of a gate that is shut, 1/(1 + inf) is 0; the states are looked at
def unroll(cell: Cell, params: Params, x: Array, s0: Array | None = None) -> Unrolled:
    r"""The forward run :math:`s_t = \varphi(s_{t-1}, W h_{t-1}, U x_t + b)` for t = 1 … T.

    Args:
        cell (Cell): ELMAN, LSTM, GRU, TORCH_GRU or your own, with k parts in its state.
        params (Params): W (gates n, n), U (gates n, d), b (gates n + own n,).
        x (array (T, B, d)): T inputs for each of B sequences.
        s0 (array (B, k n), optional): The initial state; zeros if not given.
    Returns:
        Unrolled: In the precision given: float32, float64 or, for the complex step, complex128.
    Raises:
        TypeError, ValueError: If a dtype is none of these, float32 meets another, a shape does not
            fit the others, or an entry is NaN or infinite.
        OutOfRange: A FloatingPointError, if a state is too large for the precision, or nan.
    Example:
        >>> import bptt, numpy as np
        >>> params = bptt.Params(W=np.array([[0.5]]), U=np.ones((1, 1)), b=np.zeros(1))
        >>> bptt.unroll(bptt.ELMAN, params, np.ones((3, 1, 1))).h.ravel().round(3)
        array([0.   , 0.762, 0.881, 0.894])
    """
    params, x, s0 = run_arguments(cell, params, x, s0)
    W, U, b, x, s0 = (a.copy() for a in (*params, x, s0))  # which nobody else changes
    params = Params(W, U, b)
    (T, B, d), (rows, n), gates = x.shape, params.W.shape, cell.gates
    dtype = np.result_type(*params, x, s0)
    # In memory, the parts of a state lie one after the other within a step, and so do the gates.
    states = np.empty((T + 1, cell.parts, B, n), dtype)
    kept = np.empty((T, cell.kept, B, n), dtype)
    states[0] = _by_part(s0[None], cell.parts)[0]
    q = kept[:, : gates + cell.own] if cell.kept else states[1:]
    q[:, gates:] = params.b[rows:].reshape(cell.own, 1, n)
    beside = B == 1 or gates == 1  # then one product is faster, its gates side by side
    Wt = _for_steps(cell, params.W, dtype, beside)
    Ut = _for_steps(cell, params.U, dtype, True)
    bt = _for_steps(cell, params.b[:rows, None], dtype, False)
    p = np.empty((gates, B, n), dtype)
    multiply, product = (np.dot, p.reshape(B, -1)) if beside else (np.matmul, p)
    views = states[:-1], states[:-1, 0], q, states[1:], kept
    for steps in _blocks(T, B * rows):
        by_x, x_steps = q[steps, :gates], x[steps].reshape(-1, d)
        if gates == 1 and by_x.flags.c_contiguous:
            np.matmul(x_steps, Ut, out=by_x.reshape(-1, n))
            by_x += bt
        else:
            np.add((x_steps @ Ut).reshape(-1, B, gates, n).swapaxes(1, 2), bt, out=by_x)
        for before, h, *step in zip(*(a[steps] for a in views), strict=True):
            multiply(h, Wt, out=product)
            cell.step(before, p, *step)
    s = states.swapaxes(1, 2).reshape(T + 1, B, -1)
    if not np.isfinite(s.sum()) and not (finite := np.isfinite(s)).all():
        t = finite.all(axis=(1, 2)).argmin()
        found = f"numbers too large for {dtype}" if np.isinf(s[t]).any() else "nan"
        raise OutOfRange(f"s: {cell} comes to {found} at step {t}")
    for own in (*params, x, s, kept):
        own.flags.writeable = False
    return Unrolled(cell, params, x, s, kept)


def _by_part(s: Array, parts: int) -> Array:
    """States (steps, B, k n) with an axis for their parts: (steps, k, B, n)."""
    return s.reshape(*s.shape[:2], parts, -1).swapaxes(1, 2)


def _for_steps(cell: Cell, rows: Array, dtype: Any, beside: bool) -> Array:
    """The transposed blocks of the gates, scaled and in the order of a step: (columns, gates n) if
    they are to stand side by side, else (gates, columns, n).
    """
    (size, columns), gates = rows.shape, cell.gates
    n = size // gates
    out = np.empty((columns, gates, n) if beside else (gates, columns, n), dtype)
    for place, gate in enumerate(cell.order or range(gates)):
        block = rows[gate * n : (gate + 1) * n].T
        np.multiply(block, cell.scale[gate], out=out[:, place] if beside else out[place])
    return out.reshape(columns, -1) if beside else out


def run_arguments(
    cell: Cell, params: Params, x: Array, s0: Array | None
) -> tuple[Params, Array, Array]:
    """The params, x and s0 of a run as arrays, checked as :func:`unroll` says."""
    instance("cell", cell, Cell)
    instance("params", params, Params)
    if cell.kept < (least := cell.gates + cell.own) and (cell.kept or least != cell.parts):
        raise ValueError(f"kept of {cell}: got {cell.kept}, needs {least} or more, for q")
    W = array("W", params.W, "gates*n n")
    rows, n = W.shape
    if rows != cell.gates * n:
        raise ValueError(f"W: got shape {W.shape}, needs ({cell.gates} n, n) for {cell}")
    U = array("U", params.U, "gates*n d", **{"gates*n": rows})
    in_b = "(gates+own)*n" if cell.own else "gates*n"
    b = array("b", params.b, in_b, **{in_b: rows + cell.own * n})
    x = array("x", x, "T B d", d=U.shape[1])
    B, width = x.shape[1], cell.parts * n
    s0 = np.zeros((B, width), x.dtype) if s0 is None else s0
    s0 = array("s0", s0, "B k*n", B=B, **{"k*n": width})
    same_precision(W=W, U=U, b=b, x=x, s0=s0)
    return Params(W, U, b), x, s0


@np.errstate(all="ignore")  # the gradients are looked at
def backward(unrolled: Unrolled, dh: Array, ds: Array | None = None) -> Gradients:
    r"""Backpropagation through time: the product rule from the left, last step first, in O(T).

    One sweep carries the adjoint :math:`\mathrm{d}L/\mathrm{d}s_t` through :math:`W h_{t-1}` to
    both factors. The weights' gradients are one matrix product over all steps of a block, which
    bounds the memory. Raises TypeError or ValueError if ``dh`` or ``ds`` does not fit the run;
    OutOfRange, a FloatingPointError, if a gradient, or what it is computed from, is too large for
    the precision. Source: Werbos (1990).

    Args:
        unrolled (Unrolled): The forward run of T steps.
        dh (array (T, B, n)): The loss's derivative with respect to each h_t, the other states held
            fixed.
        ds (array (B, k n), optional): Its derivative with respect to s_T through what follows the
            run, such as the ``s0`` of the gradients of a run that went on from s_T. Or (T, B, k n):
            its derivative with respect to all parts of each s_t, which is added to ``dh``.
    Returns:
        Gradients: With respect to W, U, b, x and s0. Nothing is conjugated in a complex run.
    Example:
        >>> import bptt, bptt.examples
        >>> run, dh = bptt.examples.example(bptt.LSTM)
        >>> [g.shape for g in bptt.backward(run, dh)]
        [(12, 3), (12, 2), (12,), (6, 2, 2), (2, 6)]
    """
    dh, cell, params = loss_derivative(unrolled, dh), unrolled.cell, unrolled.params
    (T, B, n), k = unrolled.h[1:].shape, cell.parts
    given = np.zeros((B, k * n), dh.dtype)
    if ds is not None:
        axes = "B k*n"
        with suppress(ValueError):  # of rows of different length, as array will say
            axes = f"T {axes}" if np.shape(ds) == (T, B, k * n) else axes
        given = array("ds", ds, axes, T=T, B=B, **{"k*n": k * n})
    dtype = same_precision(ds=given, run=dh)
    every = given.ndim == 3
    s0 = np.zeros((B, k * n), dtype) if every else given
    W, U, b, x = (np.zeros(a.shape, dtype) for a in (*params, unrolled.x))
    chained = cell._shortcut
    for steps in reversed(_blocks(T, B * len(W))):
        table, through = (
            chained(*unrolled._at(steps)) if chained else (unrolled.partials(steps), None)
        )
        adjoint = adjoints(dh[steps], k, dtype, 1)
        adjoint[-1] += s0.reshape(B, k, 1, n).swapaxes(0, 1)
        if every:
            adjoint[1:] += given[steps].reshape(-1, B, k, 1, n).swapaxes(1, 2)
        columns = _sweep(unrolled, table, through, adjoint)
        dp, dq = to_products(unrolled, table, columns, adjoint[1:])
        for total, part in zip((W, U, b), weight_gradients(unrolled, steps, dp, dq), strict=True):
            total += part
        np.matmul(dq[:, : len(U)], params.U, out=x[steps].reshape(len(dq), -1))
        s0 = adjoint[0].swapaxes(0, 1).reshape(s0.shape).copy()  # or a view keeps all of adjoint
    return finite(Gradients(W, U, b, x, s0))


def finite(gradients: Found) -> Found:
    """The gradients of a finite run, if all are finite; else OutOfRange, which names one."""
    for name, g in zip(gradients._fields, gradients, strict=True):
        if g is not None and not np.isfinite(g).all():  # nan is then a difference of infinities
            large = f"got numbers too large for {g.dtype}"
            raise OutOfRange(f"gradient with respect to {name}: {large}")
    return gradients


def _blocks(T: int, size: int) -> list[slice]:
    """All steps, in blocks of at most BLOCK numbers if each has ``size``; one step is the least."""
    length = max(1, BLOCK // size)
    return [slice(start, min(start + length, T)) for start in range(0, T, length)]


def loss_derivative(unrolled: Unrolled, dh: Array) -> Array:
    """``dh``, checked against the run and in the dtype of the gradients."""
    instance("unrolled", unrolled, Unrolled)
    T, B, n = unrolled.h[1:].shape
    dh = array("dh", dh, "T B n", T=T, B=B, n=n)
    return dh.astype(same_precision(dh=dh, run=unrolled.s), copy=False)


def adjoints(dh: Array, parts: int, dtype: Any, before: int = 0) -> Array:
    """The adjoints of the states, (steps, k, B, 1, n), with what the loss gives; zero before."""
    steps, B, n = dh.shape
    adjoint = np.empty((before + steps, parts, B, 1, n), dtype)
    adjoint[:before] = adjoint[:, 1:] = 0
    adjoint[before:, 0, :, 0] = dh
    return adjoint


def _sweep(unrolled: Unrolled, table: Partials, through: Array | None, adjoint: Array) -> Array:
    """Complete the adjoints of the states, last step first; returns those of the columns of p."""
    cell, W, p, (steps, B, k, width, n) = unrolled.cell, unrolled.params.W, table.p, table.p.shape
    # With one part and one column, each takes the place of an adjoint that has done its work.
    alone = k == width == 1 and table.q is None
    columns = adjoint[1:, 0] if alone else np.empty((steps, B, width, n), adjoint.dtype)
    by_h, by_gate = np.empty((B, n), columns.dtype), np.empty((B, 1, n), columns.dtype)
    # Views of all steps are made here, because in the loop each costs as much as a small product.
    dp, direct = columns.reshape(steps, B, -1)[:, :, : len(W)], to_direct(cell, columns)
    h, beside = adjoint[:-1, 0, :, 0], adjoint[:-1, cell.parts - cell.direct :]
    views = p.swapaxes(1, 2), adjoint[1:], columns, dp, direct, h, beside
    chain = repeat(None) if through is None else through[::-1, :, None]
    backwards = zip(chain, *(a[::-1] for a in views), strict=False)
    for by_last, p_t, adjoint_t, columns_t, dp_t, direct_t, h_before, beside_before in backwards:
        if by_last is None:
            to_columns(p_t, adjoint_t, columns_t)
        else:
            _through_last(p_t[0], by_last, adjoint_t, columns_t, by_gate)
        np.dot(dp_t, W, out=by_h)
        np.add(h_before, by_h, out=h_before)
        if cell.direct:
            np.add(beside_before, direct_t, out=beside_before)
    return columns


def to_direct(cell: Cell, columns: Array) -> Array:
    """What goes to the last parts of the states before, beside W: (steps, direct, B, 1, n)."""
    return columns[:, :, cell.gates :].swapaxes(1, 2)[..., None, :]


def to_columns(table: Array, adjoint: Array, out: Array) -> None:
    """From the adjoint of s_t to that of each column of the table: the sum over parts of s_t."""
    np.multiply(table[0], adjoint[0], out=out)
    for part in range(1, len(table)):
        out += table[part] * adjoint[part]


def _through_last(row: Array, by_last: Array, adjoint: Array, out: Array, by_gate: Array) -> None:
    """The same for a chained table, whose last gate stands before the direct column."""
    h, last = adjoint[0], adjoint[1]
    np.multiply(by_last, h, out=by_gate)
    np.add(last, by_gate, out=last)
    np.multiply(row, last, out=out)
    np.multiply(row[:, -2:-1], h, out=out[:, -2:-1])


def to_products(unrolled: Unrolled, table: Partials, columns: Array, adjoint: Array) -> Any:
    """The adjoints of p, (steps B, gates n), and q, (steps B, gates n + own n), over the steps."""
    (steps, B, _, n), cell = columns.shape, unrolled.cell
    dp = columns.reshape(steps * B, -1)[:, : cell.gates * n]
    if table.q is None:
        return dp, dp
    dq = np.empty((steps, B, cell.gates + cell.own, n), columns.dtype)
    to_columns(np.moveaxis(table.q[:steps], 2, 0), adjoint.swapaxes(0, 1), dq)
    return dp, dq.reshape(steps * B, -1)


def weight_gradients(unrolled: Unrolled, steps: slice, dp: Array, dq: Array) -> tuple[Array, ...]:
    """Weight gradients from the adjoints of p and q: one matrix product over all steps."""
    before, x, rows = unrolled.h[:-1][steps], unrolled.x[steps], len(unrolled.params.U)
    W = dp.T @ before.reshape(len(dp), before.shape[2])
    return W, dq[:, :rows].T @ x.reshape(len(dq), x.shape[2]), dq.sum(axis=0)
