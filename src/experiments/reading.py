"""Reading: a network learns to predict the next character of a text, and says what it uses."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bptt._arguments import Array
from bptt.cells import GRU
from bptt.network import Batch, Network, init_network, predict
from bptt.optimisers import adam
from bptt.readout import cross_entropy, softmax
from bptt.training import fit

from .runner import Experiment

TEXT = Path(__file__).parent / "texts" / "genesis.txt"
UNITS, STREAMS, STEPS, RATE, EVERY = 128, 8, 64, 4e-3, 130
KEPT = 0  # the seed whose network stands in its row


class Corpus(NamedTuple):
    """The letters that occur, and the text to learn and the text held out, as their numbers."""

    letters: str
    learned: Array
    held_out: Array

    def text(self, code: Array) -> str:
        """The characters of these numbers."""
        return "".join(self.letters[i] for i in code)


def corpus() -> Corpus:
    """The text; its last tenth is held out."""
    text = TEXT.read_text(encoding="ascii")
    letters = "".join(sorted(set(text)))
    code = np.array([letters.index(letter) for letter in text])
    cut = len(code) * 9 // 10
    return Corpus(letters, code[:cut], code[cut:])


def one_hot(code: Array, m: int) -> Array:
    """Rows of the identity, in single precision."""
    return np.eye(m, dtype=np.float32)[code]


class Streams(Sequence[Batch]):
    """A text, read in parallel from several places, some steps at a time; targets are one ahead.

    Batches are there by number, from 0 to len - 1.
    """

    def __init__(self, code: Array, m: int, streams: int, steps: int) -> None:
        self.m, self.steps, length = m, steps, (len(code) - 1) // streams
        self.code = np.stack([code[i * length :][: length + 1] for i in range(streams)], axis=1)

    def __len__(self) -> int:
        return (len(self.code) - 1) // self.steps

    def __getitem__(self, index: Any) -> Any:
        first = index * self.steps
        part = self.code[first : first + self.steps + 1]
        return Batch(one_hot(part[:-1], self.m), part[1:], np.ones(part[1:].shape, bool))


def surprise(network: Network, code: Array) -> Array:
    """Bits of each character of a text after the first, read from there with a state of zeros."""
    z = predict(GRU, network, one_hot(code[:-1], len(network.c))[:, None])[:, 0]
    y = softmax(z)[np.arange(len(z)), code[1:]]
    return -np.log2(y)


def pack(*arrays: Array) -> str:
    """Half precision, as text that JSON can hold."""
    halves = np.concatenate([a.ravel() for a in arrays]).astype(np.float16)
    return base64.b64encode(halves.tobytes()).decode("ascii")


def unpack(text: str) -> Array:
    """The numbers that were packed, in single precision, in one row."""
    return np.frombuffer(base64.b64decode(text), np.float16).astype(np.float32)


def unpack_network(text: str, like: Network) -> Network:
    """The network that was packed, in the shapes of another."""
    parts = np.split(unpack(text), np.cumsum([a.size for a in like])[:-1])
    return Network(*(part.reshape(a.shape) for part, a in zip(parts, like, strict=True)))


def start(seed: int, m: int) -> Network:
    """The network before training."""
    return init_network(GRU, m, UNITS, m, rng=np.random.default_rng(seed), dtype=np.float32)


def train(seed: int, updates: int, stop: int | None = None) -> dict[str, Any]:
    """So many updates, over which the rate falls to zero, or the first of them.

    Solved means better than the frequencies of single characters.
    """
    letters, learned, held_out = corpus()
    m, sample, curve = len(letters), held_out[:3001], []

    def watch(network: Network) -> bool:
        curve.append(surprise(network, sample).mean())
        return False

    batches = Streams(learned, m, STREAMS, STEPS)
    found = fit(
        *(GRU, start(seed, m), batches, cross_entropy, adam(RATE, until=updates)),
        steps=stop or updates,
        rng=np.random.default_rng(seed),
        clip=1.0,
        carry=True,
        criterion=watch,
        every=EVERY,
        progress=False,
    )
    frequency = (np.bincount(learned, minlength=m) + 1) / (len(learned) + m)
    bits = surprise(found.network, held_out)
    measured = {
        "first": found.history.losses[:20],
        "solved": bool(curve[-1] < -np.log2(frequency[sample]).mean()),
        "curve": curve,
        "passes": updates / len(batches),
        "bits": bits.mean(),
        "bits_learned": surprise(found.network, learned[: len(held_out)]).mean(),
        "each": pack(bits),
    }
    if seed == KEPT:
        measured["network"] = pack(*found.network)
    return measured


UPDATES = 2600  # some seven and a half passes through the text
LONG = Experiment("reading", train, [{"updates": UPDATES}], range(5), [TEXT])
