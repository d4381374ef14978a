"""Pages as they are written: what MyST's own parser finds in them, each with its line.

Nothing is executed and Sphinx is not needed, so that the whole book is read in seconds.
"""

import ast
import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from docutils.nodes import fully_normalize_name
from IPython.core.inputtransformer2 import TransformerManager
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_nb.core.read import is_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.directives import parse_directive_text
from myst_parser.parsers.mdit import create_md_parser

from .checks import needs_check, needs_check_of_its_own

# Directives whose content is no MyST.
LITERAL = {
    *("code-cell", "raw-cell", "code", "code-block", "sourcecode", "literalinclude", "raw"),
    *("math", "eval-rst", "bibliography", "mermaid"),
}
NAMED = re.compile(r"(?s).*<([^<>]+)>\s*")  # a role's text with a title: "this one <label>"
# What is meant to be a directive or a role, and is text as it stands.
UNBRACED = re.compile(
    r"(code-cell|prf:\w+|exercise|solution\S*|(?:list-)?table|figure|margin|note)\b"
)
# What a reader would see as it stands, and what is written in its place.
UNREAD = {
    r"\{(?:eq|ref|numref|cite(?::\w+)?|doc|term|prf:ref|glue:text|py:\w+)\}": (
        "its text needs `backticks`"
    ),
    r"\\[A-Za-z([]": "formulas stand between $ and $, sources in {cite}`KEY`",
    r"\[-?@[^\]]*\]?": "write {cite}`KEY`",
    r"\[\^[^\]]*\]": "a footnote needs a line that begins with it and a colon",
    r"\[[^[\]]*(?:\]\[[^\]]*\]|\] \(\S+\.md\))": "write [text](page.md)",
    r"^#+[A-Za-z\xa0].*": "a heading has a space after #",
    r":[a-z:]+:$": "a role is {name}`text`",
    r"[^]\[]*\]\(.*|\([^)]*\)\[[^\]]*\]|\[\[.*": "a link is [text](address), without spaces in it",
    r"Ã.": "the file was once read as Latin-1: write the letter that was meant",
    r"^\|.*\|$|^[-:]+ *\|.*": "a table needs |---| under its head, with as many columns",
    r"\*\*": "close what is bold with its other **",
    r"\{\{.*": "there are no substitutions: write what it stands for, or {glue}`name`",
}
PRICE = re.compile(r"[\d.,]+ [a-z]+ [a-z]{3,} ")  # of "$5 now and $10 then"
CONFLICT = re.compile(r"(?m)^(?:<{7}|>{7}) ")
UNLABELLED = "a display without a label: write $$ ... $$ (eq-name), or (def-name)"
HTML = "is HTML, which would be copied unread: write Markdown; a comment begins with %"


@dataclass(frozen=True, order=True)
class Mistake:
    """What is wrong, where, and what to do."""

    file: Path
    line: int
    message: str


class Unreadable(Exception):
    """A place of a page after which nothing is what it seems: its line and what is wrong."""


@dataclass(frozen=True)
class Label:
    """A name that others may refer to; ``kind`` is equation, figure, target or a directive."""

    kind: str
    name: str
    line: int
    within: str = ""  # the label of the theorem that holds it

    @property
    def is_checkable(self) -> bool:
        """Whether it names an equation or a statement."""
        return self.kind == "equation" or needs_check_of_its_own(self.kind)

    @property
    def is_claim(self) -> bool:
        """Whether what it names states something, and needs a check."""
        return self.is_checkable and (self.kind != "equation" or needs_check(self.name))


@dataclass(frozen=True)
class Use:
    """What refers to something by its name: a role, a link or an image."""

    kind: str
    name: str
    line: int


@dataclass(frozen=True)
class Formula:
    """A formula as it is written."""

    tex: str
    line: int
    display: bool


@dataclass(frozen=True)
class Cell:
    """A code cell: its options, its code, and the line at which the code begins."""

    options: dict[str, Any]
    source: str
    line: int
    fence: int  # the line at which the cell begins


