r"""Training: descent along the gradients of a network, that is a recurrence with a read-out.

Everything is a pure function of arrays, but for :func:`fit`, which repeats one update and can be
killed and resumed without a trace.
"""

import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.random import Generator

from ._arguments import REAL, Array, array, instance, number
from .cells import Cell
from .recurrence import Params, backward, init, truncated, unroll

Loss = Callable[[Array, Array], tuple[Any, Array]]
Arrays = TypeVar("Arrays", bound=tuple[Any, ...])


class Network(NamedTuple):
    """The parameters W, U and b of a recurrence, and those of its read-out :math:`z = V h + c`.

    W (gates n, n), U (gates n, d), b (gates n,), V (m, n), c (m,). Gradients have the same form.
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

    Args:
        cell, d, n, rng, dtype: As for :func:`init`.
        m (int): Number of outputs, at least 1.
    """
    m = number("m", m, 1)
    params, bound = init(cell, d, n, rng=rng, dtype=dtype), n**-0.5
    read_out = (rng.uniform(-bound, bound, shape).astype(dtype) for shape in ((m, n), (m,)))
    return Network(*params, *read_out)


def predict(cell: Cell, network: Network, x: Array, s0: Array | None = None) -> Array:
    r"""The outputs :math:`z_t = V h_t + c`, (T, B, m), of x (T, B, d) from the first state s0.

    Raises TypeError or ValueError as :func:`unroll`; FloatingPointError if z is not finite.
    """
    V, c = _read_out(network)
    h = unroll(cell, Params(*network[:3]), x, s0).h[1:]
    return _finite("z", h @ V.T + c)


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
            the outputs (rows, m) and the targets (rows, ...) of all steps that count, which returns
            the loss and its derivative by the outputs.
        s0 (array (B, k n), optional): The first state; zeros if not given.
        window (int, optional): Steps that each loss reaches back, as for :func:`truncated`; all if
            not given.
    Raises:
        TypeError, ValueError: If an argument does not fit.
        FloatingPointError: If the outputs or their gradients are too large for the precision.
    """
    V, c = _read_out(network)
    target, counts = _targets(batch)
    instance("loss", loss, Callable)
    run = unroll(cell, Params(*network[:3]), batch.x, s0)
    h = run.h[1:]
    if counts.shape != h.shape[:2]:
        raise ValueError(f"counts: got shape {counts.shape}, needs {h.shape[:2]}, as x without d")
    rows = h[counts]
    value, dz = loss(_finite("z", rows @ V.T + c), target[counts])
    dh = np.zeros(h.shape, dz.dtype)
    dh[counts] = _finite("dh", dz @ V)
    by = backward(run, dh) if window is None else truncated(run, dh, window)
    gradients = Network(by.W, by.U, by.b, dz.T @ rows, dz.sum(axis=0))
    return Descent(value, gradients, run.s[-1].copy())


def clip_by_norm(gradients: Arrays, limit: float) -> Arrays:
    r"""The gradients, made shorter if the norm of all their entries together exceeds ``limit``.

    The direction stays. Takes and returns a NamedTuple of arrays; fields that are None stay so.
    Raises TypeError or ValueError unless ``limit`` is a number from 0 and the gradients are finite.
    Source: Pascanu, Mikolov and Bengio (2013).
    """
    limit = number("limit", limit, 0, kinds=REAL)
    return _shortened(gradients, _finite_norm(gradients), limit)


def clip_by_value(gradients: Arrays, limit: float) -> Arrays:
    """The gradients with each entry cut to the interval from -limit to limit.

    The direction changes, and may even ascend. Arguments and errors as for :func:`clip_by_norm`.
    """
    limit = number("limit", limit, 0, kinds=REAL)
    _finite_norm(gradients)
    return _map(lambda g: g.clip(-limit, limit), gradients)


class Moments(NamedTuple):
    """What an optimiser remembers: the updates made, and running sums like the network."""

    updates: int
    sums: tuple[Network, ...]


class Optimiser(ABC):
    """A rule of descent. It has no state of its own: :meth:`step` takes it and returns it."""

    sums: int  #: how many running sums it keeps

    def start(self, network: Network) -> Moments:
        """The state before the first update: zeros."""
        return Moments(0, (_map(np.zeros_like, network),) * self.sums)

    @abstractmethod
    def step(
        self, network: Network, gradients: Network, moments: Moments
    ) -> tuple[Network, Moments]:
        """The network and the state after one update; what was given stays as it is."""


@dataclass(frozen=True)
class SGD(Optimiser):
    """See :func:`sgd`."""

    rate: float
    momentum: float
    until: int | None
    sums = 1

    def step(
        self, network: Network, gradients: Network, moments: Moments
    ) -> tuple[Network, Moments]:
        rate, (velocity,) = _faded(self.rate, self.until, moments.updates), moments.sums
        if self.momentum:
            velocity = _map(lambda v, g: self.momentum * v + g, velocity, gradients)
        else:
            velocity = gradients
        network = _map(lambda a, v: a - rate * v, network, velocity)
        return network, Moments(moments.updates + 1, (velocity,))


@dataclass(frozen=True)
class Adam(Optimiser):
    """See :func:`adam`."""

    rate: float
    decay: float
    decay_of_squares: float
    epsilon: float
    until: int | None
    sums = 2

    def step(
        self, network: Network, gradients: Network, moments: Moments
    ) -> tuple[Network, Moments]:
        t, (first, second) = moments.updates + 1, moments.sums
        b1, b2 = self.decay, self.decay_of_squares
        first = _map(lambda m, g: b1 * m + (1 - b1) * g, first, gradients)
        second = _map(lambda v, g: b2 * v + (1 - b2) * (g * g), second, gradients)
        rate = _faded(self.rate, self.until, moments.updates) / (1 - b1**t)
        unbias, epsilon = (1 - b2**t) ** -0.5, self.epsilon

        def updated(a: Array, m: Array, v: Array) -> Array:
            return a - rate * m / (np.sqrt(v) * unbias + epsilon)

        return _map(updated, network, first, second), Moments(t, (first, second))


def sgd(rate: float, momentum: float = 0.0, *, until: int | None = None) -> Optimiser:
    r"""Gradient descent, :math:`v \leftarrow \mu v + g,\ \theta \leftarrow \theta - \eta v`.

    Args:
        rate (float): :math:`\eta`, from 0.
        momentum (float): :math:`\mu`, from 0 to 1.
        until (int, optional): The update by which the rate has fallen to 0, in a straight line.
            Raises TypeError or ValueError for others.
    """
    rate, momentum = number("rate", rate, 0, kinds=REAL), number("momentum", momentum, 0, 1, REAL)
    return SGD(float(rate), float(momentum), _until(until))


def adam(
    rate: float = 1e-3,
    decay: float = 0.9,
    decay_of_squares: float = 0.999,
    epsilon: float = 1e-8,
    *,
    until: int | None = None,
) -> Optimiser:
    r"""Adam: steps of about ``rate``, from running means of g and of g squared, without their bias.

    Args:
        rate, until: As for :func:`sgd`.
        decay, decay_of_squares (float): :math:`\beta_1` and :math:`\beta_2`, from 0 to 0.999999.
        epsilon (float): Added to the root of the mean square, from 0. Source: Kingma and Ba (2015).
    """
    rate, epsilon = number("rate", rate, 0, kinds=REAL), number("epsilon", epsilon, 0, kinds=REAL)
    decay = number("decay", decay, 0, 0.999999, REAL)
    decay_of_squares = number("decay_of_squares", decay_of_squares, 0, 0.999999, REAL)
    return Adam(float(rate), float(decay), float(decay_of_squares), float(epsilon), _until(until))


class History(NamedTuple):
    """What :func:`fit` saw: one loss and one norm of the gradients, before clipping, per update.

    ``sequences`` were seen; ``solved`` says whether the criterion stopped it, ``diverged`` whether
    the last update did not come to finite numbers; that one's loss and norm, perhaps infinite or
    not a number, are the last.
    """

    losses: Array
    norms: Array
    sequences: int
    solved: bool
    diverged: bool

    @property
    def updates(self) -> int:
        """Updates made."""
        return len(self.losses)

    def plot(self, ax: Any) -> None:
        """Draw the losses on matplotlib's axes, their running mean, and where it was solved."""
        updates = np.arange(1, self.updates + 1)
        ax.set(xlabel="update", ylabel="loss", yscale="log")
        (line,) = ax.plot(updates, self.losses, linewidth=0.5, alpha=0.4)
        width = max(1, self.updates // 50)
        mean = np.convolve(self.losses, np.full(width, 1 / width), "valid")
        ax.plot(updates[width - 1 :], mean, color=line.get_color())
        if self.solved or self.diverged:
            ax.axvline(self.updates, color=line.get_color(), linestyle=":", linewidth=1)
            place: Any = {"transform": ax.get_xaxis_transform(), "ha": "right", "va": "top"}
            ax.text(self.updates, 1, "solved " if self.solved else "diverged ", **place)


class Fit(NamedTuple):
    """The trained network, its history, and what would go on from there: the last state (B, k n)
    and what the optimiser remembers.
    """

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
    r"""Train: draw a batch, go one step down its gradient, ``steps`` times or until solved.

    A run that was killed and resumed equals, to the last bit, one that was not.

    Args:
        cell, network, loss, window: As for :func:`loss_and_gradients`.
        sample: ``sample(rng)`` draws a Batch; or a sequence of batches, taken in order over and
            over. Numbers are brought to the precision of the network.
        optimiser (Optimiser): :func:`sgd` or :func:`adam`.
        steps (int): Updates to make, those of a resumed run included, at least 1.
        rng (Generator): All randomness; resuming sets it to where it was.
        clip (float, optional): The limit for :func:`clip_by_norm`.
        criterion (function, optional): ``criterion(network)`` says whether it is solved; asked
            after each ``every`` updates and at the end. Training stops if so.
        carry (bool): Each batch begins with the last state of the one before, as a number: nothing
            is differentiated through it. A sequence of batches begins with zeros each time over.
        checkpoint (path, optional): A file to save to after each ``every`` updates and at the end.
        resume (bool): Go on from the checkpoint if there is one.
        progress (bool): Show a bar (needs tqdm) on the standard output.
    Returns:
        Fit: Also where training diverged: it stops at the first loss, gradient or parameter that is
        not finite, says so in the history and returns the network of the update before.
    Raises:
        TypeError, ValueError: If an argument does not fit, or the checkpoint is another's.
    """
    _read_out(network)
    instance("sample", sample, Callable | Sequence)
    instance("optimiser", optimiser, Optimiser)
    steps, every = number("steps", steps, 1), number("every", every, 1)
    instance("rng", rng, Generator)
    clip = None if clip is None else float(number("clip", clip, 0, kinds=REAL))
    if criterion is not None:
        instance("criterion", criterion, Callable)
    cycle = None if callable(sample) else len(sample)
    settings = {
        "format": FORMAT,
        "cell": repr(cell),
        "sizes": [[*a.shape, str(a.dtype)] for a in network],
        "loss": getattr(loss, "__name__", ""),
        "optimiser": repr(optimiser),
        "rng": type(rng.bit_generator).__name__,
        "batches": cycle,
        **{"clip": clip, "window": window, "every": every, "carry": carry},
    }
    path = None if checkpoint is None else _path(checkpoint)
    nothing, state = np.empty(0), np.empty((0, 0), network.W.dtype)
    history, moments = History(nothing, nothing, 0, False, False), optimiser.start(network)
    if path and resume and path.exists():
        network, history, state, moments = _load(
            path, settings, Fit(network, history, state, moments), rng
        )
    made, sequences, solved, diverged = history.updates, *history[2:]
    losses, norms = np.full((2, max(steps, made)), np.nan)
    losses[:made], norms[:made] = history[:2]

    updates = _counted(made, made if solved or diverged else steps, progress)
    for step in updates:
        batch = sample(rng) if callable(sample) else sample[step % len(sample)]
        instance("sample", batch, Batch)
        batch = _in_precision(batch, network.W.dtype)
        s0 = state if carry and step % (cycle or steps) else None
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                descent = loss_and_gradients(cell, network, batch, loss, s0, window=window)
                losses[step], gradients, state = descent
                norms[step] = _norm(gradients)
                if clip is not None:
                    gradients = _shortened(gradients, norms[step], clip)
                further = optimiser.step(network, gradients, moments)
            diverged = not all(np.isfinite(a).all() for a in (losses[step], *further[0]))
        except FloatingPointError:
            diverged = True
        sequences += batch.x.shape[1]
        if not diverged:
            network, moments = further
        due = diverged or (step + 1) % every == 0 or step + 1 == steps
        if due and not diverged and criterion is not None:
            solved = bool(criterion(network))
        history = History(losses[: step + 1], norms[: step + 1], sequences, solved, diverged)
        if due and path:
            _save(path, settings, Fit(network, history, state, moments), rng)
        if due and progress:
            updates.set_postfix(loss=f"{losses[step]:.4g}", refresh=False)
        if solved or diverged:
            break
    return Fit(network, history, state, moments)


FORMAT = "bptt fit, 1"


def _save(path: Path, settings: dict[str, Any], fit: Fit, rng: Generator) -> None:
    """Replace the file in one step, so that a run that is killed leaves it whole."""
    words = {"settings": settings, "generator": rng.bit_generator.state}
    text = {name: json.dumps(value, default=np.ndarray.tolist) for name, value in words.items()}
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **_flat(fit), **text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _load(path: Path, settings: dict[str, Any], start: Fit, rng: Generator) -> Fit:
    """The Fit that was saved, with the generator set back, or ValueError."""
    needs = "needs a checkpoint of this training"
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        found = json.loads(str(arrays.pop("settings")))
        generator = json.loads(str(arrays.pop("generator")))
        other = [f"{k} {found.get(k)} for {v}" for k, v in settings.items() if found.get(k) != v]
    except Exception as error:  # whatever a foreign, cut or altered file may raise
        raise ValueError(f"checkpoint: got {path}, which cannot be read, {needs}") from error
    if other:
        raise ValueError(f"checkpoint: got {path} with {', '.join(other)}, {needs}")
    flat = _flat(start)
    if {k: _kind(k, a) for k, a in arrays.items()} != {k: _kind(k, a) for k, a in flat.items()}:
        raise ValueError(f"checkpoint: got {path} with other arrays, {needs}")
    rng.bit_generator.state = generator
    leaves = iter(arrays[name] for name in flat)
    network = Network(*(next(leaves) for _ in Network._fields))
    sums = tuple(Network(*(next(leaves) for _ in network)) for _ in start.moments.sums)
    losses, norms, state, counts = leaves
    updates, sequences, solved, diverged = counts.tolist()
    history = History(losses, norms, sequences, bool(solved), bool(diverged))
    return Fit(network, history, state, Moments(updates, sums))


def _flat(fit: Fit) -> dict[str, Array]:
    """All arrays and numbers of a Fit, by name."""
    networks = {"network": fit.network}
    networks |= {f"sum {i}": a for i, a in enumerate(fit.moments.sums)}
    history, counts = fit.history, [fit.moments.updates, *fit.history[2:]]
    return {
        **{f"{k} {field}": a for k, net in networks.items() for field, a in net._asdict().items()},
        **{"losses": history.losses, "norms": history.norms, "state": fit.state},
        "counts": np.array(counts, np.int64),
    }


def _kind(name: str, array: Array) -> tuple[Any, ...]:
    """The dtype of an array of a checkpoint, and its shape if it has that from the beginning."""
    grows = name in ("losses", "norms", "state")
    return array.dtype, array.ndim if grows else array.shape


def _path(checkpoint: Any) -> Path:
    """The path, if a file can be there; a training should not learn of it after an hour."""
    path = Path(checkpoint)
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"checkpoint: got {path}, needs a file in a folder that exists")
    return path


