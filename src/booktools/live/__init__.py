"""A Sphinx extension: cells that run in the reader's browser, once the reader has pressed Run.

``make live`` brings Python for the browser into ``.live`` (:mod:`booktools.live.wheels`). Where it
stands, pages with code load a small script; all else is served from ``_live`` and waits for the
press. Every code cell carries its number, also those whose code is not shown: their sources are
beside the page, for what a reader runs may need what stands above it.
"""

import ast
import hashlib
import json
import shutil
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.core.read import read_myst_markdown_notebook
from sphinx.application import Sphinx
from sphinx.util import logging

from booktools.live.waiting import imported
from booktools.offers import is_notebook
from booktools.packed import archive
from booktools.palette import IN_THE_DARK

logger = logging.getLogger(__name__)
HERE = Path(__file__).parent
ENTRIES = [
    HERE / name
    for name in ("live.js", "live.css", "session.js", "session.css", "editor.js", "render.js")
]
OWN = ("bptt", "booktools", "experiments")  # packages of this repository
PRESENT = {*OWN, *sys.stdlib_module_names}
TOOLS = (  # of booktools, for cells and for what runs them
    *("__init__", "checks", "frameworks", "palette", "passage", "style", "tables"),
    *("live/judge", "live/runner", "live/waiting"),
)
SMALL = (
    *("src/bptt/*.py", "src/experiments/*.py"),
    *("benchmarks/results/*.json", "examples/*.py", "examples/results/*.json"),
)
LARGE = ("src/experiments/results/*.jsonl", "src/experiments/texts/*")  # which few pages read
STAND_INS = HERE / "standins"
START = ("pyodide.asm.wasm", "pyodide-lock.json", "python_stdlib.zip")  # what Python itself fetches


def brought(root: Path) -> Path | None:
    """The folder that ``make live`` has filled, if it has."""
    folder = root / ".live"
    return folder if (folder / "pyodide-lock.json").is_file() else None


def entries(root: Path) -> list[Path]:
    """What is bundled for pages whose cells are live."""
    return ENTRIES if brought(root) else []


# Cells


def cells(source: Path) -> list[dict[str, Any]]:
    """The code cells of a chapter as the browser runs them: their numbers and sources."""
    notebook = read_myst_markdown_notebook(source.read_text(encoding="utf-8"))
    return [
        {"number": number, "source": cell.source}
        for number, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
    ]


def number(app: Sphinx, doctree: nodes.document) -> None:
    """Let each cell of the page say which it is."""
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") == "cell_code":
            cell["data"] = {"cell": cell["cell_index"]}


# What the packages of this repository import


def needs(root: Path) -> dict[str, list[str]]:
    """The outside packages of each module of ours: what it or others it imports begin with, and
    what its own functions import when they are called.
    """
    first: dict[str, set[str]] = {}
    called: dict[str, set[str]] = {}
    for package in OWN:
        for path in sorted((root / "src" / package).rglob("*.py")):
            parts = path.relative_to(root / "src").with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            tree = ast.parse(path.read_text(encoding="utf-8"))
            within = name if path.stem == "__init__" else name.rpartition(".")[0]
            first[name] = {*around(name), *imported(tree.body, within)}
            called[name] = {*imported(ast.walk(tree), within)}
    edges = {name: found & first.keys() for name, found in first.items()}
    found = {
        name: called[name].union(*(first[other] for other in reached(name, edges)))
        for name in first
    }
    return {name: sorted({*map(top, modules)} - PRESENT) for name, modules in found.items()}


def top(module: str) -> str:
    return module.partition(".")[0]


def around(name: str) -> list[str]:
    """The packages that hold a module, which are imported before it."""
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


def reached(name: str, edges: dict[str, set[str]]) -> set[str]:
    """A module and all of ours that it imports, directly or not."""
    found, waiting = set(), [name]
    while waiting:
        if (one := waiting.pop()) not in found:
            found.add(one)
            waiting += edges[one]
    return found


# What the site serves