@dataclass
class Page:
    """All that stands in a page."""

    name: str  # as in the table of contents
    file: Path
    front: dict[str, Any] = field(default_factory=dict)
    is_notebook: bool = False
    cells: list[Cell] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    images: list[tuple[str, str, int]] = field(default_factory=list)  # address, description, line
    formulas: list[Formula] = field(default_factory=list)
    headings: list[tuple[int, int]] = field(default_factory=list)  # level, line
    mistakes: list[Mistake] = field(default_factory=list)
    is_readable: bool = True

    @cached_property
    def calls(self) -> list[tuple[str, ast.Call, int]]:
        """Every call in the cells, with the name of what is called and its line."""
        return [
            (ast.unparse(node.func), node, cell.line + node.lineno - 1)
            for cell in self.cells
            for node in ast.walk(tree(cell.source))
            if isinstance(node, ast.Call)
        ]

    def wrong(self, line: int, message: str) -> None:
        self.mistakes.append(Mistake(self.file, line, message))

    def display(self, tex: str, label: str, line: int, within: str) -> None:
        """Note a display, which needs a label."""
        self.formulas.append(Formula(tex, line, True))
        if label:
            self.labels.append(Label("equation", label, line, within))
        else:
            self.wrong(line, UNLABELLED)


class _AnyDirective:
    """What the parser has to know of a directive to take its options apart."""

    option_spec = {"any": True}  # noqa: RUF012
    required_arguments = 0
    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True


@cache
def parser(extensions: tuple[str, ...]) -> MarkdownIt:
    """MyST's parser, as the book has it."""
    config = MdParserConfig(enable_extensions=set(extensions), dmath_double_inline=False)
    md = create_md_parser(config, RendererHTML)
    md.core.ruler.disable("text_join")  # so that escapes are no text
    return md


def read(name: str, file: Path, extensions: tuple[str, ...]) -> Page:
    """Read a page; of one that cannot be read, what is wrong is all there is."""
    page = Page(name, file)
    try:
        _read_text(page, file.read_text(encoding="utf-8"), parser(extensions))
    except UnicodeDecodeError as error:
        wrong = not_utf8(file, error)
    except Unreadable as error:
        wrong = Mistake(file, *error.args)
    else:
        return page
    return Page(name, file, mistakes=[wrong], is_readable=False)


def _read_text(page: Page, text: str, md: MarkdownIt) -> None:
    """Read all of a page."""
    if conflict := CONFLICT.search(text):
        line = text[: conflict.start()].count("\n") + 1
        raise Unreadable(
            line, "a conflict of two versions stands here: choose, and take the lines away"
        )
    if (begin := text.lstrip("\ufeff").lstrip()) != text:
        message = "a byte order mark or a blank line before the front matter: take it away"
        page.wrong(1, message)
        text = begin  # with the lines as they will be then
    front, ends, _ = text.partition("\n---\n")
    if text.startswith("---\n") and (not ends or "\n```" in front):
        raise Unreadable(1, "the front matter never ends: close it with ---")
    page.is_notebook = is_myst_markdown_notebook(text)
    _read_blocks(page, md, text, 1)
    for function, call, line in page.calls:
        if function.endswith("Table"):  # of booktools.tables
            for option in call.keywords:
                if option.arg == "name" and isinstance(option.value, ast.Constant):
                    page.labels.append(Label("table", str(option.value.value), line))


def not_utf8(file: Path, error: UnicodeDecodeError) -> Mistake:
    """What is wrong with a file that cannot be decoded, and where."""
    line = error.object[: error.start].count(b"\n") + 1
    return Mistake(file, line, "this is not UTF-8: save the file as UTF-8")


