"""A Sphinx extension: figures that move, on the pages that have them.

A code cell tagged ``explorable-NAME`` draws a static figure; ``NAME.mjs`` replaces it in browsers
that run scripts. The sources are modules, but browsers refuse modules from ``file://``, and the
book is also read from a folder. So :mod:`booktools.bundle` makes classic scripts of them: one of
what all explorables share, and one for each. Data that a cell hands over, as a block of JSON in its
output, is a script, too, for the same reason, beside those.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from .mathematics import HERE

FOLDER = HERE / "theme" / "explorables"
SHARED = {"arithmetic", "shared"}
NAMES = sorted({path.stem for path in FOLDER.glob("*.mjs")} - SHARED)
TAG = "tag_explorable-"
DATA = re.compile(
    r'<script type="application/json" data-explorable="(?P<name>\w+)">(?P<json>.*)</script>'
)


def entries() -> list[Path]:
    """What is bundled: the style, what is shared, and each explorable."""
    names = ("explorables.css", "common.js", *(f"{name}.mjs" for name in NAMES))
    return [FOLDER / name for name in names]


def take_data(app: Sphinx, doctree: nodes.document) -> None:
    """Keep the data of a figure with its cell, out of the text of the page."""
    for raw in list(doctree.findall(nodes.raw)):
        if found := DATA.fullmatch(raw.astext().strip()):
            bundle = raw
            while bundle.parent.get("nb_element") != "cell_code_output":
                bundle = bundle.parent  # with the same in other formats
            output = bundle.parent
            output.parent["moving"] = found.groupdict()
            output.remove(bundle)
            if not output.children:
                output.parent.remove(output)


def write_data(cell: nodes.Element, folder: Path) -> str:
    """The name of the script with the data of a cell, which is written."""
    name, text = cell["moving"]["name"], f"explorables.data={cell['moving']['json']};\n"
    file = folder / f"{name}-data.{hashlib.sha256(text.encode()).hexdigest()[:10]}.js"
    file.write_text(text, encoding="utf-8", newline="\n")
    return file.name


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
        folder = Path(app.outdir) / "_static"
        data = [write_data(cell, folder) for cell in tree.findall(has_data)]
        own = [names[f"{name}.js"] for name in found]
        context["scripts"] += [names["common.js"], *data, *own]


def has_data(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Element) and "moving" in node


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", take_data)
    app.connect("html-page-context", load, priority=600)  # after booktools.bundle
    return {"parallel_read_safe": True}
