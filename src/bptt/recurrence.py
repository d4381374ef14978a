r"""The recurrence: everything that passes through time, written once for every cell.

The product :math:`p_t = W h_{t-1}` stands in one place, in :func:`unroll`. Both of its factors
depend on W, so its derivative has two terms, :math:`\mathrm{d}W\,h_{t-1} + W\,\mathrm{d}h_{t-1}`. Every
function below repeats that rule over the steps, from the left or from the right, summed or one
summand at a time.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ._arguments import Array, array, instance, same_precision, whole_number
from .cells import Cell, Partials

BLOCK = 2**15  # numbers in a block's table of partial derivatives: small enough for a core's cache


class Params(NamedTuple):
    """The parameters of a cell with n units and d inputs; gated cells stack their gates' rows.

    Attributes
    ----------
    W : array (gates n, n)
        Recurrent weights.
    U : array (gates n, d)
        Input weights.
    b : array (gates n,)
        Bias.
    """

    W: Array
    U: Array
    b: Array


class Gradients(NamedTuple):
    """Derivatives of one number, the loss, each of the shape of what it is taken by.

    Attributes
    ----------
    W, U, b : arrays
        By the parameters.
    x : array (T, B, d) or None
        By the inputs; None where a function does not compute it.
    s0 : array (B, k n) or None
        By the first state; None where a function does not compute it.
    """

    W: Array
    U: Array
    b: Array
    x: Array | None = None
    s0: Array | None = None


class Unrolled(NamedTuple):
    """A forward run: every state, and what the derivatives need of each step.

    Attributes
    ----------
    cell, params, x :
        As given to :func:`unroll`.
    s : array (T + 1, B, k n)
        All states; ``s[0]`` is the first state.
    kept : array (T, B, kept n)
        What the cell keeps of each step for its partial derivatives.
    """

    cell: Cell
    params: Params
    x: Array
    s: Array
    kept: Array

    @property
    def h(self) -> Array:
        """The hidden states, shape (T + 1, B, n): the first part of ``s``."""
        return self.s[..., : self.params.W.shape[1]]

    def partials(self, steps: slice) -> Partials:
        """The cell's partial derivatives at these steps; step ``t`` leads to ``s[t + 1]``."""
        return self.cell.partials(self.s[:-1][steps], self.s[1:][steps], self.kept[steps])


def init(cell: Cell, d: int, n: int, *, rng: np.random.Generator, dtype: Any = np.float64) -> Params:
    r"""Random parameters, uniform on :math:`[-1/\sqrt n, 1/\sqrt n]`, the default of PyTorch's layers.

    Parameters
    ----------
    cell : Cell
        ELMAN, LSTM or GRU.
    d, n : int
        Inputs and units, at least 1.
    rng : numpy.random.Generator
        The source of randomness.
    dtype : dtype
        float32 or float64. Both start from the same draws.

    Returns
    -------
    Params

    Raises
    ------
    TypeError, ValueError
        If an argument is not of this kind; the message names it.
    """
    instance("cell", cell, Cell)
    d, n = whole_number("d", d, 1), whole_number("n", n, 1)
    instance("rng", rng, np.random.Generator)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype: got {dtype!r}, needs float32 or float64")
    rows, bound = cell.gates * n, n**-0.5
    shapes = [(rows, n), (rows, d), (rows,)]
    return Params(*(rng.uniform(-bound, bound, shape).astype(dtype) for shape in shapes))


