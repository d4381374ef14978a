"""Sequences to learn, each with its source and its original success criterion.

A task draws batches of sequences, ``sample(rng, B)``, and says which of them a network's outputs
got right in the sense of its source, ``right(y, batch)``. Sequences are padded with zeros at the
end to one length; padding does not count. "H&S" is section 5 of Hochreiter and Schmidhuber (1997),
from which alphabets, lengths, encodings and criteria were taken (a stored copy, read in full).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from ._arguments import REAL, Array, array, instance, number
from .network import Batch, scalar, targets


class Task(ABC):
    """Sequences to learn. Outputs are probabilities where targets are symbols, else values."""

    d: int  #: inputs at each step
    m: int  #: outputs at each step
    within: ClassVar[
        float
    ]  #: an output is right if it is off by less, unless steps_right says otherwise
    successive: ClassVar[int]  #: learned after so many sequences in a row that are right
    below: ClassVar[float] = np.inf  #: and if their mean squared error is less than this

    def sample(self, rng: Generator, B: int) -> Batch:
        """``B`` random sequences: inputs (T, B, d), targets, and which steps count, (T, B)."""
        instance("rng", rng, Generator)
        return side_by_side([self.draw(rng) for _ in range(number("B", B, 1))])

    @abstractmethod
    def draw(self, rng: Generator) -> tuple[Array, Array, Array]:
        """One sequence: inputs (T, d), targets (T,) or (T, m), and which steps count, (T,)."""

    def right(self, y: Array, batch: Batch) -> Array:
        """Which sequences, (B,), the outputs ``y`` (T, B, m) get right at all steps that count."""
        y, batch = self._judged(y, batch)
        return np.all(self.steps_right(y, batch) | ~batch.counts, axis=0)

    def steps_right(self, y: Array, batch: Batch) -> Array:
        """For each step and sequence, (T, B), whether the outputs are right."""
        return np.all(self.misses(y, batch) < self.within, axis=-1)

    @np.errstate(under="ignore")
    def error(self, y: Array, batch: Batch) -> Array:
        """The squared error of each sequence, (B,): summed over outputs, mean over its steps."""
        y, batch = self._judged(y, batch)
        squared = (self.misses(y, batch) ** 2).sum(axis=-1)
        return np.where(batch.counts, squared, 0).sum(axis=0) / batch.counts.sum(axis=0)

    def learned(self, outputs: Callable[[Array], Array], rng: Generator) -> bool:
        """Whether the criterion is met on fresh sequences, with ``outputs(x)`` of shape (T, B, m).

        The sources look at the last sequences of training, while the weights still move; here they
        are held fixed. It stops at the first sequence that is wrong.
        """
        instance("outputs", outputs, Callable)
        errors: list[Array] = []
        while (seen := 100 * len(errors)) < self.successive:
            batch = self.sample(rng, min(100, self.successive - seen))
            y = outputs(batch.x)
            if not self.right(y, batch).all():
                return False
            errors.append(self.error(y, batch))
        with np.errstate(under="ignore"):
            return bool(np.concatenate(errors).mean() < self.below)

    def misses(self, y: Array, batch: Batch) -> Array:
        """The absolute error of each output, (T, B, m); a symbol's target is one-hot."""
        target = batch.target
        return np.abs(y - (np.eye(self.m)[target] if target.ndim == 2 else target))

    def outputs(self, y: Array, batch: Batch) -> Array:
        """``y``, if it fits the batch, and the batch the task; else TypeError or ValueError."""
        T, B = self._checked(batch).counts.shape
        return array("y", y, "T B m", "fd", T=T, B=B, m=self.m)

    def _judged(self, y: Array, batch: Batch) -> tuple[Array, Batch]:
        """Outputs, also where a task has its own ``outputs``, and the batch that they are of."""
        return self.outputs(y, batch), self._checked(batch)

    def _checked(self, batch: Batch) -> Batch:
        """The batch, if its targets are of this task, which are 0 at steps that do not count."""
        target, counts = targets(batch)
        sizes = {"m": self.m, **dict(zip("TB", counts.shape, strict=False))}
        if not counts.any(axis=0).all():
            b = counts.any(axis=0).argmin()
            raise ValueError(f"counts: got no step that is True in sequence {b}, needs one")
        target = target.copy()
        target[~counts] = 0
        form = ("T B", "i") if target.ndim == 2 else ("T B m", "fdib")
        target = array("target", target, *form, **sizes)
        for label in (target.min(), target.max()) if target.ndim == 2 else ():
            number("label in target", label, 0, self.m - 1)
        return batch._replace(target=target, counts=counts)


