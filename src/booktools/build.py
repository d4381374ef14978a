"""Build the book: execute every notebook, in parallel, then write the site; fail on any warning.

``python -m booktools.build [folder]``. Where nothing has changed since the last build that
succeeded, nothing is done.
"""

import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

from .cache import digest, execution_cache, files


def execute(root: Path) -> bool:
    """Execute the notebooks whose outputs are not in the cache; whether all succeeded."""
    cache = get_cache(execution_cache(root))
    for path in sorted((root / "book").rglob("*.md")):
        if "{code-cell}" in path.read_text():
            cache.add_nb_to_project(str(path), read_data={"name": "myst_nb_md", "type": "plugin"})
    result = load_executor("local-parallel", cache).run_and_cache(timeout=300)
    for record in cache.list_project_records():
        if record.uri in result.excepted:
            print(f"{record.uri} failed:\n{record.traceback}", file=sys.stderr)
    return not (result.excepted or result.errored)


def write(root: Path) -> bool:
    """Write the site, from nothing: a warm build does not repeat the warnings of old pages."""
    for folder in ("html", ".doctrees"):
        shutil.rmtree(root / "_build" / folder, ignore_errors=True)
    book = [Path(sys.executable).with_name("jupyter-book"), "build", root]
    return subprocess.run([*book, "-W", "-n", "--keep-going", "-q"], check=False).returncode == 0


def main() -> int:
    """Build, unless the last build succeeded with just these files; 0 if the site stands."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    start = time.perf_counter()
    stamp = root / "_build" / "built"
    sources = [path for path in root.iterdir() if path.is_file() and path.name != ".coverage"]
    state = digest(root, [*files(root / "book", root / "src"), *sources])
    if not (stamp.is_file() and stamp.read_text() == state):
        stamp.unlink(missing_ok=True)
        if not (execute(root) and write(root)):
            print("The book does not build: see above.", file=sys.stderr)
            return 1
        stamp.write_text(state)
    seconds = time.perf_counter() - start
    print(f"The book stands, after {seconds:.0f} s: {(root / '_build/html/index.html').as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
