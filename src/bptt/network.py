r"""A network: a recurrence with an output layer, its loss, and the gradients through time."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from ._arguments import (
    Array,
    OutOfRange,
    array,
    as_array,
    in_range,
    instance,
    number,
    same_precision,
)
from .cells import Cell
from .lags import truncated
from .optimisers import fitting
from .recurrence import Params, Unrolled, backward, init, unroll

Loss = Callable[[Array, Array], tuple[Any, Array]]
NONE = np.empty((0, 0))  # what is not there


class Network(NamedTuple):
    """W, U and b of a recurrence, and V (m, n) and c (m,) of its output layer :math:`z = V h + c`.

    W, U and b are those of :class:`Params`. Gradients have the same form.
    """

    W: Array
    U: Array
    b: Array
    V: Array
    c: Array


class Batch(NamedTuple):
    """B sequences of T steps: inputs x (T, B, d), targets, and which steps enter the loss.

    ``target`` is (T, B), integers, or (T, B, m), numbers; ``counts`` (T, B) is False where there is
    no target, as in the padding of a short sequence. The loss is a mean over all steps that count.
    """

    x: Array
    target: Array
    counts: Array


class Descent(NamedTuple):
    """What one batch gives: the loss; its gradients with respect to the parameters, in their form;
    the last state (B, k n); and the gradients with respect to the inputs x (T, B, d) and the
    initial state s0 (B, k n). The last three are empty if a function does not give them.
    """

    loss: Any
    gradients: Any
    state: Array = NONE
    x: Array = NONE
    s0: Array = NONE


def init_network(
    cell: Cell, d: int, n: int, m: int, *, rng: Generator, dtype: Any = np.float64
) -> Network:
    r"""A random network, uniform on :math:`[-1/\sqrt n, 1/\sqrt n]` like PyTorch's layers.

    Takes cell, d, n, rng and dtype as :func:`init`, and the number of outputs m, at least 1.

    Example:
        >>> import numpy as np, bptt
        >>> bptt.init_network(bptt.LSTM, 2, 5, m=3, rng=np.random.default_rng(0)).V.shape
        (3, 5)
    """
    m = number("m", m, 1)
    params, bound = init(cell, d, n, rng=rng, dtype=dtype), n**-0.5
    return Network(*params, *(rng.uniform(-bound, bound, s).astype(dtype) for s in ((m, n), (m,))))


@np.errstate(all="ignore")
def predict(cell: Cell, network: Network, x: Array, s0: Array | None = None) -> Array:
    """The outputs :math:`z_t = V h_t + c`, (T, B, m), of a cell's network for x (T, B, d).

    Takes the initial state s0 (B, k n), zeros if not given. Raises TypeError or ValueError as
    :func:`unroll`; OutOfRange, a FloatingPointError, if z is not finite.

    Example:
        >>> import numpy as np, bptt
        >>> network = bptt.init_network(bptt.GRU, 2, 4, 3, rng=np.random.default_rng(0))
        >>> bptt.predict(bptt.GRU, network, np.zeros((6, 1, 2))).shape
        (6, 1, 3)
    """
    run, V, c = _run(cell, network, x, s0)
    return in_range("z", run.h[1:] @ V.T + c)


def loss_and_gradients(
    cell: Cell,
    network: Network,
    batch: Batch,
    loss: Loss,
    s0: Array | None = None,
    *,
    window: int | None = None,
) -> Descent:
    """The loss of a batch and its gradients with respect to W, U, b, V, c, x and s0, through time.

    Takes a cell and its network, a batch in the precision of the network, the initial state s0 (B,
    k n), zeros if not given, and the ``window`` of steps that each loss reaches back, as in
    :func:`truncated`: all of them if not given. The ``loss`` is :func:`cross_entropy`,
    :func:`mean_squared_error` or another function of the outputs (rows, m) and the targets (rows,
    …) of all steps that count, which returns the loss and its derivative with respect to the
    outputs. Raises TypeError or ValueError if an argument does not fit; OutOfRange, a
    FloatingPointError, if the outputs or a gradient are too large for the precision. What the loss
    itself raises comes through.

    Example:
        >>> import numpy as np, bptt
        >>> network = bptt.init_network(bptt.GRU, 1, 4, 2, rng=np.random.default_rng(0))
        >>> batch = bptt.Batch(np.ones((5, 3, 1)), np.ones((5, 3), int), np.ones((5, 3), bool))
        >>> bptt.loss_and_gradients(bptt.GRU, network, batch, bptt.cross_entropy).x.shape
        (5, 3, 1)
    """
    target, counts = targets(batch)
    instance("loss", loss, Callable)
    with np.errstate(all="ignore"):
        run, V, c = _run(cell, network, batch.x, s0)
        h = run.h[1:]
        if (shape := counts.shape) != h.shape[:2]:
            raise ValueError(f"counts: got shape {shape}, needs {h.shape[:2]}, as x without d")
        rows = h[counts]
        z = in_range("z", rows @ V.T + c)
    found: Any = loss(z, target[counts])
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise TypeError(f"loss: got {type(found).__name__}, needs a value and its derivative")
    value, dz = found[0], as_array("loss", found[1])
    scalar("loss", value, "iufc")
    if (dz.shape, dz.dtype) != (z.shape, z.dtype):
        got, needs = (f"{a.dtype} of shape {a.shape}" for a in (dz, z))
        raise ValueError(f"loss: got a derivative in {got}, needs {needs}")
    try:
        with np.errstate(all="ignore"):
            dh = np.zeros(h.shape, dz.dtype)
            dh[counts] = in_range("dh", dz @ V)
            by = backward(run, dh) if window is None else truncated(run, dh, window)
            by_V = in_range("gradient with respect to V", dz.T @ rows)
            by_c = in_range("gradient with respect to c", dz.sum(axis=0))
            gradients = type(network)._make((*by[:3], by_V, by_c))
    except OutOfRange as error:
        vars(error)["loss"] = value  # for the history of a training that diverges
        raise
    return Descent(value, gradients, run.s[-1].copy(), by.x, by.s0)


def last(run: Unrolled, lengths: ArrayLike) -> Array:
    """The state (B, k n) of each sequence after its own number of steps, ``lengths`` (B,).

    In a batch of sequences of different lengths, ``run.s[-1]`` is the state after the padding of
    the short ones. Raises TypeError or ValueError unless lengths are integers from 0 to T.

    Example:
        >>> import bptt, bptt.examples
        >>> run, _ = bptt.examples.example(bptt.LSTM, T=5, B=2)
        >>> bool((bptt.last(run, [5, 2]) == [run.s[5, 0], run.s[2, 1]]).all())
        True
    """
    instance("run", run, Unrolled)
    T, B, _ = run.x.shape
    lengths = array("lengths", lengths, "B", "i", B=B)
    if ((lengths < 0) | (lengths > T)).any():
        raise ValueError(f"lengths: got {lengths.tolist()}, needs integers from 0 to {T}")
    return run.s[lengths, np.arange(B)]


def scalar(name: str, value: Any, kinds: str, needs: str = "one number") -> None:
    """Raise unless ``value`` has no axes and a dtype of these kinds."""
    got = as_array(name, value)
    if got.shape or got.dtype.kind not in kinds:
        raise TypeError(f"{name}: got dtype {got.dtype} and shape {got.shape}, needs {needs}")


def _run(cell: Cell, network: Network, x: Array, s0: Array | None) -> tuple[Unrolled, Array, Array]:
    """The forward run, and V and c, checked as it checks the other parameters."""
    instance("network", network, Network)
    run = unroll(cell, Params(*network[:3]), x, s0)
    V = array("V", network.V, "m n", n=run.h.shape[2])
    c = array("c", network.c, "m", m=len(V))
    same_precision(W=run.s, V=V, c=c)
    return run, V, c


def targets(batch: Batch) -> tuple[Array, Array]:
    """The target and the counts of a batch, checked against each other."""
    instance("batch", batch, Batch)
    target, counts = as_array("target", batch.target), as_array("counts", batch.counts, "b")
    if not counts.any():
        raise ValueError("counts: got no step that is True, needs one")
    if target.shape[:2] != counts.shape:
        raise ValueError(f"target: got shape {target.shape}, needs {counts.shape}, and m if real")
    return target, counts


def as_descent(found: Any, parameters: Any) -> Descent:
    """What a function has returned, if it fits the parameters."""
    if not isinstance(found, tuple) or not 2 <= len(found) <= len(Descent._fields):
        raise TypeError(f"function: got {type(found).__name__}, needs a loss and its gradients")
    found = Descent(*found)
    scalar("loss of function", found.loss, "iuf")
    instance("gradients of function", found.gradients, type(parameters))
    instance("state of function", found.state, np.ndarray)
    if as_array("state of function", found.state).dtype.hasobject:  # no checkpoint can hold it
        raise TypeError(f"state of function: got dtype {found.state.dtype}, needs plain numbers")
    return found._replace(gradients=fitting("gradients of function", found.gradients, parameters))


def in_precision(batch: Batch, dtype: Any, m: int) -> Batch:
    """The batch, x and targets of m numbers as floats; ValueError if x is too large for them."""
    given, target = array("x", batch.x, "T B d", "fdib"), as_array("target", batch.target)
    with np.errstate(all="ignore"):  # a target that is too large, the loss will say
        x = given.astype(dtype, copy=False)
        if target.dtype.kind == "f" or (target.dtype.kind in "iub" and target.shape[2:] == (m,)):
            target = target.astype(dtype, copy=False)
    if not np.isfinite(x).all():
        large = given[~np.isfinite(x)][0]
        raise ValueError(f"x: got {large}, needs numbers that {dtype} holds")
    return Batch(x, target, batch.counts)