def _read_blocks(page: Page, md: MarkdownIt, text: str, first: int, within: str = "") -> None:
    """Read a text of blocks that begins at this line of the page."""
    lines = text.splitlines()
    for token in md.parse(text):
        line = first + (token.map[0] if token.map else 0)
        if token.type == "front_matter":
            page.front = _yaml_of(page, token.content, line + 1)
        elif token.type in ("fence", "colon_fence"):
            last = lines[token.map[1] - 1] if token.map else ""
            if token.map == [0, 1] or not re.fullmatch(rf"\s*{token.markup[0]}{{3,}}\s*", last):
                begun = f"a block begins with {token.markup} and never ends: close it"
                raise Unreadable(line, f"{begun}, with more of these than any block inside")
            if found := re.match(r"\{([^}\s]+)\}\s*(.*)", token.info):
                _read_directive(page, md, found[1], found[2], token, line, within)
            elif found := UNBRACED.match(token.info):
                page.wrong(line, f"{found[1]} is shown as it stands: write {{{found[1]}}}")
        elif token.type == "code_block":
            page.wrong(line, "what is indented so far is shown as code: take the spaces away")
        elif token.type == "table_open" and token.map:
            _read_rows(page, lines[slice(*token.map)], line)
        elif token.type == "heading_open":
            page.headings.append((int(token.tag[1]), line))
        elif token.type in ("math_block", "math_block_label", "amsmath"):
            label = token.info if token.type == "math_block_label" else ""
            page.display(token.content, label, line, within)
        elif token.type == "myst_target":
            page.labels.append(Label("target", token.content, line))
        elif token.type == "html_block":
            page.wrong(line, f"{token.content.splitlines()[0]} {HTML}")
        elif token.type == "inline":
            _read_inline(page, token, line)


def _read_rows(page: Page, rows: list[str], line: int) -> None:
    """Compare the rows of a table with its head: what is too much would be lost."""
    cells = [
        len(re.findall(r"(?<!\\)\|", row.strip().removesuffix("|").strip("|"))) + 1 for row in rows
    ]
    for k, count in enumerate(cells):
        if count != cells[0]:
            page.wrong(line + k, f"{count} cells under a head of {cells[0]}: a | in a cell is \\|")


def _read_directive(
    page: Page, md: MarkdownIt, name: str, argument: str, token: Token, line: int, within: str
) -> None:
    """Read a directive: its options, and its content, if that is MyST."""
    parsed = parse_directive_text(_AnyDirective, "", token.content, validate_options=False)
    for warning in parsed.warnings:
        page.wrong(line + 1, f"options of {{{name}}}: {' '.join(warning.msg.split())}")
    options = parsed.options
    body = "\n".join(parsed.body)
    begin = line + 1 + token.content.count("\n") - len(parsed.body)
    if name == "code-cell":
        # What is nested is none of the notebook's cells, nor is what begins with :::.
        if token.type != "fence" or token.level or line != (token.map or [0])[0] + 1:
            page.wrong(line, "this cell does not run: begin it with ```, inside of nothing else")
        if argument != "ipython3":
            page.wrong(line, f"a cell of {argument or 'no language'}: write {{code-cell}} ipython3")
        if re.search("(?m)^```", body):
            raise Unreadable(
                line, "this cell does not end before the next begins: close it with ```"
            )
        page.cells.append(Cell(options, body, begin, line))
        image = below(options, "mystnb", "image")
        figure = below(options, "mystnb", "figure")
        if figure:
            if label := figure.get("name"):
                page.labels.append(Label("figure", str(label), line))
            page.images.append(("", str(image.get("alt") or ""), line))
    elif name == "math":
        page.display(body or argument, str(options.get("label") or ""), line, within)
    else:
        kind = name.removeprefix("prf:")
        label = str(options.get("label") or options.get("name") or "")
        if label:
            page.labels.append(Label(kind, label, line))
        elif name == "exercise" or (name.startswith("prf:") and kind not in ("proof", "ref")):
            page.wrong(line, f"a {kind} without a label: add :label:")
        within = label if needs_check_of_its_own(kind) else within
        if name in ("figure", "image"):
            page.images.append((argument, str(options.get("alt") or ""), line))
            page.uses.append(Use("image", argument, line))
        elif name in ("solution", "solution-start"):
            page.uses.append(Use("exercise", argument.strip(), line))
        if name in ("solution-start", "solution-end"):
            page.uses.append(Use(name, argument.strip(), line))
        elif name == "checked-equations":  # each with its share: "gates 1/3"
            part = str(options.get("part", "1/1"))
            page.uses += [Use("list", f"{one} {part}", line) for one in argument.split()]
        elif name == "formulas":
            page.uses += [Use("eq", label, begin + k) for label, _, k in labels_first(parsed.body)]
    if name not in LITERAL:
        _read_blocks(page, md, body, begin, within)


