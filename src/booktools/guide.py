"""A Sphinx extension: what a chapter asks of its reader, and how long it takes.

``{guide}`` begins a chapter: its text says what is needed and what can be done afterwards; the time
is computed. The core of a chapter ends at the section "Going deeper". ``{chapters}`` is the map of
all chapters on the front page.
"""

import re
from typing import Any

from docutils import nodes
from docutils.utils.roman import toRoman
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from .checked import check_fold

DEEPER, EXERCISES = "Going deeper", "Exercises"
# What most readers take, in minutes: 180 words a minute, 40 s an equation, 3 s a line of code.
WORD, EQUATION, LINE = 1 / 180, 40 / 60, 3 / 60
UNREAD = (nodes.math, nodes.math_block, nodes.raw, nodes.comment, nodes.literal_block)


class guide(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes so
    """Replaced by the box with the computed time once the page is written."""


class chapters(nodes.General, nodes.Element):  # noqa: N801
    """Replaced by the map of the chapters once all pages are read."""


class Guide(SphinxDirective):
    """``{guide}``: a box for what is needed and for what can be done afterwards."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.assert_has_content()
        place = guide()
        self.state.nested_parse(self.content, self.content_offset, place)
        return [place]


class Chapters(SphinxDirective):
    """``{chapters}``: all numbered chapters by part, each with its time."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # for any chapter may take longer
        return [chapters()]


def minutes(section: nodes.Element) -> float:
    """How long it takes to read what stands in the flow of a section, and is not folded away."""
    folded = {
        id(part)
        for box in section.findall(nodes.Element)
        if is_folded(box)
        for part in box.findall(nodes.Element)
    }
    words = equations = lines = 0
    for part in section.findall(nodes.Element):
        if id(part) in folded:
            continue
        if isinstance(part, nodes.math_block):
            equations += bool(part.get("label"))
        elif isinstance(part, nodes.literal_block) and "cell_input" in part.parent["classes"]:
            lines += sum(1 for line in part.astext().splitlines() if line.strip())
        elif isinstance(part, nodes.TextElement) and not isinstance(part, UNREAD):
            texts = (text for text in part.children if isinstance(text, nodes.Text))
            words += sum(len(re.findall("[A-Za-z]{2,}", text)) for text in texts)
    return words * WORD + equations * EQUATION + lines * LINE


def is_folded(box: nodes.Element) -> bool:
    """Whether the reader has to open it: a hidden cell, a solution, a check."""
    if isinstance(box, check_fold):
        return True
    classes = set(box["classes"])
    hidden = "cell_input" in classes and "tag_hide-input" in box.parent["classes"]
    return hidden or bool(classes & {"dropdown", "checked", "cell_output"})


def measure(app: Sphinx, doctree: nodes.document) -> None:
    """Remember how long a page takes: its core, and what goes deeper; nobody reads exercises."""
    times, kind = {"core": 0.0, "deeper": 0.0}, "core"
    for part in next(iter(doctree.findall(nodes.section)), doctree):
        title = part[0].astext() if isinstance(part, nodes.section) else ""
        kind = "deeper" if title == DEEPER else kind
        if isinstance(part, nodes.Element) and title != EXERCISES:
            times[kind] += minutes(part)
    app.env.metadata[app.env.docname]["reading_times"] = times


def said(times: dict[str, float]) -> str:
    """The times of a page in words."""
    core, deeper = (round(times[kind]) for kind in ("core", "deeper"))
    return f"{core} minutes" + (f", and {deeper} for “{DEEPER}”" if deeper else "")


def write(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the computed times where they are asked for."""
    env: Any = app.env
    for place in list(doctree.findall(guide)):
        time = nodes.paragraph("", "", nodes.strong("", "Reading time: "))
        time += nodes.Text(said(env.metadata[docname]["reading_times"]) + ".")
        place.replace_self(nodes.container("", time, *place.children, classes=["guide"]))
    for map_ in list(doctree.findall(chapters)):
        found: list[nodes.Node] = []
        for title, pages in parts(env):
            rows = (row(app, docname, page) for page in pages)
            found += [nodes.rubric("", title), nodes.bullet_list("", *rows, classes=["chapters"])]
        map_.replace_self(found)


def row(app: Sphinx, docname: str, page: str) -> nodes.list_item:
    """A chapter on the map: its number, its title, which leads to it, and its time."""
    env: Any = app.env
    uri = app.builder.get_relative_uri(docname, page)
    title = env.titles[page].deepcopy().children
    link = nodes.reference("", f"{numbers(env)[page]} ", *title, refuri=uri, internal=True)
    times = env.metadata[page]["reading_times"]
    core, deeper = (round(times[kind]) for kind in ("core", "deeper"))
    minutes = f"{core} + {deeper}" if deeper else str(core)
    time = nodes.inline("", f" {minutes} min", classes=["time"])
    return nodes.list_item("", nodes.paragraph("", "", link, time))


def parts(env: Any) -> list[tuple[str, list[str]]]:
    """The parts that have numbered chapters, each with its number and title, and its chapters."""
    numbered = numbers(env)
    trees = [
        (tree["caption"], [page for page in tree["includefiles"] if page in numbered])
        for tree in env.get_doctree(env.config.root_doc).findall(addnodes.toctree)
        if tree.get("caption")
    ]
    found = [(caption, pages) for caption, pages in trees if pages]
    return [(f"Part {toRoman(k)}: {caption}", pages) for k, (caption, pages) in enumerate(found, 1)]


def numbers(env: Any) -> dict[str, str]:
    """The numbered chapters in the order of the book, each with its number."""
    return {
        page: ".".join(map(str, number))
        for page in env.collect_relations()
        if (number := env.toc_secnumbers.get(page, {}).get(""))
    }


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("guide", Guide)
    app.add_directive("chapters", Chapters)
    app.add_node(guide)
    app.add_node(chapters)
    app.connect("doctree-read", measure, priority=900)  # checks stand in their lines by then
    app.connect("doctree-resolved", write)
    return {"parallel_read_safe": False, "env_version": 2}