def unroll(cell: Cell, params: Params, x: Array, s0: Array | None = None) -> Unrolled:
    r"""The forward run :math:`s_t = \varphi(s_{t-1}, W h_{t-1}, U x_t + b)` for t = 1 … T.

    Parameters
    ----------
    cell : Cell
        ELMAN, LSTM or GRU, with k parts in its state.
    params : Params
        W (gates n, n), U (gates n, d), b (gates n,).
    x : array (T, B, d)
        T inputs for each of B sequences.
    s0 : array (B, k n), optional
        The first state; zeros if not given.

    Returns
    -------
    Unrolled
        In the precision of the arguments: float32, float64 or, for the complex step, complex128.
        Its arrays hold the run; the arguments are not modified.

    Raises
    ------
    TypeError
        If a dtype is not one of these, or float32 meets another.
    ValueError
        If a shape does not fit the others, or an entry is NaN or infinite.
    """
    instance("cell", cell, Cell)
    instance("params", params, Params)
    W = array("W", params.W, "gates*n n")
    rows, n = W.shape
    if rows != cell.gates * n:
        raise ValueError(f"W: got shape {W.shape}, needs ({cell.gates} n, n) for {cell}")
    U = array("U", params.U, "gates*n d", **{"gates*n": rows})
    b = array("b", params.b, "gates*n", **{"gates*n": rows})
    x = array("x", x, "T B d", d=U.shape[1])
    (T, B, d), width = x.shape, cell.parts * n
    if s0 is None:
        s0 = np.zeros((B, width), x.dtype)
    s0 = array("s0", s0, "B k*n", B=B, **{"k*n": width})
    dtype = same_precision(W=W, U=U, b=b, x=x, s0=s0)

    s = np.empty((T + 1, B, width), dtype)
    kept = np.empty((T, B, cell.kept * n), dtype)
    s[0] = s0
    scale = np.repeat(np.array(cell.scale, W.real.dtype), n)
    q = kept[..., :rows] if cell.kept else s[1:]
    np.matmul(x.reshape(T * B, d), (U.T * scale).astype(dtype), out=q.reshape(T * B, rows))
    q += b * scale
    Wt, p = (W.T * scale).astype(dtype), np.empty((B, rows), dtype)
    for t in range(T):
        np.matmul(s[t, :, :n], Wt, out=p)
        cell.step(s[t], p, q[t], s[t + 1], kept[t])
    return Unrolled(cell, Params(W, U, b), x, s, kept)


def backward(unrolled: Unrolled, dh: Array) -> Gradients:
    r"""Backpropagation through time: the product rule from the left, last step first.

    One sweep carries the adjoint :math:`\lambda_t = \mathrm{d}L/\mathrm{d}s_t`; at each step it
    passes through :math:`p_t = W h_{t-1}` to both factors. Time :math:`O(T)`.

    Parameters
    ----------
    unrolled : Unrolled
        The forward run of T steps.
    dh : array (T, B, n)
        Immediate derivatives :math:`\partial L/\partial h_t`, each state held as if independent
        of the others. For a complex run, too, nothing is conjugated.

    Returns
    -------
    Gradients
        By W, U, b, x and s0.

    Raises
    ------
    TypeError, ValueError
        If ``dh`` does not fit the run.

    Notes
    -----
    Werbos (1990), *Backpropagation through time: what it does and how to do it*.
    """
    dh = _loss_derivative(unrolled, dh)
    W, U, _ = unrolled.params
    T, B, n = dh.shape
    rows, width = len(W), unrolled.s.shape[-1]
    gradients = Gradients(
        *(np.zeros(array.shape, dh.dtype) for array in unrolled.params),
        x=np.empty(unrolled.x.shape, dh.dtype),
        s0=np.zeros((B, width), dh.dtype),
    )
    through_W = np.empty((B, n), dh.dtype)
    for steps in reversed(_blocks(T, B * rows)):
        partials = unrolled.partials(steps)
        adjoint = np.zeros((steps.stop - steps.start + 1, B, width), dh.dtype)
        adjoint[1:, :, :n] = dh[steps]
        adjoint[-1] += gradients.s0
        dp = np.empty((len(adjoint) - 1, B, rows), dh.dtype)
        for t in reversed(range(len(dp))):
            _to_products(partials.p, adjoint[t + 1], t, dp[t])
            _to_state(partials.s, W, adjoint[t + 1], t, dp[t], adjoint[t])
        dq = dp
        if partials.q is not partials.p:
            dq = _to_products(partials.q, adjoint[1:], ..., np.empty_like(dp))
        for total, part in zip(gradients, _weights(unrolled, steps, dp, dq), strict=False):
            total += part
        np.matmul(dq, U, out=gradients.x[steps])
        gradients.s0[...] = adjoint[0]
    return gradients


