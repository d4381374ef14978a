"""What can be found wrong before anything is executed: all at once, by file and line.

``python -m booktools.early [folder]`` prints every mistake and exits with 1 if there is one. The
build begins with it. Sphinx would find many of these, too, but only after all chapters have run.
"""

import ast
import json
import re
import sys
import tomllib
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from pybtex import errors as pybtex_errors
from pybtex.database.input.bibtex import Parser as BibTeX

import bptt

from . import exercises, explorables, mathematics, schemas
from .cache import files
from .checks import PLACES, describes, names, verifies
from .equations import is_whole
from .pages import (
    Label,
    Mistake,
    Page,
    Use,
    below,
    is_citation,
    normal,
    not_utf8,
    read,
    tree,
)
from .references import cited_as, misfit

# Roles that refer, and the kinds of labels that they may lead to; None: to any.
ROLES = {"eq": {"equation"}, "ref": None, "numref": None, "prf:ref": None, "exercise": {"exercise"}}
TAGS = [f"{what}-{part}" for what in ("hide", "remove") for part in ("input", "output", "cell")]
TAGS += [*PLACES, "raises-exception", *(f"explorable-{name}" for name in explorables.NAMES)]
# What is called for what is new at each build, or differs between machines.
DIFFERING = re.compile(
    r"(?:autograd\.)?numpy\.random\.(?!default_rng|Generator)\w+|(?:random|secrets|time|uuid)\.\w+"
    r"|os\.(?:getcwd|getpid|urandom)|pathlib\.Path\.(?:cwd|home)"
    r"|datetime\.(?:date|datetime)\.(?:now|today)|os\.getenv|os\.environ\.\w+"
    r"|urllib\.request\.\w+|requests\.\w+|tempfile\.\w+"
)
PROGRAM = re.compile(r"(?m)^\s*(?:!|%(?:pip|conda|sx|system|%(?:bash|sh|script)))")
# A path that only this machine has.
ABSOLUTE = re.compile(r"/(?:home|Users|tmp|root|var|mnt|media)\b|~/|[A-Za-z]:[\\/]")
# What draws, outside of functions.
DRAWN = re.compile(
    r"(?m)^\S.*\bplt\.(?:figure|subplot\w*|plot|semilog[xy]|loglog|scatter|bar|hist|imshow)\("
)
OPTIONS = {
    "options of a cell": ["tags", "mystnb"],
    "mystnb": ["figure", "image", "markdown_format"],
}


def check(root: Path, only: Collection[str] = ()) -> tuple[list[Page], list[Mistake]]:
    """The pages of the book in its order, and every mistake that stands in them.

    With ``only``, formulas are set of the pages of these names alone, for that takes longest.
    """
    # Of a book whose frame is wrong, most that could be said besides would follow from that.
    if wrong := [*unreadable(root)] or [*schemas.misfits(root)]:
        return [], wrong
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8")) or {}
    names, mistakes = contents(root)
    markdown = tuple(below(config, "parse").get("myst_enable_extensions", []))
    pages = [read(name, root / f"{name}.md", markdown) for name in names]
    if wrong := [one for page in pages if not page.is_readable for one in page.mistakes]:
        return pages, sorted(mistakes + wrong)
    for page in pages:
        for part in (headings, front, code, options, repeated, shown, style, figures, claims):
            part(page)
        mistakes += exercises.mistakes(page)
    for part_of_all in (duplicates, descriptions, solutions, lists, checks):
        part_of_all(pages)
    bibliographies = [root / name for name in config.get("bibtex_bibfiles") or []]
    cited = {use.name for _, use in uses_of(pages) if is_citation(use.kind)}
    keys, wrong = sources(root, bibliographies, cited)
    mistakes += wrong
    references(pages, keys, " or ".join(file.name for file in bibliographies))
    mistakes += committed(root)
    mistakes += exercises.strays(root, pages)
    macros = json.dumps(below(config, "sphinx", "config").get("math_macros") or {})
    chosen = [page for page in pages if not only or page.file.stem in only]
    mistakes += formulas(chosen, macros)
    for page in pages:
        mistakes += page.mistakes
    return pages, sorted(set(mistakes))