@dataclass(frozen=True)
class TemporalXOR(Task):
    """Exclusive or, unrolled in time: bits of which every third is the XOR of the two before.

    Each bit is to be predicted from those before; two of three are random. Elman (1990, pp. 185 to
    187) trained two hidden units with 600 passes through 3,000 bits and shows that the error dips
    at every third bit, ``by_phase``. He sets no threshold. Here a sequence is right if all those
    bits get a probability above 1/2. We know the paper from summaries, not from its own text.

    Example:
        >>> import numpy as np, bptt
        >>> bits = bptt.TemporalXOR(T=30).sample(np.random.default_rng(0), B=1).x[:, 0, 0]
        >>> bool((bits[2::3] == (bits[:-2:3] != bits[1:-1:3])).all())
        True
    """

    T: int = 3000  #: bits, at least 4
    d, m, successive = 1, 2, 1

    def __post_init__(self) -> None:
        number("T", self.T, 4)

    def draw(self, rng: Generator) -> tuple[Array, Array, Array]:
        bits = rng.integers(0, 2, self.T + 2)
        bits[2::3] = bits[:-2:3] ^ bits[1:-1:3]
        bits = bits[: self.T]
        return bits[:-1, None].astype(float), bits[1:], np.ones(self.T - 1, bool)

    def steps_right(self, y: Array, batch: Batch) -> Array:
        predictable = np.arange(1, len(y) + 1) % 3 == 2
        return (self.misses(y, batch)[..., 1] < 0.5) | ~predictable[:, None]

    @np.errstate(under="ignore")
    def by_phase(self, y: Array, batch: Batch) -> Array:
        """Mean squared error, (3,), at bits of position 0, 1, 2 modulo 3; 1/4 if all y are 1/2."""
        y, batch = self._judged(y, batch)
        squared = self.misses(y, batch)[..., 1] ** 2
        phase = np.arange(1, len(y) + 1)[:, None] % 3
        return np.array([squared[(phase == k) & batch.counts].mean() for k in range(3)])


@dataclass(frozen=True)
class LongLag(Task):
    """Noise-free sequences with a long time lag, H&S experiment 2a.

    The two sequences are y, a_1 ... a_(p-1), y and x, a_1 ... a_(p-1), x. Each next symbol is to be
    predicted, the last from the first, p steps before. Learned if all errors of all outputs are
    below 0.25 for 10,000 sequences in a row.

    Example:
        >>> import numpy as np, bptt
        >>> bptt.LongLag(p=5).sample(np.random.default_rng(0), B=2).x.shape
        (5, 2, 6)
    """

    p: int = 100  #: the lag, at least 2
    within, successive = 0.25, 10_000

    def __post_init__(self) -> None:
        number("p", self.p, 2)

    @property
    def d(self) -> int:  # type: ignore[override]
        return self.p + 1

    m = d

    def draw(self, rng: Generator) -> tuple[Array, Array, Array]:
        first = self.p - rng.integers(0, 2)
        symbols = np.array([first, *range(self.p - 1), first])
        return np.eye(self.d)[symbols[:-1]], symbols[1:], np.ones(self.p, bool)


