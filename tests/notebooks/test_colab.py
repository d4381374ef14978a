"""The notebooks for Colab, where nothing of the book is installed: slow, and needs the index.

A new environment has a kernel and an older NumPy, as a service has. The first cell of a notebook
brings all else, from a clone of the last commit: git takes it for GitHub.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from booktools.offers import is_notebook, notebook

ROOT = Path(__file__).parents[2]
NUMPY = "import numpy; print(numpy.__version__)"


def output(*command):
    """What a command prints; an error if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """A folder with an empty ``content``, and an environment for the kernel ``fresh``."""
    folder = tmp_path_factory.mktemp("machine")
    python = folder / "venv" / "bin" / "python"
    output(sys.executable, "-m", "venv", folder / "venv")
    output(python, "-m", "pip", "install", "--quiet", "ipykernel", "numpy<2.3")
    output("git", "clone", "--quiet", "--bare", ROOT.as_uri(), folder / "github/owner/name")
    kernel = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "fresh",
        "language": "python",
    }
    (folder / "kernels" / "fresh").mkdir(parents=True)
    (folder / "kernels" / "fresh" / "kernel.json").write_text(json.dumps(kernel))
    (folder / "content").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("GIT_CONFIG_COUNT", "1")
        patch.setenv("GIT_CONFIG_KEY_0", f"url.{(folder / 'github').as_uri()}/.insteadOf")
        patch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/")
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        for name in ("PYTHONPATH", "VIRTUAL_ENV"):
            patch.delenv(name, raising=False)
        yield folder


def run(cells, machine):
    """Execute these cells; an error in one is raised."""
    book = nbformat.v4.new_notebook(cells=cells)
    place = {"metadata": {"path": str(machine / "content")}}
    NotebookClient(book, timeout=900, kernel_name="fresh", resources=place).execute()
    return book.cells


def cells_of(chapter):
    return nbformat.reads(notebook(chapter, "owner/name"), as_version=4).cells


@pytest.mark.parametrize("name", ["gates", "many-ways", "reading"])
def test_a_notebook_runs_from_its_first_cell_to_its_last(name, machine):
    python = machine / "venv" / "bin" / "python"
    before = output(python, "-c", NUMPY)
    cells = cells_of(ROOT / "book" / f"{name}.md")
    run([nbformat.v4.new_code_cell(cells[0].source), *cells], machine)  # the first one twice
    assert output(python, "-c", NUMPY) == before


def test_the_imports_of_all_notebooks_are_there(machine):
    cells, imports = [], set()
    for chapter in sorted((ROOT / "book").glob("*.md")):
        if is_notebook(chapter):
            first, *_ = cells = cells_of(chapter)
            code = "\n".join(cell.source for cell in cells[1:] if cell.cell_type == "code")
            imports |= {
                ast.unparse(node)
                for node in ast.walk(ast.parse(code))
                if isinstance(node, ast.Import | ast.ImportFrom)
            }
    run([first, nbformat.v4.new_code_cell("\n".join(sorted(imports)))], machine)