def contents(root: Path) -> tuple[list[str], list[Mistake]]:
    """The pages that _toc.yml names, and what is wrong with it."""
    file, there = root / "_toc.yml", _chapters(root)
    mistakes: list[Mistake] = []
    names: list[str] = []
    for name, line in _entries(yaml.compose(file.read_text(encoding="utf-8"))):
        if name in names:
            message = f"{name} is here for the second time"
        elif twin := [one for one in names if one.casefold() == name.casefold()]:
            message = f"{name} and {twin[0]} are one file on macOS and Windows: rename one of them"
        elif not name.startswith("book/"):
            message = f"{name} is not in book, as all pages: move it"
        elif not (root / f"{name}.md").is_file():
            message = f"there is no file {name}.md{_perhaps(name, there)}: write it, or mend this"
        else:
            names.append(name)
            continue
        mistakes.append(Mistake(file, line, message))
    for name in there:
        if name not in names:
            message = f"no entry of _toc.yml: add `- file: {name}`"
            mistakes.append(Mistake(root / f"{name}.md", 1, message))
    return names, mistakes


def _entries(node: yaml.Node | None) -> Iterator[tuple[str, int]]:
    """Every file that a table of contents names, with its line."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value in ("root", "file") and isinstance(value, yaml.ScalarNode):
                yield value.value.removesuffix(".md"), value.start_mark.line + 1
            else:
                yield from _entries(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _entries(value)


def _chapters(root: Path) -> list[str]:
    """The pages that are there, as _toc.yml names them."""
    found = (path.relative_to(root) for path in (root / "book").glob("**/[!.]*.md"))
    return sorted(path.with_suffix("").as_posix() for path in found)


def unreadable(root: Path) -> Iterator[Mistake]:
    """Files that are no text, no YAML or no TOML, as their names say."""
    for file in (root / "_config.yml", root / "_toc.yml"):
        if not file.is_file():
            yield Mistake(file, 1, "this file is missing")
    parsers: dict[str, Any] = {".yml": yaml.safe_load, ".toml": tomllib.loads, ".bib": str}
    for file in [*root.glob("_*.yml"), *files(root / "book", root / "src")]:
        if file.suffix in parsers:
            try:
                parsers[file.suffix](file.read_text(encoding="utf-8"))
            except UnicodeDecodeError as error:
                yield not_utf8(file, error)
            except (yaml.YAMLError, tomllib.TOMLDecodeError) as error:
                at = re.findall(r"line (\d+), column", str(error))
                message = " ".join(str(getattr(error, "problem", error)).split())
                kind = {".yml": "YAML", ".toml": "TOML"}[file.suffix]
                yield Mistake(file, int(at[-1]) if at else 1, f"this is no {kind}: {message}")


def committed(root: Path) -> list[Mistake]:
    """Notebooks with outputs do not belong into the repository."""
    message = "outputs are not committed: keep the chapter as .md (jupytext --to md:myst FILE)"
    found = [path for path in (root / "book").rglob("*.ipynb") if "checkpoint" not in str(path)]
    return [Mistake(path, 1, message) for path in found]


def front(page: Page) -> None:
    """A page has a description; one with code is a notebook."""
    if not page.front and any("front matter" in found.message for found in page.mistakes):
        return  # it cannot be read
    description = below(page.front, "myst", "html_meta").get("description")
    if not description:
        page.wrong(1, "front matter: no myst: html_meta: description; give one")
    elif re.search(r"[$`\\{]", str(description)):
        page.wrong(1, "front matter: a description is one sentence without formulas")
    if page.cells and not page.is_notebook:
        message = "this code does not run: the front matter needs jupytext and kernelspec (copy it)"
        page.wrong(page.cells[0].fence, message)
    elif page.cells and below(page.front, "kernelspec").get("name") != "python3":
        page.wrong(1, "front matter: kernelspec needs name: python3")


def code(page: Page) -> None:
    """Cells are Python, and run no other programs."""
    for cell in page.cells:
        if found := PROGRAM.search(cell.source):
            line = cell.line + cell.source[: found.end()].count("\n")
            message = "a chapter runs no programs and installs nothing: see requirements.txt"
            page.wrong(line, message)
        if not re.search(r"^\s*[%!]", cell.source, re.MULTILINE):
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                line = cell.line + (error.lineno or 1) - 1
                page.wrong(line, f"this is no Python: {error.msg}")


def options(page: Page) -> None:
    """What a cell says of itself is known."""
    for cell in page.cells:
        tags = cell.options.get("tags") or []
        if not isinstance(tags, list):
            page.wrong(cell.fence, f"tags: needs a list: [{tags}]")
            tags = []
        for tag in tags:
            if tag not in TAGS:
                page.wrong(cell.fence, f"no tag {tag}{_perhaps(str(tag), TAGS)}")
            if tag == "teaches" and not verifies(tree(cell.source)):
                page.wrong(cell.fence, "tag teaches: this cell checks nothing; take the tag away")
        for where, known in OPTIONS.items():
            given = cell.options if where == "options of a cell" else below(cell.options, where)
            for strange in {*given} - {*known}:
                message = f"{where}: {strange} says nothing: there are {', '.join(known)}"
                page.wrong(cell.fence, message)


def repeated(page: Page) -> None:
    """Cells import what is there, and each build and each machine repeats their outputs."""
    meant: dict[str, str] = {}  # what names stand for
    for cell in page.cells:
        for name, full, line in imports(tree(cell.source)):
            meant[name], module = full, full.partition(".")[0]
            if find_spec(module) is None:
                message = f"no module {module} here: a chapter imports what requirements.txt has"
                page.wrong(cell.line + line - 1, message)
    for name, call, line in page.calls:
        first, dot, rest = name.partition(".")
        seeds = map(ast.unparse, [*call.args, *(option.value for option in call.keywords)])
        if name.endswith("default_rng") and set(seeds) <= {"None"}:
            page.wrong(line, "default_rng() differs at each build: give it a seed")
        elif DIFFERING.fullmatch(meant.get(first, "") + dot + rest):
            message = f"{name}: each build repeats the outputs, so seed np.random.default_rng, "
            page.wrong(line, message + "measure in benchmarks, and read what stands in the book")
    for cell in page.cells:
        for node in ast.walk(tree(cell.source)):
            if isinstance(node, ast.Constant) and ABSOLUTE.match(path := str(node.value)):
                message = f"{path} is on this machine alone: begin at the chapter's folder"
                page.wrong(cell.line + node.lineno - 1, message)


def imports(code: ast.Module) -> Iterator[tuple[str, str, int]]:
    """What a piece of code imports: a name, what that stands for, and the line."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from ((one.asname or one.name, one.name, node.lineno) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for one in node.names:
                yield one.asname or one.name, f"{node.module}.{one.name}", node.lineno


