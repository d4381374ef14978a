"""What a chapter's outputs depend on: what its cells reach and read, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from booktools import cache, pages
from experiments import digest

FRONT = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  name: python3
---

# A chapter

Prose.

```{code-cell} ipython3
"""

CELLS = {
    "imports": """\
import json
from pathlib import Path
from booktools import style
from bptt import unroll
from experiments import stored
from experiments.long import LONG
json.loads(Path("../benchmarks/results/growth.json").read_text())
""",
    "shows words": "import inspect\nfrom bptt import unroll\ninspect.getsource(unroll)\n",
    "computes an import": "import importlib\nimportlib.import_module(f'experiments.{1}')\n",
    "computes a file": "open(f'../benchmarks/results/{1}.json')\n",
    "reads a folder": "import os\nos.listdir('../benchmarks/results')\n",
    "looks above": "from pathlib import Path\nlist(Path('..').rglob('*.json'))\n",
    "has magics": "%matplotlib inline\n!ls\nfrom bptt import unroll\n",
    "draws dots": "line = '..', '/', ''\nprint(f'{line}')\n",
}

SOURCES = {
    "src/bptt/__init__.py": "from .recurrence import unroll\nfrom .tasks import Task\n",
    "src/bptt/recurrence.py": "from .cells import ELMAN\n\ndef unroll():\n    return ELMAN\n",
    "src/bptt/cells.py": '"""Cells."""\n\nELMAN = 1  # the first\n',
    "src/bptt/tasks.py": "class Task: ...\n",
    "src/booktools/__init__.py": "",
    "src/booktools/style.py": "INK = 1\n",
    "src/booktools/build.py": "TIMEOUT = 300\n",
    "src/experiments/__init__.py": "from .runner import stored\n",
    "src/experiments/runner.py": "FILE = f'results/{1}.jsonl'\ndef stored(): ...\n",
    "src/experiments/long.py": "TEXT = 'texts/a.txt'\nLONG = Experiment('long', 1)\n",
    "src/experiments/other.py": "OTHER = Experiment('other', 1)\n",
    "src/experiments/results/long.jsonl": "{}\n",
    "src/experiments/results/other.jsonl": "{}\n",
    "src/experiments/texts/a.txt": "a\n",
    "benchmarks/results/growth.json": "{}\n",
    "benchmarks/results/peers.json": "{}\n",
    "benchmarks/growth.py": "x = 1\n",
    "constraints.txt": "numpy==2\n",
    "book/book.css": "a {}\n",
}
CODE = {name for name in SOURCES if name.endswith(".py") and name.startswith("src")}
RESULTS = {name for name in SOURCES if name.endswith((".json", ".jsonl", ".txt")) and "/" in name}
IN_EXPERIMENTS = {name for name in SOURCES if name.startswith("src/experiments")}
BPTT = {f"src/bptt/{name}.py" for name in ("cells", "recurrence")}

