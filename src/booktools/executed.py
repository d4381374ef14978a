"""A Sphinx extension: chapters are read with the outputs that are kept for the present code.

myst-nb executes a chapter if its cells have changed. What they import and read counts as well, and
the reader's own environment does not.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from .cache import execution_cache, isolated, key
from .pages import Page, read

kernels = ExitStack()  # what holds while kernels may start


def outdated(app: Sphinx, env: Any, *sets: set[str]) -> list[str]:
    """Read a chapter again if what it imports or reads has changed, which Sphinx does not see."""
    return app.config.only_pages or [
        name
        for name, known in env.metadata.items()
        if "executed_with" in known
        and Path(env.doc2path(name)).is_file()
        and known["executed_with"] != key(Path(app.confdir), written(app, name))
    ]


def written(app: Sphinx, name: str) -> Page:
    """A page as it is written."""
    extensions = tuple(sorted(app.config.myst_enable_extensions))
    return read(name, Path(app.env.doc2path(name)), extensions)


def use_cache(app: Sphinx, name: str, source: list[str]) -> None:
    """Let myst-nb execute a chapter into the cache that is keyed on all that it depends on."""
    env: Any = app.env
    page = written(app, name)
    if page.cells:
        folder = execution_cache(Path(app.confdir), page)
        env.metadata[name]["executed_with"] = folder.name
        env.mystnb_config = env.mystnb_config.copy(execution_cache_path=str(folder))


def isolate(app: Sphinx, env: Any, names: list[str]) -> None:
    """Hide the reader's environment while pages are read, for kernels may start."""
    if only := app.config.only_pages:  # of others, those that have never been read
        names[:] = [name for name in names if name in only or name not in env.all_docs]
    kernels.enter_context(isolated(Path(app.confdir)))


def restore(app: Sphinx, env: Any) -> None:
    """The environment as it was; Git and others ask for it."""
    kernels.close()


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("only_pages", [], "")  # of a site that stands; see booktools.build
    app.connect("env-get-outdated", outdated)
    app.connect("env-before-read-docs", isolate, priority=900)
    app.connect("source-read", use_cache)
    app.connect("env-updated", restore, priority=1)
    return {"parallel_read_safe": False, "env_version": 1}