def shown(page: Page) -> None:
    """Only the last line of a cell is shown, and a table is there to be shown."""
    for cell in page.cells:
        silent, body = cell.source.rstrip().endswith(";"), tree(cell.source).body
        for node in ast.walk(tree(cell.source)):
            line = cell.line + getattr(node, "lineno", 1) - 1
            is_last = bool(body) and node is body[-1] and not silent
            match node:
                case ast.Expr(value=value) if is_table(value) and not is_last:
                    message = "this table is not shown: make it the last line of its cell, alone"
                    page.wrong(line, message)
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if is_table(value):
                    if not is_used(name, page):
                        page.wrong(line, f"this table is not shown: end with {name}")
                case ast.Expr(value=ast.Name() | ast.Attribute() | ast.Subscript()):
                    if node in body[:-1]:
                        message = "this shows nothing: only the last line of a cell is shown"
                        page.wrong(line, message)


def is_used(name: str, page: Page) -> bool:
    """Whether some statement of a page reads this name."""
    statements = (statement for cell in page.cells for statement in tree(cell.source).body)
    return any(name in names(statement)[0] for statement in statements)


def is_table(value: ast.expr) -> bool:
    """Whether this is a call that makes a table of :mod:`booktools.tables`."""
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] == "Table"


def headings(page: Page) -> None:
    """A page has one title, first, and no level is left out below it."""
    before = 0
    for level, line in page.headings:
        if before and level == 1:
            page.wrong(line, "a second title: a section begins with ##")
        elif level > before + 1:
            needed = "#" * (before + 1)
            page.wrong(line, f"a heading of level {level}: here {needed} can stand")
        before = level
    if not page.headings and not page.mistakes:
        page.wrong(1, "no title: begin the text with a line `# Title`")