def labels_first(lines: Iterable[str]) -> list[tuple[str, str, int]]:
    """Of lines that begin with a label: each label, the words after it, its line from 0."""
    parts = [(*line.strip().partition(" "), k) for k, line in enumerate(lines)]
    return [(label, words.strip(), k) for label, _, words, k in parts if label]


def below(options: dict[str, Any], *keys: str) -> dict[str, Any]:
    """What stands in nested dictionaries, or nothing."""
    for key in keys:
        inner = options.get(key)
        options = inner if isinstance(inner, dict) else {}
    return options


def is_citation(role: str) -> bool:
    """Whether a role cites sources: ``cite``, ``cite:t``."""
    return role.partition(":")[0] == "cite"


def _read_inline(page: Page, token: Token, line: int) -> None:
    """Read a paragraph: roles, links, images, formulas."""
    for child in token.children or []:
        if child.type == "myst_role":
            kind, text = str(child.meta["name"]), child.content
            target = NAMED.fullmatch(text)
            names = text.split(",") if is_citation(kind) else [target[1] if target else text]
            page.uses += [Use(kind, name.strip(), line) for name in names]
        elif child.type == "link_open":
            page.uses.append(Use("link", str(child.attrs.get("href", "")), line))
        elif child.type == "image":
            address = str(child.attrs.get("src", ""))
            page.images.append((address, child.content, line))
            page.uses.append(Use("image", address, line))
        elif child.type in ("math_inline", "math_inline_double"):
            if PRICE.match(child.content):
                page.wrong(line, f"${child.content}$ is no formula: write \\$ for a dollar")
            page.formulas.append(Formula(child.content, line, False))
        elif child.type == "html_inline":
            page.wrong(line, f"{child.content.splitlines()[0]} {HTML}")
        elif child.type == "text" and "$" in child.content:
            what = ("display", "$$") if "$$" in child.content else ("formula", "$")
            message = f"a {what[0]} begins or ends here without its other {what[1]}: close it"
            page.wrong(line, message)
        elif child.type in ("text", "text_special"):
            for pattern, instead in UNREAD.items():
                if found := re.search(pattern, child.markup or child.content):
                    page.wrong(line, f"{found[0]} is shown as it stands: {instead}")
        line += 1 if child.type in ("softbreak", "hardbreak") else child.content.count("\n")


def _yaml_of(page: Page, text: str, line: int) -> dict[str, Any]:
    """The front matter; a mistake in it names its line."""
    try:
        found = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark.line if error.problem_mark else 0
        page.wrong(line + at, f"front matter is no YAML: {error.problem}")
        return {}
    return found if isinstance(found, dict) else {}


def normal(label: str) -> str:
    """A label as Sphinx compares it."""
    return fully_normalize_name(label)


@cache
def python(source: str) -> str:
    """The code of a cell, with IPython's magics as what they stand for; nothing if it is wrong."""
    for text in (lambda: source, lambda: TransformerManager().transform_cell(source)):
        with contextlib.suppress(SyntaxError):
            ast.parse(text())
            return str(text())
    return ""


@cache
def tree(source: str) -> ast.Module:
    """The syntax tree of a cell's code, which is looked at for many mistakes; only to be read."""
    return ast.parse(python(source))
