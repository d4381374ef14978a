"""Runs a cell in the browser as a notebook does: what it prints, its last value, its figures."""

import ast
import builtins
import contextlib
import io
import json
import linecache
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import IPython.display

from booktools.checks import CHECK, in_words

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


def wanted(source: str, needs: dict[str, list[str]]) -> list[str]:
    """The packages that a cell's imports need, where ``needs`` says it of the book's modules."""
    found: dict[str, None] = {}
    for module in imported(source):
        found |= dict.fromkeys([*needs.get(module, []), module.partition(".")[0]])
    return list(found)


def imported(source: str) -> Iterator[str]:
    """The modules that a cell imports: of ``from a import b`` a.b and a."""
    with contextlib.suppress(SyntaxError):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def show(value: Any, outputs: list[dict[str, Any]]) -> None:
    """A value as the richest that it can be."""
    if hasattr(value, "savefig"):
        outputs.append({"svg": sys.modules[BACKEND].svg(value)})
    elif hasattr(value, "_repr_markdown_"):
        outputs.append({"markdown": value._repr_markdown_()})
    else:
        outputs.append({"value": repr(value)})


def final_value(tree: ast.Module) -> ast.Expression | None:
    """Take the last line off, if it is an expression."""
    if tree.body and isinstance(last := tree.body[-1], ast.Expr):
        tree.body.pop()
        return ast.Expression(last.value)
    return None


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
            last = final_value(tree)
            exec(compile(tree, file, "exec"), names)
            value = eval(compile(last, file, "eval"), names) if last else None
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
