"""Run experiments, store a row for each, and read them back only while they are true of the code.

A row is stale when the code that made it has changed: the package's derivatives, tasks and
training, or the experiment's own module. Comments and docstrings do not count.
"""

import ast
import hashlib
import inspect
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from tqdm.auto import tqdm

import bptt

RESULTS = Path(__file__).parent / "results"
# What a training computes with; figures, gradient checks and checked equations come after it.
MODULES = ("_arguments", "cells", "readout", "recurrence", "tasks", "training")

Setting = dict[str, Any]


class StaleResults(RuntimeError):
    """Stored rows are missing, or were made by other code."""


class NotRepeated(AssertionError):
    """A row, run again, has come out otherwise."""


class Experiment(NamedTuple):
    """A function of a setting and a seed, and the settings and seeds to run it with.

    ``train(seed=..., **setting)`` returns a dictionary of what it measured, which JSON can hold. By
    convention ``first`` lists the first losses of a training, and ``solved`` says whether it met
    the criterion; :func:`repeat` compares these two.
    """

    name: str
    train: Callable[..., dict[str, Any]]
    settings: Sequence[Setting]
    seeds: Sequence[int]

    @property
    def code(self) -> str:
        """A hash of the code that rows of this experiment depend on."""
        folder = Path(bptt.__file__).parent
        paths = [folder / f"{name}.py" for name in MODULES]
        paths.append(Path(inspect.getfile(self.train)))
        total = hashlib.sha256()
        for path in paths:
            total.update(_without_words(path.read_text(encoding="utf-8")).encode())
        return total.hexdigest()[:16]

    @property
    def file(self) -> Path:
        """Where the rows are stored, one line of JSON each."""
        return RESULTS / f"{self.name}.jsonl"


class Row(NamedTuple):
    """One run: what was asked, what was measured, and what it was measured with."""

    setting: Setting
    seed: int
    measured: dict[str, Any]
    seconds: float
    code: str
    versions: dict[str, str]


def run(experiments: Sequence[Experiment], jobs: int = -1) -> None:
    """Run what has no fresh row yet, and store each row as soon as it is there.

    The work goes through joblib: to ``jobs`` processes of this machine (-1: one for each core), or
    to whatever backend ``joblib.parallel_config`` has been given, such as a Dask cluster.
    """
    rows = {experiment.name: _fresh(experiment) for experiment in experiments}
    waiting = [
        (experiment, setting, seed)
        for experiment in experiments
        for setting, seed in product(experiment.settings, experiment.seeds)
        if _find(rows[experiment.name], setting, seed) is None
    ]
    calls = (delayed(_row)(*job) for job in waiting)
    done = Parallel(n_jobs=jobs, return_as="generator_unordered")(calls)
    for name, row in tqdm(done, total=len(waiting), unit="run", smoothing=0):
        rows[name].append(row)
        (experiment,) = (e for e in experiments if e.name == name)
        _write(experiment, rows[name])


def stored(experiment: Experiment) -> list[Row]:
    """All rows of an experiment, by setting and then by seed.

    Raises StaleResults if one is missing or was made by other code than the present.
    """
    rows = _fresh(experiment)
    asked = list(product(experiment.settings, experiment.seeds))
    found = [_find(rows, setting, seed) for setting, seed in asked]
    if None in found:
        old = " or are of older code" if experiment.file.exists() else ""
        raise StaleResults(
            f"{experiment.name}: {found.count(None)} of {len(asked)} rows are missing{old}; "
            "run make experiments"
        )
    return [row for row in found if row]


def repeat(experiment: Experiment, seed: int, **setting: Any) -> dict[str, Any]:
    """Run one stored row again, here and now, and return what it measures.

    Raises NotRepeated unless the first losses agree to 1e-6 and the outcome, ``solved``, is the
    same. Later losses may differ: libraries of linear algebra differ in the last bits from machine
    to machine, and training makes such differences grow.
    """
    row = _find(stored(experiment), setting, seed)
    if row is None:
        raise ValueError(f"{experiment.name}: no row for seed {seed} and {setting}")
    again = _plain(experiment.train(seed=seed, **setting))
    was = row.measured
    if not np.allclose(again["first"], was["first"], rtol=1e-6, atol=0):
        raise NotRepeated(f"{experiment.name}: first losses {again['first']}, not {was['first']}")
    if again["solved"] != was["solved"]:
        raise NotRepeated(f"{experiment.name}: solved {again['solved']}, not {was['solved']}")
    return again


def _row(experiment: Experiment, setting: Setting, seed: int) -> tuple[str, Row]:
    start = time.perf_counter()
    measured = _plain(experiment.train(seed=seed, **setting))
    seconds = round(time.perf_counter() - start, 2)
    versions = {"python": platform.python_version(), "numpy": version("numpy")}
    return experiment.name, Row(setting, seed, measured, seconds, experiment.code, versions)


def _plain(measured: dict[str, Any]) -> dict[str, Any]:
    """As it reads back from the file: lists for arrays, Python's numbers for NumPy's."""
    plain: dict[str, Any] = json.loads(json.dumps(measured, default=lambda a: a.tolist()))
    return plain


def _fresh(experiment: Experiment) -> list[Row]:
    """The stored rows that the present code has made."""
    if not experiment.file.exists():
        return []
    lines = experiment.file.read_text(encoding="utf-8").splitlines()
    code = experiment.code
    return [row for row in (Row(**json.loads(line)) for line in lines) if row.code == code]


def _find(rows: Sequence[Row], setting: Setting, seed: int) -> Row | None:
    return next((row for row in rows if row.setting == setting and row.seed == seed), None)


def _write(experiment: Experiment, rows: Sequence[Row]) -> None:
    """Replace the file in one step, so that a run that is killed leaves it whole."""
    ordered = sorted(rows, key=lambda row: (json.dumps(row.setting, sort_keys=True), row.seed))
    partial = experiment.file.with_suffix(".part")
    text = "".join(json.dumps(row._asdict(), sort_keys=True) + "\n" for row in ordered)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, experiment.file)


def _without_words(source: str) -> str:
    """The code as a tree, without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body.pop(0)
    return ast.dump(tree)
