"""A hash of all code that a training reaches: it tells rows of other code from those of this.

Imports are read from the source, wherever they stand in it, from module to module. A name that
a package of ours hands on leads to the module that defines it; what else ``__init__`` imports does
not count. An import by a name that is computed is not seen. The build follows chapters by the
same functions.
"""

import ast
import functools
import hashlib
import tokenize
from collections.abc import Iterable, Set
from importlib.util import find_spec
from io import StringIO
from pathlib import Path


def folder_of(package: str) -> Path:
    """Where an import would find a package, which is not imported."""
    spec = find_spec(package)
    return Path(str(spec and spec.origin)).resolve().parents[1]


# The folders of the packages whose modules count; of others, rows say the version.
FOLDERS = {
    "bptt": folder_of("bptt"),
    "experiments": Path(__file__).resolve().parents[1],
    "booktools": Path(__file__).resolve().parents[1],  # beside experiments, or not there
}
RUNNER = Path(__file__).resolve().with_name("runner.py")  # it runs and stores, but measures nothing


@functools.cache  # for a process computes with the code that it has loaded, not with a later edit
def digest(module: Path, data: tuple[Path, ...]) -> str:
    """The hash of a module's file, of all modules that it reaches, and of data files.

    Comments, docstrings and statements ``name = Experiment(...)`` do not count.
    """
    codes = {without_words(_source(path), settings=False).encode() for path in reached(module)}
    total = hashlib.sha256()
    for content in (*sorted(codes), *(path.read_bytes() for path in data)):
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()[:16]


def reached(module: Path) -> set[Path]:
    """The files of a module and of all that it imports from FOLDERS, directly or not."""
    return followed([module.resolve()], without={RUNNER})


def followed(files: Iterable[Path], without: Set[Path] = frozenset()) -> set[Path]:
    """These files and all that they import from FOLDERS, directly or not."""
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        if (path := waiting.pop()) not in found | without:
            found.add(path)
            waiting += imported(_source(path), path)
    return found


def imported(source: str, path: Path) -> list[Path]:
    """The files of FOLDERS that a source, which stands at this path, imports itself."""
    imports = _imports(source, path)
    return [file for _, module, name in imports for file in _defining(module, name)]


@functools.cache
def _imports(source: str, path: Path) -> list[tuple[str, Path, str]]:
    """What a source imports: its name there, the path of its own module, its name in that one.

    Paths have no ending; "*" stands for all names.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            first, *_ = parts = (node.module or "").split(".")
            if folder := path.parents[node.level - 1] if node.level else FOLDERS.get(first):
                module = folder.joinpath(*parts)
                found += [(alias.asname or alias.name, module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first, *_ = parts = alias.name.split(".")
                if folder := FOLDERS.get(first):  # import a.b: a with all that it has, and b
                    found.append((alias.asname or first, folder / first, "*"))
                    found.append((alias.name, folder.joinpath(*parts), "*"))
    return found


def _defining(module: Path, name: str) -> list[Path]:
    """The files that define a name of a module, or of a package that hands it on."""
    file, below = _file(module), _file(module / name)
    found = [below] if below else []
    if file and file.name == "__init__.py" and name != "*":
        for bound, origin, known in _imports(_source(file), file):
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
def without_words(source: str, settings: bool = True) -> str:
    """The lines of code, without comments and docstrings.

    Without ``settings`` statements ``name = Experiment(...)`` are left out, too.

    The text and not the syntax tree, which each version of Python prints in its own way.
    """
    lines, docstrings = source.splitlines(), set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assign(value=ast.Call(func=ast.Name("Experiment")), end_lineno=int(end)) if (
                not settings
            ):
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