# What each chapter depends on; all do on constraints.txt.
DEPENDS = {
    "imports": BPTT
    | {"src/booktools/style.py", "src/experiments/runner.py", "src/experiments/long.py"}
    | {"src/experiments/results/long.jsonl", "src/experiments/texts/a.txt"}
    | {"benchmarks/results/growth.json"},
    "shows words": BPTT,
    "computes an import": CODE | IN_EXPERIMENTS,
    "computes a file": {"benchmarks/results/growth.json", "benchmarks/results/peers.json"},
    "reads a folder": {"benchmarks/results/growth.json", "benchmarks/results/peers.json"},
    "looks above": RESULTS,
    "has magics": BPTT,
    "draws dots": set(),
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository with the three packages in small, of which nothing is executed."""
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    folder = tmp_path / "src"
    monkeypatch.setattr(digest, "FOLDERS", dict.fromkeys(digest.FOLDERS, folder))
    monkeypatch.setattr(cache, "RUNNER", folder / "experiments" / "runner.py")
    monkeypatch.setattr(cache, "RESULTS", folder / "experiments" / "results")
    return tmp_path


def key(root, cells, prose=""):
    """The key of a chapter, as a new process finds it."""
    file = root / "book" / "chapter.md"
    file.write_text(f"{FRONT}{cells}```\n{prose}")
    for function in (cache._key, cache._data):
        function.cache_clear()
    return cache.key(root, pages.read("book/chapter", file, ()))


@pytest.mark.parametrize("kind", CELLS)
def test_a_chapter_is_executed_again_after_a_change_of_what_it_reaches(kind, root):
    before, found = key(root, CELLS[kind]), set()
    for name, text in SOURCES.items():
        (root / name).write_text(f"{text}more = 1\n")
        if key(root, CELLS[kind]) != before:
            found.add(name)
        (root / name).write_text(text)
    assert found == DEPENDS[kind] | {"constraints.txt"}
    assert key(root, CELLS[kind]) == before


@pytest.mark.parametrize(("kind", "counts"), [("imports", False), ("shows words", True)])
def test_comments_and_docstrings_count_only_where_a_chapter_shows_them(kind, counts, root):
    before, cells = key(root, CELLS[kind]), root / "src" / "bptt" / "cells.py"
    for old, new in (("# the first", "# first"), ('"""Cells."""', '"""All cells."""')):
        cells.write_text(SOURCES["src/bptt/cells.py"].replace(old, new))
        assert (key(root, CELLS[kind]) != before) is counts


def test_a_new_experiment_executes_only_who_reads_all(root):
    new = root / "src" / "experiments" / "new.py"
    for kind, again in (("imports", False), ("computes an import", True)):
        before = key(root, CELLS[kind])
        new.write_text("NEW = 1\n")
        assert (key(root, CELLS[kind]) != before) is again
        new.unlink()


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parents[2] / "book").glob("*.md")), ids=lambda file: file.stem
)
def test_no_chapter_of_the_book_reads_all(file):
    """So a new experiment executes none."""
    page = pages.read(file.stem, file, ())
    cells = "\n".join(pages.python(cell.source) for cell in page.cells)
    texts = [cells, *map(cache._text, cache.reached(cells, file))]
    assert [text for text in texts if cache.BY_NAME.search(text)] == []


def test_prose_does_not_count_and_cells_settings_and_arithmetic_do(root, monkeypatch):
    before = key(root, CELLS["imports"])
    assert key(root, CELLS["imports"], prose="More.\n") == before
    assert key(root, CELLS["imports"] + "# more\n") != before
    experiment = root / "src" / "experiments" / "long.py"
    experiment.write_text(experiment.read_text().replace("'long', 1", "'long', 2"))
    assert key(root, CELLS["imports"]) != before
    experiment.write_text(SOURCES["src/experiments/long.py"])
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Sandybridge")
    assert key(root, CELLS["imports"]) != before


def test_older_outputs_and_those_of_pages_that_are_gone_are_removed(root):
    kept = root / "_build" / ".jupyter_cache"
    for old in ("0123", "book/gone/4567", "book/chapter/89ab"):
        (kept / old).mkdir(parents=True)
        (kept / old / "global.db").touch()
    key(root, CELLS["imports"])
    page = pages.read("book/chapter", root / "book" / "chapter.md", ())
    folder = cache.execution_cache(root, page)
    (folder / "global.db").touch()
    cache.prune(root, ["book/chapter"])
    assert list(kept.rglob("global.db")) == [folder / "global.db"]
    assert not cache.is_executed(folder)


def test_kernels_see_of_the_environment_what_is_named_and_no_more(tmp_path, monkeypatch):
    leaks = {
        "MPLBACKEND": "Agg",
        "PYTHONOPTIMIZE": "1",
        "PYTHONSTARTUP": "x",
        "HOME": "/nowhere",
        "MATPLOTLIBRC": "x",
    }
    for name, value in leaks.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = dict(os.environ)
    with cache.isolated(tmp_path):
        inside = dict(os.environ)
        asserts = subprocess.run([sys.executable, "-c", "assert False"], capture_output=True)
    assert os.environ == before
    assert asserts.returncode == 1
    assert {name: inside.get(name) for name in leaks} == {
        **dict.fromkeys(leaks),
        "HOME": str(tmp_path / "_build" / "kernel"),
    }
    assert (inside["TMPDIR"], inside["PATH"]) == (str(tmp_path), before["PATH"])
    set_here = {"IPYTHONDIR", "HOME", "USERPROFILE", "MPLCONFIGDIR", "LC_ALL", "TZ"}
    set_here |= {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"}
    others = {name for name in inside if not name.startswith(("JUPYTER_", "PYTHON"))}
    assert others <= set_here | {*cache.MAY_SEE}
