r"""The recurrence: everything that passes through time, written once for every cell.

The product :math:`p_t = W h_{t-1}` stands in one place, in :func:`unroll`. Both of its factors
depend on W, so its derivative has two terms,
:math:`\mathrm{d}W\,h_{t-1} + W\,\mathrm{d}h_{t-1}`. Every function below repeats that rule over the
steps: from the left or from the right, summed or one summand at a time.
"""

from collections.abc import Iterator
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from ._arguments import Array, array, instance, number, same_precision
from .cells import Cell, Partials

BLOCK = 2**18  # numbers in one gate table of a block of steps: many steps, but bounded memory


class Params(NamedTuple):
    """Recurrent weights W (gates n, n), input weights U (gates n, d) and bias b (gates n,)."""

    W: Array
    U: Array
    b: Array


class Gradients(NamedTuple):
    """Derivatives of the loss by the parameters, the inputs x (T, B, d) and the first state s0
    (B, k n), each of the shape of what it is taken by; None where a function does not compute it.
    """

    W: Array
    U: Array
    b: Array
    x: Array | None = None
    s0: Array | None = None


class Unrolled(NamedTuple):
    """A forward run: what :func:`unroll` was given, all states ``s`` (T + 1, B, k n), and what the
    cell has ``kept`` (T, kept, B, n) of each step for its partial derivatives.
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

    def partials(self, steps: slice) -> Partials:
        """The cell's partial derivatives at these steps; step t leads from s[t] to s[t + 1]."""
        return self.cell.partials(*self._at(steps))

    def _at(self, steps: slice) -> tuple[Array, Array, Array]:
        """Read-only, so that of a table which is a view of them the sweep takes a copy."""
        views = self.s[:-1][steps], self.s[1:][steps], self.kept[steps]
        for view in views:
            view.flags.writeable = False
        return views


def init(cell: Cell, d: int, n: int, *, rng: Generator, dtype: Any = np.float64) -> Params:
    r"""Random parameters, uniform on :math:`[-1/\sqrt n, 1/\sqrt n]` like PyTorch's layers.

    Args:
        cell (Cell): ELMAN, LSTM or GRU.
        d, n (int): Numbers of inputs and units, at least 1.
        rng (numpy.random.Generator): The source of randomness.
        dtype: float32 or float64; both round the same draws. TypeError or ValueError for others.
    """
    instance("cell", cell, Cell)
    d, n = number("d", d, 1), number("n", n, 1)
    instance("rng", rng, Generator)
    if not isinstance(dtype, type | np.dtype) or dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype: got {dtype!r}, needs float32 or float64")
    rows, bound = cell.gates * n, n**-0.5
    shapes = [(rows, n), (rows, d), (rows,)]
    return Params(*(rng.uniform(-bound, bound, shape).astype(dtype) for shape in shapes))


def unroll(cell: Cell, params: Params, x: Array, s0: Array | None = None) -> Unrolled:
    r"""The forward run :math:`s_t = \varphi(s_{t-1}, W h_{t-1}, U x_t + b)` for t = 1 … T.

    Args:
        cell (Cell): ELMAN, LSTM or GRU, with k parts in its state.
        params (Params): W (gates n, n), U (gates n, d), b (gates n,).
        x (array (T, B, d)): T inputs for each of B sequences.
        s0 (array (B, k n), optional): The first state; zeros if not given.
    Returns:
        Unrolled: In the precision given: float32, float64 or, for the complex step, complex128.
    Raises:
        TypeError: If a dtype is not one of these, or float32 meets another.
        ValueError: If a shape does not fit the others, or an entry is NaN or infinite.
    """
    (W, U, b), x, s0, dtype = run_arguments(cell, params, x, s0)
    (T, B, d), (gates, n) = x.shape, (cell.gates, W.shape[1])
    # In memory, the gates lie one after the other within a step, and so do the parts of the state.
    states, kept = np.empty((T + 1, cell.parts, B, n), dtype), np.empty((T, cell.kept, B, n), dtype)
    states[0] = s0.reshape(B, cell.parts, n).swapaxes(0, 1)
    order = list(cell.order or range(gates))
    scale = np.array(cell.scale, dtype)[order, None, None]
    by_gate = (scale * a.reshape(gates, n, -1)[order] for a in (W, U, b))
    Wt, Ut, bt = (a.swapaxes(1, 2).astype(dtype, order="C") for a in by_gate)
    Ut = Ut.swapaxes(0, 1).reshape(d, gates * n)
    p, q = np.empty((gates, B, n), dtype), kept[:, :gates] if cell.kept else states[1:]
    multiply: Any = np.matmul
    product = p
    if B == 1 or gates == 1:  # then the gates lie side by side, and one product is faster
        multiply, product, Wt = np.dot, p.reshape(B, -1), Wt.swapaxes(0, 1).reshape(n, -1)
    views = states[:-1], states[:-1, 0], q, states[1:], kept
    for steps in _blocks(T, B * len(W)):
        by_x = (x[steps].reshape(-1, d) @ Ut).reshape(-1, B, gates, n)
        np.add(by_x.swapaxes(1, 2), bt, out=q[steps])
        with np.errstate(over="ignore"):  # of a gate that is shut: 1/(1 + inf) is 0
            for before, h, *step in zip(*(a[steps] for a in views), strict=True):
                multiply(h, Wt, out=product)
                cell.step(before, p, *step)
    s = states.swapaxes(1, 2).reshape(T + 1, B, -1)
    return Unrolled(cell, Params(W, U, b), x, s, kept)


