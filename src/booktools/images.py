"""A Sphinx extension: drawings have their size, and those of the book a twin for the dark page."""

import posixpath
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx

from .palette import IN_THE_DARK

PIXELS = 4 / 3  # in a point


def visit_image(self: Any, node: nodes.image) -> None:
    """Write a drawing twice, of which the style sheet shows the one that fits the theme."""
    source = Path(self.builder.srcdir) / node["uri"]
    if self.builder.name != "html" or source.suffix != ".svg":
        type(self).visit_image(self, node)
        return
    folder = Path(self.builder.outdir) / self.builder.imagedir
    name = self.builder.images[node["uri"]]
    twin = f"{name.removesuffix('.svg')}.dark.svg"
    folder.mkdir(exist_ok=True)
    (folder / twin).write_text(in_the_dark(source), encoding="utf-8", newline="\n")
    width, height = size(source)
    for file, theme in ((name, "in-light"), (twin, "in-dark")):
        address = posixpath.join(self.builder.imgpath, quote(file))
        given = {"src": address, "alt": node.get("alt", ""), "width": width, "height": height}
        self.body.append(self.emptytag(node, "img", "", CLASS=theme, loading="lazy", **given))


def in_the_dark(source: Path) -> str:
    """A drawing in the colours of the dark page."""
    text = source.read_text(encoding="utf-8")
    for light, dark in IN_THE_DARK.items():
        text = text.replace(light, dark)
    return text


def size(source: Path) -> tuple[int, int]:
    """The width and height of a drawing, in pixels."""
    _, drawing = next(ElementTree.iterparse(source, events=["start"]))
    width, height = (drawing.get(side, "") for side in ("width", "height"))
    try:
        wide, high = (PIXELS * float(side.removesuffix("pt")) for side in (width, height))
    except ValueError:
        raise ValueError(
            f"{source}: got width {width!r} and height {height!r}, needs numbers of points"
        ) from None
    return round(wide), round(high)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(nodes.image, override=True, html=(visit_image, None))
    return {"parallel_read_safe": True}
