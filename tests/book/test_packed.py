"""Chapters to take along: what is in their zips is enough, and the same on every build."""

import io
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

from booktools import offers, packed

ROOT = Path(__file__).parents[2]

# Imports what the notebooks of these folders import, each with the packages of its folder alone,
# and reads the rows of every experiment that lies there.
USE = """
import ast, importlib, json, sys
from pathlib import Path

sys.path[:] = [path for path in sys.path if not Path(path, "booktools").is_dir()]
outside = {*sys.path}
for folder in map(Path, sys.argv[1:]):
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("bptt", "booktools", "experiments"):
            del sys.modules[name]
    sys.path[:] = [str(folder / "book"), str(folder / "installed"), *sys.path[-len(outside):]]
    (notebook,) = folder.glob("book/*.ipynb")
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for node in ast.walk(ast.parse("".join(cell["source"] * (cell["cell_type"] == "code")))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                exec(ast.unparse(node), {})
    rows = 0
    for path in folder.glob("book/experiments/[!_]*.py"):
        module = importlib.import_module(f"experiments.{path.stem}")
        for value in [*vars(module).values()]:
            if type(value).__name__ == "Experiment":
                rows += len(sys.modules["experiments"].stored(value))
    print(notebook.stem, rows)
"""


@cache
def files(stem):
    """What a chapter's zip holds, by its place in the one folder that it makes."""
    chapter = ROOT / "book" / f"{stem}.md"
    name, content = packed.pack(ROOT, chapter, offers.notebook(chapter), "The Book")
    assert name == f"product-rule-in-rnns-{stem}.zip"
    folder = name.removesuffix(".zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        assert {name.split("/")[0] for name in names} == {folder}
        return {name.removeprefix(f"{folder}/"): archive.read(name) for name in names}


WHEEL = packed.wheel(ROOT).name
ALWAYS = {"README.md", "LICENSE", "constraints.txt", WHEEL}
STYLE = {f"book/booktools/{name}.py" for name in ("__init__", "palette", "style")}
STORED = {f"book/experiments/{name}.py" for name in ("__init__", "digest", "runner")}
TABLES = "book/booktools/tables.py"
TAKEN = {
    "write-a-cell": set(),
    "many-ways": STYLE
    | {TABLES}
    | {f"benchmarks/results/{name}.json" for name in ("growth", "peers")},
    "gates": STYLE
    | STORED
    | {TABLES, "book/experiments/gates.py", "book/experiments/results/forget-bias.jsonl"},
    "your-framework": STYLE
    | {TABLES, "book/booktools/frameworks.py", "examples/problem.py"}
    | {f"examples/in_{name}.py" for name in ("pytorch", "jax")}
    | {f"examples/results/in_{name}.json" for name in ("pytorch", "jax")},
}


@pytest.mark.parametrize("stem", TAKEN)
def test_a_zip_holds_what_its_chapter_needs_and_nothing_else(stem):
    assert files(stem).keys() == ALWAYS | TAKEN[stem] | {f"book/{stem}.ipynb"}


def test_the_wheel_that_is_taken_along_is_the_package(tmp_path):
    with zipfile.ZipFile(io.BytesIO(files("gates")[WHEEL])) as wheel:
        for path in (ROOT / "src" / "bptt").glob("*.py"):
            assert wheel.read(f"bptt/{path.name}") == path.read_bytes()


def test_imports_work_and_stored_rows_are_of_this_code_where_a_zip_is_unpacked(tmp_path):
    for stem in TAKEN:
        for name, content in files(stem).items():
            path = tmp_path / stem / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        with zipfile.ZipFile(tmp_path / stem / WHEEL) as wheel:
            wheel.extractall(tmp_path / stem / "installed")
    command = [sys.executable, "-c", USE, *(tmp_path / stem for stem in TAKEN)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(line.split() for line in done.stdout.splitlines())
    assert rows.keys() == TAKEN.keys()
    assert [stem for stem in rows if int(rows[stem])] == ["gates"]


def test_a_zip_does_not_tell_when_and_where_it_was_made():
    content = packed.archive({"b/c": b"1", "a": b"2"})
    assert content == packed.archive({"a": b"2", "b/c": b"1"})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["a", "b/c"]
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.external_attr >> 16 == 0o644


@pytest.fixture
def tree(tmp_path):
    """The sources of a small package."""
    text = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    text += '[project]\nname = "small"\nversion = "1"\n'
    text += '[tool.hatch.build.targets.wheel]\npackages = ["src/bptt"]\n'
    (tmp_path / "src" / "bptt").mkdir(parents=True)
    (tmp_path / "src" / "bptt" / "__init__.py").write_text("")
    for name in packed.METADATA:
        (tmp_path / name).write_text(text if name == "pyproject.toml" else "")
    return tmp_path


def test_the_wheel_is_built_again_where_its_sources_have_changed(tree, monkeypatch):
    first = packed.wheel(tree)
    os.utime(first, (1, 1))
    assert packed.wheel(tree).stat().st_mtime == 1
    (tree / "src" / "bptt" / "__init__.py").write_text("x = 1\n")
    second = packed.wheel(tree)
    assert zipfile.ZipFile(second).read("bptt/__init__.py") == b"x = 1\n"
    assert [*(tree / "_build").rglob("*.whl")] == [second]


def test_a_wheel_that_cannot_be_built_says_why(tree):
    (tree / "pyproject.toml").write_text("[project\n")
    with pytest.raises(RuntimeError, match=r"(?s)the wheel cannot be built.*pyproject.toml|TOML"):
        packed.wheel(tree)


def test_a_chapter_without_a_heading_is_refused_by_name(tmp_path):
    chapter = ROOT / "book" / "nameless.md"
    notebook = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    with pytest.raises(ValueError, match=r"nameless\.md: got no heading"):
        packed.pack(ROOT, chapter, notebook, "The Book")
