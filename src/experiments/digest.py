"""A hash of all code that a training reaches: it tells rows of other code from those of this.

Imports are read from the source, wherever they stand in it, from module to module. A name that
``bptt`` or ``experiments`` hands on leads to the module that defines it; what else ``__init__``
imports does not count. An import by a name that is computed is not seen.
"""

import ast
import functools
import hashlib
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import bptt

# The folders of the packages whose modules count; of others, rows say the version.
FOLDERS = {
    "bptt": Path(bptt.__file__).resolve().parents[1],
    "experiments": Path(__file__).resolve().parents[1],
}
RUNNER = Path(__file__).resolve().with_name("runner.py")  # it runs and stores, but measures nothing


@functools.cache  # for a process computes with the code that it has loaded, not with a later edit
def digest(module: Path, data: tuple[Path, ...]) -> str:
    """The hash of a module's file, of all modules that it reaches, and of data files.

    Comments, docstrings and statements ``name = Experiment(...)`` do not count.
    """
    codes = {_without_words(_source(path)).encode() for path in reached(module)}
    total = hashlib.sha256()
    for content in (*sorted(codes), *(path.read_bytes() for path in data)):
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()[:16]


def reached(module: Path) -> set[Path]:
    """The files of a module and of all that it imports from FOLDERS, directly or not."""
    found: set[Path] = set()
    waiting = [module.resolve()]
    while waiting:
        if (path := waiting.pop()) not in found and path != RUNNER:
            found.add(path)
            for _, origin, name in _imports(path):
                waiting += _defining(origin, name)
    return found


def _imports(path: Path) -> Iterator[tuple[str, Path, str]]:
    """What a module imports: its name there, the path of its own module, its name in that one.

    Paths have no ending; "*" stands for all names.
    """
    for node in ast.walk(_parsed(_source(path))):
        if isinstance(node, ast.ImportFrom):
            first, *_ = parts = (node.module or "").split(".")
            if folder := path.parents[node.level - 1] if node.level else FOLDERS.get(first):
                for alias in node.names:
                    yield alias.asname or alias.name, folder.joinpath(*parts), alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first, *_ = parts = alias.name.split(".")
                if folder := FOLDERS.get(first):  # import a.b: a with all that it has, and b
                    yield alias.asname or first, folder / first, "*"
                    yield alias.name, folder.joinpath(*parts), "*"


def _defining(module: Path, name: str) -> list[Path]:
    """The files that define a name of a module, or of a package that hands it on."""
    file, below = _file(module), _file(module / name)
    found = [below] if below else []
    if file and file.name == "__init__.py" and name != "*":
        for bound, origin, known in _imports(file):
            if bound == name and (origin, known) != (module, name):
                found += _defining(origin, known)
    return found or ([file] if file else [])


def _file(module: Path) -> Path | None:
    """The file of a module or package, by its path without an ending; None if there is none."""
    files = (module / "__init__.py", module.with_suffix(".py"))
    return next((file for file in files if file.is_file()), None)


def _source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@functools.cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


@functools.cache
def _without_words(source: str) -> str:
    """The lines of code, without comments, docstrings and statements ``name = Experiment(...)``.

    The text and not the syntax tree, which each version of Python prints in its own way.
    """
    lines, docstrings = source.splitlines(), set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assign(value=ast.Call(func=ast.Name("Experiment")), end_lineno=int(end)):
                lines[node.lineno - 1 : end] = [""] * (end - node.lineno + 1)
            case ast.Module() | ast.ClassDef() | ast.FunctionDef():
                if ast.get_docstring(node) is not None:
                    docstrings.add((node.body[0].lineno, node.body[0].col_offset))
    # Backwards, so that what is taken out moves nothing that is still to be taken out.
    for token in reversed(list(tokenize.generate_tokens(StringIO(source).readline))):
        if token.type == tokenize.COMMENT or token.start in docstrings:
            (first, start), (last, end) = token.start, token.end
            lines[first - 1 : last] = [lines[first - 1][:start] + lines[last - 1][end:]]
    return "\n".join(line.rstrip() for line in lines if line.strip())
