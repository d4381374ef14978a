r"""Training: one update, repeated, which can be killed and resumed without a trace."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.random import Generator

from ._arguments import REAL, Array, OutOfRange, array, instance, number, same_precision
from ._identity import ByParameters
from ._saving import FORMAT, load, place, save, state_of
from .cells import Cell
from .network import Batch, Loss, Network, as_descent, in_precision, loss_and_gradients, scalar
from .optimisers import Moments, Optimiser, each, finite, leaves, named, norm, shortened, stepped

AXES = ("gates*n n", "gates*n d", "gates*n", "m n", "m")


class History(NamedTuple):
    """The loss, and the norm of the gradients before clipping, of each update of :func:`fit`.

    ``sequences`` is how many were seen; a batch that is not a :class:`Batch`, or whose x has only
    one axis, counts as one. ``solved`` says that the criterion was met; ``diverged`` that the last
    update did not come to finite numbers: its loss or norm may be infinite or not a number.
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
        """Draw the losses and their running mean on matplotlib's axes, and what stopped them.

        The axis of losses is logarithmic, unless one of them is 0 or less.
        """
        updates, width = np.arange(1, self.updates + 1), 1 + self.updates // 50
        ax.set(xlabel="update", ylabel="loss")
        ax.set_yscale("linear" if (self.losses <= 0).any() else "log")
        if not self.updates:
            return
        (line,) = ax.plot(updates, self.losses, linewidth=0.5, alpha=0.5)
        mean = np.convolve(self.losses, np.full(width, 1 / width), "valid")
        ax.plot(updates[width - 1 :], mean, color=line.get_color())
        if self.solved or self.diverged:
            ax.axvline(self.updates, color=line.get_color(), linestyle=":", linewidth=1)
            place: Any = {"transform": ax.get_xaxis_transform(), "ha": "right", "va": "top"}
            ax.text(self.updates, 1, "solved " if self.solved else "diverged ", **place)


class Fit(NamedTuple):
    """What training came to: parameters, history, the last state (B, k n), the moments."""

    network: Any
    history: History
    state: Array
    moments: Moments


class Interrupted(KeyboardInterrupt):
    """Interrupted from the keyboard; ``fit`` is the Fit after the last whole update."""

    def __init__(self, fit: Fit) -> None:
        super().__init__(fit)
        self.fit = fit

    def __str__(self) -> str:
        return f"after {self.fit.history.updates} updates, which .fit holds"


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
    clip_value: float | None = None,
) -> Fit:
    """Train a network: :func:`descend` with :func:`loss_and_gradients`.

    Takes cell, network, loss and window as :func:`loss_and_gradients`, the network in float32 or
    float64; and sample, optimiser, steps, rng, clip, clip_value, criterion, every, carry,
    checkpoint, resume and progress as :func:`descend`, whose value and errors it has. Batches are
    brought to the precision of the network. To carry the state, each sequence needs a target at the
    last step of its batch, because after padding the state is no longer its own.

    Example:
        >>> import numpy as np, bptt
        >>> rng, ones = np.random.default_rng(0), np.ones((5, 3))
        >>> network = bptt.init_network(bptt.GRU, 1, 4, 2, rng=rng)
        >>> batch = bptt.Batch(ones[..., None], ones.astype(int), ones.astype(bool))
        >>> losses = bptt.fit(bptt.GRU, network, [batch], bptt.cross_entropy, bptt.adam(0.1),
        ...                   steps=20, rng=rng, progress=False).history.losses
        >>> bool(losses[-1] < 0.1 * losses[0])
        True
    """
    instance("cell", cell, Cell)
    instance("network", network, Network)
    for name, a, axes in zip(Network._fields, network, AXES, strict=True):
        array(name, a, axes, "fd")
    instance("loss", loss, Callable)
    window = None if window is None else number("window", window, 1)
    others: Any = {"checkpoint": checkpoint, "resume": resume, "progress": progress}
    others |= {"clip": clip, "clip_value": clip_value, "criterion": criterion, "every": every}
    through = partial(_through, cell, loss, window, carry)
    return descend(through, network, sample, optimiser, steps=steps, rng=rng, carry=carry, **others)


def _through(
    cell: Cell, loss: Loss, window: Any, carry: bool, network: Network, batch: Any, state: Any
) -> Any:
    """The loss and its gradients, with the batch in the precision of the network."""
    instance("sample", batch, Batch)
    if state is not None and len(state) != (B := np.shape(batch.x)[1]):
        raise ValueError(
            f"carry: got a batch of {B} sequences after one of {len(state)}, needs batches alike"
        )
    batch = in_precision(batch, network.W.dtype, len(network.c))
    found = loss_and_gradients(cell, network, batch, loss, state, window=window)
    if carry and not (at_last := np.asarray(batch.counts)[-1]).all():
        raise ValueError(
            f"counts: got False at the last step of sequence {at_last.argmin()}, needs True "
            "where the state is carried; or use descend with a function that returns "
            "last(run, lengths) as its state"
        )
    return found


