"""Run experiments, store a row for each, and read them back only while they are true of the code.

A row is stale when the code that made it has changed: the experiment's own module, or one that it
imports of this package or of ``bptt``. Comments, docstrings and the list of settings and seeds do
not count, so that rows can be added without making the others anew.
"""

import inspect
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import islice, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from tqdm import tqdm

from .digest import digest

RESULTS = Path(__file__).parent / "results"

Setting = dict[str, Any]


class StaleResults(RuntimeError):
    """Stored rows are missing, or were made by other code."""


class NotRepeated(AssertionError):
    """A row, run again, has come out otherwise."""


class Experiment(NamedTuple):
    """A function of a setting and a seed, and the settings and seeds to run it with.

    ``train(seed=..., **setting)`` returns a dictionary of what it measured, which JSON can hold.
    ``first`` in it lists the first losses of a training, and ``solved`` says whether it met the
    criterion (None if there is none); :func:`repeat` compares these two. ``data`` names files that
    the training reads.
    """

    name: str
    train: Callable[..., dict[str, Any]]
    settings: Sequence[Setting]
    seeds: Sequence[int]
    data: Sequence[Path] = ()

    @property
    def code(self) -> str:
        """A hash of what rows of this experiment depend on, as this process has met it first."""
        return digest(Path(inspect.getfile(self.train)), tuple(self.data))

    @property
    def file(self) -> Path:
        """Where the rows are stored, one line of JSON each."""
        return RESULTS / f"{self.name}.jsonl"


class Row(NamedTuple):
    """One run: what was asked, what was measured, and what it was measured with.

    ``seconds`` are those of the processor, whatever else the machine did.
    """

    setting: Setting
    seed: int
    measured: dict[str, Any]
    seconds: float
    code: str
    versions: dict[str, str]


def run(experiments: Sequence[Experiment], jobs: int = -1) -> None:
    """Run what has no fresh row yet, and store each row as soon as it is there.

    The work goes through joblib: to ``jobs`` processes of this machine (-1: one for each core), or
    to whatever backend ``joblib.parallel_config`` has been given, such as a Dask or Ray cluster.
    What took long the last time begins first, so that all processes end together. A run that
    fails does not stop the others; when all are done, the error of the first is raised.
    """
    rows, waiting, errors = {}, [], []
    for experiment in experiments:
        before, code = _read(experiment), experiment.code
        fresh = rows[experiment.name] = {key: r for key, r in before.items() if r.code == code}
        for key, job in _asked(experiment).items():
            if key not in fresh:
                took = before[key].seconds if key in before else np.inf
                waiting.append((took, experiment, *job, code))
    waiting.sort(key=lambda job: -job[0])
    calls = (delayed(_row)(*job) for _, *job in waiting)
    by_name = {experiment.name: experiment for experiment in experiments}
    for name, row in tqdm(_done(calls, jobs), total=len(waiting), unit="run", smoothing=0):
        if isinstance(row, Exception):
            errors.append(row)
        else:
            rows[name][_key(row.setting, row.seed)] = row
            _write(by_name[name], rows[name])
    if errors:
        if len(errors) > 1:
            errors[0].add_note(f"{len(errors) - 1} more of {len(waiting)} runs failed")
        raise errors[0]


def stored(experiment: Experiment) -> list[Row]:
    """All rows of an experiment, by setting and then by seed.

    Raises StaleResults if one is missing or was made by other code than the present.
    """
    rows, asked, code = _read(experiment), _asked(experiment), experiment.code
    missing = sum(key not in rows for key in asked)
    stale = sum(key in rows and rows[key].code != code for key in asked)
    if missing or stale:
        raise StaleResults(
            f"{experiment.name}: of {len(asked)} rows {missing} are missing and {stale} are of "
            f"other code than the present; run make experiments EXPERIMENTS={experiment.name}"
        )
    return [rows[key] for key in asked]


