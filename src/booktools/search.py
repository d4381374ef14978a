"""A Sphinx extension: finding a section. It takes the place of Sphinx's own search, of pages.

Of each page, what a reader looks for is kept beside its doctree: titles, text, captions, terms,
theorems, labels and names of the package; neither code nor outputs nor displays. All of it goes
into one script, with the library that searches it, which a page loads when the reader begins to
search. A script, since a page that lies in a folder may read no other file.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from pylatexenc import latex2text, latexwalker, macrospec
from sphinx import addnodes
from sphinx.application import Sphinx

from .bundle import FINDER
from .mathematics import HERE

WORDS = HERE / "theme" / "search.toml"
NUMBERED = {"displaymath": "equation"}  # as Sphinx has it, and as readers do
INDEX = "_static/search-index.js"  # beside the script of all pages, which asks for it
# What is no text of its section: other sections, code, what cells show, displays, link marks.
APART = (
    nodes.title,
    nodes.literal_block,
    nodes.math_block,
    nodes.raw,
    nodes.image,
    nodes.Invisible,
    addnodes.desc,
    addnodes.toctree,
    addnodes.index,
)
# Macros of formulas that the library does not know, with their number of arguments.
MACROS = {
    "operatorname": (1, "%s"),
    "overline": (1, "%s"),
    "tfrac": (2, "%s/%s"),
    "binom": (2, "(%s over %s)"),
    "diag": (0, "diag"),
    "ne": (0, "≠"),
    **dict.fromkeys(("bigl", "bigr", "Bigl", "Bigr"), (0, "")),
}
SPACE = re.compile(r"\s+")
# Of a space after a macro without arguments the library thinks that it only ends the name.
WITH_ARGUMENTS = r"text|math\w+|operatorname|overline|[td]?frac|binom|sqrt|hat|bar|tilde|dot"
GAP = re.compile(rf"(\\(?!(?:{WITH_ARGUMENTS})\b)[a-zA-Z]+) ")


@cache
def formulas() -> tuple[Any, Any]:
    """What reads a formula, and what writes it as text."""
    reading = latexwalker.get_default_latex_context_db()
    writing = latex2text.get_default_latex_context_db()
    macros = [macrospec.std_macro(name, False, count) for name, (count, _) in MACROS.items()]
    reading.add_context_category("book", macros=macros, prepend=True)
    forms = [latex2text.MacroTextSpec(name, form) for name, (_, form) in MACROS.items()]
    writing.add_context_category("book", macros=forms, prepend=True)
    return reading, latex2text.LatexNodes2Text(writing, math_mode="text", keep_braced_groups=True)


def readable(tex: str) -> str:
    """A formula as one would type it: ``h_{t-1}``, ``λ_t``."""
    reading, writing = formulas()
    walker = latexwalker.LatexWalker(GAP.sub(r"\1{} ", tex), latex_context=reading)
    return str(writing.nodelist_to_text(walker.get_latex_nodes()[0]))


def text_of(place: nodes.Node) -> str:
    """The text of a part of a page, formulas as one would type them."""
    if isinstance(place, nodes.math):
        return readable(place.astext()) + str(place.get("mark", ""))
    if isinstance(place, nodes.Text):
        return place.astext()
    # where not words but blocks follow one another, one below the other
    between = "" if isinstance(place, nodes.TextElement) else " "
    return between.join(map(text_of, place.children))


def clean(text: str) -> str:
    return SPACE.sub(" ", text).strip()


def is_section(place: nodes.Node) -> bool:
    """Whether an element is a section; exercises and theorems have others inside."""
    return isinstance(place, nodes.section) and isinstance(
        place.parent, nodes.document | nodes.section
    )


def is_apart(place: nodes.Node) -> bool:
    """Whether an element of a section is none of its text."""
    if isinstance(place, APART) or is_section(place):
        return True
    classes = place["classes"] if isinstance(place, nodes.Element) else ()
    return bool({"cell_input", "cell_output", "checked", "check"}.intersection(classes))


def is_entry(place: nodes.Node) -> bool:
    """Whether an element is found by itself: a term of the glossary, a row where one looks things
    up.
    """
    if isinstance(place, nodes.row):
        return bool(place["ids"])
    return isinstance(place, nodes.definition_list_item) and isinstance(
        place.parent.parent, addnodes.glossary
    )


def blocks(place: nodes.Element) -> Iterator[nodes.Element]:
    """The elements that hold the text of a section, in its order."""
    for part in place.children:
        if is_entry(part):
            continue
        if isinstance(part, nodes.caption):
            yield part
        elif isinstance(part, nodes.Element) and "cell_output" in part["classes"]:
            yield from part.findall(nodes.caption)
        elif isinstance(part, nodes.Element) and not is_apart(part):
            if isinstance(part, nodes.TextElement):
                yield part
            else:
                yield from blocks(part)


def terms(place: nodes.Element) -> Iterator[str]:
    """What a section defines or names: emphasised words, index entries, titles of theorems."""
    for part in own(place):
        if isinstance(part, nodes.emphasis | nodes.term):
            yield text_of(part)
        elif isinstance(part, addnodes.index) and not names_package(part):
            yield from (entry[1] for entry in part["entries"])
        elif isinstance(part, nodes.title) and not is_section(part.parent):
            yield text_of(part)


def names_package(entry: addnodes.index) -> bool:
    """Whether an index entry is that of the name of the package below it."""
    return isinstance(entry.next_node(descend=False, siblings=True), addnodes.desc)


def own(place: nodes.Element) -> Iterator[nodes.Element]:
    """All elements of a section but those of sections and names of the package below it."""
    for part in place.children:
        if isinstance(part, addnodes.desc) or is_section(part) or is_entry(part):
            continue
        if isinstance(part, nodes.Element):
            yield part
            yield from own(part)


def is_solution(place: nodes.Element) -> bool:
    """Whether an element is part of a solution."""
    up: Any = place
    while up is not None and not is_section(up):
        if "solution" in up["classes"]:
            return True
        up = up.parent
    return False


def section(place: nodes.Element, above: list[str]) -> dict[str, Any]:
    """What can be found of a section."""
    found = list(blocks(place))
    solutions = [block for block in found if is_solution(block)]
    return {
        "id": place["ids"][0] if isinstance(place.parent, nodes.section) else "",
        "title": clean(text_of(place[0])),
        "above": above,
        "terms": list(dict.fromkeys(filter(None, map(clean, terms(place))))),
        "text": clean(" ".join(text_of(block) for block in found if block not in solutions)),
        "aside": clean(" ".join(map(text_of, solutions))),
    }


def sections(place: nodes.Element, above: list[str]) -> Iterator[dict[str, Any]]:
    """The sections of a page, and the names, terms and rows that it explains, each by itself."""
    for part in place.children:
        if is_section(part):
            found = section(part, above)
            yield found
            yield from sections(part, [*above, found["title"]])
        elif isinstance(part, addnodes.desc):
            yield name_of_package(part, above)
        elif is_entry(part):
            yield entry(part, above)
        elif isinstance(part, nodes.Element):
            yield from sections(part, above)


def entry(place: nodes.Element, above: list[str]) -> dict[str, Any]:
    """What can be found of a term or a row: its first part is its title."""
    head, *rest = place.children
    return {
        "id": [*place["ids"], *head["ids"]][0],
        "title": clean(text_of(head)),
        "above": above,
        "text": "; ".join(filter(None, map(clean, map(text_of, rest)))),
    }


def name_rows(app: Sphinx, doctree: nodes.document) -> None:
    """Give each row an anchor, in tables where one looks things up."""
    for table in doctree.findall(nodes.table):
        if "lookup" in table["classes"]:
            for row in list(table.findall(nodes.row))[1:]:
                row["ids"].append(nodes.make_id(row[0].astext())[:60].strip("-"))


def name_of_package(place: addnodes.desc, above: list[str]) -> dict[str, Any]:
    """What can be found of a function or class, its methods included."""
    signature, content = place[0], place[-1]
    inner = (clean(text_of(part)) for part in content.findall(nodes.paragraph))
    return {
        "id": signature["ids"][0],
        "name": signature["fullname"],
        "title": signature["fullname"],
        "above": above,
        "text": " ".join(inner),
    }


def places(env: Any, page: str) -> dict[str, str]:
    """What has a number, with its anchor: ``theorem 4.1``."""
    return {
        f"{NUMBERED.get(kind, kind)} {'.'.join(map(str, number))}": anchor
        for kind, numbers in env.toc_fignumbers.get(page, {}).items()
        for anchor, number in numbers.items()
    }


def collect(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Keep what can be found of a page beside its doctree, for when others alone are written."""
    if app.builder.name != "html":
        return
    env: Any = app.env
    number = env.toc_secnumbers.get(page, {}).get("")
    found = {
        "page": page,
        "number": ".".join(map(str, number)) if number else "",
        "lead": next((meta["content"] for meta in doctree.findall(nodes.meta)), ""),
        "places": places(env, page),
        "sections": list(sections(doctree, [])),
    }
    file = kept(app, page)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")


