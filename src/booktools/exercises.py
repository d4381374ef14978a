"""What the exercises of a chapter ask for as code: ``exercises/NAME.toml`` beside it.

One table for each label. ``ask`` says what to define, a line of text with `code` and $formulas$,
and ``name`` under which name; ``stub`` is what the reader begins with. ``right`` is Python that
defines the same, with NumPy and ``bptt`` alone. The expressions of ``compare`` are what the two
must agree in, up to ``tol``, with what the code ``given`` defines. Each ``[[label.wrong]]`` is a
typical wrong ``code`` and its ``hint``. :mod:`booktools.live.judge` judges.
"""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from . import schemas
from .pages import Mistake, Page, below

SCHEMA = schemas.closed(
    yaml.safe_load("""
type: object
required: [ask, name, stub, right, compare, wrong]
properties:
  ask: {type: string}
  name: {type: string}
  stub: {type: string}
  right: {type: string}
  given: {type: string}
  tol: {type: number}
  compare: {type: array, items: {type: string}}
  wrong:
    type: array
    items:
      type: object
      required: [code, hint]
      properties: {code: {type: string}, hint: {type: string, minLength: 1}}
""")
)
Exercise = dict[str, Any]
KINDS = {"`": "code", "$": "math"}


def file_of(source: Path) -> Path:
    """Where the exercises of a chapter are."""
    return source.parent / "exercises" / f"{source.stem}.toml"


def read(source: Path) -> dict[str, Exercise]:
    """The exercises of a chapter, by label."""
    file = file_of(source)
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def mistakes(page: Page) -> Iterator[Mistake]:
    """Each exercise of the page has its table, and each table has all that it needs."""
    file = file_of(page.file)
    asked = {label.name: label.line for label in page.labels if label.kind == "exercise"}
    found = read(page.file)
    for label, line in asked.items():
        if label not in found:
            message = f"exercise {label} has no table in exercises/{file.name}: add [{label}]"
            yield Mistake(page.file, line, message)
    for label, table in found.items():
        line = line_of(label, file)
        if label not in asked:
            yield Mistake(file, line, f"{label} is no exercise of {page.file.name}")
        for message in wrong_with(table):
            yield Mistake(file, line, f"{label}: {message}")


def line_of(label: str, file: Path) -> int:
    """The line at which a table begins."""
    text = file.read_text(encoding="utf-8")
    heading = re.search(rf"^\[+{re.escape(label)}\b", text, re.MULTILINE)
    return text[: heading.start()].count("\n") + 1 if heading else 1


def pieces(ask: str) -> Iterator[tuple[str, str]]:
    """What is asked, piece by piece: text, code or math."""
    for part in re.split(r"(`[^`]+`|\$[^$]+\$)", ask):
        if part[:1] in KINDS:
            yield KINDS[part[0]], part[1:-1]
        elif part:
            yield "text", part


def formulas(page: Page) -> Iterator[tuple[str, Path, int]]:
    """The formulas in what is asked, each with its file and line."""
    exercises = read(page.file)
    for label in exercises:
        for kind, text in pieces(str(below(exercises, label).get("ask", ""))):
            if kind == "math":
                yield text, file_of(page.file), line_of(label, file_of(page.file))


def wrong_with(table: Any) -> Iterator[str]:
    """What is wrong with the table of one exercise."""
    misfits = [*schemas.errors(table, SCHEMA)]
    for error in misfits:
        path = (part + 1 if isinstance(part, int) else part for part in error.path)
        yield "".join(f"{part}: " for part in path) + error.message
    if misfits:
        return
    if not table["wrong"]:
        yield "needs a typical wrong answer: [[….wrong]] with code and hint"
    if not table["compare"]:
        yield "compare: got nothing, needs at least one expression"
    parts = {part: table.get(part, "") for part in ("stub", "right", "given")}
    parts |= {f"wrong {k}": one["code"] for k, one in enumerate(table["wrong"], start=1)}
    parts |= {f"compare {k}": one for k, one in enumerate(table["compare"], start=1)}
    for part, code in parts.items():
        try:
            ast.parse(code)
        except SyntaxError as error:
            yield f"{part}, line {error.lineno}: this is no Python: {error.msg}"
    for expression in table["compare"]:
        if not re.search(rf"\b{re.escape(table['name'])}\b", expression):
            yield f"compare: {expression!r} does not say {table['name']}"


def strays(root: Path, pages: Iterable[Page]) -> Iterator[Mistake]:
    """Files of exercises belong to a page."""
    there = {file_of(page.file) for page in pages}
    for file in sorted((root / "book" / "exercises").glob("*")):
        if file not in there:
            yield Mistake(file, 1, f"no page of the book is named {file.stem}")
