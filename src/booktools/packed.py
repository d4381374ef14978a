"""A chapter packed to be taken along: one zip that runs where nothing of the book is installed.

In its folder lie the package's wheel, a README that says what to type, and the versions with which
the book was built. Below that all lies as in the repository, but for the modules of ``booktools``
and ``experiments`` that the chapter imports: these lie beside the notebook, where every program
that runs notebooks looks for them, and where a reader can change them.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import nbformat

from experiments import digest as code

from . import cache

README = """\
# {title}

This is a chapter of *{book}*: its notebook, the package `bptt`, and what else
the notebook imports and reads. With Python 3.11 or later, in this folder:

    python3 -m venv .venv
    . .venv/bin/activate
    pip install -c constraints.txt "{wheel}[book]" jupyterlab
    jupyter lab {notebook}

On Windows the first two lines are `py -m venv .venv` and `.venv\\Scripts\\activate`. The file
`constraints.txt` names the versions with which the book was built; without `-c constraints.txt`
you get the newest ones.

Text: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/. Code: MIT, see LICENSE.
"""
ABOUT = ("LICENSE", "constraints.txt")
METADATA = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE")  # what a wheel's is from


def wheel(root: Path) -> Path:
    """The package's wheel, built if its sources have changed since it last was."""
    sources = cache.files(root / "src" / "bptt") + [root / name for name in METADATA]
    state = cache.digest(root, sources, *(os.environ.get(name, "") for name in cache.ADDRESSES))
    folder = root / "_build" / "wheel" / state
    if not any(folder.glob("*.whl")):
        shutil.rmtree(folder.parent, ignore_errors=True)
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{root}: the wheel cannot be built:\n{done.stdout}{done.stderr}")
    (built,) = folder.glob("*.whl")
    return built


def pack(root: Path, chapter: Path, notebook: str, book: str) -> tuple[str, bytes]:
    """The name of a chapter's zip, and the zip, which unpacks into a folder of that name."""
    built = wheel(root)
    name = f"{built.name.partition('-')[0].replace('_', '-')}-{chapter.stem}"
    found = contents(root, chapter, notebook, book, built)
    return f"{name}.zip", archive({f"{name}/{place}": found[place] for place in found})


def contents(root: Path, chapter: Path, notebook: str, book: str, built: Path) -> dict[str, bytes]:
    """What is in a chapter's folder, by its place there."""
    place = chapter.relative_to(root).with_suffix(".ipynb").as_posix()
    cells = nbformat.reads(notebook, as_version=nbformat.NO_CONVERT).cells
    heading = re.search(r"^# (.+)", "\n".join(cell.source for cell in cells), re.MULTILINE)
    if heading is None:
        raise ValueError(f"{chapter}: got no heading, needs one: the README begins with it")
    readme = README.format(title=heading[1], book=book, wheel=built.name, notebook=place)
    found = {
        built.name: built.read_bytes(),
        "README.md": readme.encode(),
        place: notebook.encode(),
        **{name: (root / name).read_bytes() for name in ABOUT},
    }
    program = cache.program(cell.source for cell in cells if cell.cell_type == "code")
    for path in needed(root, chapter, program):
        name = path.relative_to(root).as_posix()
        found[re.sub(r"^src/", f"{chapter.parent.name}/", name)] = path.read_bytes()
    return found


def needed(root: Path, chapter: Path, cells: str) -> set[Path]:
    """What a chapter imports and reads, and no wheel has."""
    modules = cache.reached(cells, chapter)
    # whoever imports a module runs its package's __init__, too
    modules = code.followed(modules | {module.with_name("__init__.py") for module in modules})
    installed = code.FOLDERS["bptt"] / "bptt"
    found = modules | cache.read_by(root, cells, chapter, modules)
    return {path for path in found if not path.is_relative_to(installed)}


def archive(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files, under these names, the same on every build."""
    sink = BytesIO()
    with zipfile.ZipFile(sink, "w") as target:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            target.writestr(entry, files[name], zipfile.ZIP_DEFLATED, 9)
    return sink.getvalue()
