r"""The gradient by lag: the product rule from the left, one summand at a time.

All losses go back together; after l steps, each has reached the use of the parameters at lag l.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ._arguments import Array, number
from .recurrence import (
    Gradients,
    ParameterGradients,
    Unrolled,
    adjoints,
    loss_derivative,
    to_columns,
    to_direct,
    to_products,
    weight_gradients,
)


@np.errstate(under="ignore")
def summands(unrolled: Unrolled, dh: Array, max_lag: int | None = None) -> ParameterGradients:
    r"""The gradient taken apart by lag: how far back each summand of the product rule reaches.

    Summand l collects, over all loss times t, the path from :math:`h_t` back to the use of W, U and
    b at step t - l. All loss times of a lag are one batch; time :math:`O(T^2)`. Raises TypeError or
    ValueError if ``dh`` does not fit the run or ``max_lag`` is out of range.

    Args:
        unrolled, dh: As for :func:`backward`, which has an example.
        max_lag (int, optional): The last lag wanted, from 0 to T - 1, which it is if not given.
    Returns:
        ParameterGradients: With a leading axis of lags, whose sum is :func:`backward`.
    Example:
        >>> import bptt, numpy as np
        >>> params = bptt.init(bptt.LSTM, d=3, n=8, rng=np.random.default_rng(0))
        >>> run = bptt.unroll(bptt.LSTM, params, np.ones((20, 4, 3)))
        >>> bptt.summands(run, run.h[1:], max_lag=4).W.shape
        (5, 32, 8)
    """
    dh = loss_derivative(unrolled, dh)
    lags = len(dh) if max_lag is None else 1 + number("max_lag", max_lag, 0, len(dh) - 1)
    by_lag = [
        weight_gradients(unrolled, steps, dp, dq)
        for steps, dp, dq, _ in _by_lag(unrolled, dh, lags)
    ]
    return ParameterGradients(*map(np.stack, zip(*by_lag, strict=True)))


@np.errstate(under="ignore")
def truncated(unrolled: Unrolled, dh: Array, window: int) -> Gradients:
    r"""Truncated backpropagation through time: exactly the first ``window`` summands.

    Every loss reaches back over ``window`` uses of the parameters, its own step included. Time O(T
    window). Raises TypeError or ValueError if ``dh`` does not fit the run or ``window`` is no
    positive integer. Source: Williams and Peng (1990).

    Args:
        unrolled, dh: As for :func:`backward`.
        window (int): Lags to keep, at least 1; T or more keeps all.
    Returns:
        Gradients: With respect to W, U, b, x and s0, which step 1 uses as it uses :math:`x_1`, at
        the same lag.
    Example:
        >>> import bptt, numpy as np
        >>> params = bptt.init(bptt.LSTM, d=3, n=8, rng=np.random.default_rng(0))
        >>> run = bptt.unroll(bptt.LSTM, params, np.ones((20, 4, 3)))
        >>> first, dh = bptt.truncated(run, run.h[1:], window=5), run.h[1:]
        >>> np.allclose(first.W, bptt.summands(run, dh, max_lag=4).W.sum(axis=0), rtol=1e-12)
        True
    """
    dh = loss_derivative(unrolled, dh)
    window = number("window", window, 1)
    (T, B, _), params = unrolled.x.shape, unrolled.params
    dp, dq = (np.zeros((T * B, len(a)), dh.dtype) for a in (params.W, params.b))
    s0 = np.zeros(unrolled.s[0].shape, dh.dtype)
    for _, dp_lag, dq_lag, to_s0 in _by_lag(unrolled, dh, min(window, T)):
        dp[: len(dp_lag)] += dp_lag
        dq[: len(dq_lag)] += dq_lag
        s0 += to_s0.reshape(s0.shape)
    x = (dq[:, : len(params.U)] @ params.U).reshape(unrolled.x.shape)
    W, U, b = weight_gradients(unrolled, slice(0, T), dp, dq)
    return Gradients(W, U, b, x, s0)


def _by_lag(unrolled: Unrolled, dh: Array, lags: int) -> Iterator[tuple[Any, ...]]:
    """By lag: the steps that the losses reach, the adjoints of p and q there, what comes to s_0."""
    cell, W, (_, B, n) = unrolled.cell, unrolled.params.W, unrolled.h.shape
    table, adjoint = unrolled.partials(slice(None)), adjoints(dh, unrolled.cell.parts, dh.dtype)
    for _ in range(lags):
        steps = len(adjoint)
        columns = np.empty(table.p[:steps, :, 0].shape, dh.dtype)
        to_columns(np.moveaxis(table.p[:steps], 2, 0), adjoint.swapaxes(0, 1), columns)
        dp, dq = to_products(unrolled, table, columns, adjoint)
        adjoint = adjoints((dp @ W).reshape(steps, B, n), cell.parts, dh.dtype)
        if cell.direct:
            adjoint[:, cell.parts - cell.direct :] += to_direct(cell, columns)
        yield slice(0, steps), dp, dq, adjoint[0].swapaxes(0, 1)
        adjoint = adjoint[1:]
