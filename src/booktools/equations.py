"""A Sphinx extension: lists of all labelled equations, with what their checks found.

``{checked-equations} NAME ...`` lists those of these pages, with ``:part: 1/2`` the first half of
them, since formulas are heavy; without a name, the lists themselves.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

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
        here = self.env.docname
        folder = self.env.config.root_doc.rpartition("/")[0]
        pages = [f"{folder}/{name}".lstrip("/") for name in " ".join(self.arguments).split()]
        those = [(page, *self.options.get("part", (1, 1))) for page in pages]
        lists: Any = self.env.equation_lists  # type: ignore[attr-defined]
        lists.setdefault(here, []).extend(those)
        self.env.get_domain("math").data["has_equations"][here] = True
        return [equation_list(those=those)]


def equations(env: Any, page: str, part: int, parts: int) -> list[Any]:
    """This part of the equations of a page."""
    found = env.checked_equations.get(page, [])
    return list(found[len(found) * (part - 1) // parts : len(found) * part // parts])


def complete(app: Sphinx, env: Any) -> None:
    """Each page with equations is on a list, once and whole, if there are lists."""
    shares: dict[str, list[str]] = {}
    for place, those in env.equation_lists.items():
        for page, part, parts in those:
            shares.setdefault(page, []).append(f"{part}/{parts}")
            if not env.checked_equations.get(page):
                logger.warning("%s is no page with equations", page, location=place)
    for page, found in env.checked_equations.items():
        if shares and found and not is_whole(shares.get(page, [])):
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
            if found := equations(env, page, part, parts):
                title = link(app, docname, page, env.titles[page])
                entries.append(nodes.rubric("", "", title))
                entries += [entry(app, docname, page, *equation) for equation in found]
        place.replace_self(entries or [overview(app, docname)])


def link(app: Sphinx, here: str, page: str, title: nodes.Node, anchor: str = "") -> nodes.Node:
    """A link to a page, or to a place in it."""
    uri = f"{app.builder.get_relative_uri(here, page)}{anchor and '#'}{anchor}"
    return nodes.reference("", title.astext(), refuri=uri, internal=True)


def overview(app: Sphinx, here: str) -> nodes.Node:
    """The lists, in the order of the book, and how many equations each has."""
    env: Any = app.env
    items = nodes.bullet_list()
    for place in env.collect_relations():
        those = env.equation_lists.get(place, ())
        found = [one for some in those for one in equations(env, *some)]
        if found and place != here:
            checks = sum(bool(findings) for _, _, findings in found)
            some = f"of which {checks} are checked and the others define"
            words = "all of them checked" if checks == len(found) else some
            title = link(app, here, place, env.titles[place])
            line = nodes.paragraph("", "", title, nodes.Text(f": {len(found)}, {words}"))
            items += nodes.list_item("", line)
    return items


def numbered(env: Any, page: str, anchor: str) -> tuple[str, str]:
    """What kind of thing stands there, and its number; only its anchor if it has none."""
    for kind, numbers in env.toc_fignumbers.get(page, {}).items():
        if anchor in numbers:
            return kind, ".".join(map(str, numbers[anchor]))
    return "", anchor


def entry(
    app: Sphinx, here: str, page: str, label: str, formula: str, found: list[str]
) -> nodes.Node:
    """One equation of a list: its number as a link, the checks' findings, the formula."""
    anchor = nodes.make_id(f"equation-{label}") if formula else label
    kind, number = numbered(app.env, page, anchor)
    name = f"({number})" if formula else f"{kind.capitalize()} {number}".strip()
    line = nodes.paragraph(classes=["checked"])
    line += link(app, here, page, nodes.Text(name), anchor)
    line += nodes.Text(f" {'; '.join(found) or 'a definition'}")
    box = nodes.container("", line, classes=["checked-equation"])
    if formula:
        box += nodes.math_block("", formula, number=None, label=None, nowrap=False)
    return box


def prepare(app: Sphinx, env: Any, names: list[str]) -> None:
    """Give a new environment its place for the lists."""
    if not hasattr(env, "equation_lists"):
        env.equation_lists = {}


def forget(app: Sphinx, env: Any, name: str) -> None:
    """Drop what a page had before it is read again."""
    getattr(env, "equation_lists", {}).pop(name, None)


def again(app: Sphinx, env: Any) -> list[str]:
    """Write lists again whenever any page was read."""
    return sorted(env.equation_lists)


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("booktools.checked")  # which finds what is listed
    app.add_directive("checked-equations", CheckedEquations)
    app.add_node(equation_list)
    app.connect("env-before-read-docs", prepare)
    app.connect("env-purge-doc", forget)
    app.connect("env-check-consistency", complete)
    app.connect("env-updated", again)
    app.connect("doctree-resolved", write_lists)
    return {"parallel_read_safe": False, "env_version": 1}
