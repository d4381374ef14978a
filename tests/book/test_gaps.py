"""Notebooks with gaps: empty ones fail, solved ones pass, typical wrong answers get their hint."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from sphinx_external_toc.parsing import parse_toc_yaml

from booktools import exercises, gaps
from booktools.live.judge import defined, judge

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / f"{name}.md" for name in parse_toc_yaml(ROOT / "_toc.yml")]
CHAPTERS = [source for source in SOURCES if exercises.read(source)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gaps")
    wheel = folder / "package.whl"
    wheel.touch()
    count = gaps.write(CHAPTERS, wheel, folder / "out")
    assert count == sum(len(exercises.read(source)) for source in CHAPTERS)
    return folder / "out"


def cells(folder: Path, name: str) -> list[Any]:
    """The code cells of a notebook, by what nbgrader calls them."""
    book = nbformat.read(folder / f"{name}.ipynb", nbformat.NO_CONVERT)
    nbformat.validate(book)
    return [cell for cell in book.cells if cell.cell_type == "code"]


def run(found: list[Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What each grading cell of a notebook says against the answer above it."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    space: dict[str, Any] = {}
    said = {}
    for cell in found:
        known = cell.metadata.nbgrader
        try:
            exec(cell.source, space)
        except AssertionError as error:
            assert known.grade
            said[known.grade_id] = str(error)
    return said


@pytest.mark.parametrize("name", [source.stem for source in CHAPTERS])
def test_solved_notebooks_pass_and_empty_ones_fail(
    name: str, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solved, empty = (cells(written / kind, name) for kind in ("source", "release"))
    asked = [cell.metadata.nbgrader.grade_id for cell in empty if cell.metadata.nbgrader.grade]
    assert len(asked) == len(exercises.read(ROOT / "book" / f"{name}.md"))
    assert run(solved, written / "source", monkeypatch) == {}
    said = run(empty, written / "release", monkeypatch)
    assert sorted(said) == sorted(asked)
    assert all("needs" in one or "not right" in one for one in said.values()), said


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda source: source.stem)
def test_each_typical_wrong_answer_gets_its_hint_and_no_notebook_tells_an_answer(
    source: Path, written: Path
) -> None:
    kept = json.loads((written / "release" / f"{source.stem}.json").read_text(encoding="utf-8"))
    book = nbformat.read(written / "release" / f"{source.stem}.ipynb", nbformat.NO_CONVERT)
    text = "\n".join(cell.source for cell in book.cells)
    for label, exercise in exercises.read(source).items():
        for wrong in exercise["wrong"]:
            verdict = judge(kept[label], defined(exercise, wrong["code"]))
            assert (verdict["passes"], verdict["hint"]) == (False, wrong["hint"])
        answer = exercise["right"].strip()
        assert not any(answer in said for said in (text, *strings(kept[label]))), label
        assert {"values", "wrong"} <= {*kept[label]} <= {*FIELDS}


FIELDS = ("name", "given", "tol", "compare", "values", "wrong")


def strings(kept: Any) -> list[str]:
    """All texts in what is kept of an exercise."""
    parts = kept.values() if isinstance(kept, dict) else kept if isinstance(kept, list) else ()
    return [kept] if isinstance(kept, str) else [one for part in parts for one in strings(part)]
