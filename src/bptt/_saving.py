"""Checkpoints of a training: files that stay whole, and say what they are of."""

import json
import os
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.random import Generator

from ._arguments import Array
from .optimisers import Moments, each, finite, leaves

PART = ".bptt-part"  # what the name of a checkpoint ends with until all of it is written
FORMAT = "bptt.fit 2"  # the first thing a checkpoint says; count on if older ones cannot be read
SPAWNED = "n_children_spawned"  # of a generator's seeds: its state does not say


def place(checkpoint: Any) -> Path:
    """A path where a file can be; a training should not learn after an hour that it cannot."""
    if not isinstance(checkpoint, str | os.PathLike):
        raise TypeError(f"checkpoint: got {type(checkpoint).__name__}, needs a path")
    path = Path(checkpoint)
    if os.path.isdir(path) or not os.path.isdir(path.parent):
        raise ValueError(f"checkpoint: got {path}, needs a file in a folder that exists")
    try:
        (part := _part(path)).open("wb").close()
        part.unlink()
    except (OSError, ValueError) as error:
        raise ValueError(f"checkpoint: got {path}, needs a file that can be written") from error
    return path


def _part(path: Path) -> Path:
    """Beside the file, also where the path is a link to it."""
    file = Path(os.path.realpath(path))
    return file.with_name(file.name + PART)


def state_of(rng: Generator) -> dict[str, Any]:
    """All that what a generator will do depends on, also by ``spawn``."""
    return {**rng.bit_generator.state, SPAWNED: _spawned(rng)}


def _spawned(rng: Generator) -> int:
    return int(getattr(rng.bit_generator.seed_seq, SPAWNED, 0))


def save(path: Path, training: dict[str, Any], at: Any, state: dict[str, Any]) -> None:
    """Replace the file in one step, so that a run that is killed leaves it whole."""
    words = {"training": training, "rng": state}
    text = {name: json.dumps(value, default=np.ndarray.tolist) for name, value in words.items()}
    arrays = cast(Any, _flat(at) | text)
    part = _part(path)
    with part.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, str(part).removesuffix(PART))


def load(path: Path, training: dict[str, Any], start: Any, rng: Generator) -> Any:
    """The Fit that was saved, with the generator set back; ValueError if it is another's."""
    needs = "needs a checkpoint of this training"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            arrays = dict(saved)
        found, state = (json.loads(str(arrays.pop(name))) for name in ("training", "rng"))
        other = [f"{k} {found.get(k)} for {v}" for k, v in training.items() if found.get(k) != v]
        more = int(state.get(SPAWNED, _spawned(rng))) - _spawned(rng)
        if not other:
            deepcopy(rng.bit_generator).state = state  # what is refused leaves rng where it was
    except Exception as error:  # whatever a foreign, cut or altered file may raise
        raise ValueError(f"checkpoint: got {path}, which cannot be read, {needs}") from error
    if other:
        raise ValueError(f"checkpoint: got {path} with {', '.join(other)}, {needs}")
    flat = _flat(start)
    if _kinds(arrays) != _kinds(flat):
        raise ValueError(f"checkpoint: got {path} with other arrays, {needs}")
    parts = iter(arrays[name] for name in flat)
    network, sums = each(lambda _: next(parts), (start.network, start.moments.sums))
    losses, norms, last, count = parts
    if not 0 <= min(count) <= count[0] <= len(losses) == len(norms) or not finite((network, sums)):
        raise ValueError(f"checkpoint: got {path} with numbers that no training leaves, {needs}")
    if more < 0:
        raise ValueError(f"rng: got one that has spawned {-more} too many, needs one made anew")
    rng.bit_generator.state = state
    if more:
        rng.spawn(more)
    updates, sequences, solved, diverged = map(int, count)
    history = type(start.history)(losses, norms, sequences, bool(solved), bool(diverged))
    return type(start)(network, history, last, Moments(updates, sums))


def _flat(at: Any) -> dict[str, Array]:
    """All arrays and numbers of a Fit, by name."""
    counts = np.array([at.moments.updates, *at.history[2:]], np.int64)
    others = {"losses": at.history.losses, "norms": at.history.norms, "state": at.state}
    return leaves((at.network, *at.moments.sums)) | others | {"counts": counts}


def _kinds(arrays: dict[str, Array]) -> dict[str, Any]:
    """What is known beforehand of the arrays of a checkpoint."""
    shapes = {k: a.ndim if k in ("losses", "norms") else a.shape for k, a in arrays.items()}
    return {k: k == "state" or (a.dtype, shapes[k]) for k, a in arrays.items()}