def rtrl(unrolled: Unrolled, dh: Array) -> Gradients:
    r"""Real-time recurrent learning: the product rule from the right, first step first.

    Carries :math:`\mathrm{d}s_t/\mathrm{d}(W, U, b)` forward beside the state and contracts it with the
    loss's derivative at every step, so nothing of the past is needed. For one gate: time
    :math:`O(T B n^3 (n + d))`, memory :math:`O(B n^2 (n + d))`, independent of T.

    Parameters
    ----------
    unrolled, dh :
        As for :func:`backward`.

    Returns
    -------
    Gradients
        By W, U and b, equal to those of :func:`backward`; ``x`` and ``s0`` are None.

    Raises
    ------
    TypeError, ValueError
        If ``dh`` does not fit the run.

    Notes
    -----
    Williams and Zipser (1989), *A learning algorithm for continually running fully recurrent neural
    networks*.
    """
    dh = _loss_derivative(unrolled, dh)
    W, U, _ = unrolled.params
    total = np.zeros((len(W), W.shape[1] + U.shape[1] + 1), dh.dtype)
    tangents = _tangents(unrolled, inputs=True)
    next(tangents)  # h_0 does not depend on the parameters
    for dh_t, tangent in zip(dh, tangents, strict=True):
        total += np.tensordot(dh_t, tangent, axes=2)
    dW, dU, db = np.split(total, [W.shape[1], W.shape[1] + U.shape[1]], axis=1)
    return Gradients(dW, dU, db[:, 0])


def sensitivity(unrolled: Unrolled) -> Array:
    r"""The total derivative :math:`\mathrm{d}h_t/\mathrm{d}W` at every t.

    Parameters
    ----------
    unrolled : Unrolled
        The forward run of T steps.

    Returns
    -------
    array (T + 1, B, n, gates n, n)
        Entry ``[t, m, i, j, l]`` is the derivative of ``h[t, m, i]`` by ``W[j, l]``; zero at t = 0.

    Raises
    ------
    TypeError
        If ``unrolled`` is no run.
    """
    instance("unrolled", unrolled, Unrolled)
    return np.stack(list(_tangents(unrolled, inputs=False)))


def summands(unrolled: Unrolled, dh: Array, max_lag: int | None = None) -> Gradients:
    r"""The gradient taken apart by lag: how far back each summand of the product rule reaches.

    Summand :math:`\ell` collects, over all loss times t, the path from :math:`h_t` back to the use
    of W, U and b at step :math:`t - \ell`. All loss times of a lag are one batch; time :math:`O(T^2)`.

    Parameters
    ----------
    unrolled, dh :
        As for :func:`backward`.
    max_lag : int, optional
        The last lag wanted, from 0 to T - 1; T - 1 if not given.

    Returns
    -------
    Gradients
        W, U and b with a leading axis of lags 0 … max_lag, whose sum over all lags is the result
        of :func:`backward`; ``x`` and ``s0`` are None.

    Raises
    ------
    TypeError, ValueError
        If ``dh`` does not fit the run or ``max_lag`` is out of range.
    """
    dh = _loss_derivative(unrolled, dh)
    T = len(dh)
    lags = 1 + (T - 1 if max_lag is None else whole_number("max_lag", max_lag, 0, T - 1))
    by_lag = [_weights(unrolled, steps, dp, dq) for steps, dp, dq, _ in _by_lag(unrolled, dh, lags)]
    return Gradients(*map(np.stack, zip(*by_lag, strict=True)))


