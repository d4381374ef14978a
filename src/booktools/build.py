"""Build the book: execute every notebook, in parallel, then write the site; fail on any warning.

``python -m booktools.build [folder]``. Where no source has changed since the last build that
succeeded, nothing is done.
"""

import contextlib
import os
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import jupyter_book.cli.main
from jupyter_cache import get_cache
from jupyter_cache.executors.utils import (
    ExecutionResult,
    create_cache_bundle,
    single_nb_execution,
)
from nbformat import NotebookNode
from sphinx.util.console import nocolor
from sphinx_external_toc.parsing import parse_toc_yaml

from .cache import MEASURED, digest, execution_cache, files

FORMAT = {"name": "myst_nb_md", "type": "plugin"}
COLOUR = re.compile(r"\x1b\[[\d;]*m")
TIMEOUT = 300  # seconds for one cell


def execute(root: Path) -> bool:
    """Execute the notebooks whose outputs are not in the cache; whether all succeeded."""
    cache = get_cache(execution_cache(root))
    waiting = []
    for page in parse_toc_yaml(root / "_toc.yml"):
        path = root / f"{page}.md"
        if path.is_file() and "{code-cell}" in path.read_text(encoding="utf-8"):
            record = cache.add_nb_to_project(str(path), read_data=FORMAT)
            if cache.get_cached_project_nb(record.pk) is None:
                waiting.append((page, cache.get_project_notebook(record.pk)))

    def run(notebook: NotebookNode) -> ExecutionResult:
        # A line that reaches us in two parts, as the kernel happens to flush, stays one line.
        return single_nb_execution(
            notebook, str(root / "book"), TIMEOUT, allow_errors=False, coalesce_streams=True
        )

    failed = 0
    # Threads, for it is the kernels that work, each a process of its own.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {pool.submit(run, job.nb): (page, job) for page, job in waiting}
        for k, done in enumerate(as_completed(jobs), start=1):
            (page, job), result = jobs[done], done.result()
            state = "failed" if result.err else "executed"
            print(f"[{k}/{len(jobs)}] {page} {state} in {result.time:.1f} s", flush=True)
            if result.err:
                failed += 1
                print(COLOUR.sub("", f"{page}: {result.err}"), file=sys.stderr)
            else:
                bundle = create_cache_bundle(job, None, None, result.time, None)
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    return not failed


def write(root: Path) -> bool:
    """Write the site, from nothing: a warm build does not repeat the warnings of old pages."""
    for folder in ("html", ".doctrees"):
        shutil.rmtree(root / "_build" / folder, ignore_errors=True)
    print("Writing the site", flush=True)
    if not sys.stderr.isatty():
        nocolor()
    command = ["build", str(root), "-W", "-n", "--keep-going", "-q"]
    with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):
        try:
            jupyter_book.cli.main.main(command, standalone_mode=False)
        except (RuntimeError, SystemExit):  # how Jupyter Book fails; Sphinx has said why
            return False
    return True


def main() -> int:
    """Build, unless the last build succeeded with just these files; 0 if the site stands."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    start = time.perf_counter()
    stamp = root / "_build" / "built"
    settings = [path for path in root.glob("[!.]*") if path.is_file()]
    sources = files(root / "book", root / "src", root / MEASURED)
    state = digest(root, [*sources, *settings])
    if stamp.is_file() and stamp.read_text() == state:
        print("Nothing has changed since the last build.")
    else:
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
