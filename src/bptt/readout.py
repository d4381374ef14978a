"""Losses on the outputs, each with its gradient: where the sweep back through time begins."""

import numpy as np

from ._arguments import Array, array, same_precision


def softmax(z: Array) -> Array:
    r"""Probabilities :math:`y_i = e^{z_i} / \sum_j e^{z_j}` along the last axis.

    Raises TypeError or ValueError if ``z`` is not a floating array with entries, all finite.

    Args:
        z (array (..., m)): Logits.
    Returns:
        array (..., m): Positive, each row summing to 1. No logit overflows: the largest is
            subtracted first.
    """
    z = array("z", z, "... m")
    e = np.exp(z - z.real.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(z: Array, target: Array) -> tuple[Array, Array]:
    r"""The mean of :math:`-\log \mathrm{softmax}(z)_\mathrm{target}`, in nats, and its gradient.

    Raises TypeError or ValueError if an argument does not fit, or a label is out of range.

    Args:
        z (array (..., m)): Logits, for example (T, B, m).
        target (integer array (...)): The right class of each row, from 0 to m - 1.
    Returns:
        The loss, a mean over all rows, which is ln m where all logits are equal; and its derivative
        by z, (softmax(z) - one-hot target) / rows.
    """
    z, target = array("z", z, "... m"), array("target", target, "...", "i")
    if target.shape != z.shape[:-1]:
        raise ValueError(f"target: got shape {target.shape}, needs {z.shape[:-1]}, as z without m")
    m = z.shape[-1]
    if target.min() < 0 or target.max() >= m:
        wrong = target[(target < 0) | (target >= m)][0]
        raise ValueError(f"target: got label {wrong}, needs labels from 0 to {m - 1}")
    rows, right = target.size, np.arange(m) == target[..., None]
    shifted = z - z.real.max(axis=-1, keepdims=True)
    loss = (
        np.log(np.exp(shifted).sum(axis=-1)) - shifted[right].reshape(target.shape)
    ).sum() / rows
    return loss, (softmax(z) - right) / rows


def mean_squared_error(y: Array, target: Array) -> tuple[Array, Array]:
    r"""The mean of :math:`(y - \mathrm{target})^2` over all entries, and its gradient by y.

    Raises TypeError or ValueError if an argument does not fit; the message names it.

    Args:
        y, target (arrays of one shape): Outputs and what they should be.
    Returns:
        The loss, and its derivative by y.
    """
    y, target = array("y", y, "..."), array("target", target, "...")
    if target.shape != y.shape:
        raise ValueError(f"target: got shape {target.shape}, needs {y.shape}, as y")
    same_precision(y=y, target=target)
    error = y - target
    return (error * error).mean(), error * (2 / error.size)