def _counted(start: int, stop: int, progress: bool) -> Any:
    """The updates to make, with a bar if wanted; nothing is printed on the standard error."""
    if not progress:
        return range(start, stop)
    from tqdm import tqdm

    return tqdm(range(start, stop), initial=start, total=stop, unit="update", file=sys.stdout)


def _in_precision(batch: Batch, dtype: np.dtype[Any]) -> Batch:
    """The batch with its numbers in the precision of the network; labels stay integers."""
    x, target, counts = map(np.asarray, batch)
    if target.dtype.kind == "f":
        target = target.astype(dtype, copy=False)
    return Batch(x.astype(dtype, copy=False), target, counts)


def _read_out(network: Network) -> tuple[Array, Array]:
    """V and c, checked; :func:`unroll` checks the other parameters."""
    instance("network", network, Network)
    n = np.shape(network.W)[-1:] or (0,)
    V = array("V", network.V, "m n", n=n[0])
    return V, array("c", network.c, "m", m=len(V))


def _targets(batch: Batch) -> tuple[Array, Array]:
    """The target and counts of a batch, checked against each other."""
    instance("batch", batch, Batch)
    target, counts = np.asarray(batch.target), np.asarray(batch.counts)
    if counts.dtype != bool:
        raise TypeError(f"counts: got dtype {counts.dtype}, needs bool")
    if not counts.any():
        raise ValueError("counts: got False everywhere, needs a step that counts")
    if target.shape[:2] != counts.shape:
        raise ValueError(f"target: got shape {target.shape}, needs {counts.shape} and perhaps m")
    return target, counts


