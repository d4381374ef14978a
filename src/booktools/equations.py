"""A Sphinx extension: lists of all labelled equations, with what their checks found.

``{checked-equations} NAME ...`` lists those of these pages, with ``:part: 1/2`` the first half of
them, since formulas are heavy; without a name, the lists themselves.
"""

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from .checked import equations

logger = logging.getLogger(__name__)


class equation_list(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes so
    """Replaced by "those" equations once all pages are read."""


def share(text: str) -> tuple[int, int]:
    """Which part, of how many: ``1/2``."""
    part, parts = map(int, text.split("/"))
    if not 1 <= part <= parts:
        raise ValueError(f"got {text}, needs a part such as 1/2")
    return part, parts


class CheckedEquations(SphinxDirective):
    """``{checked-equations}``: the place of a list."""

    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = {"part": share}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # for any page may have more of them
        folder = self.env.config.root_doc.rpartition("/")[0]
        pages = [f"{folder}/{name}".lstrip("/") for name in " ".join(self.arguments).split()]
        those = [(page, *self.options.get("part", (1, 1))) for page in pages]
        self.env.metadata[self.env.docname].setdefault("lists", []).extend(those)
        return [equation_list(those=those)]


def listed(env: Any, page: str, part: int, parts: int) -> list[Any]:
    """This part of the equations of a page."""
    found = equations(env, page)
    return found[len(found) * (part - 1) // parts : len(found) * part // parts]


def complete(app: Sphinx, env: Any) -> None:
    """Each page with equations is on a list, once and whole, if there are lists."""
    shares: dict[str, list[str]] = {}
    for place in env.all_docs:
        for page, part, parts in env.metadata[place].get("lists", ()):
            shares.setdefault(page, []).append(f"{part}/{parts}")
            if not equations(env, page):
                logger.warning("%s is no page with equations", page, location=place)
    for page in env.all_docs if shares else ():
        if equations(env, page) and not is_whole(shares.get(page, [])):
            message = "{checked-equations} lists %s of the equations of this page, needs all, once"
            logger.warning(message, ", ".join(shares.get(page, ["none"])), location=page)


def is_whole(shares: list[str]) -> bool:
    """Whether these are all parts, each once: ``1/2`` and ``2/2``."""
    return bool(shares) and {*shares} == {f"{k + 1}/{len(shares)}" for k in range(len(shares))}


def write_lists(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put what is to be listed in its place."""
    env: Any = app.env
    for place in list(doctree.findall(equation_list)):
        entries: list[nodes.Node] = []
        for page, part, parts in place["those"]:
            if found := listed(env, page, part, parts):
                entries.append(nodes.rubric("", "", link_to_page(app, docname, page)))
                entries += [entry(app, docname, *equation) for equation in found]
        place.replace_self(entries or [overview(app, docname)])


def link(app: Sphinx, here: str, domain: str, role: str, label: str) -> nodes.Element:
    """What a role that refers to this label becomes: its number, which leads there."""
    sought = addnodes.pending_xref("", refdomain=domain)
    text = nodes.literal("", label)
    found = app.env.get_domain(domain)
    return found.resolve_xref(app.env, here, app.builder, role, label, sought, text) or text


def link_to_page(app: Sphinx, here: str, page: str) -> nodes.Node:
    """The title of a page, which leads there."""
    uri = app.builder.get_relative_uri(here, page)
    return nodes.reference("", app.env.titles[page].astext(), refuri=uri, internal=True)


def overview(app: Sphinx, here: str) -> nodes.Node:
    """The lists, in the order of the book, and how many equations each has."""
    env: Any = app.env
    items = nodes.bullet_list()
    for place in env.collect_relations():
        those = env.metadata[place].get("lists", ())
        found = [one for some in those for one in listed(env, *some)]
        if found and place != here:
            checks = sum(bool(findings) for _, _, findings in found)
            some = f"of which {checks} are checked and the others define"
            words = "all of them checked" if checks == len(found) else some
            title = link_to_page(app, here, place)
            line = nodes.paragraph("", "", title, nodes.Text(f": {len(found)}, {words}"))
            items += nodes.list_item("", line)
    return items


def entry(app: Sphinx, here: str, label: str, formula: str, found: list[str]) -> nodes.Node:
    """One equation of a list: its number as a link, the checks' findings, the formula."""
    line = nodes.paragraph(classes=["checked"])
    line += link(app, here, *(("math", "eq") if formula else ("prf", "ref")), label)
    line += nodes.Text(f" {'; '.join(found) or 'a definition'}")
    box = nodes.container("", line, classes=["checked-equation"])
    if formula:
        box += nodes.math_block("", formula, number=None, label=None, nowrap=False)
    return box


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("booktools.checked")  # which finds what is listed
    app.add_directive("checked-equations", CheckedEquations)
    app.add_node(equation_list)
    app.connect("env-check-consistency", complete)
    app.connect("doctree-resolved", write_lists)
    return {"parallel_read_safe": False, "env_version": 2}
