"""A Sphinx extension: every displayed equation is executed, and the page says so.

:func:`bptt.verified` prints a line for each check. Here these lines leave the output of their cell
and stand, quietly, under the equation or theorem that they check; the page of all equations lists
them. A statement without a check, a display without a label, a check of nothing and an image
without a description are warnings, and warnings fail the build.
"""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from .cache import execution_cache, isolated, key
from .pages import Page, extensions, read

logger = logging.getLogger(__name__)
CHECK = re.compile(r"(?P<label>\S+) checked(?: in (?P<cases>\d+) cases)?: (?P<found>.+)")
STATEMENTS = ("theorem", "lemma", "proposition", "corollary", "property")  # of sphinx-proof

kernels = ExitStack()  # what holds while kernels may start


def needs_check(label: str) -> bool:
    """Whether an equation of this label states something; others define."""
    return not label.startswith("def-")


def needs_check_of_its_own(kind: str) -> bool:
    """Whether a directive of sphinx-proof states something."""
    return kind in STATEMENTS


def describes(alt: str, address: str) -> bool:
    """Whether a text says what an image shows: not nothing, not its file's name."""
    return len(alt.split()) >= 3 and not (address and Path(address).name in alt)


def outdated(app: Sphinx, env: Any, *sets: set[str]) -> list[str]:
    """Read a chapter again if what it imports or reads has changed, which Sphinx does not see."""
    return app.config.only_pages or [
        name
        for name, before in getattr(env, "executed_with", {}).items()
        if Path(env.doc2path(name)).is_file()
        and before != key(Path(app.confdir), written(app, name))
    ]


def written(app: Sphinx, name: str) -> Page:
    """A page as it is written."""
    root = Path(app.confdir)
    return read(name, Path(app.env.doc2path(name)), extensions(root))


def use_cache(app: Sphinx, name: str, source: list[str]) -> None:
    """Let myst-nb execute a chapter into the cache that is keyed on all that it depends on."""
    env: Any = app.env
    page = written(app, name)
    env.executed_with.pop(name, None)
    if page.cells:
        folder = execution_cache(Path(app.confdir), page)
        env.executed_with[name] = folder.name
        env.mystnb_config = env.mystnb_config.copy(execution_cache_path=str(folder))


def isolate(app: Sphinx, env: Any, names: list[str]) -> None:
    """Hide the reader's environment while pages are read, for kernels may start."""
    if only := app.config.only_pages:  # of others, those that have never been read
        names[:] = [name for name in names if name in only or name not in env.all_docs]
    kernels.enter_context(isolated(Path(app.confdir)))


def restore(app: Sphinx, env: Any) -> None:
    """The environment as it was; Git and others ask for it."""
    kernels.close()


def read_page(app: Sphinx, doctree: nodes.document) -> None:
    """Move the lines of the checks to what they check, and warn of what is missing."""
    checks = collect_checks(doctree)
    found = []
    for node in list(doctree.findall(nodes.Element)):
        label = str(node.get("label") or "")
        if isinstance(node, nodes.math_block):
            if not label or node["nowrap"]:  # a bare align, whose label is random
                logger.warning("display without a label: %s", node.astext(), location=node)
            elif needs_check(label) and label not in checks:
                logger.warning("equation %s has no check", label, location=node)
            if label:
                found.append((label, node.astext(), checks.get(label, [])))
            if label in checks:
                node.parent.insert(node.parent.index(node) + 1, line_of(checks.pop(label)))
        elif needs_check_of_its_own(node.get("realtype")):
            if label not in checks:
                logger.warning("%s %s has no check", node["realtype"], label, location=node)
            else:
                found.append((label, "", checks[label]))
                node += line_of(checks.pop(label))
        elif isinstance(node, nodes.image):
            alt = str(node.get("alt") or "")
            if not describes(alt, node["uri"]):
                message = "image %s without a description: alt is %r"
                place = node if node.line else node.parent
                while place.line is None and place.parent is not None:
                    place = place.parent
                logger.warning(message, node["uri"], alt, location=place)
    for label in checks:
        logger.warning("check of %s, which is no equation of this page", label, location=doctree)
    app.env.checked_equations[app.env.docname] = found  # type: ignore[attr-defined]


