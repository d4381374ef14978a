"""A Sphinx extension: every displayed equation is executed, and the page says so.

:func:`bptt.verified` prints a line for each check. Here these lines leave the output of their cell
and stand, quietly, under the equation or theorem that they check. A cell that does nothing else
leaves the text, too, and unfolds from that line. A statement without a check, a display without a
label, a check of nothing and an image without a description are warnings, and warnings fail the
build.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from .checks import (
    CHECK,
    PLACES,
    describes,
    folded,
    in_words,
    needs_check,
    needs_check_of_its_own,
)
from .pages import python

logger = logging.getLogger(__name__)


class Check(NamedTuple):
    """What a cell has found of the equation or theorem of this label, in words."""

    label: str
    found: str
    cell: nodes.Element

    @property
    def data(self) -> dict[str, Any]:
        """What tells a script on the page which check of which cell this is."""
        return {"check": self.label, "from": self.cell["cell_index"]}


class check_fold(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes so
    """The line of a check, "said", and the cells that unfold from it."""


def read_page(app: Sphinx, doctree: nodes.document) -> None:
    """Move checks to what they check, and warn of what is missing."""
    checks = collect_checks(doctree)
    places = dict(labelled(doctree))
    found = []
    lines: dict[str, list[Check]] = {}  # by the label of what they stand under
    for label, place in places.items():
        home = home_of(place)
        own = [check for check in checks if check.label == label]
        lines.setdefault(home, []).extend(own)
        own = own or [check for check in checks if check.label == home]
        if not own and needs(place):
            kind = place.get("realtype", "equation")
            logger.warning("%s %s has no check", kind, label, location=place)
        formula = place.astext() if isinstance(place, nodes.math_block) else ""
        found.append((label, formula, [check.found for check in own]))
    app.env.metadata[app.env.docname]["checked"] = found
    for check in checks:
        if check.label not in places:
            message = "check of %s, which is no equation of this page"
            logger.warning(message, check.label, location=check.cell)
    moving = cells_of_lines(doctree, checks)
    for label, those in lines.items():
        if those:
            place, line = places[label], line_of(those, moving)
            if isinstance(place, nodes.math_block):
                place.parent.insert(place.parent.index(place) + 1, line)
            else:
                place += line


def equations(env: Any, page: str) -> list[tuple[str, str, list[str]]]:
    """The displays and statements of a page: the label of each, its formula, what was found."""
    return env.metadata[page].get("checked", [])


def labelled(doctree: nodes.document) -> Iterator[tuple[str, nodes.Element]]:
    """The displays and statements of a page by their labels, in its order."""
    for place in doctree.findall(nodes.Element):
        label = str(place.get("label") or "")
        if isinstance(place, nodes.math_block):
            if not label or place["nowrap"]:  # a bare align, whose label is random
                logger.warning("display without a label: %s", place.astext(), location=place)
            if label:
                yield label, place
        elif needs_check_of_its_own(place.get("realtype")):
            yield label, place


def needs(place: nodes.Element) -> bool:
    """Whether a display or statement states something."""
    return not isinstance(place, nodes.math_block) or needs_check(place["label"])


def home_of(place: nodes.Element) -> str:
    """The label under which the line of a check stands: of the statement around, or its own."""
    around = place.parent
    while around is not None and not needs_check_of_its_own(around.get("realtype")):
        around = around.parent
    return str((place if around is None else around)["label"])


def collect_checks(doctree: nodes.document) -> list[Check]:
    """The checks of a page; their lines leave the outputs of their cells."""
    checks = []
    for stream in list(doctree.findall(nodes.literal_block)):
        if "stderr" in stream["classes"]:
            logger.warning("a cell warns: %s", stream.astext().strip(), location=stream)
        if "stream" not in stream["classes"]:
            continue
        cell = stream.parent.parent
        kept = []
        for line in stream.astext().splitlines():
            if found := CHECK.fullmatch(line):
                checks.append(Check(found["label"], in_words(found["cases"], found["found"]), cell))
            else:
                kept.append(line)
        if any(line.strip() for line in kept):
            stream.children, stream.rawsource = [], "\n".join(kept)
            stream += nodes.Text("\n".join(kept))
        else:
            output = stream.parent
            output.remove(stream)
            if not output.children:
                cell.remove(output)
    for k, check in enumerate(checks):
        if not check.cell["ids"]:
            earlier = sum(other.label == check.label for other in checks[:k])
            check.cell["ids"].append(f"check-{check.label}" + f"-{earlier}" * (earlier > 0))
    return checks


def cells_of_lines(doctree: nodes.document, checks: list[Check]) -> list[list[nodes.Element]]:
    """The cells that stand in the line of what they check, each after those that prepare it."""
    cells = [
        cell
        for cell in doctree.findall(nodes.container)
        if cell.get("nb_element") == "cell_code"
        and cell.children
        and cell[0].get("nb_element") == "cell_code_source"
    ]
    checking = {id(check.cell) for check in checks}
    wishes = []
    for cell in cells:
        wish = next((PLACES[tag] for tag in PLACES if f"tag_{tag}" in cell["classes"]), None)
        if wish is False and id(cell) not in checking:
            logger.warning("a cell that checks nothing has the tag teaches", location=cell)
        if len(cell) > 1:
            if wish:
                message = "a cell with the tag check shows more than its check"
                logger.warning(message, location=cell)
            wish = False
        wishes.append((python(cell[0].astext()), wish))
    groups: list[list[nodes.Element]] = [[]]
    for cell, moves in zip(cells, folded(wishes), strict=True):
        if moves:
            groups[-1].append(cell)
            if id(cell) in checking:
                groups.append([])
    for cell in groups.pop():
        logger.warning("a cell with the tag check, and no check after it", location=cell)
    return groups


def line_of(checks: list[Check], groups: list[list[nodes.Element]]) -> nodes.Element:
    """The quiet line: what was found. The cells unfold from it, or it leads to where they are.

    A cell of more than one line is in the first of them, and leaves ``groups``.
    """
    cells: dict[str, nodes.Element] = {check.cell["ids"][0]: check.cell for check in checks}
    inside = [group for cell in cells.values() for group in groups if group[-1] is cell]
    if not inside:
        line = nodes.paragraph("", "✓ checked: ", classes=["checked"])
        for k, check in enumerate(checks):
            line += nodes.Text("; " if k else "")
            to = check.cell["ids"][0]
            line += nodes.reference("", check.found, refid=to, internal=True, data=check.data)
        return line
    fold = check_fold("", said="; ".join(check.found for check in checks))
    fold["found"] = [(check.found, check.data) for check in checks]
    for group in inside:
        groups[:] = [other for other in groups if other is not group]
        for cell in group:
            cell.parent.remove(cell)
            cell.attributes.pop("hide_mode", None)
            fold += cell
    for name, cell in cells.items():
        if not any(group[-1] is cell for group in inside):
            another = nodes.reference("", "another cell", refid=name, internal=True)
            fold += nodes.paragraph("", "Also checked in ", another, nodes.Text("."))
    return fold


def look_at_images(app: Sphinx, doctree: nodes.document) -> None:
    """Each image says what is to be seen."""
    for image in doctree.findall(nodes.image):
        alt = str(image.get("alt") or "")
        if not describes(alt, image["uri"]):
            place = image
            while place.line is None and place.parent is not None:
                place = place.parent
            message = "image %s without a description: alt is %r"
            logger.warning(message, image["uri"], alt, location=place)


def visit_fold(self: Any, line: check_fold) -> None:
    self.body.append(self.starttag(line, "details", "", CLASS="check"))
    spans = (
        f'<span data-check="{data["check"]}" data-from="{data["from"]}">{self.encode(found)}</span>'
        for found, data in line["found"]
    )
    self.body.append(f"<summary>✓ checked: {'; '.join(spans)}</summary>\n")


def depart_fold(self: Any, line: check_fold) -> None:
    self.body.append("</details>\n")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(check_fold, html=(visit_fold, depart_fold))
    app.connect("doctree-read", read_page)
    app.connect("doctree-read", look_at_images)
    return {"parallel_read_safe": False, "env_version": 5}
