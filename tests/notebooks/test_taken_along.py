"""Zips of chapters, where nothing of the book is installed: slow, and needs the index.

One environment is made as the README says, line by line; wheel and versions are the same in all
zips. Other chapters than these: ``CHAPTERS="index forward" make notebooks-test``.
"""

import io
import os
import re
import subprocess
import zipfile
from pathlib import Path

import nbformat
import pytest

from booktools import offers, packed

ROOT = Path(__file__).parents[2]
CHAPTERS = os.environ.get("CHAPTERS", "gates reading your-framework").split()


def run(script, folder, **environment):
    """What these lines print in this folder; an error if one of them fails."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV")
    outside = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=outside | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def unpacked(name, folder):
    """The folder that a chapter's zip makes, and the commands of its README."""
    chapter = ROOT / "book" / f"{name}.md"
    title, content = packed.pack(ROOT, chapter, offers.notebook(chapter), "The Book")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    folder /= title.removesuffix(".zip")
    return folder, re.findall(r"^    (.+)", (folder / "README.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """What a shell needs to use an environment that was made as a README says."""
    folder, commands = unpacked(CHAPTERS[0], tmp_path_factory.mktemp("first"))
    *install, _ = commands
    run("\n".join(install), folder)
    apart = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "MPLCONFIGDIR")
    return {
        "PATH": f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}",
        **{name: str(tmp_path_factory.mktemp(name)) for name in apart},
    }


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_notebook_runs_to_its_end_where_its_zip_is_unpacked(name, environment, tmp_path):
    folder, (*_, start) = unpacked(name, tmp_path)
    assert start == f"jupyter lab book/{name}.ipynb"
    run(f"jupyter execute --inplace --timeout=1800 book/{name}.ipynb", folder, **environment)
    done = nbformat.read(folder / "book" / f"{name}.ipynb", as_version=4)
    cells = [cell for cell in done.cells if cell.cell_type == "code" and cell.source]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = [output for cell in cells for output in cell.outputs]
    assert [out.text for out in outputs if out.get("name") == "stderr"] == []