def kept(app: Sphinx, page: str) -> Path:
    """The file with what can be found of a page."""
    return Path(app.doctreedir) / f"{page}.search.json"


def instead(app: Sphinx) -> None:
    """Without Sphinx's own search, its page and its index."""
    app.builder.search = False  # type: ignore[attr-defined]


def search_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The page that shows all that is found, and says what to do where scripts do not run."""
    env: Any = app.env
    chapters = [(page, env.titles[page].astext()) for page in env.collect_relations()]
    yield "search", {"chapters": chapters}, "search.html"


def write_index(app: Sphinx, exception: Exception | None) -> None:
    """One script that holds the sections of all pages and searches them."""
    if exception is not None or app.builder.name != "html":
        return
    order = app.env.collect_relations()
    book = [json.loads(kept(app, page).read_text(encoding="utf-8")) for page in order]
    finder = (Path(app.doctreedir) / FINDER).read_text(encoding="utf-8")
    text = script(book, finder)
    (Path(app.outdir) / INDEX).write_text(text, encoding="utf-8", newline="\n")


def script(book: list[dict[str, Any]], finder: str) -> str:
    """The script that finds the sections of these pages."""
    words = tomllib.loads(WORDS.read_text(encoding="utf-8"))
    data = json.dumps({"book": book, "words": words}, ensure_ascii=False, separators=(",", ":"))
    return f"globalThis.bookToFind={data};\n{finder}"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", instead)
    app.connect("doctree-read", name_rows)
    app.connect("doctree-resolved", collect, priority=400)  # before what is only of the page
    app.connect("html-collect-pages", search_page)
    app.connect("build-finished", write_index)
    # Of an environment without it, Sphinx reads all pages again.
    return {"parallel_read_safe": True, "parallel_write_safe": False, "env_version": 2}