def _finite(name: str, value: Array) -> Array:
    if not np.isfinite(value).all():
        raise FloatingPointError(f"{name}: got numbers too large for {value.dtype}")
    return value


def _map(function: Callable[..., Array], first: Arrays, *others: Any) -> Arrays:
    """The NamedTuple of function(field, …); a field that is None stays so."""
    kind: Any = type(first)
    fields = zip(first, *others, strict=True)
    return kind(*(None if a[0] is None else function(*a) for a in fields))


def _norm(gradients: tuple[Any, ...]) -> float:
    """The root of the sum of all squares, also where a square is beyond the range of the dtype."""
    arrays = [np.ravel(g) for g in gradients if g is not None]
    total = float(sum(np.vdot(g, g).real for g in arrays))
    if 1e-30 < total < 1e30:
        return total**0.5
    largest = max(float(abs(g).max()) for g in arrays)
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * _norm(tuple(g / largest for g in arrays))


def _finite_norm(gradients: Any) -> float:
    instance("gradients", gradients, tuple)
    norm = _norm(gradients)
    if not np.isfinite(norm):
        raise ValueError(f"gradients: got a norm of {norm}, needs finite numbers")
    return norm


def _shortened(gradients: Arrays, norm: float, limit: float) -> Arrays:
    if norm <= limit:
        return gradients
    return _map(lambda g: g * (limit / norm), gradients)


def _faded(rate: float, until: int | None, updates: int) -> float:
    """The rate after so many updates."""
    return rate if until is None else rate * max(0.0, 1 - updates / until)


def _until(until: int | None) -> int | None:
    return None if until is None else int(number("until", until, 1))
