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
    finite,
    loss_derivative,
    to_columns,
    to_direct,
    to_products,
    weight_gradients,
)


@np.errstate(all="ignore")  # the gradients are looked at
def summands(unrolled: Unrolled, dh: Array, max_lag: int | None = None) -> ParameterGradients:
    """The gradient taken apart by lag: how far back each summand of the product rule reaches.

    Summand l collects, over all loss times t, the path from :math:`h_t` back to the use of W, U and
    b at step t - l. Takes ``unrolled`` and ``dh`` as :func:`backward`, and the last lag wanted,
    ``max_lag``, which is T - 1 if not given. Returns W, U and b with a leading axis of lags, whose
    sum is :func:`backward`, in time :math:`O(T^2)`. Raises as :func:`backward`, and TypeError or
    ValueError if ``max_lag`` is not from 0 to T - 1.

    Example:
        >>> import bptt, bptt.examples
        >>> run, dh = bptt.examples.example(bptt.LSTM, T=20)
        >>> bptt.summands(run, dh, max_lag=4).W.shape
        (5, 12, 3)
    """
    dh = loss_derivative(unrolled, dh)
    lags = len(dh) if max_lag is None else 1 + number("max_lag", max_lag, 0, len(dh) - 1)
    by_lag = [
        weight_gradients(unrolled, steps, dp, dq)
        for steps, dp, dq, _ in _by_lag(unrolled, dh, lags)
    ]
    return finite(ParameterGradients(*map(np.stack, zip(*by_lag, strict=True))))


@np.errstate(all="ignore")  # the gradients are looked at
def truncated(unrolled: Unrolled, dh: Array, window: int) -> Gradients:
    """Truncated backpropagation through time: exactly the first ``window`` summands.

    Every loss reaches back over ``window`` uses of the parameters, at least 1, its own step
    included; with T or more, all are kept. The initial state is used at step 1, at the same lag as
    :math:`x_1`. Takes ``unrolled`` and ``dh`` and returns Gradients as :func:`backward`, in time
    O(T window). Raises as :func:`backward`, and TypeError or ValueError if ``window`` does not fit.
    Source: Williams and Peng (1990).

    Example:
        >>> import bptt, bptt.examples
        >>> run, dh = bptt.examples.example(bptt.LSTM, T=20)
        >>> first, by_lag = bptt.truncated(run, dh, window=5), bptt.summands(run, dh, max_lag=4)
        >>> bool(abs(first.W - by_lag.W.sum(axis=0)).max() < 1e-12)
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
    W, U, b = weight_gradients(unrolled, slice(T), dp, dq)
    return finite(Gradients(W, U, b, x, s0))


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
        yield slice(steps), dp, dq, adjoint[0].swapaxes(0, 1)
        adjoint = adjoint[1:]
