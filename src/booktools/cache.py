"""Where executed chapters are kept: each in a folder named by all that its outputs depend on.

That is: its cells; the modules of our packages that they reach, without comments and docstrings;
the files that it reads; the locked packages and Python's version. What a chapter reads is told from
its source, and rather too much than too little:

- a string that names a file or folder below the chapter's folder, or the module's, or an f-string
  whose fixed parts fit one, counts for that file, or for all files of the folder;
- ``Experiment("name", ...)`` counts for the stored rows of that name;
- ``import_module`` counts for all modules of our packages, since its name may be computed;
- where cells show sources or docstrings, comments and docstrings count as well.

A path of which no part stands in the source is not seen: write it out.
"""

import ast
import hashlib
import os
import platform
import re
import shutil
import site
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from experiments import digest as code

from .pages import Page, python

EXECUTED = ".jupyter_cache"  # in _build
MEASURED = Path("benchmarks", "results")  # what chapters read and no build can repeat
RUNNER = code.RUNNER  # it reads the rows that others name
RESULTS = RUNNER.with_name("results")
LOOKS = {"Path", "open", "glob", "listdir", "scandir", "walk"}  # into a folder, which may be ".."
# With these a chapter shows how a source is written.
SHOWS_WORDS = re.compile(r"\b(getsource|getsourcelines|getdoc|getcomments|__doc__|help)\b")
BY_NAME = re.compile(r"\b(import_module|__import__)\b")
# What a kernel may see of the reader's environment: where programs and packages are, what Windows
# needs, and what chooses the arithmetic, which names the cache, too.
ARITHMETIC = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES")
ADDRESSES = ("BOOK_URL", "GITHUB_REPOSITORY")  # which pages and the package's metadata show
MAY_SEE = (
    *("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT"),
    *ARITHMETIC,
)


def digest(root: Path, paths: Iterable[Path], *words: str) -> str:
    """A hash of these files, their names below ``root``, and these words."""
    total = hashlib.sha256("\0".join([platform.python_version(), *words]).encode())
    for path in sorted(paths):
        total.update(f"\0{path.relative_to(root)}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def files(*folders: Path) -> list[Path]:
    """The files below these folders that are sources: no caches of Python or Jupyter."""
    hidden = {"__pycache__", ".ipynb_checkpoints"}
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not hidden & {*path.parts} and ".egg-info" not in str(path)
    ]


def sources(root: Path) -> list[Path]:
    """All files of the repository that the site is made from."""
    settings = [path for path in root.glob("[!.]*") if path.is_file()]
    folders = ("book", "src", "examples", "proofs", MEASURED)
    return [*files(*(root / name for name in folders)), *settings]


def key(root: Path, page: Page) -> str:
    """What the outputs of a chapter depend on, in one hash."""
    written = tuple(cell.source for cell in page.cells)
    return _key(root, page.file, (*written, str(page.front.get("kernelspec"))), program(written))


def program(cells: Iterable[str]) -> str:
    """The code of these cells, one after the other."""
    return "\n".join(map(python, cells))


@cache  # for the build asks, and Sphinx again
def _key(root: Path, file: Path, written: tuple[str, ...], cells: str) -> str:
    modules = reached(cells, file)
    read = read_by(root, cells, file, modules)
    texts = {module: _text(module) for module in modules}
    if not SHOWS_WORDS.search(cells):
        texts = {module: code.without_words(text) for module, text in texts.items()}
    parts = list(written)
    parts += [f"{module.parent.name}.{module.stem} {texts[module]}" for module in sorted(texts)]
    parts += [os.environ.get(name, "") for name in ARITHMETIC]
    parts += [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(read)]
    return digest(root, [root / "constraints.txt"], *parts)


def reached(cells: str, path: Path) -> set[Path]:
    """The modules of our packages that a chapter's cells lead to."""
    found = code.followed(code.imported(cells, path))
    if any(map(BY_NAME.search, (cells, *map(_text, found)))):
        folders = (folder / package for package, folder in code.FOLDERS.items())
        found |= {file for file in files(*folders) if file.suffix == ".py"}
    return found


def read_by(root: Path, cells: str, path: Path, modules: set[Path]) -> set[Path]:
    """The files that a chapter's cells name, and those that these modules name."""
    found = set(_data(root, path.parent, cells))
    for module in modules - {RUNNER}:
        found |= _data(root, module.parent, _text(module))
    return found


def _called(call: ast.Call) -> str:
    """The last name of what is called."""
    return str(getattr(call.func, "id", getattr(call.func, "attr", "")))


