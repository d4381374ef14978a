"""Build the book: look for mistakes, execute what has changed, in parallel, then write the site.

``python -m booktools.build [folder]``; any warning fails. Where nothing has changed since the last
build that succeeded, nothing is done. With ``--page NAME`` one page is written anew into the site
that stands, and the others stay as they are; with ``--changed`` those that have changed.
"""

import argparse
import gc
import os
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from jupyter_book.sphinx import build_sphinx
from jupyter_cache import get_cache
from jupyter_cache.executors.utils import (
    ExecutionResult,
    create_cache_bundle,
    single_nb_execution,
)
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from sphinx.util.console import nocolor

from . import early, exercises
from .cache import (
    ADDRESSES,
    ARITHMETIC,
    digest,
    execution_cache,
    is_executed,
    isolated,
    prune,
    sources,
)
from .pages import Page

FORMAT = {"name": "myst_nb_md", "type": "plugin"}
COLOUR = re.compile(r"\x1b\[[\d;]*m")
IN_CELL = re.compile(r"Cell In\[(\d+)\], line (\d+)")  # of a traceback
ADDRESS = re.compile(r" at 0x[\da-f]{6,}")
WARNED = re.compile(r"ipykernel_\d+/\d+\.py:(\d+): ")
TIMEOUT = 300  # seconds for one cell


def execute(root: Path, pages: list[Page]) -> bool:
    """Execute the chapters whose outputs are not kept; whether all succeeded."""
    waiting = []
    # Backwards, for the later chapters take longest: one that begins last would leave a core idle.
    for page in reversed(pages):
        if page.cells and not is_executed(folder := execution_cache(root, page)):
            cache = get_cache(folder)
            record = cache.add_nb_to_project(str(page.file), read_data=FORMAT)
            waiting.append((page, cache, cache.get_project_notebook(record.pk)))
    if not waiting:
        return True

    failed = 0
    # Threads, for it is the kernels that work, each a process of its own.
    with isolated(root), ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {
            pool.submit(executed, root, job.nb): (page, cache, job) for page, cache, job in waiting
        }
        for k, done in enumerate(as_completed(jobs), start=1):
            (page, cache, job), result = jobs[done], done.result()
            faults = [f"{page.name}.md:{fault}" for fault in found_wrong(page, result)]
            state = "failed" if faults else "executed"
            print(f"[{k}/{len(jobs)}] {page.name} {state} in {result.time:.1f} s", flush=True)
            if faults:
                failed += 1
                print(*faults, sep="\n", file=sys.stderr)
            else:
                bundle = create_cache_bundle(job, None, None, result.time, None)
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    return not failed


def executed(root: Path, notebook: NotebookNode, again: bool = True) -> ExecutionResult:
    """The outcome of a notebook, also where its kernel dies, or does not start in two attempts."""
    start = time.perf_counter()
    try:
        # A line that reaches us in two parts, as the kernel happens to flush, stays one line.
        return single_nb_execution(
            notebook, str(root / "book"), TIMEOUT, allow_errors=False, coalesce_streams=True
        )
    except RuntimeError as error:
        if again and not isinstance(error, DeadKernelError):  # another may have taken its port
            return executed(root, notebook, again=False)
        return ExecutionResult(notebook, "", time.perf_counter() - start, error, str(error))


def found_wrong(page: Page, result: ExecutionResult) -> list[str]:
    """What an executed chapter says against itself: each fault begins with its line."""
    faults = []
    cells = [cell for cell in result.nb.cells if cell.cell_type == "code"]
    for written, cell in zip(page.cells, cells, strict=True):
        for output in cell.get("outputs", ()):
            if output.output_type == "stream" and output.name == "stderr":
                text = COLOUR.sub("", output.text).strip()
                at = WARNED.search(text)
                line = written.line + int(at[1]) - 1 if at else written.line
                text = text[at.end() :] if at else text
                faults.append(f"{line}: this warns, and a warning fails the build: {text}")
            elif ADDRESS.search(
                str(output.get("text") or output.get("data", {}).get("text/plain"))
            ):
                faults.append(f"{written.line}: this shows an address, another at each build")
    if result.err is not None:
        text = COLOUR.sub("", str(result.err)).strip()
        begun = [cell for cell in cells if cell.get("execution_count")]
        line = page.cells[max(len(begun) - 1, 0)].line
        for number, inside in IN_CELL.findall(text):
            if 0 < int(number) <= len(page.cells):
                line = page.cells[int(number) - 1].line + int(inside) - 1
        text = text or repr(result.err)
        faults.append(f"{line}: {text.splitlines()[-1]}\n{text}")
    return faults


