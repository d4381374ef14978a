"""Optimisers: rules of descent for any NamedTuple of float arrays, and clipping.

Its fields may be NamedTuples or tuples of such arrays in turn, as in a stack of layers.
"""

from collections.abc import Callable
from functools import partial
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy import ndarray

from ._arguments import REAL, Array, as_array, instance, number

Tree = TypeVar("Tree", bound=tuple[Any, ...])
RANGES: dict[str, tuple[float, float]] = {
    "limit": (0, np.inf),
    "rate": (0, np.inf),
    "momentum": (0, 1),
    "decay": (0, 0.999999),
    "decay_of_squares": (0, 0.999999),
    "epsilon": (float(np.finfo(float).tiny), np.inf),
}
FLOATS = np.dtype(np.float64), np.dtype(np.float32)
LEAST = {kind: float(np.finfo(kind).tiny) ** 0.5 for kind in FLOATS}  # squares of less vanish


def clip_by_norm(gradients: Tree, limit: float) -> Tree:
    """The gradients, made shorter if the norm of all their entries together exceeds ``limit``.

    Takes a NamedTuple of finite arrays and a limit of at least 0; returns a NamedTuple like it. A
    field that is None stays None. Raises TypeError or ValueError for anything else. Source:
    Pascanu, Mikolov and Bengio (2013).

    Example:
        >>> import numpy as np, bptt
        >>> bptt.clip_by_norm(bptt.Params(3 * np.eye(1), np.zeros(1), np.array([4.0])), 2.5).b
        array([2.])
    """
    limit = _real("limit", limit)
    return shortened(*_finite(gradients, "fdc"), limit)


@np.errstate(all="ignore")
def clip_by_value(gradients: Tree, limit: float) -> Tree:
    """The gradients, each entry cut to the interval from -limit to limit.

    This changes their direction, which still descends. In all else as :func:`clip_by_norm`, but
    for real numbers only.

    Example:
        >>> import numpy as np, bptt
        >>> bptt.clip_by_value(bptt.Params(np.eye(1), np.zeros(1), np.array([0.5, -4])), 1).b
        array([ 0.5, -1. ])
    """
    limit = _real("limit", limit)
    gradients, _ = _finite(gradients, "fd")
    return each(lambda g: np.clip(g, -limit, limit), gradients)


class Moments(NamedTuple):
    """How many updates an optimiser has made, and its running sums, each like the parameters."""

    updates: int
    sums: tuple[Any, ...]


class Optimiser(NamedTuple):
    """A rule of descent, without a state of its own; checkpoints tell rules apart by ``name``.

    ``step(parameters, gradients, moments)`` returns the parameters and the moments after one
    update, and changes none in place; ``sums`` is how many running sums it keeps. Those of this
    package raise TypeError or ValueError unless parameters are float32 or float64, and gradients
    and sums of the same form.
    """

    name: str
    sums: int
    step: Callable[[Any, Any, Moments], tuple[Any, Moments]]

    def start(self, parameters: Any) -> Moments:
        """The moments before the first update: zeros."""
        return Moments(0, tuple(each(np.zeros_like, parameters) for _ in range(self.sums)))


def sgd(rate: float, momentum: float = 0.0, *, until: int | None = None) -> Optimiser:
    r"""Gradient descent, :math:`v \leftarrow \mu v + g,\ \theta \leftarrow \theta - \eta v`.

    Takes the rate :math:`\eta` from 0, and the momentum :math:`\mu` from 0 to 1 (Polyak 1964). If
    ``until`` is given, the rate falls in a straight line, and is 0 after that many updates. Raises
    TypeError or ValueError for anything else.

    Example:
        >>> import numpy as np, bptt
        >>> rule, params = bptt.sgd(0.25), bptt.Params(*np.ones((3, 1)))
        >>> rule.name, rule.step(params, params, rule.start(params))[0].b
        ('sgd(0.25, 0.0, until=None)', array([0.75]))
    """
    return _optimiser("sgd", 1, rate, until, momentum=momentum)


def adagrad(rate: float = 1e-2, epsilon: float = 1e-8, *, until: int | None = None) -> Optimiser:
    """Adagrad: steps of ``rate`` times g, over the root of the sum of all its squares so far.

    Takes ``rate`` and ``until`` as :func:`sgd`; ``epsilon``, at least 1.1e-19 in
    float32 and 1.5e-154 in float64, is added to the root: it limits the steps where squares
    vanish. Source: Duchi, Hazan and Singer (2011), with a diagonal matrix.

    Example:
        >>> import bptt
        >>> bptt.adagrad(0.1).name
        'adagrad(0.1, 1e-08, until=None)'
    """
    return _optimiser("adagrad", 1, rate, until, epsilon=epsilon)