def collect_checks(doctree: nodes.document) -> dict[str, list[tuple[str, str, str]]]:
    """The checks of a page, by label: (cases, found, id of the cell); their lines are removed."""
    checks: dict[str, list[tuple[str, str, str]]] = {}
    for stream in list(doctree.findall(nodes.literal_block)):
        if "stderr" in stream["classes"]:
            logger.warning("a cell warns: %s", stream.astext().strip(), location=stream)
        if "stream" not in stream["classes"]:
            continue
        kept = []
        for line in stream.astext().splitlines():
            if check := CHECK.fullmatch(line):
                cell = stream.parent.parent
                earlier = len(checks.get(check["label"], []))
                if not cell["ids"]:
                    cell["ids"].append(f"check-{check['label']}" + f"-{earlier}" * (earlier > 0))
                result = (check["cases"] or "1", check["found"], cell["ids"][0])
                checks.setdefault(check["label"], []).append(result)
            else:
                kept.append(line)
        if any(line.strip() for line in kept):
            stream.children, stream.rawsource = [], "\n".join(kept)
            stream += nodes.Text("\n".join(kept))
        else:
            output = stream.parent
            output.remove(stream)
            if not output.children:
                output.parent.remove(output)
    return checks


def line_of(checks: list[tuple[str, str, str]]) -> nodes.Element:
    """The quiet line: what was found, linked to the cell that found it."""
    line = nodes.paragraph("", "✓ checked: ", classes=["checked"])
    for k, (cases, found, cell) in enumerate(checks):
        line += nodes.Text("; " if k else "")
        line += nodes.reference("", said(cases, found), refid=cell, internal=True)
    return line


def said(cases: str, found: str) -> str:
    """What a check found, in words."""
    return found if cases == "1" else f"{found} ({cases} cases)"


class CheckedEquations(SphinxDirective):
    """``{checked-equations}``: the place of the table of every labelled equation of the book."""

    def run(self) -> list[nodes.Node]:
        self.env.get_domain("math").data["has_equations"][self.env.docname] = True
        self.env.equation_tables.add(self.env.docname)  # type: ignore[attr-defined]
        return [equations_table()]


class equations_table(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes so
    """Replaced by the table once all pages are read."""


def write_table(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """For each page, in the order of the book: its equations and what their checks found."""
    env: Any = app.env
    for place in list(doctree.findall(equations_table)):
        entries: list[nodes.Node] = []
        for page in env.collect_relations():
            if found := env.checked_equations.get(page):
                uri = app.builder.get_relative_uri(docname, page)
                title = env.titles[page].astext()
                heading = nodes.rubric(
                    "", "", nodes.reference("", title, refuri=uri, internal=True)
                )
                entries += [heading, *(entry(env, page, uri, *equation) for equation in found)]
        place.replace_self(entries)


def entry(env: Any, page: str, uri: str, label: str, formula: str, checks: Any) -> nodes.Node:
    """One equation of the table: its number as a link, the checks' findings, the formula."""
    anchor = nodes.make_id(f"equation-{label}") if formula else label
    name = anchor
    for kind, numbers in env.toc_fignumbers.get(page, {}).items():
        if anchor in numbers:
            number = ".".join(map(str, numbers[anchor]))
            name = f"({number})" if formula else f"{kind.capitalize()} {number}"
    line = nodes.paragraph(classes=["checked"])
    line += nodes.reference("", name, refuri=f"{uri}#{anchor}", internal=True)
    findings = "; ".join(said(cases, found) for cases, found, _ in checks)
    line += nodes.Text(f" {findings or 'a definition'}")
    box = nodes.container("", line, classes=["checked-equation"])
    if formula:
        box += nodes.math_block("", formula, number=None, label=None, nowrap=False)
    return box


def prepare(app: Sphinx, env: Any, docnames: list[str]) -> None:
    """Give a new environment its place for what the pages' checks found."""
    if not hasattr(env, "checked_equations"):
        env.checked_equations, env.equation_tables, env.executed_with = {}, set(), {}


def forget(app: Sphinx, env: Any, docname: str) -> None:
    """Drop what a page had before it is read again."""
    if hasattr(env, "checked_equations"):
        env.checked_equations.pop(docname, None)
        env.equation_tables.discard(docname)
        env.executed_with.pop(docname, None)


def tables(app: Sphinx, env: Any) -> list[str]:
    """Write the pages with a table again whenever any page was read."""
    return sorted(env.equation_tables)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension to Sphinx."""
    app.add_config_value("only_pages", [], "")  # of a site that stands; see booktools.build
    app.connect("env-get-outdated", outdated)
    app.connect("env-before-read-docs", prepare)
    app.connect("env-before-read-docs", isolate, priority=900)
    app.connect("source-read", use_cache)
    app.connect("env-updated", restore, priority=1)
    app.connect("env-purge-doc", forget)
    app.connect("doctree-read", read_page)
    app.connect("env-updated", tables)
    app.add_directive("checked-equations", CheckedEquations)
    app.add_node(equations_table)
    app.connect("doctree-resolved", write_table)
    return {"parallel_read_safe": False, "env_version": 2}