def run_arguments(cell: Cell, params: Params, x: Array, s0: Array | None) -> Any:
    """The params, x, s0 and dtype of a run, checked; errors as :func:`unroll` describes them."""
    instance("cell", cell, Cell)
    instance("params", params, Params)
    W = array("W", params.W, "gates*n n")
    rows, n = W.shape
    if rows != cell.gates * n:
        raise ValueError(f"W: got shape {W.shape}, needs ({cell.gates} n, n) for {cell}")
    U = array("U", params.U, "gates*n d", **{"gates*n": rows})
    b = array("b", params.b, "gates*n", **{"gates*n": rows})
    x = array("x", x, "T B d", d=U.shape[1])
    B, width = x.shape[1], cell.parts * n
    s0 = np.zeros((B, width), x.dtype) if s0 is None else s0
    s0 = array("s0", s0, "B k*n", B=B, **{"k*n": width})
    return Params(W, U, b), x, s0, same_precision(W=W, U=U, b=b, x=x, s0=s0)


def backward(unrolled: Unrolled, dh: Array, ds: Array | None = None) -> Gradients:
    r"""Backpropagation through time: the product rule from the left, last step first, in O(T).

    One sweep carries the adjoint :math:`\mathrm{d}L/\mathrm{d}s_t`; at each step it passes through
    :math:`W h_{t-1}` to both factors. The weights' gradients are one matrix product over all steps
    of a block, so that the sweep adds little to the memory of the run. Raises TypeError or
    ValueError if ``dh`` or ``ds`` does not fit the run. Source: Werbos (1990).

    Args:
        unrolled (Unrolled): The forward run of T steps.
        dh (array (T, B, n)): The loss's derivative by each h_t, the other states held fixed.
        ds (array (B, k n), optional): Its derivative by s_T through what follows the run, such as
            the ``s0`` of the gradients of a run that went on from s_T; zeros if not given.
    Returns:
        Gradients: By W, U, b, x and s0. Nothing is conjugated in a complex run.
    """
    dh, cell, params = _loss_derivative(unrolled, dh), unrolled.cell, unrolled.params
    (T, B, n), k = dh.shape, cell.parts
    s0 = np.zeros((B, k * n), dh.dtype)
    if ds is not None:
        s0 = array("ds", ds, "B k*n", B=B, **{"k*n": k * n})
    dtype = same_precision(ds=s0, run=dh)
    W, U, b, x = (np.zeros(a.shape, dtype) for a in (*params, unrolled.x))
    for steps in reversed(_blocks(T, B * len(W))):
        table, through = cell.chained(*unrolled._at(steps))
        adjoint = _adjoint(dh[steps], k, dtype, 1)
        adjoint[-1] += s0.reshape(B, k, 1, n).swapaxes(0, 1)
        if table.q is not None and np.may_share_memory(table.p, table.q):
            table = table._replace(q=table.q.copy())  # the sweep writes over p
        columns = _sweep(unrolled, table.p, through, adjoint)
        dp, dq = _to_products(unrolled, table, columns, adjoint[1:])
        for total, part in zip((W, U, b), _weights(unrolled, steps, dp, dq), strict=True):
            total += part
        np.matmul(dq, params.U, out=x[steps].reshape(len(dq), -1))
        s0 = adjoint[0].swapaxes(0, 1).reshape(s0.shape).copy()  # or a view keeps all of adjoint
    return Gradients(W, U, b, x, s0)


