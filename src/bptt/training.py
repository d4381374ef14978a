r"""Training: steps down the gradient of a network, that is a recurrence with a read-out.

Everything is a pure function of arrays, but for :func:`fit`, which repeats one update and can be
killed and resumed without a trace.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.random import Generator

from ._arguments import REAL, Array, array, instance, number, same_precision
from .cells import Cell
from .lags import truncated
from .recurrence import Params, Unrolled, backward, init, unroll

Loss = Callable[[Array, Array], tuple[Any, Array]]
Arrays = TypeVar("Arrays", bound=tuple[Any, ...])
FORMAT = "bptt.fit 1"  # the first thing a checkpoint says; count on if older ones cannot be read


class Network(NamedTuple):
    """W, U and b of a recurrence, and V (m, n) and c (m,) of its read-out :math:`z = V h + c`.

    W, U and b are those of :class:`Params`. Gradients have the same form.
    """

    W: Array
    U: Array
    b: Array
    V: Array
    c: Array


class Batch(NamedTuple):
    """B sequences of T steps: inputs x (T, B, d), targets, and the steps at which the loss looks.

    ``target`` is (T, B), integers, or (T, B, m), numbers; ``counts`` (T, B) is False where there is
    no target, as in the padding of a short sequence. The loss is a mean over all steps that count.
    """

    x: Array
    target: Array
    counts: Array


class Descent(NamedTuple):
    """What one batch says: the loss, its gradients (a Network) and the last state (B, k n)."""

    loss: Any
    gradients: Network
    state: Array


def init_network(
    cell: Cell, d: int, n: int, m: int, *, rng: Generator, dtype: Any = np.float64
) -> Network:
    r"""A random network, uniform on :math:`[-1/\sqrt n, 1/\sqrt n]` like PyTorch's layers.

    Takes what :func:`init` takes, and the number of outputs m, at least 1.
    """
    m = number("m", m, 1)
    params, bound = init(cell, d, n, rng=rng, dtype=dtype), n**-0.5
    return Network(*params, *(rng.uniform(-bound, bound, s).astype(dtype) for s in ((m, n), (m,))))


def predict(cell: Cell, network: Network, x: Array, s0: Array | None = None) -> Array:
    r"""The outputs :math:`z_t = V h_t + c`, (T, B, m), of x (T, B, d) from the first state s0.

    Raises TypeError or ValueError as :func:`unroll`; FloatingPointError if z is not finite.
    """
    run, V, c = _run(cell, network, x, s0)
    return _finite("z", run.h[1:] @ V.T + c)


def loss_and_gradients(
    cell: Cell,
    network: Network,
    batch: Batch,
    loss: Loss,
    s0: Array | None = None,
    *,
    window: int | None = None,
) -> Descent:
    r"""The loss of a batch and its gradients by W, U, b, V and c, through time.

    Args:
        cell (Cell): ELMAN, LSTM or GRU.
        network (Network): Its parameters.
        batch (Batch): Sequences in the precision of the network.
        loss (function): :func:`cross_entropy`, :func:`mean_squared_error` or another function of
            the outputs (rows, m) and the targets (rows, …) of all steps that count, which returns
            the loss and its derivative by the outputs.
        s0 (array (B, k n), optional): The first state; zeros if not given.
        window (int, optional): Steps that each loss reaches back, as in :func:`truncated`; all if
            not given.
    Raises:
        TypeError, ValueError: If an argument does not fit.
        FloatingPointError: If the outputs or their gradients are too large for the precision.
    """
    target, counts = _targets(batch)
    instance("loss", loss, Callable)
    run, V, c = _run(cell, network, batch.x, s0)
    h = run.h[1:]
    if counts.shape != h.shape[:2]:
        raise ValueError(f"counts: got shape {counts.shape}, needs {h.shape[:2]}, as x without d")
    rows = h[counts]
    z = _finite("z", rows @ V.T + c)
    value, dz = loss(z, target[counts])
    if np.shape(dz) != z.shape:
        raise ValueError(f"loss: got a derivative of shape {np.shape(dz)}, needs {z.shape}")
    dh = np.zeros(h.shape, dz.dtype)
    dh[counts] = _finite("dh", dz @ V)
    by = backward(run, dh) if window is None else truncated(run, dh, window)
    return Descent(value, Network(*by[:3], dz.T @ rows, dz.sum(axis=0)), run.s[-1].copy())


def clip_by_norm(gradients: Arrays, limit: float) -> Arrays:
    r"""The gradients, made shorter if the norm of all their entries together exceeds ``limit``.

    Takes a NamedTuple of arrays, finite, and a number from 0; returns one like it. A field that is
    None stays so. Raises TypeError or ValueError for others. Source: Pascanu, Mikolov and Bengio
    (2013).
    """
    limit = float(number("limit", limit, 0, kinds=REAL))
    return _shortened(gradients, _finite_norm(gradients), limit)


def clip_by_value(gradients: Arrays, limit: float) -> Arrays:
    """The gradients, each entry cut to the interval from -limit to limit.

    So their direction changes, but still descends. As :func:`clip_by_norm` in all else.
    """
    limit = float(number("limit", limit, 0, kinds=REAL))
    _finite_norm(gradients)
    return _map(lambda g: g.clip(-limit, limit), gradients)


class Moments(NamedTuple):
    """What an optimiser remembers: how many updates it made, and running sums, each a Network."""

    updates: int
    sums: tuple[Network, ...]


class Optimiser(NamedTuple):
    """A rule of descent, without a state of its own.

    ``step(network, gradients, moments)`` returns the network and the moments after one update;
    ``sums`` is how many running sums it keeps. Checkpoints tell optimisers apart by ``name``.
    """

    name: str
    sums: int
    step: Callable[[Network, Network, Moments], tuple[Network, Moments]]

    def start(self, network: Network) -> Moments:
        """The moments before the first update: zeros."""
        return Moments(0, (_map(np.zeros_like, network),) * self.sums)


def sgd(rate: float, momentum: float = 0.0, *, until: int | None = None) -> Optimiser:
    r"""Gradient descent, :math:`v \leftarrow \mu v + g,\ \theta \leftarrow \theta - \eta v`.

    Args:
        rate (float): :math:`\eta`, from 0.
        momentum (float): :math:`\mu`, from 0 to 1. Source: Polyak (1964).
        until (int, optional): The update by which the rate has fallen to 0, in a straight line.
            Raises TypeError or ValueError for others.
    """
    rate = float(number("rate", rate, 0, kinds=REAL))
    momentum = float(number("momentum", momentum, 0, 1, REAL))
    until = None if until is None else number("until", until, 1)

    def step(network: Network, gradients: Network, moments: Moments) -> tuple[Network, Moments]:
        now = _faded(rate, until, moments.updates)
        velocity = _map(lambda v, g: momentum * v + g, moments.sums[0], gradients)
        network = _map(lambda a, v: a - now * v, network, velocity)
        return network, Moments(moments.updates + 1, (velocity,))

    return Optimiser(f"sgd({rate}, {momentum}, until={until})", 1, step)


def adam(
    rate: float = 1e-3,
    decay: float = 0.9,
    decay_of_squares: float = 0.999,
    epsilon: float = 1e-8,
    *,
    until: int | None = None,
) -> Optimiser:
    r"""Adam: steps of about ``rate``, from unbiased running means of g and of its square.

    Args:
        rate, until: As for :func:`sgd`.
        decay, decay_of_squares (float): :math:`\beta_1` and :math:`\beta_2`, from 0 to 0.999999.
        epsilon (float): Added to the root of the mean square; above 0, for that may be 0. Source:
            Kingma and Ba (2015).
    """
    rate = number("rate", rate, 0, kinds=REAL)
    epsilon = number("epsilon", epsilon, np.finfo(float).tiny, kinds=REAL)
    b1 = float(number("decay", decay, 0, 0.999999, REAL))
    b2 = float(number("decay_of_squares", decay_of_squares, 0, 0.999999, REAL))
    rate, epsilon = float(rate), float(epsilon)
    until = None if until is None else number("until", until, 1)

    def step(network: Network, gradients: Network, moments: Moments) -> tuple[Network, Moments]:
        t = moments.updates + 1
        first = _map(lambda m, g: b1 * m + (1 - b1) * g, moments.sums[0], gradients)
        second = _map(lambda v, g: b2 * v + (1 - b2) * (g * g), moments.sums[1], gradients)
        now = _faded(rate, until, moments.updates) / (1 - b1**t)
        unbias = (1 - b2**t) ** -0.5

        def updated(a: Array, m: Array, v: Array) -> Array:
            return a - now * m / (np.sqrt(v) * unbias + epsilon)

        return _map(updated, network, first, second), Moments(t, (first, second))

    return Optimiser(f"adam({rate}, {b1}, {b2}, {epsilon}, until={until})", 2, step)


class History(NamedTuple):
    """The loss, and the norm of the gradients before clipping, of each update of :func:`fit`.

    ``sequences`` were seen. ``solved`` says that the criterion stopped it; ``diverged`` that the
    last update did not come to finite numbers: its loss or norm may be infinite or not a number.
    """

    losses: Array
    norms: Array
    sequences: int
    solved: bool
    diverged: bool

    @property
    def updates(self) -> int:
        """How many there were."""
        return len(self.losses)

    def plot(self, ax: Any) -> None:
        """Draw the losses and their running mean on matplotlib's axes, and what stopped them."""
        updates, width = np.arange(1, self.updates + 1), 1 + self.updates // 50
        ax.set(xlabel="update", ylabel="loss", yscale="log")
        (line,) = ax.plot(updates, self.losses, linewidth=0.5, alpha=0.5)
        mean = np.convolve(self.losses, np.full(width, 1 / width), "valid")
        ax.plot(updates[width - 1 :], mean, color=line.get_color())
        if self.solved or self.diverged:
            ax.axvline(self.updates, color=line.get_color(), linestyle=":", linewidth=1)
            place: Any = {"transform": ax.get_xaxis_transform(), "ha": "right", "va": "top"}
            ax.text(self.updates, 1, "solved " if self.solved else "diverged ", **place)


