"""What can be found wrong before anything is executed: all at once, by file and line.

``python -m booktools.early [folder]`` prints every mistake and exits with 1 if there is one. The
build begins with it. Sphinx would find many of these, too, but only after all chapters have run.
"""

import ast
import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from pybtex import errors as pybtex_errors
from pybtex.database.input.bibtex import Parser as BibTeX

import bptt

from . import exercises, explorables, mathematics, schemas
from .cache import files
from .checks import PLACES, describes, names, needs_check, needs_check_of_its_own, verifies
from .equations import is_whole
from .pages import (
    Label,
    Mistake,
    Page,
    below,
    extensions,
    normal,
    not_utf8,
    read,
    settings,
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
    r"|datetime\.(?:date|datetime)\.(?:now|today)"
)
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
    names, mistakes = contents(root)
    markdown = extensions(root)
    pages = [read(name, root / f"{name}.md", markdown) for name in names]
    mistakes += committed(root)
    for page in pages:
        mistakes += page.mistakes
        if page.front or not any("front matter" in found.message for found in page.mistakes):
            mistakes += front_matter(page)
        for part in (headings, code, shown, style, figures, statements, exercises.mistakes):
            mistakes += part(page)
    mistakes += exercises.strays(root, pages)
    mistakes += duplicates(pages)
    mistakes += descriptions(pages)
    mistakes += solutions(pages)
    mistakes += lists(pages)
    mistakes += references(root, pages)
    mistakes += checks(pages)
    mistakes += formulas(root, [page for page in pages if not only or page.file.stem in only])
    return pages, sorted(set(mistakes), key=lambda found: (found.file, found.line, found.message))


def contents(root: Path) -> tuple[list[str], list[Mistake]]:
    """The pages that _toc.yml names, and what is wrong with it."""
    file = root / "_toc.yml"
    entries = list(_entries(yaml.compose(file.read_text(encoding="utf-8"))))
    mistakes: list[Mistake] = []
    names: list[str] = []
    for name, line in entries:
        if name in names:
            mistakes.append(Mistake(file, line, f"{name} is here for the second time"))
        elif twin := [one for one in names if one.casefold() == name.casefold()]:
            message = f"{name} and {twin[0]} are one file on macOS and Windows: rename one of them"
            mistakes.append(Mistake(file, line, message))
        elif not name.startswith("book/"):
            mistakes.append(Mistake(file, line, f"{name} is not in book, as all pages: move it"))
        elif (root / f"{name}.md").is_file():
            names.append(name)
        else:
            there = [path.with_suffix("").as_posix() for path in _chapters(root)]
            message = f"there is no file {name}.md{_perhaps(name, there)}: write it, or mend this"
            mistakes.append(Mistake(file, line, message))
    for path in _chapters(root):
        if path.with_suffix("").as_posix() not in names:
            message = "no entry of _toc.yml: add `- file: " + path.with_suffix("").as_posix() + "`"
            mistakes.append(Mistake(root / path, 1, message))
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


def _chapters(root: Path) -> list[Path]:
    return sorted(path.relative_to(root) for path in (root / "book").glob("**/[!.]*.md"))


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


def front_matter(page: Page) -> Iterator[Mistake]:
    """A page has a description; one with code is a notebook."""
    description = below(page.front, "myst", "html_meta").get("description")
    if not description:
        yield Mistake(page.file, 1, "front matter: no myst: html_meta: description; give one")
    elif re.search(r"[$`\\{]", str(description)):
        yield Mistake(page.file, 1, "front matter: a description is one sentence without formulas")
    if page.cells and not page.is_notebook:
        message = "this code does not run: the front matter needs jupytext and kernelspec (copy it)"
        yield Mistake(page.file, page.cells[0].fence, message)
    elif page.cells and below(page.front, "kernelspec").get("name") != "python3":
        yield Mistake(page.file, 1, "front matter: kernelspec needs name: python3")


