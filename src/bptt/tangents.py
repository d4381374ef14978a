"""The product rule from the right, first step first: derivatives that are carried forward."""

from collections.abc import Iterator

import numpy as np

from ._arguments import Array, in_range, instance
from .recurrence import ParameterGradients, Unrolled, finite, loss_derivative


@np.errstate(all="ignore")  # the gradients are looked at
def rtrl(unrolled: Unrolled, dh: Array) -> ParameterGradients:
    r"""Real-time recurrent learning: the product rule from the right, first step first.

    Carries :math:`\mathrm{d}s_t/\mathrm{d}(W, U, b)` beside the state; needs nothing of the past.
    Takes ``unrolled`` and ``dh`` as :func:`backward`, with its errors, and returns its W, U and b.
    Time :math:`O(T B n^3 (n + d))`, memory :math:`O(B n^2 (n + d))` for one gate. Source: Williams
    and Zipser (1989).

    Example:
        >>> import bptt, bptt.examples
        >>> run, dh = bptt.examples.example(bptt.GRU)
        >>> bool(abs(bptt.rtrl(run, dh).W - bptt.backward(run, dh).W).max() < 1e-12)
        True
    """
    dh = loss_derivative(unrolled, dh)
    (rows, n), d = unrolled.params.W.shape, unrolled.x.shape[2]
    tangents = _tangents(unrolled)
    next(tangents)  # h_0 does not depend on the parameters
    total = sum(np.tensordot(*pair, axes=2) for pair in zip(dh, tangents, strict=True))
    W, U, b = np.split(total, [n, n + d], axis=1)
    return finite(ParameterGradients(W[:rows], U[:rows], b[:, 0]))


@np.errstate(all="ignore")  # what comes out is looked at
def sensitivity(unrolled: Unrolled) -> Array:
    r"""The total derivative :math:`\mathrm{d}h_t/\mathrm{d}W` at every t of a run.

    Returns an array (T + 1, B, n, gates n, n): ``[t, r, i, j, k]`` is the derivative of ``h[t, r,
    i]`` with respect to ``W[j, k]``, zero at t = 0. Raises TypeError if ``unrolled`` is not a run,
    OutOfRange if a number is too large for the precision.

    Example:
        >>> import bptt, bptt.examples
        >>> bptt.sensitivity(bptt.examples.example(bptt.LSTM).run).shape
        (7, 2, 3, 12, 3)
    """
    instance("unrolled", unrolled, Unrolled)
    rows, n = unrolled.params.W.shape
    found = np.stack([dh[:, :, :rows, :n] for dh in _tangents(unrolled)])
    return in_range("sensitivity", found)


@np.errstate(all="ignore")  # what comes out is looked at
def jacobians(unrolled: Unrolled) -> Array:
    r"""The one-step Jacobians :math:`\mathrm{d}s_t/\mathrm{d}s_{t-1}`; for ELMAN :math:`D_t W`.

    Returns an array (T, B, k n, k n): ``[t, r]`` is the Jacobian of the step from ``s[t, r]`` to
    ``s[t + 1, r]``. Raises TypeError if ``unrolled`` is not a run, OutOfRange if a number is too
    large for the precision.

    Example:
        >>> import bptt, bptt.examples
        >>> bptt.jacobians(bptt.examples.example(bptt.LSTM).run).shape
        (6, 2, 6, 6)
    """
    instance("unrolled", unrolled, Unrolled)
    cell, W, table = unrolled.cell, unrolled.params.W, unrolled.partials(slice(None)).p
    T, B, k, columns, n = table.shape
    by_state = np.zeros((columns, n, k, n), W.dtype)
    by_state[: cell.gates, :, 0] = W.reshape(cell.gates, n, n)
    for column in range(cell.gates, columns):
        by_state[column, :, k - columns + column] = np.eye(n)
    J: Array = np.einsum("tmkci,ciaj->tmkiaj", table, by_state)
    return in_range("jacobians", J.reshape(T, B, k * n, k * n))


def _tangents(unrolled: Unrolled) -> Iterator[Array]:
    """The derivatives of h_0 … h_T by [W U b], each (B, n, gates n + own n, n + d + 1)."""
    (T, B, d), (_, n), cell = unrolled.x.shape, unrolled.params.W.shape, unrolled.cell
    gates, k, unit = cell.gates, cell.parts, np.arange(n)
    shape = B, k, n, (gates + cell.own) * n, n + d + 1
    tangent = np.zeros(shape, unrolled.s.dtype)
    yield tangent[:, 0]
    for t in range(T):
        table = unrolled.partials(slice(t, t + 1))
        through = unrolled.params.W @ tangent[:, 0].reshape(B, n, -1)
        columns = through.reshape(B, gates, *shape[2:])
        if cell.direct:
            columns = np.concatenate([columns, tangent[:, k - cell.direct :]], axis=1)
        tangent = np.einsum("mkci,mcijl->mkijl", table.p[0], columns)
        by_p = table.p[0][:, :, :gates, :, None]
        by_q = by_p if table.q is None else table.q[0][..., None]
        h, x = unrolled.h[t, :, None, None, None], unrolled.x[t, :, None, None, None]
        own = tangent.reshape(B, k, n, -1, n, n + d + 1)
        for immediate, place in (
            (by_p * h, slice(n)),
            (by_q[:, :, :gates] * x, slice(n, n + d)),
            (by_q, slice(n + d, None)),
        ):
            rows = slice(immediate.shape[2])
            own[:, :, unit, rows, unit, place] += np.moveaxis(immediate, 3, 0)
        yield tangent[:, 0]