class Fit(NamedTuple):
    """What training came to: the network, the history, the last state (B, k n), the moments."""

    network: Network
    history: History
    state: Array
    moments: Moments


def fit(
    cell: Cell,
    network: Network,
    sample: Callable[[Generator], Batch] | Sequence[Batch],
    loss: Loss,
    optimiser: Optimiser,
    *,
    steps: int,
    rng: Generator,
    clip: float | None = None,
    window: int | None = None,
    criterion: Callable[[Network], bool] | None = None,
    every: int = 100,
    carry: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Fit:
    r"""Take a batch, go one step down its gradient, and again: ``steps`` times, or until solved.

    A run that was killed and resumed equals, to the last bit, one that was not.

    Args:
        cell, network, loss, window: As for :func:`loss_and_gradients`.
        sample: ``sample(rng)`` draws a Batch; or a sequence of batches, taken in order over and
            over. Numbers are brought to the precision of the network.
        optimiser (Optimiser): :func:`sgd` or :func:`adam`.
        steps (int): Updates to make, with those made before a run was resumed; at least 1.
        rng (Generator): All randomness there is. Resuming sets it to where it was.
        clip (float, optional): The limit for :func:`clip_by_norm`.
        criterion (function, optional): ``criterion(network)`` says whether training has succeeded
            and ends; asked after each ``every`` updates and after the last.
        every (int): At least 1.
        carry (bool): Each batch begins with the last state of the one before, as a number: nothing
            is differentiated through it. A sequence of batches begins with zeros each time over.
        checkpoint (path, optional): A file to save to after each ``every`` updates and the last.
        resume (bool): Go on from the checkpoint, if it is there.
        progress (bool): Show a bar on the standard output, with tqdm.
    Returns:
        Fit: Training that diverges ends, too: at the first loss, gradient or parameter that is not
        finite, with the network of the update before, and the history says so.
    Raises:
        TypeError, ValueError: If an argument does not fit, or the checkpoint is of another training
            or no checkpoint. It is read without pickle: no file can run code.
    """
    instance("cell", cell, Cell)
    instance("network", network, Network)
    axes = ("gates*n n", "gates*n d", "gates*n", "m n", "m")
    network = Network(*map(array, Network._fields, network, axes))
    draw: Any = sample if callable(sample) else None
    if not draw and not (isinstance(sample, Sequence) and len(sample)):
        raise TypeError(f"sample: got {sample!r}, needs a function or batches, one at least")
    instance("optimiser", optimiser, Optimiser)
    steps, every = number("steps", steps, 1), number("every", every, 1)
    window = None if window is None else number("window", window, 1)
    instance("rng", rng, Generator)
    clip = None if clip is None else float(number("clip", clip, 0, kinds=REAL))
    for name, given in (("carry", carry), ("resume", resume), ("progress", progress)):
        instance(name, given, bool)
    if criterion is not None:
        instance("criterion", criterion, Callable)
    path = None if checkpoint is None else _path(checkpoint)
    cycle = 0 if draw else len(sample)  # type: ignore[arg-type]
    training = {
        "format": FORMAT,
        "cell": repr(cell),
        "network": [f"{a.dtype}{a.shape}" for a in network],
        "loss": getattr(loss, "__name__", ""),
        "optimiser": optimiser.name,
        "generator": type(rng.bit_generator).__name__,
        **{"batches": cycle, "clip": clip, "window": window, "every": every, "carry": carry},
    }
    none, state = np.empty(0), np.empty((0, 0), network.W.dtype)
    at = Fit(network, History(none, none, 0, False, False), state, optimiser.start(network))
    if path and resume and path.exists():
        at = _load(path, training, at, rng)
    network, (*made, sequences, solved, diverged), state, moments = at
    start, stop = at.history.updates, max(steps, at.history.updates)
    losses, norms = np.full((2, stop), np.nan)
    losses[:start], norms[:start] = made

    updates = _counted(start, start if solved or diverged else stop, progress)
    for step in updates:
        batch = _in_precision(draw(rng) if draw else sample[step % cycle], network.W.dtype)  # type: ignore[index]
        s0 = state if carry and step % (cycle or stop) else None
        sequences += batch.x.shape[1]
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                descent = loss_and_gradients(cell, network, batch, loss, s0, window=window)
                losses[step], norms[step] = descent.loss, _norm(descent.gradients)
                limit = norms[step] if clip is None else clip
                gradients = _shortened(descent.gradients, norms[step], limit)
                further = optimiser.step(network, gradients, moments)
            numbers = (losses[step], norms[step], *further[0])
            diverged = not all(np.isfinite(a).all() for a in numbers)
        except FloatingPointError:
            diverged = True
        if not diverged:
            (network, moments), state = further, descent.state
        due = diverged or (step + 1) % every == 0 or step + 1 == stop
        if due and criterion and not diverged:
            solved = bool(criterion(network))
        history = History(losses[: step + 1], norms[: step + 1], sequences, solved, diverged)
        at = Fit(network, history, state, moments)
        if due and path:
            _save(path, training, at, rng)
        if due and progress:
            updates.set_postfix(loss=f"{losses[step]:.4g}", refresh=False)
        if solved or diverged:
            break
    return at


def _save(path: Path, training: dict[str, Any], at: Fit, rng: Generator) -> None:
    """Replace the file in one step, so that a run that is killed leaves it whole."""
    words = {"training": training, "rng": rng.bit_generator.state}
    text = {name: json.dumps(value, default=np.ndarray.tolist) for name, value in words.items()}
    partial, arrays = path.with_name(path.name + ".part"), cast(Any, _flat(at) | text)
    with partial.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _load(path: Path, training: dict[str, Any], start: Fit, rng: Generator) -> Fit:
    """The Fit that was saved, with the generator set back; ValueError if it is another's."""
    needs = "needs a checkpoint of this training"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            arrays = dict(saved)
        found, state = (json.loads(str(arrays.pop(name))) for name in ("training", "rng"))
        other = [f"{k} {found.get(k)} for {v}" for k, v in training.items() if found.get(k) != v]
    except Exception as error:  # whatever a foreign, cut or altered file may raise
        raise ValueError(f"checkpoint: got {path}, which cannot be read, {needs}") from error
    if other:
        raise ValueError(f"checkpoint: got {path} with {', '.join(other)}, {needs}")
    flat = _flat(start)
    if {k: _kind(k, a) for k, a in arrays.items()} != {k: _kind(k, a) for k, a in flat.items()}:
        raise ValueError(f"checkpoint: got {path} with other arrays, {needs}")
    rng.bit_generator.state = state
    leaves = iter(arrays[name] for name in flat)
    network, *sums = (
        Network(*(next(leaves) for _ in Network._fields)) for _ in (0, *start.moments.sums)
    )
    losses, norms, last, (updates, sequences, solved, diverged) = leaves
    history = History(losses, norms, int(sequences), bool(solved), bool(diverged))
    return Fit(network, history, last, Moments(int(updates), tuple(sums)))


def _flat(at: Fit) -> dict[str, Array]:
    """All arrays and numbers of a Fit, by name."""
    networks = [at.network, *at.moments.sums]
    flat = {f"{k} {name}": a for k, net in enumerate(networks) for name, a in net._asdict().items()}
    counts = np.array([at.moments.updates, *at.history[2:]], np.int64)
    return (
        flat
        | dict(zip(("losses", "norms"), at.history[:2], strict=True))
        | {
            "state": at.state,
            "counts": counts,
        }
    )


def _kind(name: str, value: Array) -> tuple[Any, ...]:
    """The dtype of an array of a checkpoint, and its shape if that is known beforehand."""
    return value.dtype, value.ndim if name in ("losses", "norms", "state") else value.shape


def _path(checkpoint: Any) -> Path:
    """A path where a file can be; a training should not learn after an hour that it cannot."""
    if not isinstance(checkpoint, str | os.PathLike):
        raise TypeError(f"checkpoint: got {type(checkpoint).__name__}, needs a path")
    path = Path(checkpoint)
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"checkpoint: got {path}, needs a file in a folder that exists")
    return path