def rtrl(unrolled: Unrolled, dh: Array) -> Gradients:
    r"""Real-time recurrent learning: the product rule from the right, first step first.

    Carries :math:`\mathrm{d}s_t/\mathrm{d}(W, U, b)` beside the state; needs nothing of the past.
    Time :math:`O(T B n^3 (n + d))`, memory :math:`O(B n^2 (n + d))` for one gate. Arguments, errors
    and values as for :func:`backward`, x and s0 None. Source: Williams and Zipser (1989).
    """
    dh = _loss_derivative(unrolled, dh)
    n, d = unrolled.params.W.shape[1], unrolled.x.shape[2]
    tangents = _tangents(unrolled)
    next(tangents)  # h_0 does not depend on the parameters
    total = sum(np.tensordot(*pair, axes=2) for pair in zip(dh, tangents, strict=True))
    W, U, b = np.split(total, [n, n + d], axis=1)
    return Gradients(W, U, b[:, 0])


def sensitivity(unrolled: Unrolled) -> Array:
    r"""The total derivative :math:`\mathrm{d}h_t/\mathrm{d}W` at every t of a run.

    Returns an array (T + 1, B, n, gates n, n): ``[t, r, i, j, k]`` is the derivative of
    ``h[t, r, i]`` by ``W[j, k]``, zero at t = 0. Raises TypeError if ``unrolled`` is no run.
    """
    instance("unrolled", unrolled, Unrolled)
    return np.stack([dh[..., : dh.shape[1]] for dh in _tangents(unrolled)])


def summands(unrolled: Unrolled, dh: Array, max_lag: int | None = None) -> Gradients:
    r"""The gradient taken apart by lag: how far back each summand of the product rule reaches.

    Summand l collects, over all loss times t, the path from :math:`h_t` back to the use of W, U and
    b at step t - l. All loss times of a lag are one batch; time :math:`O(T^2)`. Raises TypeError or
    ValueError if ``dh`` does not fit the run or ``max_lag`` is out of range.

    Args:
        unrolled, dh: As for :func:`backward`.
        max_lag (int, optional): The last lag wanted, from 0 to T - 1, which it is if not given.
    Returns:
        Gradients: With a leading axis of lags, whose sum is :func:`backward`; x and s0 are None.
    """
    dh = _loss_derivative(unrolled, dh)
    lags = len(dh) if max_lag is None else 1 + number("max_lag", max_lag, 0, len(dh) - 1)
    by_lag = [_weights(unrolled, steps, dp, dq) for steps, dp, dq, _ in _by_lag(unrolled, dh, lags)]
    return Gradients(*map(np.stack, zip(*by_lag, strict=True)))


def truncated(unrolled: Unrolled, dh: Array, window: int) -> Gradients:
    r"""Truncated backpropagation through time: exactly the first ``window`` summands.

    Every loss reaches back over ``window`` uses of the parameters, its own step included. Time O(T
    window). Raises TypeError or ValueError if ``dh`` does not fit the run or ``window`` is no
    positive integer. Source: Williams and Peng (1990).

    Args:
        unrolled, dh: As for :func:`backward`.
        window (int): Lags to keep, at least 1; T or more keeps all.
    Returns:
        Gradients: By W, U, b, x and s0, which step 1 uses as it uses :math:`x_1`, at the same lag.
    """
    dh = _loss_derivative(unrolled, dh)
    window = number("window", window, 1)
    T, B, _ = dh.shape
    dp, dq = np.zeros((2, T * B, len(unrolled.params.W)), dh.dtype)
    s0 = np.zeros(unrolled.s[0].shape, dh.dtype)
    for _, dp_lag, dq_lag, to_s0 in _by_lag(unrolled, dh, min(window, T)):
        dp[: len(dp_lag)] += dp_lag
        dq[: len(dq_lag)] += dq_lag
        s0 += to_s0.reshape(s0.shape)
    x = (dq @ unrolled.params.U).reshape(unrolled.x.shape)
    W, U, b = _weights(unrolled, slice(0, T), dp, dq)
    return Gradients(W, U, b, x, s0)


