"""Notebooks with gaps, from the exercises of the chapters: they grade themselves.

Each chapter gives two. That in ``release`` has for each exercise what is asked, a cell to fill, and
a cell that judges it; that in ``source`` is the same with answers, between nbgrader's marks. Beside
them stand the judge and, for each chapter, the values of the right answer and of typical wrong
ones: values, not code, so that nobody reads an answer there. The metadata is nbgrader's; the
notebooks do not need it.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbformat import NotebookNode, v4

from . import exercises, offers
from .live import judge

EXERCISE = re.compile(r"^`{3,}\{exercise\} *(?P<title>.*)\n:label: *(?P<label>\S+)", re.MULTILINE)
HEADING = re.compile(r"^# (.+)", re.MULTILINE)
FRONT = """\
# Chapter {number}, {title}: exercises

Fill in the cells that say so, run them, then run the cell below each: it judges the answer by its
values, and says what differs. The chapter has each exercise in full, and a solution."""
LOAD = """\
# This needs the package: pip install ../{wheel}
import json
from pathlib import Path

from judge import judge

EXERCISES = json.loads(Path("{name}.json").read_text(encoding="utf-8"))

def grade(label, answer):
    verdict = judge(EXERCISES[label], answer)
    assert verdict["passes"], " ".join([verdict["said"], verdict.get("hint", "")]).strip()
    print(verdict["said"])"""
# What nbgrader has to know of each kind of cell.
LOCKED = {"locked": True, "grade": False, "solution": False}
ANSWER = {"locked": False, "grade": False, "solution": True}
GRADES = {"locked": True, "grade": True, "solution": False, "points": 1}


def write(sources: list[Path], wheel: Path, folder: Path) -> int:
    """Write the notebooks of these chapters, in their order; how many exercises they have."""
    count = 0
    for number, source in enumerate(sources, start=1):
        found = exercises.read(source)
        count += len(found)
        for kind in ("release", "source"):
            target = folder / kind
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(judge.__file__, target)
            kept = {label: only_values(one) for label, one in found.items()}
            text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
            (target / f"{source.stem}.json").write_text(text, encoding="utf-8", newline="\n")
            book = notebook(source, number, found, wheel.name, solved=kind == "source")
            (target / f"{source.stem}.ipynb").write_text(
                nbformat.writes(book) + "\n", encoding="utf-8", newline="\n"
            )
    shutil.copy(wheel, folder)
    return count


def only_values(exercise: exercises.Exercise) -> exercises.Exercise:
    """What an answer is judged by, with no code that answers."""
    kept = {field: exercise[field] for field in ("name", "given", "tol") if field in exercise}
    return kept | {
        "compare": exercise["compare"],
        "values": plain(judge.values(exercise, exercise, "right")),
        "wrong": [
            {"values": plain(judge.values(exercise, wrong)), "hint": wrong["hint"]}
            for wrong in exercise["wrong"]
        ],
    }


def plain(values: list[Any]) -> list[Any]:
    """Arrays as lists of numbers, of which JSON keeps every digit."""
    return [np.asarray(value).tolist() for value in values]


def notebook(
    source: Path, number: int, found: Mapping[str, exercises.Exercise], wheel: str, *, solved: bool
) -> NotebookNode:
    """The exercises of a chapter with gaps, or with answers in them."""
    text = source.read_text(encoding="utf-8")
    titles = {match["label"]: match["title"] for match in EXERCISE.finditer(text)}
    heading = HEADING.search(text)
    if heading is None:
        raise ValueError(f"{source}: got no heading, needs one: the notebook begins with it")
    cells = [
        v4.new_markdown_cell(FRONT.format(number=number, title=heading[1])),
        code("load", LOAD.format(wheel=wheel, name=source.stem), LOCKED),
    ]
    for k, (label, title) in enumerate(titles.items(), start=1):
        cells += gap(f"{number}.{k}. {title}", label, found[label], solved=solved)
    return offers.settled(v4.new_notebook(cells=cells))


def gap(
    title: str, label: str, exercise: exercises.Exercise, *, solved: bool
) -> Iterator[NotebookNode]:
    """What is asked, the cell to fill, and the cell that grades it."""
    yield v4.new_markdown_cell(f"## Exercise {title.rstrip('. ')}\n\n{exercise['ask']}")
    answer = exercise["right" if solved else "stub"].strip("\n")
    marked = f"### BEGIN SOLUTION\n{answer}\n### END SOLUTION" if solved else answer
    yield code(label, marked, ANSWER)
    yield code(f"{label}-grade", f'grade("{label}", {exercise["name"]})', GRADES)


def code(name: str, source: str, known: Mapping[str, Any]) -> NotebookNode:
    """A code cell, with what nbgrader has to know of it."""
    cell = v4.new_code_cell(source)
    cell.metadata.nbgrader = {"schema_version": 3, "grade_id": name, "task": False, **known}
    return cell