@cache
def _data(root: Path, folder: Path, text: str) -> set[Path]:
    """The files that a source in this folder names."""
    found: set[Path] = set()
    for node in ast.walk(_tree(text)):
        if isinstance(node, ast.Call) and _called(node) == "Experiment" and node.args:
            found.update(RESULTS.glob(f"{_pattern(node.args[0])}.jsonl"))
        elif isinstance(node, ast.Call) and _called(node) in LOOKS and node.args:
            if folder.parents[0] in _named(folder, node.args[0]):  # then whatever can be data
                found.update(files(root / MEASURED, RESULTS, RESULTS.with_name("texts")))
        elif isinstance(node, ast.Constant | ast.JoinedStr):
            for path in _named(folder, node):
                if path in folder.parents:
                    continue
                if path.is_dir() and path != folder:
                    found.update(files(path))
                elif path.is_file() and path.suffix not in (".py", ".md"):
                    found.add(path)
    return {path for path in found if path.is_relative_to(root)}


def _named(folder: Path, node: ast.expr) -> list[Path]:
    """The files and folders that a string can mean."""
    name = _pattern(node)
    if isinstance(node, ast.JoinedStr):
        whole = "/" in name or re.search(r"\.\w+$", name)
        return list(folder.glob(name)) if whole and not Path(name).is_absolute() else []
    if not name or len(name) > 200 or not name.isprintable() or Path(name).is_absolute():
        return []
    path = (folder / name).resolve()
    return [path] if path.exists() else []


def _pattern(node: ast.expr) -> str:
    """A string as far as the source says it, with stars for the rest."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return re.sub(r"\*+", "*", "".join(map(_pattern, parts)))
        case ast.Constant():
            return ""
    return "*"


@cache
def _tree(text: str) -> ast.Module:
    return ast.parse(text)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def execution_cache(root: Path, page: Page) -> Path:
    """The cache in which the executed page is kept, or will be; older ones of it are removed."""
    kept = root / "_build" / EXECUTED / page.name / key(root, page)
    for other in kept.parent.glob("*"):
        if other != kept:
            shutil.rmtree(other)
    kept.mkdir(parents=True, exist_ok=True)
    return kept


def is_executed(cache: Path) -> bool:
    """Whether a page's cache holds its outputs."""
    return any((cache / "executed").glob("*/base.ipynb"))


def prune(root: Path, pages: Iterable[str]) -> None:
    """Remove what is kept for pages that the book no longer has, or is kept in an older way."""
    folder = root / "_build" / EXECUTED
    ours = {(folder / page).resolve() for page in pages}
    for path in [path.parent for path in folder.rglob("global.db")]:
        if path.parent not in ours:
            shutil.rmtree(path)


@contextmanager
def isolated(root: Path) -> Iterator[None]:
    """Let kernels that start now see of the reader's environment only what is named here.

    With one thread, sums are taken in the same order on every run; notebooks run side by side.
    """
    reader = dict(os.environ)
    home = root / "_build" / "kernel"
    os.environ.clear()
    os.environ.update(environment(reader, home))
    try:
        prepare(home)
        yield
    finally:
        os.environ.clear()
        os.environ.update(reader)


def environment(reader: Mapping[str, str], home: Path) -> dict[str, str]:
    """What kernels see: of the reader's only MAY_SEE, and a home of the book's own."""
    folders = {
        "IPYTHONDIR": home / "ipython",
        "JUPYTER_CONFIG_DIR": home / "jupyter",
        "JUPYTER_DATA_DIR": home / "jupyter",
        "JUPYTER_RUNTIME_DIR": home / "jupyter" / "runtime",
        "MPLCONFIGDIR": home / "matplotlib",  # no matplotlibrc of the reader's
        "HOME": home,
        "USERPROFILE": home,
    }
    return {
        **{name: reader[name] for name in MAY_SEE if name in reader},
        **{name: str(folder) for name, folder in folders.items()},
        "PYTHONUSERBASE": site.getuserbase(),  # packages may be there, and HOME tells no longer
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }


def prepare(home: Path) -> None:
    """Make that home: quiet kernels, and the list of fonts, which warns where it is made."""
    profile = home / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 'ERROR'\n")
    fonts = home / "matplotlib"
    if not any(fonts.glob("fontlist-*.json")):
        fonts.mkdir(exist_ok=True)
        command = [sys.executable, "-c", "import matplotlib.font_manager"]
        subprocess.run(command, check=True, capture_output=True)