def code(page: Page) -> Iterator[Mistake]:
    """Cells are Python, and each build repeats their outputs."""
    meant: dict[str, str] = {}  # what names stand for
    for cell in page.cells:
        if not re.search(r"^\s*[%!]", cell.source, re.MULTILINE):
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                line = cell.line + (error.lineno or 1) - 1
                yield Mistake(page.file, line, f"this is no Python: {error.msg}")
        tags = cell.options.get("tags") or []
        if not isinstance(tags, list):
            yield Mistake(page.file, cell.fence, f"tags: needs a list: [{tags}]")
            tags = []
        for tag in tags:
            if tag not in TAGS:
                yield Mistake(page.file, cell.fence, f"no tag {tag}{_perhaps(str(tag), TAGS)}")
            if tag == "teaches" and not verifies(tree(cell.source)):
                message = "tag teaches: this cell checks nothing; take the tag away"
                yield Mistake(page.file, cell.fence, message)
        for where, given in (
            ("options of a cell", cell.options),
            ("mystnb", below(cell.options, "mystnb")),
        ):
            for strange in set(given) - set(OPTIONS[where]):
                known = ", ".join(OPTIONS[where])
                message = f"{where}: {strange} says nothing: there are {known}"
                yield Mistake(page.file, cell.fence, message)
        for name, full, line in imports(tree(cell.source)):
            meant[name], module = full, full.partition(".")[0]
            if find_spec(module) is None:
                message = f"no module {module} here: a chapter imports what requirements.txt has"
                yield Mistake(page.file, cell.line + line - 1, message)
    for name, call, line in page.calls:
        first, dot, rest = name.partition(".")
        seeds = map(ast.unparse, [*call.args, *(option.value for option in call.keywords)])
        if name.endswith("default_rng") and set(seeds) <= {"None"}:
            yield Mistake(page.file, line, "default_rng() differs at each build: give it a seed")
        elif DIFFERING.fullmatch(meant.get(first, "") + dot + rest):
            message = f"{name}: each build repeats the outputs, so seed np.random.default_rng, "
            yield Mistake(page.file, line, message + "and measure in benchmarks")