def style(page: Page) -> None:
    """Who draws calls style.use()."""
    for cell in page.cells:
        drawn = re.search(r"^(?:import|from) (matplotlib\.pyplot|bptt\.figures)", cell.source, re.M)
        if drawn or below(cell.options, "mystnb").get("figure"):
            if not any(name == "style.use" for name, _, _ in page.calls):
                message = "figures without style.use(): call it (from booktools import style)"
                page.wrong(cell.line, message)
            return


def figures(page: Page) -> None:
    """A figure has a text that describes it, and a caption."""
    for address, alt, line in page.images:
        if urlsplit(address).scheme:
            message = f"the image {address} is not the book's: keep it in book, name it by its path"
            page.wrong(line, message)
        if not describes(alt, address):
            message = f"a figure without a description: alt is {alt!r}; say what is to be seen"
            page.wrong(line, message)
    for cell in page.cells:
        figure = below(cell.options, "mystnb", "figure")
        if not figure and DRAWN.search(cell.source):
            message = "a figure without mystnb: give it figure: name, caption, and image: alt"
            page.wrong(cell.fence, message)
        for part in ("name", "caption"):
            if figure and not figure.get(part):
                message = f"mystnb: figure: has no {part}; give it one"
                page.wrong(cell.fence, message)


def claims(page: Page) -> None:
    """Equations and theorems that state something have a check."""
    checked = {label for label, _ in checked_labels(page)}
    for one in page.labels:
        if one.is_claim and checked.isdisjoint({one.name, one.within}):
            message = f"{one.kind} {one.name} has no check: call verified({one.name!r}, ...)"
            page.wrong(one.line, f"{message} on this page")


def checked_labels(page: Page) -> list[tuple[str, int]]:
    """The labels that ``verified`` is called with, and where."""
    return [
        (call.args[0].value, line)
        for name, call, line in page.calls
        if name.rpartition(".")[2] == "verified"
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    ]


def checks(pages: list[Page]) -> None:
    """A check names an equation or statement of its own page."""
    where = {label.name: page for page in pages for label in page.labels if label.is_checkable}
    for page in pages:
        for label, line in checked_labels(page):
            if label not in where:
                here = [name for name, other in where.items() if other is page]
                near = _perhaps(label, here)
                page.wrong(line, f"check of {label}, which is no label of this page{near}")
            elif where[label] is not page:
                place = where[label].file.name
                page.wrong(line, f"check of {label}, which stands in {place}: check it there")


def duplicates(pages: list[Page]) -> None:
    """A label belongs to one thing of the whole book."""
    first: dict[tuple[bool, str], tuple[Page, Label]] = {}
    for page in pages:
        for label in page.labels:
            key = label.kind == "equation", normal(label.name)
            other, before = first.setdefault(key, (page, label))
            if before is not label:
                place = f"{other.file.name}:{before.line}"
                message = f"duplicate label {label.name}, which {place} has, too: rename one"
                page.wrong(label.line, f"{message} of them")


def descriptions(pages: list[Page]) -> None:
    """No two pages have one description, as a copied front matter has."""
    first: dict[str, Page] = {}
    for page in pages:
        text = str(below(page.front, "myst", "html_meta").get("description"))
        if first.setdefault(text, page) is not page and text != "None":
            message = f"the description is that of {first[text].file.name}: say what this page has"
            page.wrong(1, f"front matter: {message}")