def truncated(unrolled: Unrolled, dh: Array, window: int) -> Gradients:
    r"""Truncated backpropagation through time: the sum of the first ``window`` lags, exactly.

    Every loss reaches back over ``window`` uses of the parameters, its own step included; later
    summands are dropped. Time :math:`O(T \cdot \mathrm{window})`.

    Parameters
    ----------
    unrolled, dh :
        As for :func:`backward`.
    window : int
        Lags to keep, at least 1; T or more keeps all of them.

    Returns
    -------
    Gradients
        By W, U, b, x and s0; :math:`s_0` is used at step 1 and counts as that step's input.

    Raises
    ------
    TypeError, ValueError
        If ``dh`` does not fit the run or ``window`` is not a positive integer.

    Notes
    -----
    Williams and Peng (1990), *An efficient gradient-based algorithm for on-line training of
    recurrent network trajectories*.
    """
    dh = _loss_derivative(unrolled, dh)
    window = whole_number("window", window, 1)
    T, B, _ = dh.shape
    dp = np.zeros((T, B, len(unrolled.params.W)), dh.dtype)
    dq, s0 = np.zeros_like(dp), np.zeros((B, unrolled.s.shape[-1]), dh.dtype)
    for steps, dp_lag, dq_lag, s0_lag in _by_lag(unrolled, dh, min(window, T)):
        dp[steps] += dp_lag
        dq[steps] += dq_lag
        s0 += s0_lag
    return Gradients(*_weights(unrolled, slice(0, T), dp, dq), x=dq @ unrolled.params.U, s0=s0)


def jacobians(unrolled: Unrolled) -> Array:
    r"""The one-step Jacobians :math:`\mathrm{d}s_t/\mathrm{d}s_{t-1}`, rows by columns.

    Parameters
    ----------
    unrolled : Unrolled
        The forward run of T steps.

    Returns
    -------
    array (T, B, k n, k n)
        ``[t, m]`` is the Jacobian of the step from ``s[t, m]`` to ``s[t + 1, m]``. For ELMAN it is
        :math:`D_t W`.

    Raises
    ------
    TypeError
        If ``unrolled`` is no run.
    """
    instance("unrolled", unrolled, Unrolled)
    cell, W = unrolled.cell, unrolled.params.W
    (T, B, _), n, k = unrolled.x.shape, W.shape[1], cell.parts
    partials, unit = unrolled.partials(slice(0, T)), np.arange(n)
    J = np.zeros((T, B, k, n, k, n), unrolled.s.dtype)
    for a in range(k):
        J[:, :, a, :, 0] = np.einsum("tmgi,gij->tmij", partials.p[a], W.reshape(-1, n, n))
        for b, direct in enumerate(partials.s[a]):
            if direct is not None:
                J[:, :, a, unit, b, unit] += direct
    return J.reshape(T, B, k * n, k * n)


def _loss_derivative(unrolled: Unrolled, dh: Array) -> Array:
    """``dh``, checked against the run and in the dtype of the gradients."""
    instance("unrolled", unrolled, Unrolled)
    T, B, n = unrolled.h[1:].shape
    dh = array("dh", dh, "T B n", T=T, B=B, n=n)
    return dh.astype(same_precision(dh=dh, run=unrolled.s), copy=False)


