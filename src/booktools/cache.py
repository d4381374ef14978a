"""Where executed notebooks are kept: in a folder named by all that their outputs depend on."""

import hashlib
import os
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path

MEASURED = Path("benchmarks", "results")  # what chapters read and no build can repeat


def digest(root: Path, paths: Iterable[Path]) -> str:
    """A hash of these files, their names below ``root``, and the version of Python."""
    total = hashlib.sha256(platform.python_version().encode())
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


def execution_cache(root: Path) -> Path:
    """The cache of executed notebooks that holds for the present code; older ones are removed.

    A notebook's own text is the cache's key already. What it imports, what it reads and the locked
    stack are not, so they name the folder.
    """
    name = digest(root, [*files(root / "src", root / MEASURED), root / "constraints.txt"])
    folder = root / "_build" / ".jupyter_cache" / name
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    isolate(root / "_build" / "ipython")
    return folder


def isolate(folder: Path) -> None:
    """Let kernels depend on nothing of the reader's: no start-up files, one thread, fixed hashes.

    With one thread, sums are taken in the same order on every run; notebooks run side by side.
    """
    (folder / "profile_default").mkdir(parents=True, exist_ok=True)
    settings = folder / "profile_default" / "ipython_kernel_config.py"
    settings.write_text("c.IPKernelApp.log_level = 'ERROR'\n")
    os.environ.update(
        IPYTHONDIR=str(folder), OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", PYTHONHASHSEED="0"
    )