def _counted(start: int, stop: int, progress: bool) -> Any:
    """The updates to make, with a bar if wanted; nothing goes to the standard error."""
    if not progress:
        return range(start, stop)
    from tqdm import tqdm

    bar: Any = {"initial": start, "total": stop, "unit": "update", "file": sys.stdout}
    return tqdm(range(start, stop), **bar)


def _in_precision(batch: Batch, dtype: np.dtype[Any]) -> Batch:
    """The batch with its numbers in the precision of the network; labels stay integers."""
    instance("sample", batch, Batch)
    x, target, counts = map(np.asarray, batch)
    if target.dtype.kind == "f":
        target = target.astype(dtype, copy=False)
    return Batch(x.astype(dtype, copy=False), target, counts)


def _run(cell: Cell, network: Network, x: Array, s0: Array | None) -> tuple[Unrolled, Array, Array]:
    """The forward run, and V and c, checked as it checks the other parameters."""
    instance("network", network, Network)
    run = unroll(cell, Params(*network[:3]), x, s0)
    V = array("V", network.V, "m n", n=run.h.shape[2])
    c = array("c", network.c, "m", m=len(V))
    same_precision(W=run.s, V=V, c=c)
    return run, V, c


def _targets(batch: Batch) -> tuple[Array, Array]:
    """The target and the counts of a batch, checked against each other."""
    instance("batch", batch, Batch)
    target, counts = np.asarray(batch.target), np.asarray(batch.counts)
    if counts.dtype != bool:
        raise TypeError(f"counts: got dtype {counts.dtype}, needs bool")
    if not counts.any():
        raise ValueError("counts: got no step that is True, needs one")
    if target.shape[:2] != counts.shape:
        raise ValueError(f"target: got shape {target.shape}, needs {counts.shape}, and m if real")
    return target, counts