def _blocks(T: int, size: int) -> list[slice]:
    """The steps 0 … T - 1 in runs whose tables, ``size`` numbers a step, stay in the cache."""
    length = max(1, BLOCK // size)
    return [slice(start, min(start + length, T)) for start in range(0, T, length)]


def _to_products(table: tuple[Array, ...], adjoint: Array, steps: Any, out: Array) -> Array:
    r"""The adjoint of p (or q, by its table), :math:`\sum_a \lambda_a \odot \partial s_a/\partial p`."""
    n = table[0].shape[-1]
    products = out.reshape(*out.shape[:-1], -1, n)
    for a, partial in enumerate(table):
        part = adjoint[..., None, a * n : (a + 1) * n]
        if a == 0:
            np.multiply(part, partial[steps], out=products)
        else:
            products += part * partial[steps]
    return out


def _to_state(table: Any, W: Array, adjoint: Array, steps: Any, dp: Array, out: Array) -> None:
    """Add to ``out`` what the adjoint of s_t sends to s_{t-1}: directly, and through W."""
    n = W.shape[1]
    for a, row in enumerate(table):
        for b, direct in enumerate(row):
            if direct is not None:
                part = adjoint[..., a * n : (a + 1) * n]
                out[..., b * n : (b + 1) * n] += part * direct[steps]
    out[..., :n] += dp @ W


def _weights(unrolled: Unrolled, steps: slice, dp: Array, dq: Array) -> tuple[Array, ...]:
    """Gradients by W, U and b: one matrix product each over all the steps."""
    dp, dq = dp.reshape(-1, dp.shape[-1]), dq.reshape(-1, dq.shape[-1])
    before, x = unrolled.h[:-1][steps], unrolled.x[steps]
    dW = dp.T @ before.reshape(len(dp), -1)
    return dW, dq.T @ x.reshape(len(dq), -1), dq.sum(axis=0)


def _by_lag(
    unrolled: Unrolled, dh: Array, lags: int
) -> Iterator[tuple[slice, Array, Array, Array]]:
    """For each lag: the steps reached, the adjoints of p and q there, and what falls to s_0.

    Entry i of a lag comes from the loss ``lag`` steps after step i.
    """
    (T, B, n), W = dh.shape, unrolled.params.W
    partials = unrolled.partials(slice(0, T))
    adjoint = np.zeros((T, B, unrolled.s.shape[-1]), dh.dtype)
    adjoint[..., :n] = dh
    for lag in range(lags):
        steps = slice(0, T - lag)
        dp = _to_products(partials.p, adjoint, steps, np.empty((T - lag, B, len(W)), dh.dtype))
        dq = dp
        if partials.q is not partials.p:
            dq = _to_products(partials.q, adjoint, steps, np.empty_like(dp))
        earlier = np.zeros_like(adjoint)
        _to_state(partials.s, W, adjoint, steps, dp, earlier)
        yield steps, dp, dq, earlier[0]
        adjoint = earlier[1:]


def _tangents(unrolled: Unrolled, inputs: bool) -> Iterator[Array]:
    r"""The derivatives of h_0, h_1, … h_T by W, or by [W U b]; each (B, n, gates n, columns).

    The product rule in one line: :math:`\mathrm{d}p_t = \mathrm{d}W\,h_{t-1} + W\,\mathrm{d}h_{t-1}`.
    """
    cell, (W, U, _), x = unrolled.cell, unrolled.params, unrolled.x
    (T, B, _), (rows, n), unit = x.shape, W.shape, np.arange(W.shape[1])
    columns = n + (U.shape[1] + 1 if inputs else 0)
    ones = np.ones((B, 1), x.dtype)
    tangent = np.zeros((cell.parts, B, n, rows, columns), unrolled.s.dtype)
    yield tangent[0]
    for t in range(T):
        partials = unrolled.partials(slice(t, t + 1))
        dp = (W @ tangent[0].reshape(B, n, -1)).reshape(B, cell.gates, n, rows, columns)
        later = np.empty_like(tangent)
        for a in range(cell.parts):
            later[a] = np.einsum("mgi,mgijl->mijl", partials.p[a][0], dp)
            for b, direct in enumerate(partials.s[a]):
                if direct is not None:
                    later[a] += direct[0][..., None, None] * tangent[b]
            immediate = [partials.p[a][0][..., None] * unrolled.h[t][:, None, None]]
            if inputs:
                seen = np.concatenate([x[t], ones], axis=1)[:, None, None]
                immediate.append(partials.q[a][0][..., None] * seen)
            own = later[a].reshape(B, n, cell.gates, n, columns)
            own[:, unit, :, unit] += np.moveaxis(np.concatenate(immediate, axis=-1), 2, 0)
        tangent = later
        yield tangent[0]