def descend(
    function: Callable[[Any, Any, Any], Any],
    parameters: Any,
    sample: Callable[[Generator], Any] | Sequence[Any],
    optimiser: Optimiser,
    *,
    steps: int,
    rng: Generator,
    clip: float | None = None,
    clip_value: float | None = None,
    criterion: Callable[[Any], bool] | None = None,
    every: int = 100,
    carry: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Fit:
    """Take a batch, go one step down its gradient, and again: ``steps`` times, or until solved.

    A run that was killed or interrupted, and resumed, equals to the last bit one that was not.

    Args:
        function: ``function(parameters, batch, state)`` returns a :class:`Descent`, or a loss and
            its gradients, and changes no parameter. Checkpoints tell it by module and name.
        parameters: A NamedTuple of arrays, float32 or float64, or of NamedTuples or tuples of them.
        sample: ``sample(rng)`` draws a batch, whatever the function understands; or a sequence of
            batches, taken in order over and over.
        optimiser (Optimiser): Such as :func:`adam`.
        steps (int): Updates to make, with those made before a run was resumed; at least 1.
        rng (Generator): All randomness there is. Resuming sets it to where it was; it must not have
            spawned more generators than at the save, as these cannot be taken back.
        clip, clip_value (float, optional): The limit of :func:`clip_by_norm` or that of
            :func:`clip_by_value`, not both.
        criterion (function, optional): ``criterion(parameters)`` says whether training has
            succeeded and ends; asked after every ``every`` updates (1 or more), after the last, and
            again if a run that had succeeded or made its steps is resumed.
        carry (bool): ``state`` is a copy of the last state of the batch before: nothing is
            differentiated through it. Without ``carry``, and where a sequence of batches begins, it
            is None.
        checkpoint (path, optional): A file to save to after every ``every`` updates and the last,
            replacing what is there. The new file is first written beside the old one, under a name
            that ends with ``.bptt-part``.
        resume (bool): Go on from ``checkpoint``, which must be given, if that file exists.
        progress (bool): Show a bar on the standard output, with tqdm.
    Returns:
        Fit: Training that diverges ends, too: at the first loss, gradient, parameter or moment that
        is out of range, with the parameters of the update before, and the history says so.
    Raises:
        TypeError, ValueError: If an argument does not fit, or the checkpoint is of another training
            or is not a checkpoint. It is read without pickle: no file can run code.
        Interrupted: If interrupted from the keyboard; the checkpoint is saved first.
    Example:
        >>> import numpy as np, bptt
        >>> def squares(p, batch, state):
        ...     return sum((a * a).sum() for a in p), bptt.Params(*(2 * a for a in p))
        >>> bptt.descend(squares, bptt.Params(*np.ones((3, 1))), [None], bptt.sgd(0.25), steps=2,
        ...              rng=np.random.default_rng(0), progress=False).history.losses
        array([3.  , 0.75])
    """
    instance("function", function, Callable)
    named("parameters", parameters)
    arrays = {name: array(name, a, "...", "fd") for name, a in leaves(parameters).items()}
    if not arrays:
        raise ValueError("parameters: got no array, needs one at least")
    dtype = same_precision(**arrays)
    parameters = each(lambda a: np.asarray(a, dtype), parameters)
    batches: Any = () if callable(sample) else sample
    if hasattr(sample, "_fields"):
        raise TypeError(f"sample: got one {type(sample).__name__}, needs a list of them")
    if not (callable(sample) or (isinstance(sample, Sequence) and len(sample))):
        raise TypeError(f"sample: got {sample!r}, needs a function or batches, one at least")
    instance("optimiser", optimiser, Optimiser)
    steps, every = number("steps", steps, 1), number("every", every, 1)
    instance("rng", rng, Generator)
    given = {"clip": clip, "clip_value": clip_value}
    limits = {k: v if v is None else number(k, v, 0, kinds=REAL) for k, v in given.items()}
    if None not in limits.values():
        raise ValueError("clip, clip_value: got both, needs one of them")
    for name, flag in (("carry", carry), ("resume", resume), ("progress", progress)):
        instance(name, flag, bool)
    if criterion is not None:
        instance("criterion", criterion, Callable)
    if resume and checkpoint is None:
        raise ValueError("checkpoint, resume: got resume alone, needs both")
    path = None if checkpoint is None else place(checkpoint)
    training = {
        **{"format": FORMAT, **_identity(function), "optimiser": optimiser.name},
        "network": [f"{dtype}{a.shape}" for a in leaves(parameters).values()],
        "generator": type(rng.bit_generator).__name__,
        **{"batches": len(batches), **limits, "every": every, "carry": carry},
    }
    history = History(np.empty(0), np.empty(0), 0, False, False)
    at = Fit(parameters, history, np.empty((0, 0), dtype), optimiser.start(parameters))
    if path and resume and path.exists():
        at = load(path, training, at, rng)
    start, stop = at.history.updates, max(steps, at.history.updates)
    trace = np.array(at.history[:2])  # made longer as it fills: steps may be a mere bound
    safe = at, state_of(rng)  # both at once, wherever it is interrupted
    try:
        if not at.history.diverged and (at.history.solved or start >= steps):
            solved = _succeeded(criterion, at.network)  # which may not be the one asked before
            at = at._replace(history=at.history._replace(solved=solved))
            safe = at, state_of(rng)
        updates = _counted(start, start if any(at.history[3:]) else stop, progress)
        for step in updates:
            batch = batches[step % len(batches)] if batches else cast(Any, sample)(rng)
            state = at.state.copy() if carry and step % (len(batches) or stop) else None
            *numbers, after = _update(function, at, batch, state, optimiser, limits)
            if step == trace.shape[1]:
                trace = np.hstack([trace, np.empty((2, step + 100))])
            trace[:, step] = numbers
            at = after or at
            if carry and after and not after.state.size:
                raise ValueError("carry: got a function that returns no state, needs one")
            due = not after or (step + 1) % every == 0 or step + 1 == stop
            solved = after is not None and due and _succeeded(criterion, at.network)
            size = (*np.shape(batch.x), 1, 1)[1] if isinstance(batch, Batch) else 1
            sequences = at.history.sequences + size
            losses, norms = trace[:, : step + 1]
            at = at._replace(history=History(losses, norms, sequences, solved, not after))
            if due and path:
                save(path, training, at, state_of(rng))
            safe = at, state_of(rng)
            if due and hasattr(updates, "set_postfix"):
                updates.set_postfix(loss=f"{losses[step]:.4g}", refresh=False)
            if solved or not after:
                break
    except KeyboardInterrupt:
        at, rng.bit_generator.state = safe
        try:
            if path:
                save(path, training, *safe)
        finally:
            raise Interrupted(at)
    return at


def _update(
    function: Any, at: Fit, batch: Any, state: Any, optimiser: Optimiser, limits: dict[str, Any]
) -> tuple[Any, float, Fit | None]:
    """The loss, the norm, and all but the history after the update, if in range."""
    # What a function or a rule of one's own changes in place would be lost for who needs it later.
    given, sums = each(_read_only, (at.network, at.moments.sums))
    try:
        found = function(given, batch, state)
    except OutOfRange as error:  # in a function of one's own, it may know but a part of the loss
        known = vars(error) if getattr(function, "func", None) is _through else {}
        return known.get("loss", np.nan), np.nan, None
    loss, gradients, state, *_ = as_descent(found, at.network)
    with np.errstate(all="ignore"):
        size = norm(gradients)
        if (limit := limits["clip"]) is not None:
            gradients = shortened(gradients, size, limit)
        if (limit := limits["clip_value"]) is not None:
            gradients = each(lambda g: np.clip(g, -limit, limit), gradients)
        network, moments = stepped(optimiser, given, gradients, at.moments._replace(sums=sums))
    after = Fit(network, at.history, state.copy(), moments)
    return loss, size, after if finite((loss, size, network, moments.sums)) else None


def _read_only(a: Array) -> Array:
    view = a.view()
    view.flags.writeable = False
    return view


def _succeeded(criterion: Any, parameters: Any) -> bool:
    answer = criterion is not None and criterion(parameters)
    scalar("criterion", answer, "b", "True or False")
    return bool(answer)


def _identity(function: Any) -> dict[str, Any]:
    """What a checkpoint tells functions apart by."""
    if getattr(function, "func", None) is _through:
        cell, loss, window, _ = function.args
        words = ByParameters.__repr__(cell)  # a dataclass has one of its own, which shortens arrays
        return {"cell": f"{words} of {_origin(cell)}", "loss": _origin(loss), "window": window}
    return {"function": _origin(function)}


def _origin(kind: Any) -> str:
    """The module and name of a function, also within a partial, or of another object's class."""
    kind = kind.func if isinstance(kind, partial) else kind
    kind = kind if hasattr(kind, "__qualname__") else type(kind)
    return f"{kind.__module__}.{kind.__qualname__}"


def _counted(start: int, stop: int, progress: bool) -> Any:
    """The updates to make, with a bar if wanted; nothing goes to the standard error."""
    updates, bar = range(start, stop), {"initial": start, "total": stop, "unit": "update"}
    if not progress:
        return updates
    try:
        from tqdm import tqdm
    except ImportError:
        print("No bar without tqdm, which the extra `training` brings")
        return updates
    return tqdm(updates, **cast(Any, bar), file=sys.stdout)
