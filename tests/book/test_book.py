"""The chapters as they are written: their displays, their checks, and what the checks notice."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from plant import leading_to_checks
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "book").glob("*.md"))
FENCE = re.compile(r"^(`{3,})\{code-cell\}.*?^\1$", re.DOTALL | re.MULTILINE)
DISPLAY = re.compile(r"\$\$(?P<tex>.+?)\$\$(?:[ \t]*\((?P<label>[^\s)]+)\))?", re.DOTALL)
STATEMENT = re.compile(r"\{prf:(theorem|lemma|proposition|corollary)\}.*?:label: (\S+)", re.DOTALL)


def checks(path):
    """The calls of ``verified`` in a chapter."""
    cells = jupytext.read(path, fmt="md:myst").cells
    code = [ast.parse(cell.source) for cell in cells if cell.cell_type == "code"]
    return [
        call
        for tree in code
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", getattr(call.func, "attr", "")) == "verified"
    ]


def named(path):
    return path.name


def test_every_page_is_in_the_table_of_contents():
    written = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / "book").rglob("*.md")}
    assert set(map(Path, parse_toc_yaml(ROOT / "_toc.yml"))) == written


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_statement_has_a_label_and_a_check(path):
    prose = FENCE.sub("", path.read_text())
    displays = [match["label"] for match in DISPLAY.finditer(prose)]
    assert None not in displays
    statements = {label for label in displays if not label.startswith("def-")}
    statements |= {label for _, label in STATEMENT.findall(prose)}
    checked = {
        call.args[0].value for call in checks(path) if isinstance(call.args[0], ast.Constant)
    }
    assert statements <= checked


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_no_check_compares_an_expression_with_itself(path):
    for call in checks(path):
        left, right = (ast.dump(side) for side in call.args[1:3])
        assert left != right, ast.unparse(call)


def unnoticed(path):
    """The labels of the checks of a chapter that do not notice a planted error."""
    command = [sys.executable, str(Path(__file__).parent / "plant.py"), path.name]
    result = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.mark.parametrize("path", [path for path in PAGES if checks(path)], ids=named)
def test_every_check_notices_a_planted_error(path):
    assert unnoticed(path) == []


def test_cells_that_lead_to_no_check_are_left_out():
    sources = [
        "import bptt",
        "a, b = [1.0], []",
        "b.append(a[0])\nunused = 3",
        "print(unused)",
        "def agree(x):\n    bptt.verified('eq-agree', x, [1.0], tol=0)",
        "agree(b)",
        "b.append(2.0)",
        "b = 4",
    ]
    assert leading_to_checks(sources) == [sources[k] for k in (0, 1, 2, 4, 5)]


def test_a_check_with_a_wide_tolerance_is_found(tmp_path):
    cell = """```{code-cell} ipython3
import bptt
bptt.verified("eq-tight", 2.0, 2.0, tol=1e-15)
bptt.verified("eq-wide", [2.0], [2.0], tol=0.01)
```
"""
    front = PAGES[0].read_text().split("# ")[0]
    (tmp_path / "chapter.md").write_text(front + cell)
    assert unnoticed(tmp_path / "chapter.md") == ["eq-wide"]