def write(root: Path, only: list[Page]) -> bool:
    """Write the site, from nothing: a warm build does not repeat the warnings of old pages.

    With ``only`` these pages are written into the site that stands.
    """
    build = root / "_build"
    if not only:
        for folder in ("html", ".doctrees"):
            shutil.rmtree(build / folder, ignore_errors=True)
    print("Writing", ", ".join(page.name for page in only) or "the site", flush=True)
    if not sys.stderr.isatty():
        nocolor()
    settings: dict[str, Any] = {
        "external_toc_path": (root / "_toc.yml").as_posix(),
        "latex_individualpages": False,
        "executed": True,
        "nitpicky": True,
        "only_pages": [page.name for page in only],
    }
    status = build_sphinx(
        root,
        build / "html",
        noconfig=True,
        path_config=root / "_config.yml",
        confoverrides=settings,
        filenames=[str(page.file) for page in only],
        warningiserror=True,
        keep_going=True,
        quiet=True,
    )
    return status == 0


def state_of(root: Path) -> str:
    """All that the site is made from, in one hash."""
    chosen = (os.environ.get(name, "") for name in (*ADDRESSES, *ARITHMETIC))
    live = root / ".live" / "pyodide-lock.json"  # with it the cells of the site run
    brought = live.read_text(encoding="utf-8") if live.is_file() else ""
    return digest(root, sources(root), *chosen, brought)


def has_changed(root: Path, page: Page) -> bool:
    """Whether a page of the site is older than its source, or than what that imports or reads."""
    html = root / "_build" / "html" / f"{page.name}.html"
    written = (page.file, exercises.file_of(page.file))
    return (
        not html.is_file()
        or any(file.is_file() and html.stat().st_mtime < file.stat().st_mtime for file in written)
        or bool(page.cells and not is_executed(execution_cache(root, page)))
    )


def unwritten(root: Path, pages: list[Page]) -> list[str]:
    """Pages that the site lacks: menus name them, and its bundles may lack what they load."""
    environment = root / "_build" / ".doctrees" / "environment.pickle"
    html = root / "_build" / "html"
    return [
        page.name
        for page in pages
        if not (environment.is_file() and (html / f"{page.name}.html").is_file())
    ]


def build(root: Path, names: list[str], changed: bool) -> bool:
    """Build the book, or only these pages, or those that have changed; whether it stands."""
    stamp = root / "_build" / "built"
    state = state_of(root)
    if not names and stamp.is_file() and stamp.read_text() == state:
        print("Nothing has changed since the last build.")
        return True
    pages, mistakes = early.check(root, names)
    if mistakes:
        print(early.report(root, mistakes), file=sys.stderr)
        return False
    only = [page for page in pages if page.file.stem in names or page.name in names]
    if len(only) < len(names):
        there = ", ".join(page.file.stem for page in pages)
        print(f"PAGE: got {', '.join(names)}, needs names of pages: {there}", file=sys.stderr)
        return False
    if missing := unwritten(root, pages):
        if names:
            print(f"The site has no {missing[0]} yet, so this builds all of it, once.")
        only = []
    elif changed and not (only := [page for page in pages if has_changed(root, page)]):
        print("No page has changed.")
        return True
    stamp.unlink(missing_ok=True)
    prune(root, [page.name for page in pages])
    if not (execute(root, only or pages) and write(root, only)):
        print("The book does not build: see above.", file=sys.stderr)
        return False
    if not only:
        stamp.write_text(state)
    return True


def main() -> int:
    """Build; 0 if the site stands."""
    parser = argparse.ArgumentParser(prog="booktools.build", description="Build the book.")
    parser.add_argument("folder", nargs="?", default=".", type=Path)
    parser.add_argument("--page", nargs="+", default=[], metavar="NAME", help="only these pages")
    parser.add_argument("--changed", action="store_true", help="only pages that have changed")
    asked = parser.parse_args()
    root, start = asked.folder.resolve(), time.perf_counter()
    if asked.page or asked.changed:
        gc.disable()  # of a short process a quarter of the time
    names = [Path(name).name.removesuffix(".md") for name in asked.page]
    if not build(root, names, asked.changed):
        return 1
    html = root / "_build" / "html"
    seconds = time.perf_counter() - start
    shown = html / "book" / f"{names[0]}.html" if names else html / "index.html"
    print(f"The book stands, after {seconds:.0f} s: {shown.as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
