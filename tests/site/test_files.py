"""The files of the site, without a browser: links, figures, policy, valid HTML."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zipfile import ZipFile

from conftest import ROOT

# What vnu says of markup that is a library's, and why it may stay.
KNOWN = {
    "Trailing slash on void elements has no effect": "how Sphinx writes them",
    "Section lacks heading": "sphinx-proof puts the title of a theorem before its section",
    "Article lacks heading": "the article holds Sphinx's section, which has the heading",
    "Consider using the “h1” element as a top-level": "Sphinx puts a title into its section",
    "Resource violates Content Security Policy": "vnu takes a file's folder for another host",
    "Document uses the Unicode Private Use Area": "the stroke of KaTeX's \\ne is in its own font",
}


class Tags(HTMLParser):
    """The start tags of a page, with their attributes, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attributes}))


@cache
def tags(path: Path) -> list[tuple[str, dict[str, str]]]:
    return Tags(path).found


@cache
def anchors(path: Path) -> set[str]:
    return {attributes["id"] for _, attributes in tags(path) if "id" in attributes}


def test_a_server_that_is_another_user_can_read_every_folder(site: Path) -> None:
    """As the umask has it, for all of them: one that was made closed would stay so in a copy."""
    modes = {str(path): path.stat().st_mode for path in site.rglob("*") if path.is_dir()}
    assert {path for path, mode in modes.items() if mode != site.stat().st_mode} == set()


def test_links_and_fragments_resolve(site: Path, page: str) -> None:
    """Files exist, fragments too; nothing but a link names another host."""
    links = [
        (tag, attributes[key])
        for tag, attributes in tags(site / page)
        for key in ("href", "src")
        if key in attributes
    ]
    assert links
    broken = []
    for tag, link in links:
        url = urlsplit(link)
        if url.scheme or url.netloc:
            if tag not in ("a", "link") and url.scheme != "data":
                broken.append(f"<{tag}> loads {link}")
            continue
        file = site / page if not url.path else (site / page).parent / unquote(url.path)
        # a server shows this page at any address, so its links start at the root
        if page == "404.html" and url.path:
            file = site / unquote(url.path).lstrip("/")
        file = file.resolve()
        if not file.is_relative_to(site) or not file.is_file():
            broken.append(f"{link}: no such file")
        elif url.fragment and unquote(url.fragment) not in anchors(file):
            broken.append(f"{link}: no such place")
    assert broken == []


def test_styles_load_what_exists(site: Path) -> None:
    sheets = list(site.rglob("*.css"))
    assert sheets
    missing = [
        f"{sheet.name}: {target}"
        for sheet in sheets
        for target in re.findall(r"url\([\"']?([^\"')]+)", sheet.read_text(encoding="utf-8"))
        if not target.startswith(("data:", "#")) and not (sheet.parent / target).is_file()
    ]
    assert missing == []


def test_figures_are_described_and_sized(site: Path, page: str) -> None:
    """A description is a sentence: some words, the first with a capital, a full stop at the end."""
    bad = [
        image
        for tag, image in tags(site / page)
        if tag == "img"
        and not (
            re.fullmatch(r"[A-Z\d].{15,}[.?!]", image.get("alt", ""), re.DOTALL)
            and len(image["alt"].split()) >= 4
            and image.get("width", "").isdigit()
            and image.get("height", "").isdigit()
        )
    ]
    assert bad == []


def test_policy_comes_before_anything_is_loaded(site: Path, page: str) -> None:
    found = tags(site / page)
    kinds = [attributes.get("http-equiv", tag) for tag, attributes in found]
    place = kinds.index("Content-Security-Policy")
    assert not {"script", "link", "style", "img"} & {*kinds[:place]}
    policy = found[place][1]["content"]
    rules = dict(rule.split(maxsplit=1) for rule in policy.split("; "))
    assert rules["default-src"] == "'self'"
    assert "script-src" not in rules
    assert not re.search(r"http|\*|unsafe-eval", policy)


def test_what_is_taken_along_is_whole(site: Path, page: str) -> None:
    """The README names what is there; what code imports and reads lies where it looks."""
    links = [attributes.get("href", "") for tag, attributes in tags(site / page) if tag == "a"]
    zips = [link for link in links if link.endswith(".zip")]
    assert len(zips) == len([link for link in links if link.endswith(".ipynb")])
    for link in zips:
        with ZipFile((site / page).parent / unquote(link)) as archive:
            files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        readme = files["README.md"].decode()
        command = r'pip install -c (\S+) "(\S+)\[book\]" jupyterlab\n +jupyter lab (\S+)\n'
        ((versions, wheel, notebook),) = re.findall(command, readme)
        assert {versions, wheel, notebook} <= files.keys()
        cells = [c["source"] for c in json.loads(files[notebook])["cells"] if "outputs" in c]
        sources = {"": "\n".join(map("".join, cells))}
        sources |= {name: files[name].decode() for name in files if name.endswith(".py")}
        for file, code in sources.items():
            asked = [*imported(code, file.split("/")[-2] if file else "")]
            asked += re.findall(r'"\.\./([^"\n]+)"', code)
            there = [*files, *map(str, chain(*(Path(name).parents for name in files)))]
            assert [name for name in asked if name not in there] == []


def imported(code: str, package: str) -> Iterator[str]:
    """The modules of the book's tools and trainings that a source imports, beside a notebook."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            module = f"{package}.{node.module or ''}" if node.level else str(node.module)
            first, _, inner = module.partition(".")
            names = [inner] if inner else ["__init__", *(alias.name for alias in node.names)]
            for file in (f"{first}/{name}.py" for name in names):
                if first in ("booktools", "experiments") and (ROOT / "src" / file).is_file():
                    yield f"book/{file}"


def test_html_is_valid(site: Path) -> None:
    vnu = ROOT / "node_modules/vnu-jar/build/dist/vnu.jar"
    pages = [str(path) for path in sorted(site.rglob("*.html"))]
    command = ["java", "-jar", str(vnu), "--format", "json", "--exit-zero-always", *pages]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    messages = json.loads(result.stderr)["messages"]
    said = [
        (
            Path(message["url"]).name,
            message.get("lastLine"),
            message["message"],
            message.get("extract"),
        )
        for message in messages
        if message["type"] == "error" or not message["message"].startswith(tuple(KNOWN))
    ]
    assert messages
    assert said == []


class AfterFormulas(HTMLParser):
    """What follows each formula in the text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.depth, self.followed = 0, False
        self.found: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.followed = False
        if tag == "span" and (
            self.depth or "math" in (dict(attributes).get("class") or "").split()
        ):
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        within = tag == "span" and self.depth > 0
        self.depth -= within
        self.followed = within and self.depth == 0

    def handle_data(self, data: str) -> None:
        if self.followed:
            self.found.append(data)
        self.followed = False


def test_no_line_can_begin_with_the_mark_that_ends_a_formula(site: Path, page: str) -> None:
    found = AfterFormulas(site / page).found
    assert found or '<span class="math"' not in (site / page).read_text(encoding="utf-8")
    assert [text[:20] for text in found if re.match("[,.;:?!)]", text)] == []


def test_no_list_of_equations_is_heavy(site: Path) -> None:
    lists = {path.name: path.stat().st_size for path in (site / "book/equations").glob("*.html")}
    assert len(lists) > 15
    assert {name: size for name, size in lists.items() if size > 200_000} == {}
