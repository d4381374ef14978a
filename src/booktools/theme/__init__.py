"""A Sphinx extension: the book's own theme, which writes each page as it is to be.

Its templates are beside this file, its styles and scripts are joined by :mod:`booktools.bundle`.
"""

from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst.directives.body import Sidebar
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment.adapters.toctree import TocTree

# Whatever a page might ask of another host is refused, and so is a script that is no file.
POLICY = (
    "default-src 'self'; img-src 'self' data:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)


def describe(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """What the layout needs to know of a page."""
    context |= {
        "policy": POLICY,
        "here": here(app, page),
        "author": app.config.author,
        "parts": parts(app),
        "contents": contents(app, page) if tree is not None else "",
    }


def here(app: Sphinx, page: str) -> str:
    """What the bar of a telephone calls a page: ``20 · Learning online``."""
    if page not in app.env.titles:
        return ""
    number = app.env.toc_secnumbers.get(page, {}).get("", ())
    return " · ".join((*map(str, number), app.env.titles[page].astext()))


@cache
def parts(app: Sphinx) -> list[tuple[str, list[tuple[str, str]]]]:
    """The parts of the book: of each its caption and its pages, as name and title."""
    return [
        (toctree["caption"], [(page, heading(app, page)) for _, page in toctree["entries"]])
        for toctree in app.env.tocs[app.config.root_doc].findall(addnodes.toctree)
    ]


def heading(app: Sphinx, page: str) -> str:
    """The title of a page, as HTML."""
    builder: Any = app.builder
    return str(builder.render_partial(app.env.titles[page])["title"])


def contents(app: Sphinx, page: str) -> str:
    """The list of a page's sections, as HTML; nothing if it has none."""
    builder: Any = app.builder
    for below in TocTree(app.env).get_toc_for(page, builder).findall(nodes.bullet_list):
        if isinstance(below.parent, nodes.list_item):  # that of the title
            return str(builder.render_partial(below)["fragment"])
    return ""


class Margin(Sidebar):
    """``{margin} Title``: a note beside the text."""

    def run(self) -> list[nodes.Node]:
        (note,) = super().run()
        note["classes"].append("margin")
        return [note]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("comments_config", {}, "")  # which Jupyter Book sets
    app.add_directive("margin", Margin)
    app.add_html_theme("booktools", str(Path(__file__).parent))
    app.connect("html-page-context", describe)
    return {"parallel_read_safe": True}
