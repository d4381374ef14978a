"""A Sphinx extension: what the libraries write, as the rules of HTML and of ARIA ask for it.

Folds are the browser's own. What may be wider than a telephone's screen scrolls by itself, and is
reached by the keyboard; page.js takes those out of the way of the Tab key that turn out not to be.
"""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from pygments.formatters import HtmlFormatter
from pygments.token import Token
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator
from sphinx_exercise.nodes import solution_node
from sphinx_proof.nodes import proof_node

SCROLLS = ' tabindex="0" role="group" aria-label="{}"'
COLUMNS = 34  # of code, that a screen of 320 pixels shows
JOINT = re.compile(r"(?<=[._(=])(?=\w)(?!pre\b)")  # where a long name in a table may break
STAYS = "\N{NO-BREAK SPACE}"
PLAIN = (Token.Name, Token.Name.Namespace, Token.Punctuation, Token.Text.Whitespace)
# A number, its power of ten and its unit stay on one line.
POWER = "10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]"
ONE_NUMBER = re.compile(rf"(?<=\d) (?=%|× {POWER})|(?<=×) (?={POWER})")
RANGE = re.compile(r"\([<>≤≥−]? ?\d[^()]{,24}\)")  # after a number: its spread, or how many
# Of the libraries' parts: the same on every one.
REPEATED = {"proof", "proof-content", "exercise-content", "solution-content"}


class Formatter(HtmlFormatter):
    """Code without elements, thousands a page, for what has the colour of all code."""

    def _get_css_classes(self, kind: Any) -> str:
        return "" if kind in PLAIN else str(super()._get_css_classes(kind))

    def format_unencoded(self, tokens: Any, target: Any) -> None:
        pieces = list(tokens)
        lines = "".join(text for _, text in pieces).splitlines()
        self.wide = max(map(len, lines), default=0) > COLUMNS
        super().format_unencoded(pieces, target)

    def _wrap_pre(self, lines: Any) -> Iterator[tuple[int, str]]:
        yield 0, f"<pre{SCROLLS.format('code') if self.wide else ''}>"
        yield from lines
        yield 0, "</pre>"


class Rules(HTML5Translator):
    """Sphinx's translator, with tables, citations and folds written right."""

    def starttag(self, node: Any, tagname: str, *args: Any, **attributes: Any) -> str:
        if attributes.get("role") == "doc-biblioentry":  # but its list asks for items
            attributes["role"] = "listitem"
        if isinstance(node, nodes.Element) and "style" in node:
            attributes["style"] = ";".join(filter(None, [attributes.get("style"), node["style"]]))
        if isinstance(node, nodes.Element) and "data" in node:
            attributes |= {f"data-{name}": str(value) for name, value in node["data"].items()}
        if isinstance(node, nodes.Element) and "unheard" in node:
            attributes["aria-hidden"] = "true"
        return str(super().starttag(node, tagname, *args, **attributes))

    def visit_Text(self, node: nodes.Text) -> None:  # noqa: N802 - docutils names it so
        if not self.protect_literal_text:
            text = RANGE.sub(lambda one: one[0].replace(" ", STAYS), node.astext())
            node = nodes.Text(ONE_NUMBER.sub(STAYS, text))
        before = len(self.body)
        super().visit_Text(node)
        if self.protect_literal_text and isinstance(node.parent.parent.parent, nodes.entry):
            self.body[before:] = [JOINT.sub("<wbr>", text) for text in self.body[before:]]

    def visit_entry(self, node: nodes.Element) -> None:
        in_head = isinstance(node.parent.parent, nodes.thead)
        if in_head and not node.astext().strip():  # an empty cell is no heading
            node.parent.column += 1
            self.body.append("<td></td>\n")
            raise nodes.SkipNode
        from .search import readable  # late: it needs mathematics, which needs the boxes of here

        formulas = list(node.findall(nodes.math))
        super().visit_entry(node)
        if in_head and "".join(part.astext() for part in formulas) == node.astext():
            # not every program that reads aloud takes a formula for the name of a column
            name = " ".join(readable(part.astext()) for part in formulas)
            self.body.append(f'<span class="heard">{escape(name)}</span>')
            node[0]["unheard"] = True

    def visit_table(self, node: nodes.Element) -> None:
        self.body.append(f'<div class="table-box"{SCROLLS.format("table")}>')
        super().visit_table(node)

    def depart_table(self, node: nodes.Element) -> None:
        super().depart_table(node)
        self.body.append("</div>\n")

    def visit_admonition(self, node: nodes.Element, name: str = "") -> None:
        if is_fold(node):
            self.body.append(self.starttag(node, "details", CLASS="admonition"))
        else:
            super().visit_admonition(node, name)

    def depart_admonition(self, node: nodes.Element | None = None) -> None:
        self.body.append("</details>\n" if is_fold(node) else "</div>\n")

    def visit_title(self, node: nodes.Element) -> None:
        if is_fold(node.parent):
            self.body.append("<summary>")
            self.context.append("</summary>\n")
        else:
            super().visit_title(node)


def is_fold(node: nodes.Node | None) -> bool:
    """Whether a box is folded until the reader opens it."""
    return isinstance(node, nodes.Admonition) and "dropdown" in node["classes"]


def visit_hidden(self: Rules, node: nodes.Element) -> None:
    self.body.append(f'<details class="hide"><summary>{escape(node["prompt_show"])}</summary>\n')


def depart_hidden(self: Rules, node: nodes.Element) -> None:
    self.body.append("</details>\n")


def tidy(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Take out identifiers that repeat, and links in what opens a fold; set "Proof." as a title; in
    tables whose rows are cards on a phone, say of each cell what column it is of.
    """
    for part in doctree.findall(nodes.Element):
        if set(part.get("ids", ())) & REPEATED:
            part["ids"] = [name for name in part["ids"] if name not in REPEATED]
        if isinstance(part, nodes.title) and is_fold(part.parent):
            for link in list(part.findall(nodes.reference)):
                link.replace_self(link.children)
        if isinstance(part, nodes.table) and "cards" in part["classes"]:
            heads, *rows = part.findall(nodes.row)
            for row in rows:
                for head, entry in zip(heads, row, strict=True):
                    entry["data"] = {"label": head.astext()}
        if isinstance(part, proof_node):
            text = next(part.findall(nodes.Text))
            word, rest = text.split(" ", 1)
            text.parent.replace(text, [nodes.emphasis("", word), nodes.Text(f" {rest}")])


def choose(app: Sphinx) -> None:
    """Let the builder write code as above."""
    builder: Any = app.builder
    if builder.format == "html":
        builder.highlighter.formatter = Formatter


def setup(app: Sphinx) -> dict[str, Any]:
    for extension in ("myst_nb", "sphinx_exercise"):  # which know these nodes first
        app.setup_extension(extension)
    app.add_node(HideCodeCellNode, override=True, html=(visit_hidden, depart_hidden))
    as_boxes = (Rules.visit_admonition, Rules.depart_admonition)
    app.add_node(solution_node, override=True, html=as_boxes)
    app.set_translator("html", Rules)
    app.connect("builder-inited", choose)
    app.connect("doctree-resolved", tidy, priority=950)
    return {"parallel_read_safe": True}
