"""Stored trainings: resumed, alike on every backend, and read only while the code has made them."""

import ast
import inspect
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tokenize
from functools import partial
from importlib import import_module
from pathlib import Path

import jupytext
import numpy as np
import pytest
from distributed import LocalCluster
from joblib import parallel_config

from bptt import ELMAN, Params, backward, check, init, rtrl, summands, unroll
from experiments import Experiment, NotRepeated, StaleResults, digest, repeat, run, runner, stored
from experiments.__main__ import known
from experiments.on_dask import run_on_dask
from experiments.remedies import Leaky, Relu, first_input, network, orthogonal

SRC = Path(__file__).parents[2] / "src"
CALLS = []

# A module of experiments, as chapters have them; it notes each call.
MODULE = '''\
"""Two experiments."""
import os
import time

from bptt import ELMAN, init, unroll  # the network

from .runner import Experiment


def train(seed, n):
    """Nothing is trained."""
    with open(os.environ["CALLS"], "a") as calls:
        calls.write("x")
    time.sleep(float(os.environ["SECONDS"]))
    return {"first": [n * seed], "solved": seed > 1}


SLOW = Experiment("slow", train, [{"n": 3}, {"n": 2}], range(4))
QUICK = Experiment(
    "quick",
    train,
    [{"n": 1}],
    range(4),
)
'''


def train(seed, n, seconds=0.0):
    """The states of a network of n units, after some time."""
    CALLS.append((n, seed))
    time.sleep(seconds)
    rng = np.random.default_rng(seed)
    run = unroll(ELMAN, init(ELMAN, 2, n, rng=rng), rng.standard_normal((5, 1, 2)))
    losses = (run.h[1:] ** 2).mean(axis=(1, 2))
    return {"first": losses[:3], "solved": losses[-1] < losses[0], "shape": run.h.shape}


def of(*units, seeds=(0, 1), name="one", function=train, **more):
    """An experiment with so many units."""
    return Experiment(name, function, [{"n": n, **more} for n in units], seeds)