def solutions(pages: list[Page]) -> None:
    """Each exercise has a solution, which ends before the next begins."""
    ends = {"solution-start": "solution-end", "solution-end": "solution-start"}
    for page in pages:
        marks = [use for use in page.uses if use.kind in ends]
        for mark, other in zip_longest(marks[::2], marks[1::2]):
            if mark.kind != "solution-start" or other is None or other.kind == mark.kind:
                page.wrong(
                    mark.line, f"this {{{mark.kind}}} has no {{{ends[mark.kind]}}}: write it"
                )
                break
    solved = {use.name for page in pages for use in page.uses if use.kind == "exercise"}
    for page in pages:
        for label in page.labels:
            if label.kind == "exercise" and label.name not in solved:
                message = f"exercise {label.name} has no solution: write {{solution-start}}"
                page.wrong(label.line, message)


def lists(pages: list[Page]) -> None:
    """Where there are lists of equations, those of each page are on one, once and whole."""
    listed = {
        page.file.stem: page for page in pages if any(label.is_checkable for label in page.labels)
    }
    shares: dict[str, list[str]] = {}
    for page in pages:
        for use in page.uses:
            if use.kind != "list":
                continue
            name, _, part = use.name.partition(" ")
            shares.setdefault(name, []).append(part)
            if name not in listed:
                message = f"{name} is no page with equations{_perhaps(name, listed)}"
                page.wrong(use.line, message)
    for name, page in listed.items() if shares else ():
        found = shares.get(name, [])
        if not is_whole(found):
            message = (
                f"{', '.join(found) or 'none'} of its equations are on a list, needs all, once: "
                f"write equations/in-{name}.md with {{checked-equations}} {name}"
            )
            page.wrong(1, message)


def uses_of(pages: list[Page]) -> Iterator[tuple[Page, Use]]:
    """All that pages refer to."""
    return ((page, use) for page in pages for use in page.uses)


def references(pages: list[Page], keys: list[str], bibliographies: str) -> None:
    """What pages refer to is there, among it these keys of sources."""
    labels = [label for page in pages for label in page.labels]
    sections = {label.name for page in pages for label in page.labels if is_section(label, page)}
    for page, use in uses_of(pages):
        message = None
        if is_citation(use.kind):
            if use.name not in keys:
                message = f"no source {use.name} in {bibliographies}{_perhaps(use.name, keys)}"
        elif use.kind == "numref" and use.name in sections:
            message = f"{use.name} is a section, which has no number: write []({use.name})"
        elif use.kind in ROLES:
            kinds = ROLES[use.kind]
            there = [one.name for one in labels if kinds is None or one.kind in kinds]
            if normal(use.name) not in map(normal, there):
                what = "equation" if use.kind == "eq" else "label"
                message = f"no {what} {use.name}{_perhaps(use.name, there)}"
        elif use.kind in ("doc", "download"):
            if not _is_there(page.file.parent / use.name):
                message = f"no page {use.name}{_perhaps(use.name, _names(pages))}"
        elif use.kind in ("py:func", "py:class", "py:meth", "py:mod"):
            message = _missing_python(use.name)
        elif use.kind in ("link", "image"):
            message = _missing_link(use.name, use.kind, page, pages, labels)
        if message:
            page.wrong(use.line, message)


def is_section(label: Label, page: Page) -> bool:
    """Whether a label is that of the heading below it, and that no title."""
    sections = [line for level, line in page.headings if level > 1]
    return label.kind == "target" and bool({label.line + 1, label.line + 2} & {*sections})


def _names(pages: list[Page]) -> list[str]:
    return [page.file.stem for page in pages]


def _missing_python(name: str) -> str | None:
    """Why no such thing is in the package."""
    first, *rest = name.strip("~!").removesuffix("()").split(".")
    if first == "bptt":
        found = bptt
        for part in rest:
            if not hasattr(found, part):
                return f"bptt has no {'.'.join(rest)}"
            found = getattr(found, part)
    return None