def rmsprop(
    rate: float = 1e-3, decay: float = 0.9, epsilon: float = 1e-8, *, until: int | None = None
) -> Optimiser:
    r"""RMSProp: steps of ``rate`` times g, over the root of the running mean of its square.

    Takes ``rate``, ``epsilon`` and ``until`` as :func:`adagrad`, and the mean's ``decay`` from 0 to
    0.999999. Source: Tieleman and Hinton (2012), lecture 6e; in Graves (2013), equations 38 to 45,
    a variance takes the place of the mean square.

    Example:
        >>> import bptt
        >>> bptt.rmsprop(0.01).name
        'rmsprop(0.01, 0.9, 1e-08, until=None)'
    """
    return _optimiser("rmsprop", 1, rate, until, decay=decay, epsilon=epsilon)


def adam(
    rate: float = 1e-3,
    decay: float = 0.9,
    decay_of_squares: float = 0.999,
    epsilon: float = 1e-8,
    *,
    until: int | None = None,
) -> Optimiser:
    r"""Adam: steps of about ``rate``, from unbiased running means of g and of its square.

    Takes ``rate``, ``epsilon`` and ``until`` as :func:`adagrad`, and :math:`\beta_1` and
    :math:`\beta_2` as ``decay`` and ``decay_of_squares``, from 0 to 0.999999. Source: Kingma and Ba
    (2015).

    Example:
        >>> import bptt
        >>> bptt.adam(0.01).name
        'adam(0.01, 0.9, 0.999, 1e-08, until=None)'
    """
    decays = {"decay": decay, "decay_of_squares": decay_of_squares}
    return _optimiser("adam", 2, rate, until, **decays, epsilon=epsilon)


def _optimiser(rule: str, sums: int, rate: float, until: Any, **numbers: float) -> Optimiser:
    """With a step that can be pickled, which a function within a function cannot."""
    rate, *others = (_real(name, value) for name, value in ({"rate": rate} | numbers).items())
    until = None if until is None else number("until", until, 1)
    words = ", ".join(map(str, (rate, *others, f"{until=}")))
    return Optimiser(f"{rule}({words})", sums, partial(_step, rule, sums, others, rate, until))


@np.errstate(under="ignore")
def _step(
    rule: str,
    count: int,
    numbers: Any,
    rate: float,
    until: Any,
    parameters: Any,
    gradients: Any,
    at: Moments,
) -> tuple[Any, Moments]:
    instance("moments", at, Moments)
    sums = tuple(at.sums)
    if not _alike((gradients, *sums), (parameters,) * (1 + count)):
        parameters = each(partial(as_array, "parameters", dtypes="fd"), parameters)
        gradients = fitting("gradients", gradients, parameters)
        sums = fitting("sums of moments", sums, (parameters,) * count)
    t = int(at.updates) + 1  # NumPy's integers would make float32 float64
    now = rate if until is None else rate * max(0.0, 1 - (t - 1) / until)

    def moved(a: Array, g: Array, *sums: Array) -> list[Array]:
        """An array and its running sums after the update."""
        if rule != "sgd" and numbers[-1] < (least := LEAST[a.dtype]):
            raise ValueError(f"epsilon: got {numbers[-1]}, needs {least} or more in {a.dtype}")
        match rule, numbers, sums:
            case "sgd", [momentum], [velocity]:
                velocity = momentum * velocity + g
                return [a - now * velocity, velocity]
            case "adagrad", [epsilon], [squares]:
                squares = squares + np.square(g)
                return [a - now * g / (np.sqrt(squares) + epsilon), squares]
            case "rmsprop", [decay, epsilon], [squares]:
                squares = decay * squares + (1 - decay) * np.square(g)
                return [a - now * g / (np.sqrt(squares) + epsilon), squares]
            case _:  # adam
                (b1, b2, epsilon), (mean, squares) = numbers, sums
                mean, squares = b1 * mean + (1 - b1) * g, b2 * squares + (1 - b2) * np.square(g)
                unbiased, root = now / (1 - b1**t), np.sqrt(squares) * (1 - b2**t) ** -0.5
                return [a - unbiased * mean / (root + epsilon), mean, squares]

    found = each(moved, parameters, gradients, *sums)
    after, *totals = (each(itemgetter(i), found) for i in range(1 + count))
    return after, Moments(t, tuple(totals))


def _real(name: str, value: Any) -> Any:
    return number(name, value, *RANGES[name], REAL)