@dataclass(frozen=True)
class AddingProblem(Task):
    """The adding problem, H&S experiment 4: the sum of two marked numbers among T to 1.1 T.

    Inputs are a number from [-1, 1] and a marker. Two pairs have marker 1, one of the first ten and
    another of the first T/2; the first and the last pair have marker -1, all others 0. The target
    at the end is 1/2 + (X1 + X2)/4. A first pair that is chosen keeps its -1 and gets the number 0.
    A sequence is right if its error is below 0.04; learned after 2,000 in a row with a mean error
    below 0.01 (which 2,000 squared errors below 0.0016 imply).

    Example:
        >>> import numpy as np, bptt
        >>> bptt.AddingProblem(T=20).sample(np.random.default_rng(0), B=8).x.shape[1:]
        (8, 2)
    """

    T: int = 100  #: the least length, at least 20
    d, m, within, successive, below = 2, 1, 0.04, 2000, 0.01

    def __post_init__(self) -> None:
        number("T", self.T, 20)

    def draw(self, rng: Generator) -> tuple[Array, Array, Array]:
        length = rng.integers(self.T, self.T + self.T // 10 + 1)
        first, second = rng.integers(0, [10, self.T // 2 - 1])
        second += second >= first
        x = np.zeros((length, 2))
        x[:, 0] = rng.uniform(-1, 1, length)
        x[[first, second], 1] = 1
        x[0, 0] *= 1 - x[0, 1]
        target = np.full((length, 1), 0.5 + x[[first, second], 0].sum() / 4)
        x[[0, -1], 1] = -1
        return x, target, np.arange(length) == length - 1


@dataclass(frozen=True)
class TemporalOrder(Task):
    """Temporal order, H&S experiment 6a (also Pascanu, Mikolov and Bengio 2013): X or Y, twice.

    T to 1.1 T symbols, the first E and the last B. Between them random a, b, c, d, but X or Y at
    one place from k to 2k and one from 5k to 6k, k = T // 10. At the end, tell XX, XY, YX and YY
    apart. A sequence is right if all outputs are off by less than 0.3; learned after 2,000 in a row
    with a mean error below 0.1.

    Example:
        >>> import numpy as np, bptt
        >>> bptt.TemporalOrder(T=20).sample(np.random.default_rng(0), B=5).x.shape[1:]
        (5, 8)
    """

    T: int = 100  #: the least length, at least 20
    d, m, within, successive, below = 8, 4, 0.3, 2000, 0.1
    symbols: ClassVar[str] = "EBabcdXY"

    def __post_init__(self) -> None:
        number("T", self.T, 20)

    def draw(self, rng: Generator) -> tuple[Array, Array, Array]:
        tenth = self.T // 10
        length = rng.integers(self.T, self.T + tenth + 1)
        at = [rng.integers(tenth, 2 * tenth + 1), rng.integers(5 * tenth, 6 * tenth + 1)]
        is_y = rng.integers(0, 2, 2)
        symbols = rng.integers(2, 6, length)
        symbols[0], symbols[-1] = 0, 1
        symbols[np.array(at) - 1] = 6 + is_y
        target = np.full(length, 2 * is_y[0] + is_y[1])
        return np.eye(8)[symbols], target, np.arange(length) == length - 1


# State by state, what may follow and where it leads; the last state is the end.
_REBER = ("B1", "T2 P3", "S2 X4", "T3 V5", "X3 S6", "P4 V6", "E7", "")
_AFTER_4 = "(?:XT*VP)*(?:S|XT*VV)E"  # what leads from state 4 to the end
_LANGUAGE = f"B(?:TS*X{_AFTER_4}|PT*V(?:P{_AFTER_4}|VE))"


@cache
def _automaton(embedded: bool) -> list[dict[str, int]]:
    plain = [{edge[0]: int(edge[1:]) for edge in row.split()} for row in _REBER]
    if not embedded:
        return plain
    inner = [
        [{symbol: to + first for symbol, to in row.items()} for row in plain[:-1]] + [{around: 18}]
        for around, first in (("T", 2), ("P", 10))
    ]
    return [{"B": 1}, {"T": 2, "P": 10}, *inner[0], *inner[1], {"E": 19}, {}]


@dataclass(frozen=True)
class Reber(Task):
    """The Reber grammar, and the embedded one: symbols to be predicted along a random walk.

    Where two symbols may follow, each has probability 1/2. The embedded grammar puts a string of
    the plain one between two T or two P, so that the last but one symbol repeats the second.
    Cleeremans, Servan-Schreiber and McClelland (1989, abstract): a simple recurrent network can
    become a perfect recogniser. A string is right if the symbols that may come next are always the
    most active outputs (H&S experiment 1, where the embedded grammar is learned if this holds for
    all of 256 training and 256 other strings). ``accepts`` makes a recogniser of the predictions.

    Example:
        >>> import bptt
        >>> bptt.Reber().contains("BTXSE"), sorted(bptt.Reber().all_strings(5))
        (True, ['BPVVE', 'BTXSE'])
    """

    embedded: bool = False
    d, m, successive = 7, 7, 512
    symbols: ClassVar[str] = "BTSXPVE"

    def __post_init__(self) -> None:
        scalar("embedded", self.embedded, "b", "True or False")
        object.__setattr__(self, "embedded", bool(self.embedded))  # of NumPy's, too

    def string(self, rng: Generator) -> str:
        """A random string of the grammar, from B to E."""
        instance("rng", rng, Generator)
        rows, state, string = _automaton(self.embedded), 0, ""
        while rows[state]:
            string += [*rows[state]][rng.integers(len(rows[state]))]
            state = rows[state][string[-1]]
        return string

    def draw(self, rng: Generator) -> tuple[Array, Array, Array]:
        return self._steps(self.string(rng))

    def encode(self, strings: Iterable[str]) -> Batch:
        """Strings of two or more symbols, of the grammar or not, as a batch; else ValueError."""
        if not (strings := list(strings)):
            raise ValueError("strings: got none, needs at least one")
        for string in strings:
            if len(string) < 2 or not set(string) <= set(self.symbols):
                raise ValueError(f"strings: got {string!r}, needs two or more of {self.symbols}")
        return side_by_side([self._steps(string) for string in strings])

    def _steps(self, string: str) -> tuple[Array, Array, Array]:
        codes = np.array([self.symbols.index(symbol) for symbol in string])
        return np.eye(7)[codes[:-1]], codes[1:], np.ones(len(codes) - 1, bool)

    def may_follow(self, batch: Batch) -> Array:
        """Which symbols, (T, B, 7), the grammar allows next; ValueError outside the grammar."""
        batch = self._checked(batch)
        T, B = batch.counts.shape
        x = array("x", batch.x, "T B d", "fdib", T=T, B=B, d=self.d)
        rows, allowed = _automaton(self.embedded), np.zeros(x.shape, bool)
        for b, steps in enumerate(T - batch.counts[::-1].argmax(axis=0)):
            state = 0
            for t, code in enumerate(x[:steps, b].argmax(axis=-1)):
                if self.symbols[code] not in rows[state]:
                    raise ValueError(f"batch: sequence {b} leaves the grammar at step {t}")
                state = rows[state][self.symbols[code]]
                allowed[t, b, [self.symbols.index(symbol) for symbol in rows[state]]] = True
        return allowed

    def steps_right(self, y: Array, batch: Batch) -> Array:
        allowed = self.may_follow(batch)
        least_allowed = np.where(allowed, y, np.inf).min(axis=-1)
        return least_allowed > np.where(allowed, -np.inf, y).max(axis=-1)

    def accepts(self, y: Array, batch: Batch, threshold: float = 0.3) -> Array:
        """Which strings, (B,), have only symbols of at least ``threshold`` predicted probability.

        The grammar's own probabilities are 0, 1/2 and 1; 0.3 leaves room for a network's error.
        """
        number("threshold", threshold, 0, 1, REAL)
        y, batch = self._judged(y, batch)
        given = np.take_along_axis(y, batch.target[..., None], axis=-1)[..., 0]
        return np.all((given >= threshold) | ~batch.counts, axis=0)

    def contains(self, string: str) -> bool:
        """Whether the string is of the grammar, by a regular expression; no walk is involved."""
        instance("string", string, str)
        around = f"B(?:T{_LANGUAGE}T|P{_LANGUAGE}P)E"
        return re.fullmatch(around if self.embedded else _LANGUAGE, string) is not None

    def all_strings(self, longest: int) -> Iterator[str]:
        """All strings of the grammar with at most ``longest`` symbols, shortest first."""
        rows, walks = _automaton(self.embedded), [("", 0)]
        for _ in range(number("longest", longest, 1)):
            walks = [(string + s, to) for string, at in walks for s, to in rows[at].items()]
            yield from (string for string, at in walks if not rows[at])

    def random_strings(self, rng: Generator, count: int) -> list[str]:
        """B, random symbols of TSXPV, E, as long as the grammar's strings; few are grammatical."""
        instance("rng", rng, Generator)
        lengths = [len(self.string(rng)) - 2 for _ in range(number("count", count, 1))]
        return [f"B{''.join(rng.choice(list('TSXPV'), length))}E" for length in lengths]


def side_by_side(sequences: Sequence[tuple[Array, Array, Array]]) -> Batch:
    """Sequences (inputs, targets, counts) padded with zeros at the end, as one batch."""
    longest = max(len(counts) for *_, counts in sequences)

    def together(parts: Sequence[Array]) -> Array:
        out = np.zeros((longest, len(parts), *parts[0].shape[1:]), parts[0].dtype)
        for column, part in enumerate(parts):
            out[: len(part), column] = part
        return out

    return Batch(*map(together, zip(*sequences, strict=True)))