def _missing_link(
    address: str, kind: str, page: Page, pages: list[Page], labels: list[Label]
) -> str | None:
    """Why a link or an image leads nowhere."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    path = unquote(parts.path)
    target = (page.file.parent / path).resolve() if path else page.file
    named = [label.name for label in labels]
    if not _is_there(target):
        if kind == "link" and normal(path) in map(normal, named):
            return None
        there = _names(pages) + named if kind == "link" else []
        near = _perhaps(path, there)
        return f"the {kind} leads to {path}, which is neither a page nor a label{near}"
    if not parts.fragment:
        return None
    if not path:
        if normal(parts.fragment) in map(normal, named):
            return None
        return f"the link leads to {parts.fragment!r}, which is no label{_perhaps(address, named)}"
    on_page = [one for one in pages if one.file.with_suffix("") == target.with_suffix("")]
    if normal(parts.fragment) in [normal(label.name) for one in on_page for label in one.labels]:
        return None
    return f"the link leads to {parts.fragment!r}, which {target.name} does not have"


def _is_there(target: Path) -> bool:
    """Whether a page or file is there; of pages .md may be left out."""
    return target.is_file() or target.with_name(f"{target.name}.md").is_file()


def sources(
    root: Path, files: list[Path], cited: Collection[str]
) -> tuple[list[str], list[Mistake]]:
    """The keys of the bibliography, and what is wrong with it and with those that are cited."""
    first: dict[str, str] = {}
    keys: list[str] = []
    mistakes = []
    for file in files:
        if not file.is_file():
            mistakes.append(Mistake(root / "_config.yml", 1, f"bibtex_bibfiles: no {file.name}"))
            continue
        text = file.read_text(encoding="utf-8")
        with pybtex_errors.capture() as errors:
            found = BibTeX().parse_string(text).entries
        keys += found
        for error in errors:
            line = getattr(error, "lineno", None) or _line(text, str(error).rpartition(" ")[2])
            mistakes.append(Mistake(file, line, " ".join(str(error).split())))
        for key, entry in found.items():
            if key in cited:
                message = misfit(entry)
                if not message and first.setdefault(label := cited_as(entry), key) != key:
                    message = f"{label}, as is {first[label]}: needs years such as 2017a and 2017b"
                if message:
                    mistakes.append(Mistake(file, _line(text, key), f"{key}: {message}"))
    return keys, mistakes


def _line(text: str, key: str) -> int:
    """The line of the last source of this key."""
    found = list(re.finditer(rf"@\w+\s*\{{\s*{re.escape(key)}\s*,", text, re.IGNORECASE))
    return text[: found[-1].start()].count("\n") + 1 if found else 1


def formulas(pages: list[Page], macros: str) -> Iterator[Mistake]:
    """KaTeX sets every formula."""
    for page in pages:
        written = [(one.tex, one.display, page.file, one.line) for one in page.formulas]
        written += [(tex, False, file, line) for tex, file, line in exercises.formulas(page)]
        for tex, display, file, line in written:
            answer = mathematics.typeset(tex, display, macros)
            if "error" in answer:
                yield Mistake(file, line, f"formula cannot be set: {answer['error']}")


def _perhaps(name: str, there: Iterable[str]) -> str:
    """What may have been meant."""
    near = get_close_matches(name, list(there), n=1)
    return f"; do you mean {near[0]}?" if near else ""


def report(root: Path, mistakes: list[Mistake]) -> str:
    """One line for each mistake, and how many there are."""
    lines = [f"{one.file.relative_to(root)}:{one.line}: {one.message}" for one in mistakes]
    files = {one.file for one in mistakes}
    few = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    return "\n".join([*lines, f"{few} in {len(files)} files; nothing was executed."])


def main() -> None:
    """Say what is wrong, and fail if anything is."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    _, mistakes = check(root)
    if mistakes:
        sys.exit(report(root, mistakes))


if __name__ == "__main__":
    main()