def jacobians(unrolled: Unrolled) -> Array:
    r"""The one-step Jacobians :math:`\mathrm{d}s_t/\mathrm{d}s_{t-1}`; for ELMAN :math:`D_t W`.

    Returns an array (T, B, k n, k n): ``[t, r]`` is the Jacobian of the step from ``s[t, r]`` to
    ``s[t + 1, r]``. Raises TypeError if ``unrolled`` is no run.
    """
    instance("unrolled", unrolled, Unrolled)
    cell, W, table = unrolled.cell, unrolled.params.W, unrolled.partials(slice(None)).p
    T, B, k, columns, n = table.shape
    by_state = np.zeros((columns, n, k, n), W.dtype)
    by_state[: cell.gates, :, 0] = W.reshape(cell.gates, n, n)
    if cell.direct:
        by_state[-1, :, -1] = np.eye(n)
    J: Array = np.einsum("tmkci,ciaj->tmkiaj", table, by_state)
    return J.reshape(T, B, k * n, k * n)


def _blocks(T: int, size: int) -> list[slice]:
    """All steps, in blocks of at most BLOCK numbers if each has ``size``; one step is the least."""
    length = max(1, BLOCK // size)
    return [slice(start, min(start + length, T)) for start in range(0, T, length)]


def _loss_derivative(unrolled: Unrolled, dh: Array) -> Array:
    """``dh``, checked against the run and in the dtype of the gradients."""
    instance("unrolled", unrolled, Unrolled)
    T, B, n = unrolled.h[1:].shape
    dh = array("dh", dh, "T B n", T=T, B=B, n=n)
    return dh.astype(same_precision(dh=dh, run=unrolled.s), copy=False)


def _adjoint(dh: Array, parts: int, dtype: Any, before: int = 0) -> Array:
    """The adjoints of the states, (steps, k, B, 1, n), with what the loss gives; zero before."""
    steps, B, n = dh.shape
    adjoint = np.empty((before + steps, parts, B, 1, n), dtype)
    adjoint[:before] = adjoint[:, 1:] = 0
    adjoint[before:, 0, :, 0] = dh
    return adjoint


def _sweep(unrolled: Unrolled, p: Array, through: Array | None, adjoint: Array) -> Array:
    """Complete the adjoints of the states, last step first; returns those of the columns of p,
    which may be written over.
    """
    cell, W = unrolled.cell, unrolled.params.W
    p = np.require(p, adjoint.dtype, ["C", "W"])
    # The adjoints take the place of the table's first row: less memory to write and to read.
    (steps, B, _, _, n), columns = p.shape, p[:, :, 0]
    by_h, gate = np.empty((B, n), p.dtype), np.empty((B, 1, n), p.dtype)
    # Views of all steps are made here, because in the loop each costs as much as a small product.
    dp, direct = columns.reshape(steps, B, -1)[:, :, : len(W)], columns[:, :, cell.gates :]
    h, last = adjoint[:-1, 0, :, 0], adjoint[:-1, -1]
    views = p.swapaxes(1, 2), adjoint[1:], columns, dp, direct, h, last
    chain = repeat(None) if through is None else through[::-1, :, None]
    backwards = zip(chain, *(a[::-1] for a in views), strict=False)
    for by_last, p_t, adjoint_t, columns_t, dp_t, direct_t, h_before, last_before in backwards:
        if by_last is None:
            _to_columns(p_t, adjoint_t, columns_t)
        else:
            _through_last(columns_t, by_last, adjoint_t, gate)
        np.dot(dp_t, W, out=by_h)
        np.add(h_before, by_h, out=h_before)
        if cell.direct:
            np.add(last_before, direct_t, out=last_before)
    return columns


def _to_columns(table: Array, adjoint: Array, out: Array) -> None:
    """From the adjoint of s_t to that of each column of the table: the sum over parts of s_t."""
    np.multiply(table[0], adjoint[0], out=out)
    for part in range(1, len(table)):
        out += table[part] * adjoint[part]


def _through_last(row: Array, by_last: Array, adjoint: Array, gate: Array) -> None:
    """The same in place for a chained table, whose last gate stands before the direct column."""
    h, last = adjoint[0], adjoint[1]
    np.multiply(by_last, h, out=gate)
    np.add(last, gate, out=last)
    np.multiply(row[:, -2:-1], h, out=gate)
    np.multiply(row, last, out=row)
    row[:, -2:-1] = gate


def _to_products(unrolled: Unrolled, table: Partials, columns: Array, adjoint: Array) -> Any:
    """The adjoints of p and of q over the steps of a table, each (steps B, gates n)."""
    steps, B, _, n = columns.shape
    shape, gates = (steps * B, -1), unrolled.cell.gates
    dp = columns.reshape(shape)[:, : gates * n]
    if table.q is None:
        return dp, dp
    dq = np.empty((steps, B, gates, n), columns.dtype)
    _to_columns(np.moveaxis(table.q[:steps], 2, 0), adjoint.swapaxes(0, 1), dq)
    return dp, dq.reshape(shape)


def _weights(unrolled: Unrolled, steps: slice, dp: Array, dq: Array) -> tuple[Array, ...]:
    """Gradients by W, U and b from the adjoints of p and q: one matrix product over all steps."""
    before, x = unrolled.h[:-1][steps], unrolled.x[steps]
    W = dp.T @ before.reshape(len(dp), before.shape[2])
    return W, dq.T @ x.reshape(len(dq), x.shape[2]), dq.sum(axis=0)


def _by_lag(unrolled: Unrolled, dh: Array, lags: int) -> Iterator[tuple[Any, ...]]:
    """By lag: the steps that the losses reach, the adjoints of p and q there, what comes to s_0."""
    table = unrolled.partials(slice(None))
    cell, W, adjoint = unrolled.cell, unrolled.params.W, _adjoint(dh, unrolled.cell.parts, dh.dtype)
    for _ in range(lags):
        reached = slice(0, len(adjoint))
        columns = np.empty(table.p[reached, :, 0].shape, dh.dtype)
        _to_columns(np.moveaxis(table.p[reached], 2, 0), adjoint.swapaxes(0, 1), columns)
        dp, dq = _to_products(unrolled, table, columns, adjoint)
        adjoint = _adjoint((dp @ W).reshape(dh[reached].shape), cell.parts, dh.dtype)
        if cell.direct:
            adjoint[:, -1] += columns[:, :, cell.gates :]
        yield reached, dp, dq, adjoint[0].swapaxes(0, 1)
        adjoint = adjoint[1:]


def _tangents(unrolled: Unrolled) -> Iterator[Array]:
    """The derivatives of h_0 … h_T by [W U b], each (B, n, gates n, n + d + 1)."""
    (T, B, d), (rows, n) = unrolled.x.shape, unrolled.params.W.shape
    gates, unit, width = unrolled.cell.gates, np.arange(n), n + d + 1
    tangent = np.zeros((B, unrolled.cell.parts, n, rows, width), unrolled.s.dtype)
    yield tangent[:, 0]
    for t in range(T):
        table = unrolled.partials(slice(t, t + 1))
        through = unrolled.params.W @ tangent[:, 0].reshape(B, n, -1)
        columns = through.reshape(B, gates, n, rows, width)
        if unrolled.cell.direct:
            columns = np.concatenate([columns, tangent[:, -1:]], axis=1)
        tangent = np.einsum("mkci,mcijl->mkijl", table.p[0], columns)
        by_p = table.p[0][:, :, :gates, :, None]
        by_q = by_p if table.q is None else table.q[0][..., None]
        h, x = unrolled.h[t, :, None, None, None], unrolled.x[t, :, None, None, None]
        immediate = np.concatenate([by_p * h, by_q * x, by_q], axis=-1)
        own = tangent.reshape(B, -1, n, gates, n, width)
        own[:, :, unit, :, unit] += np.moveaxis(immediate, 3, 0)
        yield tangent[:, 0]