def _finite(name: str, value: Array) -> Array:
    if not np.isfinite(value).all():
        raise FloatingPointError(f"{name}: got numbers too large for {value.dtype}")
    return value


def _map(function: Callable[..., Array], first: Arrays, *others: Any) -> Arrays:
    """A NamedTuple like the first, of function(field, …); a field that is None stays so."""
    kind: Any = type(first)
    fields = zip(first, *others, strict=True)
    return kind(*(None if a[0] is None else function(*a) for a in fields))


def _norm(gradients: tuple[Any, ...]) -> float:
    """The root of the sum of all squares, also where a square is out of the range of the dtype."""
    arrays = [np.ravel(g) for g in gradients if g is not None]
    total = float(sum(np.vdot(g, g).real for g in arrays))
    if 1e-30 < total < 1e30:
        return total**0.5
    largest = float(np.max([abs(g).max() for g in arrays]))
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * _norm(tuple(g / largest for g in arrays))


def _finite_norm(gradients: Any) -> float:
    if not hasattr(gradients, "_fields"):
        raise TypeError(f"gradients: got {type(gradients).__name__}, needs a NamedTuple of arrays")
    norm = _norm(gradients)
    if not np.isfinite(norm):
        raise ValueError(f"gradients: got a norm of {norm}, needs finite numbers")
    return norm


def _shortened(gradients: Arrays, norm: float, limit: float) -> Arrays:
    factor = float(limit / norm) if norm > limit else 1.0  # a float, which leaves float32 as it is
    return gradients if factor == 1 else _map(lambda g: g * factor, gradients)


def _faded(rate: float, until: int | None, updates: int) -> float:
    """The rate after so many updates."""
    return rate if until is None else rate * max(0.0, 1 - updates / until)
