"""Runs a cell in the browser as a notebook does: what it prints, its last value, its figures."""

import ast
import builtins
import contextlib
import io
import json
import linecache
import logging
import sys
import traceback
from typing import Any

import IPython.display

from booktools.checks import CHECK, in_words
from booktools.live.waiting import Imports

display: Any = IPython.display  # its stand-in, which has a place for what shows a value

BACKEND = "matplotlib_inline.backend_inline"
names: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}


class Prints(io.TextIOBase):
    """Where a cell prints: lines of checks are told from the rest."""

    def __init__(self, outputs: list[dict[str, Any]]) -> None:
        self.outputs, self.line = outputs, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self.line = (self.line + text).split("\n")
        for line in lines:
            self.put(f"{line}\n")
        return len(text)

    def put(self, line: str) -> None:
        if found := CHECK.fullmatch(line.rstrip("\n")):
            said = in_words(found["cases"], found["found"])
            self.outputs.append({"check": found["label"], "found": said})
        elif self.outputs and "text" in self.outputs[-1]:
            self.outputs[-1]["text"] += line
        elif line.strip():
            self.outputs.append({"text": line})

    def end(self) -> None:
        if self.line:
            self.put(self.line)
        self.line = ""


imports = Imports({}, [])
# that it builds its list of fonts, once
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def know(needs: str, there: str) -> None:
    """Learn what the book's modules import, and which packages can be loaded; both as JSON."""
    imports.needs, imports.there = json.loads(needs), {*json.loads(there)}


def wanted(source: str) -> str:
    """The packages to load before a cell runs, as JSON; of a cell that is no Python, none."""
    with contextlib.suppress(SyntaxError):
        return json.dumps(imports.wanted(ast.parse(source)))
    return "[]"


def imported(source: str) -> str:
    """The packages that an answer imports, none of which waits, as JSON."""
    with contextlib.suppress(SyntaxError):
        return json.dumps(sorted(imports.missing(ast.parse(source))))
    return "[]"


def loaded(package: str) -> None:
    """Learn that a package is there."""
    imports.loaded.add(package)


def show(value: Any, outputs: list[dict[str, Any]]) -> None:
    """A value as the richest that it can be."""
    if hasattr(value, "savefig"):
        outputs.append({"svg": sys.modules[BACKEND].svg(value)})
    elif hasattr(value, "_repr_markdown_"):
        outputs.append({"markdown": value._repr_markdown_()})
    else:
        outputs.append({"value": repr(value)})


def execute(statement: ast.stmt, file: str) -> Any:
    """Run a statement of a cell; the value of an expression."""
    if isinstance(statement, ast.Expr):
        return eval(compile(ast.Expression(statement.value), file, "eval"), names)
    return exec(compile(ast.Module([statement], []), file, "exec"), names)


def run(source: str, number: int) -> str:
    """Run a cell; its outputs, in order, as JSON."""
    file = f"<cell {number}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    outputs: list[dict[str, Any]] = []
    prints = Prints(outputs)

    def shows(value: Any) -> None:
        prints.end()
        show(value, outputs)

    display.shown[:] = [shows]
    try:
        with contextlib.redirect_stdout(prints), contextlib.redirect_stderr(prints):
            tree = ast.parse(source, file)
            value = None
            for statement, cell in imports.begin(tree, file):
                result = execute(statement, cell)
                value = result if statement is tree.body[-1] else None
        if value is not None and not source.rstrip().endswith(";"):
            shows(value)
    except BaseException as error:
        prints.end()
        outputs.append(failure(error, file))
    prints.end()
    if backend := sys.modules.get(BACKEND):
        outputs += [{"svg": text} for text in backend.drawn()]
    return json.dumps(outputs)


def failure(error: BaseException, file: str) -> dict[str, Any]:
    """An error: what it says, and the lines of cells and packages on the way to it."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__
    ]
    ours = [frame.lineno for frame in frames if frame.filename == file]
    line = ours[-1] if ours else getattr(error, "lineno", None)
    said = "".join(traceback.format_exception_only(error)).strip()
    found: dict[str, Any] = {"error": said, "line": line, "trace": traceback.format_list(frames)}
    if type(error).__name__ == "EquationFails":
        label, _, rest = str(error).partition(": ")
        found |= {"fails": label.split(",")[0], "found": rest}
    return found