def repeat(
    experiment: Experiment, seed: int, *, stop: int | None = None, **setting: Any
) -> dict[str, Any]:
    """Run one stored row again, here and now, and return what it measures.

    Raises NotRepeated unless the first losses agree to 1e-6 and the outcome, ``solved``, is the
    same. Later losses may differ: libraries of linear algebra differ in the last bits from machine
    to machine, and training makes such differences grow. A training that takes long may end after
    ``stop`` updates, if its function takes that; then its outcome is another, and only the first
    losses are compared.
    """
    rows = {_key(row.setting, row.seed): row for row in stored(experiment)}
    if _key(setting, seed) not in rows:
        raise ValueError(f"{experiment.name}: no row for seed {seed} and {setting}")
    was = rows[_key(setting, seed)].measured
    again = _measure(experiment, setting | ({} if stop is None else {"stop": stop}), seed)
    first, first_was = np.array(again["first"], float), np.array(was["first"], float)
    alike = first.shape == first_was.shape
    if not alike or not np.allclose(first, first_was, rtol=1e-6, atol=0, equal_nan=True):
        raise NotRepeated(f"{experiment.name}: first losses {again['first']}, not {was['first']}")
    if stop is None and again["solved"] != was["solved"]:
        raise NotRepeated(f"{experiment.name}: solved {again['solved']}, not {was['solved']}")
    return again


def _done(calls: Iterable[Any], jobs: int) -> Iterator[tuple[str, Row | Exception]]:
    """Rows or errors as they come in, in whatever order, by the backend that joblib is set to."""
    try:
        parallel = Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")
    except ValueError:  # Ray's backend returns all or nothing: go in rounds, or a kill loses all
        parallel, calls = Parallel(n_jobs=jobs, batch_size=1), iter(calls)
        while some := list(islice(calls, 8 * effective_n_jobs(jobs))):
            yield from parallel(some)
    else:
        yield from parallel(calls)


def _row(
    experiment: Experiment, setting: Setting, seed: int, code: str
) -> tuple[str, Row | Exception]:
    """One run, in whatever process; ``code`` is that of the process which asks for it.

    An error is returned and not raised, for joblib would stop the others and lose their rows.
    """
    if experiment.code != code:
        raise StaleResults(f"{experiment.name}: the code has changed since the run began")
    start = time.process_time()
    try:
        measured = _measure(experiment, setting, seed)
    except Exception as error:
        return experiment.name, error
    seconds = round(time.process_time() - start, 2)
    versions = {"python": platform.python_version(), "numpy": version("numpy")}
    return experiment.name, Row(setting, seed, measured, seconds, code, versions)


def _measure(experiment: Experiment, setting: Setting, seed: int) -> dict[str, Any]:
    try:
        measured: dict[str, Any] = _plain(experiment.train(seed=seed, **setting))
        if missing := {"first", "solved"} - set(measured):
            raise ValueError(f"train: got {list(measured)}, needs {' and '.join(sorted(missing))}")
    except Exception as error:
        error.add_note(f"in experiment {experiment.name}, seed {seed}, setting {setting}")
        raise
    return measured


def _plain(value: Any) -> Any:
    """As it reads back from the file: lists for arrays and tuples, Python's numbers for NumPy's."""
    return json.loads(json.dumps(value, default=lambda array: array.tolist()))


def _key(setting: Setting, seed: int) -> str:
    return json.dumps([_plain(setting), seed], sort_keys=True)


def _asked(experiment: Experiment) -> dict[str, tuple[Setting, int]]:
    """The settings and seeds of an experiment, by their keys, in their order."""
    pairs = product(experiment.settings, experiment.seeds)
    return {_key(setting, seed): (_plain(setting), seed) for setting, seed in pairs}


def _read(experiment: Experiment) -> dict[str, Row]:
    """The stored rows by their keys, whatever code has made them; a broken line is none."""
    rows: dict[str, Row] = {}
    lines = experiment.file.read_text(encoding="utf-8") if experiment.file.exists() else ""
    for line in lines.splitlines():
        try:
            row = Row(**json.loads(line))
        except (TypeError, ValueError):
            continue
        rows[_key(row.setting, row.seed)] = row
    return rows


def _write(experiment: Experiment, rows: dict[str, Row]) -> None:
    """Replace the file in one step, so that a run that is killed leaves it whole."""
    lines = [json.dumps(rows[k]._asdict(), sort_keys=True) for k in _asked(experiment) if k in rows]
    partial = experiment.file.with_suffix(".part")
    partial.parent.mkdir(exist_ok=True)
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(partial, experiment.file)
