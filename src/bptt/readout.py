"""Losses on the outputs, each with its gradient: where the sweep back through time begins."""

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, array, in_range, same_precision


@np.errstate(all="ignore")
def softmax(z: ArrayLike) -> Array:
    r"""Probabilities :math:`y_i = e^{z_i} / \sum_j e^{z_j}` along the last axis.

    Takes finite logits z (..., m) and returns an array like it, each row summing to 1. Nothing
    overflows: the largest logit is subtracted first. Raises TypeError or ValueError for other
    input.

    Example:
        >>> import bptt
        >>> bptt.softmax([0.0, 0.0])
        array([0.5, 0.5])
    """
    z = array("z", z, "... m")
    e: Array = np.exp(z - z.real.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@np.errstate(all="ignore")
def cross_entropy(z: ArrayLike, target: ArrayLike) -> tuple[Array, Array]:
    r"""The mean of :math:`-\log \mathrm{softmax}(z)_\mathrm{target}`, in nats, and its gradient.

    Takes logits z (..., m) and the right class of each row, integers (...) from 0 to m - 1. Returns
    the loss, a mean over all rows, and its derivative with respect to z, (softmax(z) - one-hot
    target) / rows. Raises TypeError or ValueError for other input, OutOfRange if the loss is
    too large for the precision.

    Example:
        >>> import bptt
        >>> bptt.cross_entropy([[0.0, 0.0]], [1])[1]
        array([[ 0.5, -0.5]])
    """
    z = array("z", z, "... m")
    one_hot = np.ndim(target) == z.ndim  # of any dtype, it is the shape that is wrong
    target = array("target", target, "...", "fdib" if one_hot else "i")
    if target.shape != z.shape[:-1]:
        raise ValueError(f"target: got shape {target.shape}, needs {z.shape[:-1]}, as z without m")
    m = z.shape[-1]
    if target.min() < 0 or target.max() >= m:
        wrong = target[(target < 0) | (target >= m)][0]
        raise ValueError(f"target: got label {wrong}, needs labels from 0 to {m - 1}")
    right, rows = (*np.indices(target.shape, sparse=True), target), target.size
    y = z - z.real.max(axis=-1, keepdims=True)
    of_right = y[right]
    np.exp(y, out=y)
    total = y.sum(axis=-1, keepdims=True)
    loss = (np.log(total[..., 0]) - of_right).sum() / rows
    y /= total
    y[right] -= 1
    y /= rows
    return in_range("loss", loss), y


@np.errstate(all="ignore")
def mean_squared_error(y: ArrayLike, target: ArrayLike) -> tuple[Array, Array]:
    r"""The mean of :math:`(y - \mathrm{target})^2` over all entries, and its gradient.

    Takes two arrays of one shape; returns the loss and its derivative with respect to y. Raises
    TypeError or ValueError if they do not fit, OutOfRange if the loss is too large for the
    precision.

    Example:
        >>> import bptt
        >>> bptt.mean_squared_error([3.0], [1.0])[1]
        array([4.])
    """
    y, target = array("y", y, "..."), array("target", target, "...")
    if target.shape != y.shape:
        raise ValueError(f"target: got shape {target.shape}, needs {y.shape}, as y")
    same_precision(y=y, target=target)
    error = y - target
    return in_range("loss", (error * error).mean()), error * (2 / error.size)