def lines(experiment):
    """The stored rows as JSON has them, without what may differ from run to run."""
    rows = [json.loads(line) for line in experiment.file.read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def change(experiment, k, key, value):
    """Store another measured value in row k."""
    rows = [json.loads(line) for line in experiment.file.read_text().splitlines()]
    rows[k]["measured"][key] = value
    experiment.file.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """Results of their own for each test."""
    monkeypatch.setattr(runner, "RESULTS", tmp_path / "results")
    CALLS.clear()


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A copy of the packages, with the experiments of MODULE."""
    copy = tmp_path / "src"
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SRC / "bptt", copy / "bptt", ignore=without)
    (copy / "experiments").mkdir()
    for name in ("__init__.py", "__main__.py", "digest.py", "runner.py"):
        shutil.copy(SRC / "experiments" / name, copy / "experiments")
    (copy / "experiments" / "module.py").write_text(MODULE)
    for name, value in {"PYTHONPATH": copy, "CALLS": tmp_path / "calls", "SECONDS": 0}.items():
        monkeypatch.setenv(name, str(value))
    return copy


def python(*arguments):
    """Python in a process of its own: what it prints, and whether it succeeds."""
    command = [sys.executable, "-B", *arguments]  # a module may change twice within a second
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_rows_are_read_back_as_they_were_asked_for():
    experiment = of(3, 2)
    run([experiment], jobs=1)
    rows = stored(experiment)
    asked = [({"n": 3}, 0), ({"n": 3}, 1), ({"n": 2}, 0), ({"n": 2}, 1)]
    assert [(row.setting, row.seed) for row in rows] == asked
    assert rows[1].measured["shape"] == [6, 1, 3]
    assert rows[1].measured["first"] == train(1, 3)["first"].tolist()
    assert rows[1].measured["solved"] is bool(train(1, 3)["solved"])
    assert rows[1].code == experiment.code
    assert rows[1].versions == {"python": sys.version.split()[0], "numpy": np.__version__}
    assert all(0 <= row.seconds < 60 for row in rows)


def test_what_is_stored_is_not_run_again():
    experiments = [of(3, 2), of(4, name="two")]
    run(experiments, jobs=1)
    before = [experiment.file.read_bytes() for experiment in experiments]
    CALLS.clear()
    run(experiments, jobs=1)
    assert CALLS == []
    assert [experiment.file.read_bytes() for experiment in experiments] == before


def test_more_settings_and_seeds_leave_the_rows_there_are_and_fewer_drop_them():
    run([of(3)], jobs=1)
    kept = lines(of(3))
    CALLS.clear()
    run([of(2, 3, seeds=(2, 1, 0))], jobs=1)
    assert sorted(CALLS) == [(2, 0), (2, 1), (2, 2), (3, 2)]
    assert [row["seed"] for row in lines(of(3))] == [2, 1, 0, 2, 1, 0]
    run([of(3, seeds=(5, 0, 1))], jobs=1)
    assert lines(of(3))[1:] == kept


def test_a_setting_that_json_holds_otherwise_is_found_again():
    experiment = of(3, seconds=np.float64(0))
    shaped = Experiment("shaped", lambda seed, shape: train(seed, *shape), [{"shape": (3,)}], [0])
    run([experiment, shaped], jobs=1)
    assert len(stored(experiment)) == 2
    assert stored(shaped)[0].setting == {"shape": [3]}
    assert repeat(shaped, 0, shape=(3,))["shape"] == [6, 1, 3]


@pytest.mark.parametrize("backend", ["two processes", "dask", "multiprocessing"])
def test_every_backend_stores_the_same_rows(backend, tmp_path, monkeypatch):
    # The first ones take longest, so that they come in last.
    experiments = [of(3, seconds=0.4), of(4, 2, 6, name="two")]
    run(experiments, jobs=1)
    expected = [lines(experiment) for experiment in experiments]
    monkeypatch.setattr(runner, "RESULTS", tmp_path / "again")
    if backend == "dask":
        settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
        with LocalCluster(**settings) as cluster:
            run_on_dask(experiments, cluster.scheduler_address)
    elif backend == "multiprocessing":  # cannot hand over rows as they come in, as Ray's cannot
        with parallel_config(backend=backend):
            run(experiments, jobs=2)
    else:
        run(experiments, jobs=2)
    assert [lines(experiment) for experiment in experiments] == expected


@pytest.mark.parametrize("name", ["slow", "quick"])
def test_a_run_that_is_killed_goes_on(source, tmp_path, monkeypatch, name):
    file = source / "experiments" / "results" / f"{name}.jsonl"
    monkeypatch.setenv("SECONDS", "0.2")
    command = [sys.executable, "-m", "experiments", "quick", "slow", "--jobs", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    while not file.exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = file.read_text().splitlines()
    stored_then = sum(len(f.read_text().splitlines()) for f in file.parent.glob("*.jsonl"))
    assert before
    assert stored_then < 12
    calls = tmp_path / "calls"
    calls.unlink()
    monkeypatch.setenv("SECONDS", "0")
    result = python("-m", "experiments", "quick", "slow", "--jobs", "2")
    assert result.returncode == 0, result.stderr
    assert "slow: 8 rows" in result.stdout
    assert len(calls.read_text()) == 12 - stored_then
    after = file.read_text().splitlines()
    assert [line for line in after if line in before] == before
    order = {"slow": [(n, s) for n in (3, 2) for s in range(4)]}
    order["quick"] = [(1, s) for s in range(4)]
    rows = [json.loads(line) for line in after]
    assert [(row["setting"]["n"], row["seed"]) for row in rows] == order[name]


# What is changed, and whether the rows of the experiment "slow" are then stale.
CHANGES = {
    "code of a cell": ("bptt/cells.py", "p = s[0] * s[0]", "p = s[0] + s[0]", True),
    "comment in a cell": ("bptt/cells.py", "# the logistic gates first", "# these first", False),
    "docstring of a cell": ("bptt/cells.py", "Long short-term memory", "A long memory", False),
    "figures": ("bptt/figures.py", "= 0.27, 1.4", "= 0.28, 1.4", False),
    "code of the training": ("experiments/module.py", "n * seed", "n + seed", True),
    "comment": ("experiments/module.py", "# the network", "# a net", False),
    "one line of comment more": (
        "experiments/module.py",
        "\n\n\ndef",
        "\n# trains\n\n\ndef",
        False,
    ),
    "docstring": ("experiments/module.py", '"""Nothing is trained."""', '"""No."""', False),
    "no docstring": ("experiments/module.py", '    """Nothing is trained."""\n', "", False),
    "another experiment": ("experiments/module.py", "range(4),\n", "range(5),\n", False),
    "a missing seed": ("experiments/module.py", "range(4))", "range(5))", True),
    "the runner": ("experiments/runner.py", "smoothing=0", "smoothing=1", False),
}


def test_rows_are_stale_after_a_change_of_code_and_not_of_words(source):
    assert python("-m", "experiments", "slow", "--jobs", "1").returncode == 0
    read = "from experiments import module, stored; print(len(stored(module.SLOW)))"
    for what, (file, old, new, stale) in CHANGES.items():
        text = (source / file).read_text()
        assert old in text, what
        (source / file).write_text(text.replace(old, new))
        result = python("-c", read)
        (source / file).write_text(text)
        if stale:
            rows = "10 rows 2 are missing and 0" if "seed" in what else "8 rows 0 are missing and 8"
            said = f"StaleResults: slow: of {rows} are of other code than the present; run make"
            assert said in result.stderr, what
        else:
            assert result.stdout == "8\n", (what, result.stderr)


# Import each module named, alone, and print which modules are then loaded. Packages are bare,
# so that nothing else which they import counts; a name they hand on comes from the module it says.
LOADED = """
import importlib, json, sys, types

import bptt
import experiments

homes = {name: getattr(value, "__module__", "") for name, value in vars(bptt).items()}
bare = {}
for package in (bptt, experiments):
    bare[package.__name__] = types.ModuleType(package.__name__)
    bare[package.__name__].__dict__.update(__path__=package.__path__, __file__=package.__file__)
    bare[package.__name__].__spec__ = package.__spec__
bare["bptt"].__getattr__ = lambda name: getattr(importlib.import_module(homes[name]), name)
ours, found = ("bptt.", "experiments."), {}
for module in sys.argv[1:]:
    for name in [name for name in sys.modules if name.startswith(ours)]:
        del sys.modules[name]
    sys.modules |= bare
    importlib.import_module(f"experiments.{module}")
    loaded = {name for name in sys.modules if name.startswith(ours)}
    found[module] = sorted(loaded - {"experiments.digest", "experiments.runner"})
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def loaded():
    """By experiment: the modules that Python loads for its training."""
    modules = {
        name: experiment.train.__module__.rpartition(".")[2] for name, experiment in known().items()
    }
    result = python("-c", LOADED, *set(modules.values()))
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    return {name: set(found[module]) for name, module in modules.items()}


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder from which the digest takes the packages."""
    folder = tmp_path / "packages"
    monkeypatch.setattr(digest, "FOLDERS", {"bptt": folder, "experiments": folder})
    monkeypatch.setattr(digest, "RUNNER", folder / "experiments" / "runner.py")
    return folder


def with_another_constant(source):
    """A module's text with another value for its first number, or with one number more."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NUMBER:
            lines, (row, column) = source.splitlines(keepends=True), token.start
            line = lines[row - 1]
            lines[row - 1] = f"{line[:column]}1{line[column:]}"
            return "".join(lines)
    return f"{source}\nNUMBER = 1\n"


@pytest.mark.parametrize("name", known())
def test_rows_are_stale_after_a_change_of_any_module_that_the_training_loads(
    name, packages, loaded
):
    for package in ("bptt", "experiments"):
        shutil.copytree(
            SRC / package, packages / package, ignore=shutil.ignore_patterns("results", "texts")
        )
    training = Path(inspect.getfile(known()[name].train)).name
    file, stale = packages / "experiments" / training, set()
    hashed = partial(digest.digest.__wrapped__, file, ())  # without its memory
    before = hashed()
    for module in packages.rglob("*.py"):
        text = module.read_text()
        module.write_text(with_another_constant(text))
        if hashed() != before:
            stale.add(".".join(module.relative_to(packages).with_suffix("").parts))
        module.write_text(text)
    assert stale == loaded[name]


# Modules of two packages, by their names, and what each says.
FORMS = {
    "bptt/__init__": (
        "from .one import a\nfrom .two import b as c, d\nfrom . import one, three as t\nown = 1"
    ),
    "bptt/one": "a = 1",
    "bptt/two": "def b():\n    from .three import e\n",
    "bptt/three": "import bptt_of_another",
    "bptt/four": "from .five import g",
    "bptt/five": "from .four import h",
    "bptt/deep/__init__": "from .inner import i\nfrom .inner import *\nfrom .. import deep",
    "bptt/deep/inner": "from ..one import a\nfrom ... import no_package",
    "experiments/__init__": "from .runner import Experiment",
    "experiments/runner": "import bptt",
    "experiments/helper": "from bptt.one import a",
}
ALL = {"bptt/__init__", "bptt/one", "bptt/two", "bptt/three"}
# An import of a training, and what the training then reaches.
IMPORTS = {
    "from bptt.one import a": {"bptt/one"},
    "from bptt.two import b": {"bptt/two", "bptt/three"},
    "from bptt import a": {"bptt/one"},
    "from bptt import a as c": {"bptt/one"},
    "from bptt import c": {"bptt/two", "bptt/three"},
    "from bptt import b": ALL,
    "from bptt import own": ALL,
    "from bptt import *": ALL,
    "from bptt import one": {"bptt/one"},
    "from bptt import t": {"bptt/three"},
    "from bptt import four, three": {"bptt/four", "bptt/five", "bptt/three"},
    "import bptt": ALL,
    "import bptt.four as f": ALL | {"bptt/four", "bptt/five"},
    "from bptt.deep import i": {"bptt/deep/inner", "bptt/one"},
    "from bptt.deep import j": {"bptt/deep/__init__", "bptt/deep/inner", "bptt/one"},
    "from bptt.deep import *": {"bptt/deep/__init__", "bptt/deep/inner", "bptt/one"},
    "from bptt.deep.inner import i": {"bptt/deep/inner", "bptt/one"},
    "def f():\n    if f:\n        from bptt import a": {"bptt/one"},
    "from .helper import a": {"experiments/helper", "bptt/one"},
    "from . import helper": {"experiments/helper", "bptt/one"},
    "from experiments import helper": {"experiments/helper", "bptt/one"},
    "from .runner import Experiment": set(),
    "from experiments import Experiment, runner": set(),
    "import numpy.linalg, os\nfrom numpy import pi\nfrom bptt_of_another import a": set(),
    "x = 'from bptt import a'  # import bptt": set(),
}


@pytest.mark.parametrize("statement", IMPORTS)
def test_imports_of_every_form_lead_to_the_modules_that_define(statement, packages):
    for name, text in {**FORMS, "experiments/training": statement}.items():
        file = packages / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    found = digest.reached(packages / "experiments" / "training.py")
    names = {path.relative_to(packages).with_suffix("").as_posix() for path in found}
    assert names == IMPORTS[statement] | {"experiments/training"}


def test_the_hash_is_the_same_elsewhere_and_in_every_order(source, tmp_path, monkeypatch):
    code = "from experiments import module; print(module.SLOW.code)"
    for text in source.rglob("*.py"):  # as Windows ends lines
        text.write_bytes(text.read_bytes().replace(b"\n", b"\r\n"))
    here = set()
    for seed in "12":
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        here.add(python("-c", code).stdout)
    moved = tmp_path / "elsewhere"
    source.rename(moved)
    monkeypatch.setenv("PYTHONPATH", str(moved))
    here.add(python("-c", f"import bptt.training, bptt.cells; {code}").stdout)
    (only,) = here
    assert len(only) == len("0123456789abcdef\n")


def test_a_changed_text_that_the_training_reads_makes_rows_stale(tmp_path):
    text = tmp_path / "text"
    text.write_text("abc")
    experiment = of(3)._replace(data=[text])
    run([experiment], jobs=1)
    assert len(stored(experiment)) == 2
    text.write_text("abcd")
    digest.digest.cache_clear()
    with pytest.raises(StaleResults, match="0 are missing and 2 are of other code"):
        stored(experiment)


def test_nothing_is_stored_of_code_that_has_changed_since_the_run_began():
    with pytest.raises(StaleResults, match="has changed since the run began"):
        runner._row(of(3), {"n": 3}, 0, "of another process")
    assert CALLS == []


def test_missing_rows_are_counted():
    with pytest.raises(StaleResults, match=r"one: of 2 rows 2 are missing and 0 are .*NTS=one$"):
        stored(of(3))
    run([of(3)], jobs=1)
    with pytest.raises(StaleResults, match="of 4 rows 2 are missing"):
        stored(of(3, 2))


def test_a_broken_row_is_missing_and_made_again():
    experiment = of(3, 2)
    run([experiment], jobs=1)
    whole = lines(experiment)
    rows = experiment.file.read_text().splitlines()
    broken = [rows[0], "<<<<<<< a merge", rows[1][:40], '{"seed": 1}', "17", "", rows[3]]
    experiment.file.write_text("\n".join(broken))
    with pytest.raises(StaleResults, match="of 4 rows 2 are missing"):
        stored(experiment)
    CALLS.clear()
    run([experiment], jobs=1)
    assert CALLS == [(3, 1), (2, 0)]
    assert lines(experiment) == whole


def test_a_row_is_repeated_and_what_differs_is_not():
    experiment = of(3, 2)
    run([experiment], jobs=1)
    first, solved = (stored(experiment)[1].measured[key] for key in ("first", "solved"))
    again = partial(repeat, experiment, 1, n=3)
    assert again() == stored(experiment)[1].measured
    change(experiment, 1, "first", [loss * (1 + 1e-8) for loss in first])
    again()
    for other in ([first[0], first[1] * (1 + 1e-5), first[2]], first[:2], [*first, 0.0], []):
        change(experiment, 1, "first", other)
        with pytest.raises(NotRepeated, match=r"one: first losses \[.*\], not \["):
            again()
    change(experiment, 1, "first", first)
    change(experiment, 1, "solved", not solved)
    with pytest.raises(NotRepeated, match=f"one: solved {solved}, not {not solved}"):
        again()
    repeat(experiment, 0, n=3)
    with pytest.raises(ValueError, match=r"no row for seed 7 and {'n': 3}"):
        repeat(experiment, 7, n=3)


def test_of_a_long_training_only_the_beginning_is_repeated():
    def train(seed, n, stop=None):
        losses = [n + seed - 0.1 * k for k in range(stop or 10)]
        return {"first": losses[:3], "solved": losses[-1] < n, "length": len(losses)}

    experiment = of(3, function=train)
    run([experiment], jobs=1)
    assert [row.measured["length"] for row in stored(experiment)] == [10, 10]
    assert repeat(experiment, 0, n=3, stop=4)["length"] == 4
    change(experiment, 0, "solved", not stored(experiment)[0].measured["solved"])
    repeat(experiment, 0, n=3, stop=4)  # how it ends is not compared
    with pytest.raises(NotRepeated, match=r"one: first losses \[.*\], not \["):
        repeat(experiment, 0, n=3, stop=2)  # too short for the first losses
    change(experiment, 0, "first", [3.0, 2.9, 2.81])
    with pytest.raises(NotRepeated, match=r"one: first losses \[.*\], not \["):
        repeat(experiment, 0, n=3, stop=4)


def test_a_loss_that_was_no_number_is_none_again():
    def diverges(seed, n):
        return {"first": [1.0, np.inf, np.nan], "solved": False}

    experiment = of(3, function=diverges)
    run([experiment], jobs=1)
    repeat(experiment, 0, n=3)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_training_that_fails_is_named_and_the_others_are_kept(jobs):
    experiment = of(0, 2, 3, 4, 5, seeds=(7,))
    with pytest.raises(ValueError, match="n: got 0") as error:
        run([experiment], jobs=jobs)
    assert error.value.__notes__ == ["in experiment one, seed 7, setting {'n': 0}"]
    assert [row["setting"]["n"] for row in lines(experiment)] == [2, 3, 4, 5]


def test_how_many_others_have_failed_is_told():
    with pytest.raises(ValueError, match="n: got 0") as error:
        run([of(0, 2, seeds=(6, 7, 8))], jobs=1)
    assert error.value.__notes__[1:] == ["2 more of 6 runs failed"]


def test_a_training_that_does_not_say_how_it_ended_is_refused():
    with pytest.raises(ValueError, match=r"train: got \['first'\], needs solved"):
        run([of(3, function=lambda seed, n: {"first": [1.0]})], jobs=1)


def test_the_longest_begins_first():
    experiments = [of(2, 3, seeds=(0,)), of(4, 5, name="two", seeds=(0,))]
    run(experiments, jobs=1)
    seconds = iter([1.0, 3.0, 4.0, 2.0])
    for experiment in experiments:
        rows = [json.loads(line) for line in experiment.file.read_text().splitlines()]
        old = [{**row, "code": "old", "seconds": next(seconds)} for row in rows]
        experiment.file.write_text("".join(json.dumps(row) + "\n" for row in old))
    CALLS.clear()
    run([*experiments, of(6, name="three")], jobs=1)
    assert CALLS == [(6, 0), (6, 1), (4, 0), (3, 0), (5, 0), (2, 0)]


def test_a_name_that_no_experiment_has_is_refused(source):
    result = python("-m", "experiments", "quick", "slower", "quicker")
    assert result.returncode == 2
    assert "no experiment quicker, slower; there are slow, quick" in result.stderr
    assert not (source / "experiments" / "results").exists()


def test_two_experiments_of_one_name_are_refused(source):
    (source / "experiments" / "more.py").write_text("from .module import SLOW, QUICK, train\n")
    assert python("-m", "experiments", "quick").returncode == 0
    with (source / "experiments" / "more.py").open("a") as file:
        file.write("QUICK = QUICK._replace(seeds=[7])\n")
    result = python("-m", "experiments", "quick")
    assert result.returncode == 1
    assert "more: a second experiment of the name quick" in result.stderr


def experiments_in(chapter):
    """By name: the experiments that a chapter shows, and those of which it repeats a row."""
    cells = jupytext.read(chapter, fmt="md:myst").cells
    tree = ast.parse("\n".join(cell.source for cell in cells if cell.cell_type == "code"))
    names = {}  # as the chapter writes them
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "experiments":
            for alias in node.names:
                value = getattr(import_module(node.module), alias.name)
                if inspect.ismodule(value):
                    names |= {f"{alias.name}.{key}": of for key, of in vars(value).items()}
                names[alias.name] = value
    names = {key: value.name for key, value in names.items() if isinstance(value, Experiment)}

    def named(part):
        parts = [node for node in ast.walk(part) if isinstance(node, ast.Name | ast.Attribute)]
        return {names[text] for text in map(ast.unparse, parts) if text in names}

    def repeats(part):
        calls = [node for node in ast.walk(part) if isinstance(node, ast.Call)]
        return [call.args[0] for call in calls if ast.unparse(call.func) == "repeat"]

    repeated = set().union(*map(named, repeats(tree)))
    for loop in ast.walk(tree):
        if isinstance(loop, ast.For):
            targets = {ast.unparse(part) for part in ast.walk(loop.target)}
            if targets & set(map(ast.unparse, repeats(loop))):
                repeated |= named(loop.iter)
    return named(tree), repeated


def test_a_chapter_repeats_a_row_of_each_experiment_that_it_shows():
    shown, counted = set(), set()
    for chapter in sorted((SRC.parent / "book").glob("*.md")):
        here, repeated = experiments_in(chapter)
        if chapter.name == "how-checked.md":  # it counts rows, and shows what none measured
            counted = here
        else:
            assert here == repeated, chapter.name
            shown |= here
    assert counted == shown == set(known())


@pytest.mark.parametrize("name", known())
def test_the_files_that_a_training_reads_are_among_its_data(name):
    experiment = known()[name]
    values = vars(sys.modules[experiment.train.__module__]).values()
    assert {value for value in values if isinstance(value, Path)} == set(experiment.data)


@pytest.mark.parametrize("name", known())
def test_the_rows_of_the_book_are_of_the_present_code(name, monkeypatch):
    experiment = known()[name]
    assert experiment.train.__module__.startswith("experiments.")
    monkeypatch.setattr(runner, "RESULTS", SRC / "experiments" / "results")
    assert len(stored(experiment)) == len(experiment.settings) * len(experiment.seeds)


@pytest.mark.parametrize("cell", [Leaky(0.3), Leaky(np.array([0.1, 0.5, 1.0])), Relu()])
def test_the_cells_of_chapter_12_have_the_right_derivatives(cell):
    rng = np.random.default_rng(0)
    params, x = init(ELMAN, 2, 3, rng=rng), rng.standard_normal((6, 4, 2))
    s0, dh = rng.uniform(-1, 1, (4, 3)), rng.standard_normal((6, 4, 3))
    run = unroll(cell, params, x, s0)
    gradients = backward(run, dh)
    for k in range(5):

        def loss(value, k=k):
            W, U, b, x_k, s0_k = (*(*params, x, s0)[:k], value, *(*params, x, s0)[k + 1 :])
            return (unroll(cell, Params(W, U, b), x_k, s0_k).h[1:] * dh).sum()

        check(loss, (*params, x, s0)[k], gradients[k], rng=rng)
    for W in (rtrl(run, dh).W, summands(run, dh).W.sum(axis=0)):
        np.testing.assert_allclose(W, gradients.W, atol=1e-13)


def test_a_leak_of_one_is_no_leak():
    rng = np.random.default_rng(0)
    params, x = init(ELMAN, 2, 3, rng=rng), rng.standard_normal((6, 4, 2))
    np.testing.assert_array_equal(unroll(Leaky(1.0), params, x).h, unroll(ELMAN, params, x).h)


def test_the_networks_and_sequences_of_the_phase_diagram():
    rng = np.random.default_rng(0)
    Q = orthogonal(7, rng)
    np.testing.assert_allclose(Q.T @ Q, np.eye(7), atol=1e-14)
    for start, exact in {"orthogonal": True, "identity": True, "gaussian": False}.items():
        W = network(start, 0.7, 400, rng)[1].W
        radius = abs(np.linalg.eigvals(W)).max()
        assert radius == pytest.approx(0.7, rel=1e-12 if exact else 0.1)
    batch = first_input(9, 300, rng)
    np.testing.assert_array_equal(batch.x[0, :, 0], 2 * batch.target[-1] - 1)
    assert not batch.x[1:, :, 0].any()
    assert 0.9 < abs(batch.x[..., 1]).max() <= 1
    assert batch.counts.sum(axis=0).tolist() == [1] * 300
    assert batch.counts[-1].all()
    assert 0.4 < batch.target.mean() < 0.6
