"""A Sphinx extension: a sheet of formulas, each from the chapter that derives and checks it.

``{formulas}`` has a line for each: the label of an equation, then a word on it. Formula and number
are the chapter's own, so that the sheet is no second source; the number leads to the chapter.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from .checked import equations
from .equations import link
from .pages import labels_first

logger = logging.getLogger(__name__)
MARK = re.compile(r"(?:\\[,;])?\s*[.,]\s*(?=(?:\\end\{aligned\})?\s*$)")  # of the sentence around


class formula(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes so
    """Replaced by the equation of this "label" once all pages are read."""


class Formulas(SphinxDirective):
    """``{formulas}``: the places of some equations."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.assert_has_content()
        self.env.note_reread()  # for any chapter may write them otherwise
        sheet = nodes.container("", classes=["formulas"])
        for label, words, k in labels_first(self.content):
            line = self.lineno + self.content_offset + k + 1
            text, messages = self.parse_inline(words, lineno=line)
            place = formula("", label=label)
            place.source, place.line = self.env.doc2path(self.env.docname), line
            head = nodes.paragraph("", "", nodes.inline("", "", *text))
            sheet += nodes.container("", head, place, *messages)
        return [sheet]


def alone(tex: str) -> str:
    """A formula without the mark that ends its sentence."""
    return MARK.sub(" ", tex).strip()


def write(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put each equation in its place, after its number, which leads to the chapter."""
    there = {label: tex for page in app.env.all_docs for label, tex, _ in equations(app.env, page)}
    for place in list(doctree.findall(formula)):
        label = place["label"]
        if tex := there.get(label):
            place.parent[0] += link(app, docname, "math", "eq", label)
            shown = nodes.math_block("", alone(tex), number=None, label=None, nowrap=False)
            place.replace_self(shown)
        else:
            logger.warning("no equation %s in any chapter", label, location=place)
            place.parent.remove(place)


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("booktools.checked")  # which finds the equations
    app.add_directive("formulas", Formulas)
    app.add_node(formula)
    app.connect("doctree-resolved", write)
    return {"parallel_read_safe": False, "env_version": 2}