def imports(code: ast.Module) -> Iterator[tuple[str, str, int]]:
    """What a piece of code imports: a name, what that stands for, and the line."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from ((one.asname or one.name, one.name, node.lineno) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for one in node.names:
                yield one.asname or one.name, f"{node.module}.{one.name}", node.lineno


def shown(page: Page) -> Iterator[Mistake]:
    """Only the last line of a cell is shown, and a table is there to be shown."""
    for cell in page.cells:
        silent, body = cell.source.rstrip().endswith(";"), tree(cell.source).body
        for node in ast.walk(tree(cell.source)):
            line = cell.line + getattr(node, "lineno", 1) - 1
            is_last = bool(body) and node is body[-1] and not silent
            match node:
                case ast.Expr(value=ast.Call() as call) if is_table(call) and not is_last:
                    message = "this table is not shown: make it the last line of its cell, alone"
                    yield Mistake(page.file, line, message)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) if is_table(
                    call
                ) and not is_used(name, page):
                    yield Mistake(page.file, line, f"this table is not shown: end with {name}")
                case ast.Expr(value=ast.Name() | ast.Attribute() | ast.Subscript()) if (
                    node in body[:-1]
                ):
                    message = "this shows nothing: only the last line of a cell is shown"
                    yield Mistake(page.file, line, message)


def is_used(name: str, page: Page) -> bool:
    """Whether some statement of a page reads this name."""
    statements = (statement for cell in page.cells for statement in tree(cell.source).body)
    return any(name in names(statement)[0] for statement in statements)


def is_table(call: ast.Call) -> bool:
    """Whether a call makes a table of :mod:`booktools.tables`."""
    return ast.unparse(call.func).rpartition(".")[2] == "Table"


def headings(page: Page) -> Iterator[Mistake]:
    """A page has one title, first, and no level is left out below it."""
    before = 0
    for level, line in page.headings:
        if before and level == 1:
            yield Mistake(page.file, line, "a second title: a section begins with ##")
        elif level > before + 1:
            needed = "#" * (before + 1)
            yield Mistake(page.file, line, f"a heading of level {level}: here {needed} can stand")
        before = level
    if not page.headings and not page.mistakes:
        yield Mistake(page.file, 1, "no title: begin the text with a line `# Title`")


def style(page: Page) -> Iterator[Mistake]:
    """Who draws calls style.use()."""
    for cell in page.cells:
        drawn = re.search(r"^(?:import|from) (matplotlib\.pyplot|bptt\.figures)", cell.source, re.M)
        if drawn or below(cell.options, "mystnb").get("figure"):
            if not any(name == "style.use" for name, _, _ in page.calls):
                message = "figures without style.use(): call it (from booktools import style)"
                yield Mistake(page.file, cell.line, message)
            return


def figures(page: Page) -> Iterator[Mistake]:
    """A figure has a text that describes it, and a caption."""
    for address, alt, line in page.images:
        if urlsplit(address).scheme:
            message = f"the image {address} is not the book's: keep it in book, name it by its path"
            yield Mistake(page.file, line, message)
        if not describes(alt, address):
            message = f"a figure without a description: alt is {alt!r}; say what is to be seen"
            yield Mistake(page.file, line, message)
    for cell in page.cells:
        figure = below(cell.options, "mystnb", "figure")
        if not figure and DRAWN.search(cell.source):
            message = "a figure without mystnb: give it figure: name, caption, and image: alt"
            yield Mistake(page.file, cell.fence, message)
        for part in ("name", "caption"):
            if figure and not figure.get(part):
                message = f"mystnb: figure: has no {part}; give it one"
                yield Mistake(page.file, cell.fence, message)


def statements(page: Page) -> Iterator[Mistake]:
    """Displays and theorems have labels, and those that state something a check."""
    checked = {label for label, _ in checked_labels(page)}
    for formula in page.formulas:
        if formula.display and not formula.label:
            message = "a display without a label: write $$ ... $$ (eq-name), or (def-name)"
            yield Mistake(page.file, formula.line, message)
        elif (
            formula.label
            and needs_check(formula.label)
            and checked.isdisjoint({formula.label, formula.within})
        ):
            message = _unchecked("equation", formula.label)
            yield Mistake(page.file, formula.line, message)
    for kind, name, line in ((one.kind, one.name, one.line) for one in page.statements):
        if not name:
            yield Mistake(page.file, line, f"a {kind} without a label: add :label:")
        elif needs_check_of_its_own(kind) and name not in checked:
            message = _unchecked(kind, name)
            yield Mistake(page.file, line, message)


def _unchecked(kind: str, label: str) -> str:
    return f"{kind} {label} has no check: call verified({label!r}, ...) on this page"


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


def checks(pages: Iterable[Page]) -> Iterator[Mistake]:
    """A check names an equation or statement of its own page."""
    pages = list(pages)
    where = {label: page.file.name for page in pages for label in _checkable(page)}
    for page in pages:
        for label, line in checked_labels(page):
            if label in _checkable(page):
                continue
            if label in where:
                message = f"check of {label}, which stands in {where[label]}: check it there"
            else:
                near = _perhaps(label, _checkable(page))
                message = f"check of {label}, which is no label of this page{near}"
            yield Mistake(page.file, line, message)


def _checkable(page: Page) -> list[str]:
    equations = [label.name for label in page.labels if label.kind == "equation"]
    return equations + [label.name for label in page.statements if label.name]


def duplicates(pages: list[Page]) -> Iterator[Mistake]:
    """A label belongs to one thing of the whole book."""
    first: dict[tuple[bool, str], tuple[Page, Label]] = {}
    for page in pages:
        for label in page.labels:
            key = label.kind == "equation", normal(label.name)
            if key not in first:
                first[key] = page, label
                continue
            other, before = first[key]
            place = f"{other.file.name}:{before.line}"
            message = f"duplicate label {label.name}, which {place} has, too: rename one of them"
            yield Mistake(page.file, label.line, message)


def descriptions(pages: list[Page]) -> Iterator[Mistake]:
    """No two pages have one description, as a copied front matter has."""
    first: dict[str, Page] = {}
    for page in pages:
        text = str(below(page.front, "myst", "html_meta").get("description"))
        if first.setdefault(text, page) is not page and text != "None":
            message = f"the description is that of {first[text].file.name}: say what this page has"
            yield Mistake(page.file, 1, f"front matter: {message}")


def solutions(pages: list[Page]) -> Iterator[Mistake]:
    """Each exercise has a solution."""
    solved = {use.name for page in pages for use in page.uses if use.kind == "exercise"}
    for page in pages:
        for label in page.labels:
            if label.kind == "exercise" and label.name not in solved:
                message = f"exercise {label.name} has no solution: write {{solution-start}}"
                yield Mistake(page.file, label.line, message)


def lists(pages: list[Page]) -> Iterator[Mistake]:
    """Where there are lists of equations, those of each page are on one, once and whole."""
    listed = {page.file.stem: page for page in pages if any(map(is_listed, page.labels))}
    shares: dict[str, list[str]] = {}
    for page in pages:
        for use in page.uses:
            if use.kind != "list":
                continue
            name, _, part = use.name.partition(" ")
            shares.setdefault(name, []).append(part)
            if name not in listed:
                message = f"{name} is no page with equations{_perhaps(name, listed)}"
                yield Mistake(page.file, use.line, message)
    for name, page in listed.items() if shares else ():
        found = shares.get(name, [])
        if not is_whole(found):
            message = (
                f"{', '.join(found) or 'none'} of its equations are on a list, needs all, once: "
                f"write equations/in-{name}.md with {{checked-equations}} {name}"
            )
            yield Mistake(page.file, 1, message)


def is_listed(label: Label) -> bool:
    """Whether a label is that of an equation or a statement."""
    return label.kind == "equation" or needs_check_of_its_own(label.kind)


def references(root: Path, pages: list[Page]) -> list[Mistake]:
    """What pages refer to is there."""
    uses = [use for page in pages for use in page.uses]
    cited = {key.strip() for use in uses if "cite" in use.kind for key in use.name.split(",")}
    keys, mistakes = sources(root, cited)
    unnumbered = {label.name for page in pages for label in page.labels if is_section(label, page)}
    labels = [label for page in pages for label in page.labels]
    for page in pages:
        for use in page.uses:
            message = None
            if use.kind == "cite" or use.kind.startswith("cite:"):
                for one in (part.strip() for part in use.name.split(",")):
                    if one not in keys:
                        files = " or ".join(path.name for path in _bibliographies(root))
                        wrong = f"no source {one} in {files}{_perhaps(one, keys)}"
                        mistakes.append(Mistake(page.file, use.line, wrong))
            elif use.kind == "numref" and use.name in unnumbered:
                message = f"{use.name} is a section, which has no number: write []({use.name})"
            elif use.kind in ROLES:
                kinds = ROLES[use.kind]
                there = [one.name for one in labels if kinds is None or one.kind in kinds]
                if normal(use.name) not in map(normal, there):
                    message = f"no label {use.name}{_perhaps(use.name, there)}"
                    if use.kind == "eq":
                        message = f"no equation {use.name}{_perhaps(use.name, there)}"
            elif use.kind in ("doc", "download"):
                target = page.file.parent / use.name
                if not (target.is_file() or target.with_name(f"{target.name}.md").is_file()):
                    message = f"no page {use.name}{_perhaps(use.name, _names(pages))}"
            elif use.kind in ("py:func", "py:class", "py:meth", "py:mod"):
                message = _missing_python(use.name)
            elif use.kind in ("link", "image"):
                message = _missing_link(use.name, use.kind, page, pages, labels)
            if message:
                mistakes.append(Mistake(page.file, use.line, message))
    return mistakes


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
    if path and not (target.exists() or target.with_name(f"{target.name}.md").is_file()):
        if kind == "link" and normal(path) in map(normal, named):
            return None
        there = _names(pages) + named if kind == "link" else []
        return f"the {kind} leads to {path}, which is neither a page nor a label" + _perhaps(
            path, there
        )
    if not parts.fragment:
        return None
    on_page = [one for one in pages if one.file.with_suffix("") == target.with_suffix("")]
    if path and normal(parts.fragment) not in [normal(x.name) for p in on_page for x in p.labels]:
        return f"the link leads to {parts.fragment!r}, which {target.name} does not have"
    if not path and normal(parts.fragment) not in map(normal, named):
        return f"the link leads to {parts.fragment!r}, which is no label{_perhaps(address, named)}"
    return None


def _bibliographies(root: Path) -> list[Path]:
    names = settings(root).get("bibtex_bibfiles") or []
    return [root / name for name in names]


def sources(root: Path, cited: Collection[str]) -> tuple[list[str], list[Mistake]]:
    """The keys of the bibliography, and what is wrong with it and with those that are cited."""
    first: dict[str, str] = {}
    keys: list[str] = []
    mistakes = []
    for file in _bibliographies(root):
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


def formulas(root: Path, pages: list[Page]) -> Iterator[Mistake]:
    """KaTeX sets every formula."""
    macros = json.dumps(below(settings(root), "sphinx", "config").get("math_macros") or {})
    for page in pages:
        for formula in page.formulas:
            yield from unset(formula.tex, formula.display, macros, page.file, formula.line)
        for tex, file, line in exercises.formulas(page):
            yield from unset(tex, False, macros, file, line)


def unset(tex: str, display: bool, macros: str, file: Path, line: int) -> Iterator[Mistake]:
    """Why KaTeX cannot set a formula."""
    answer = mathematics.typeset(tex, display, macros)
    if "error" in answer:
        yield Mistake(file, line, f"formula cannot be set: {answer['error']}")


def _perhaps(name: str, there: Iterable[str]) -> str:
    """What may have been meant."""
    near = get_close_matches(name, list(there), n=1)
    return f"; do you mean {near[0]}?" if near else ""


def report(root: Path, mistakes: Iterable[Mistake]) -> str:
    """One line for each mistake, and how many there are."""
    lines = [f"{one.file.relative_to(root)}:{one.line}: {one.message}" for one in mistakes]
    files = Counter(line.partition(":")[0] for line in lines)
    few = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    return "\n".join([*lines, f"{few} in {len(files)} files; nothing was executed."])


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    _, mistakes = check(root)
    if mistakes:
        print(report(root, mistakes), file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