def sources(root: Path) -> dict[str, Path]:
    """What is always there in the browser: the repository's own code, and small data."""
    tools = [f"src/booktools/{name}.py" for name in TOOLS]
    stand_ins = matching(STAND_INS, "**/*.py")
    return {
        **matching(root, *SMALL),
        **{place: root / place for place in tools},
        **{f"src/{place}": path for place, path in stand_ins.items()},
    }


def matching(folder: Path, *patterns: str) -> dict[str, Path]:
    """The files that fit these patterns, by their place in the folder."""
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    return {path.relative_to(folder).as_posix(): path for path in found}


def serve(app: Sphinx, exception: Exception | None) -> None:
    """Write what waits for the reader's press."""
    if exception is not None or app.builder.name != "html":
        return
    root = Path(app.confdir)
    folder = brought(root)
    if folder is None:
        logger.info("Cells of this site do not run: make live brings what they need.")
        return
    target = Path(app.outdir) / "_live"
    python = target / f"python-{digest((folder / 'pyodide-lock.json').read_bytes())}"
    if not python.is_dir():
        shutil.copytree(folder, python)
    packages = json.loads((folder / "pyodide-lock.json").read_bytes())["packages"]
    names: dict[str, Any] = {}
    for name, found in (("book", sources(root)), ("experiments", matching(root, *LARGE))):
        content = {place: path.read_bytes() for place, path in found.items()}
        names[name] = kept(target, f"{name}.zip", archive(content))
    names["worker"] = kept(target, "worker.js", (HERE / "worker.js").read_bytes())
    names |= {
        "python": python.name,
        **{name: app.config.bundles[f"{name}.js"] for name in ("session", "editor", "render")},
        "style": app.config.bundles["session.css"],
        "colours": IN_THE_DARK,
        "macros": app.config.math_macros,
        "packages": sorted(packages),
        "start": START,
        "files": {name: sorted(files(name, packages)) for name in packages},
        "needs": needs(root),
    }
    names |= described(folder, target)
    write_json(target / "index.json", names)
    for page in app.env.found_docs:
        source = Path(app.env.doc2path(page))
        if is_notebook(source):
            write_json(target / "cells" / f"{page}.json", cells(source))
    shutil.copyfile(HERE / "kept.js", Path(app.outdir) / "kept.js")  # whose folder is its scope


def files(name: str, packages: dict[str, Any]) -> set[str]:
    """The files that a package comes in, those of all it depends on included."""
    return {
        packages[one]["file_name"]
        for one in reached(name, {n: {*p["depends"]} for n, p in packages.items()})
    }


def described(*folders: Path) -> dict[str, dict[str, Any]]:
    """Of each file its size, to say how far the loading is, and its hash, for browsers to check."""
    files = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    hashes = {path.name: hashlib.sha256(path.read_bytes()).digest() for path in files}
    return {
        "sizes": {path.name: path.stat().st_size for path in files},
        "integrity": {name: f"sha256-{b64encode(h).decode()}" for name, h in hashes.items()},
    }


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:10]


def kept(folder: Path, name: str, data: bytes) -> str:
    """Write a file under a name that says what is in it, for browsers keep files by their names."""
    stem, _, kind = name.partition(".")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{stem}-*.{kind}"):
        old.unlink()
    named = f"{stem}-{digest(data)}.{kind}"
    (folder / named).write_bytes(data)
    return named


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, sort_keys=True), encoding="utf-8", newline="\n")


def load(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """The small script and style, on pages that have code."""
    if (
        tree is not None
        and brought(Path(app.confdir))
        and is_notebook(Path(app.env.doc2path(page)))
    ):
        context["styles"].append(app.config.bundles["live.css"])
        context["scripts"].append(app.config.bundles["live.js"])


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("booktools.live.answers")
    app.connect("doctree-read", number)
    app.connect("html-page-context", load, priority=700)  # after booktools.bundle
    app.connect("build-finished", serve, priority=800)  # before booktools.site
    return {"parallel_read_safe": True}