def each(function: Callable[..., Any], first: Any, *others: Any) -> Any:
    """A NamedTuple like the first, of function(array, …); what is None stays so."""
    if isinstance(first, tuple):
        return getattr(type(first), "_make", tuple)(map(each, repeat(function), first, *others))
    return None if first is None else function(first, *others)


def named(name: str, value: Any) -> None:
    """Raise unless ``value`` is a NamedTuple."""
    if not (isinstance(value, tuple) and hasattr(value, "_fields")):
        raise TypeError(f"{name}: got {type(value).__name__}, needs a NamedTuple of arrays")


def leaves(tree: Any, name: str = "") -> dict[str, Any]:
    """The arrays of a NamedTuple by name, such as W or, within another, layers 0 W."""
    if not isinstance(tree, tuple):
        return {name.strip(): tree}
    fields = zip(getattr(tree, "_fields", range(len(tree))), tree, strict=True)
    return {k: a for field, part in fields for k, a in leaves(part, f"{name} {field}").items()}


def finite(tree: Any) -> bool:
    """Whether all numbers of a tree are."""
    return all(np.isfinite(a).all() for a in leaves(tree).values())


def stepped(
    optimiser: Optimiser, parameters: Any, gradients: Any, at: Moments
) -> tuple[Any, Moments]:
    """What a step returns, if it fits the parameters: the rule may be one's own."""
    match optimiser.step(parameters, gradients, at):
        case after, Moments(int() | np.integer() as updates, sums):
            if not 0 <= updates <= at.updates + 1:
                got = f"{updates} updates after {at.updates}"
                raise ValueError(f"optimiser: got {got}, needs one more each time")
            after, sums = fitting("optimiser", (after, sums), (parameters, at.sums))
            return after, Moments(updates, sums)
        case found:
            got = type(found).__name__
            raise TypeError(f"optimiser: got {got}, needs parameters and Moments")


def fitting(name: str, tree: Any, like: Any) -> Any:
    """A tree as arrays, if their names, dtypes and shapes are those of another; else ValueError."""
    if not _alike(tree, like):
        tree = each(partial(as_array, name), tree)
        got, needs = (
            ", ".join(f"{k} {np.asarray(a).dtype}{np.shape(a)}" for k, a in leaves(t).items())
            for t in (tree, like)
        )
        if got != needs:
            raise ValueError(f"{name}: got {got}, needs {needs}")
    return tree


def _alike(tree: Any, like: Any) -> bool:
    """Whether they are float arrays of one form, by what costs least at each update; False where
    only names and conversions can tell.
    """
    if type(tree) is ndarray is type(like):
        return tree.shape == like.shape and tree.dtype is like.dtype in FLOATS
    same = isinstance(tree, tuple) and type(tree) is type(like) and len(tree) == len(like)
    return same and all(map(_alike, tree, like))


@np.errstate(all="ignore")
def norm(gradients: Any) -> float:
    """The root of the sum of all squares, also where a square is out of the range of the dtype."""
    arrays = [np.ravel(g) for g in leaves(gradients).values() if g is not None]
    total = float(sum(np.vdot(g, g).real for g in arrays))
    if 1e-30 < total < 1e30:
        return total**0.5
    largest = float(np.max([abs(g).max(initial=0) for g in arrays], initial=0))
    if largest == 0 or not np.isfinite(largest):
        return largest
    parts = [abs(g) / np.float64(largest) for g in arrays]
    return largest * float(sum(np.vdot(g, g) for g in parts)) ** 0.5


@np.errstate(all="ignore")
def shortened(gradients: Tree, size: float, limit: float) -> Tree:
    """Gradients of norm ``size``, made as short as the limit if they are longer."""
    if size <= limit:
        return gradients
    factor, wide = limit / size, np.float64(size)
    if factor >= np.finfo(np.float32).tiny:  # a float, which leaves float32 as it is
        return each(lambda g: g * factor, gradients)
    return each(lambda g: (g / wide * limit).astype(g.dtype), gradients)


def _finite(gradients: Tree, dtypes: str) -> tuple[Tree, float]:
    """The gradients as arrays of one of the dtypes, and their norm."""
    named("gradients", gradients)
    if not _alike(gradients, gradients):
        for name, g in leaves(gradients).items():
            if g is not None:
                as_array(f"gradients {name}", g, dtypes)
        gradients = each(np.asarray, gradients)
    if not np.isfinite(size := norm(gradients)):
        raise ValueError(f"gradients: got a norm of {size}, needs finite numbers")
    return gradients, size
