"""A Sphinx extension: what lies below the first screens is not laid out while a page loads.

A chapter has up to twenty thousand elements, most of them parts of formulas, and a telephone needs
seconds to lay them out. Blocks further down carry the class ``later`` and their height, estimated
from their text, so that scroll bars are about right. The style sheet lets browsers skip them until
they come near the screen, or page.js finds time for them.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from .checked import check_fold
from .mathematics import height

FIRST = 80  # rem of a wide page that are laid out at once: a high screen
COLUMNS = 94  # characters in a line of a wide page
LINE = 1.62  # rem
UNKNOWN = (nodes.image, nodes.table, nodes.title)  # whose height their text does not tell


def mark(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Mark the blocks of a page that start below the first screens."""
    if app.builder.name != "html":
        return
    top = 0.0
    for section in doctree.findall(nodes.section):
        for block in section:
            if isinstance(block, nodes.section | nodes.Invisible):
                continue
            size = extent(block, app.config.math_macros)
            if size is None:
                top += 25
                continue
            characters, rest = size
            if top > FIRST and not isinstance(block, nodes.title):
                block["classes"].append("later")
                block["style"] = (
                    f"--text:{characters};--rest:{round(rest, 2):g}rem"  # see writer.py
                )
            top += characters / COLUMNS * LINE + rest + 1.1


def extent(block: nodes.Element, macros: dict[str, str]) -> tuple[int, float] | None:
    """Characters that flow, and the height of all else in rem; nothing if that is not known."""
    classes = block["classes"]
    if "dropdown" in classes:  # folded
        return 30, 1.6
    if "above-input" in classes:  # folded, too
        return 0, 1.5
    if {"margin", "answer"} & {*classes} or any(map(list, map(block.findall, UNKNOWN))):
        return None
    if isinstance(block, nodes.math_block):
        return 0, height(block.astext(), macros)
    if isinstance(block, check_fold):
        return len(block["said"]) // 2, 0.6
    if isinstance(block, nodes.literal_block):
        lines = block.astext().rstrip("\n").count("\n") + 1
        return 0, lines + 4 if "cell_input" in block.parent["classes"] else 1.2 * lines + 1
    if isinstance(block, nodes.paragraph):
        return (width(block) // 2, 0.6) if "checked" in classes else (width(block), 0.81)
    parts = [part for part in block.children if isinstance(part, nodes.Element)]
    sizes = [extent(part, macros) for part in parts if not isinstance(part, nodes.Invisible)]
    known = [size for size in sizes if size is not None]
    if not known or len(known) < len(sizes):
        return None
    between = 0.3 if "cell" in classes else 1.1
    heights = sum(rest for _, rest in known) + between * (len(known) - 1)
    heights += 0.8 if "checked-equation" in classes else 0
    return sum(characters for characters, _ in known), heights


def width(block: nodes.Element) -> int:
    """Characters of a text as it is set: of a formula, its symbols."""
    found = 0
    for part in block.findall(nodes.Text):
        text = part.astext()
        if isinstance(part.parent, nodes.math):
            text = re.sub(r"\\[a-zA-Z]+", "x", text)
            text = re.sub(r"[\s{}^_&\\]", "", text)
        found += len(text)
    return found


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-resolved", mark, priority=900)
    return {"parallel_read_safe": True}
