"""A Sphinx extension: figures that move, on the pages that have them.

A code cell tagged ``explorable-NAME`` draws a static figure; ``NAME.mjs`` replaces it in browsers
that run scripts. The sources are modules, but browsers refuse modules from ``file://``, and the
book is also read from a folder. So :mod:`booktools.bundle` makes classic scripts of them: one of
what all explorables share, and one for each.
"""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from .mathematics import HERE

FOLDER = HERE / "theme" / "explorables"
NAMES = ("summands", "network", "matrix")
TAG = "tag_explorable-"


def entries() -> list[Path]:
    """What is bundled: the style, what is shared, and each explorable."""
    return [
        FOLDER / name for name in ("explorables.css", "common.js", *(f"{n}.mjs" for n in NAMES))
    ]


def load(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Let a page load the explorables that it has, and no other page any."""
    if tree is None:
        return
    found = dict.fromkeys(
        name.removeprefix(TAG)
        for cell in tree.findall(nodes.container)
        for name in cell["classes"]
        if name.startswith(TAG)
    )
    if found:
        names = app.config.bundles
        context["styles"].append(names["explorables.css"])
        context["scripts"] += [names[f"{name}.js"] for name in ("common", *found)]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", load, priority=600)  # after booktools.bundle
    return {"parallel_read_safe": True}
