"""Print the book: each page as a PDF, and all of it as one, with cover, contents and bookmarks.

``python -m booktools.pdf [folder]``, after the build. Chromium prints; pip does not install it, so
this is a step of its own, and only then do the pages link to their PDF. It prints the pages as they
are written: Sphinx's own single page would repeat the identifiers of sections, and be no help with
a PDF for each page. Solutions stand open; of a check the line is printed, and of folded code, which
draws figures, nothing.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable
from copy import copy
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from bs4.filter import SoupStrainer
from pypdf import PdfReader
from sphinx_external_toc.parsing import parse_toc_yaml

from .offers import record

QUESTION = "Why does the last output of a recurrent network depend on all its previous states?"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
@page {{
  size: A4; margin: 24mm 20mm;
  @top-left {{ content: "{title}"; font: 9pt sans-serif; color: #666; }}
  @bottom-center {{ content: counter(page); font: 9pt sans-serif; color: #666; }}
}}
@page :first {{ @top-left {{ content: none; }} @bottom-center {{ content: none; }} }}
</style>
<link rel="stylesheet" href="{style}">
<style>
html, body {{ background: white !important; }}
article {{ break-before: page; }}
.cover {{ padding-top: 60mm; text-align: center; }}
.cover h1 {{ font-size: 30pt; }} .cover p {{ font-size: 12pt; text-wrap: balance; }}
.contents {{ break-before: page; }}
.contents p {{ display: flex; gap: 0.5em; margin: 0.25em 0; }}
.contents p.section {{ padding-left: 1.5em; font-size: 0.92em; }}
.contents span {{ margin-left: auto; }}
.in-dark, details.hide {{ display: none !important; }}
details.check {{ display: block; }}
details.solution::details-content {{ content-visibility: visible; display: block; }}
summary {{ list-style: none; }}
{heads}
</style></head><body>{body}</body></html>
"""
HEAD = """article#{name} {{ page: {name}; }}
@page {name} {{ @top-right {{ content: "{title}"; font: 9pt sans-serif; color: #666; }} }}"""
COVER = """<div class="cover"><h1>{title}</h1>
<p>{question}</p>
<p>{author}</p>
<p>Version {version}{date}</p>
<p>Text and figures: CC BY 4.0. Code: MIT.</p></div>"""
# Where a page offers to be printed (theme/layout.html): what is printed stands before it.
OFFER = '<li class="scripted"><button type="button" data-print>'


class Heading(NamedTuple):
    """The title of a chapter, level 1, or of a section, level 2: its anchor, and it as HTML."""

    level: int
    anchor: str
    html: str


class Article(NamedTuple):
    """What is printed of a page: its name in the document, its title, its headings, all of it."""

    name: str
    title: str
    headings: list[Heading]
    html: str


def article(html: Path, name: str, pages: Collection[str]) -> Article:
    """The article of a page, its identifiers and links made those of one document of all pages."""
    found, own = read(html, name), Path(name).name
    for place in found.find_all(id=True):
        place["id"] = f"{own}--{place['id']}"
    for link in found.find_all("a", href=True):
        address = within(name, str(link["href"]), pages)
        if address is None:  # to what is not printed: a list of files, the index
            link.unwrap()
        else:
            link["href"] = address
    found["id"] = own
    headings = list(headings_of(found))
    return Article(own, plain(found.h1), headings, str(found))


def read(html: Path, name: str) -> Tag:
    """The article of a page, without the marks of its links, its images at once from the site."""
    page = html / f"{name}.html"
    text = page.read_text(encoding="utf-8")
    found = BeautifulSoup(text, "html.parser", parse_only=SoupStrainer("article")).article
    if found is None:
        raise ValueError(f"{page}: got no article, needs one: has the theme changed?")
    for mark in found.find_all(class_="headerlink"):
        mark.decompose()
    for image in found.find_all("img"):
        image["src"] = urljoin(page.as_uri(), str(image["src"]))
        image["loading"] = "eager"
    return found


def within(name: str, address: str, pages: Collection[str]) -> str | None:
    """The address of a page's link in the one document; ``None`` for what that does not hold."""
    parts = urlsplit(urljoin(f"{name}.html", address))
    if parts.scheme:
        return address
    target = parts.path.removesuffix(".html")
    if target not in pages:
        return None
    return "--".join(filter(None, [f"#{Path(target).name}", parts.fragment]))


def headings_of(found: Tag) -> Iterable[Heading]:
    """The title of a chapter and those of its sections."""
    for section in found.find_all("section", id=True):
        if heading := section.find(["h1", "h2"], recursive=False):
            anchor = str(section["id"])
            yield Heading(int(heading.name[1]), anchor, heading.decode_contents())


def plain(heading: Tag | None) -> str:
    """A heading without its markup, formulas as they are read aloud."""
    if heading is None:
        return ""
    spoken = copy(heading)
    for part in spoken.select(".katex-html, annotation"):
        part.decompose()
    return " ".join(spoken.get_text().split())


def contents(articles: Iterable[Article], pages: dict[str, int]) -> str:
    """The contents, with page numbers where they are known."""
    lines = [
        f'<p class="{"chapter" if level == 1 else "section"}"><a href="#{anchor}">{html}</a>'
        f"<span>{pages.get(anchor, '')}</span></p>"
        for article in articles
        for level, anchor, html in article.headings
    ]
    return f'<div class="contents"><h1>Contents</h1>{"".join(lines)}</div>'


def heads(articles: Iterable[Article]) -> str:
    """Rules for what stands above the pages of each chapter: its title."""
    return "\n".join(
        HEAD.format(name=one.name, title=escape(one.title, quote=False).replace('"', "”"))
        for one in articles
    )


def cover(root: Path) -> str:
    """The first page: title, question, authors, the version and its day."""
    words = {name: escape(word) for name, word in record(root).items()}
    return COVER.format(question=QUESTION, date=day(root), **words)


def day(root: Path) -> str:
    """The day of the last change, where Git knows it."""
    command = ["git", "log", "-1", "--format=, %cd", "--date=format:%d %B %Y"]
    known = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8")
    return known.stdout.strip("\n").replace(", 0", ", ") if (root / ".git").exists() else ""


def program() -> str:
    """Chromium; who has none is told."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        sys.exit("Chromium is needed to print; Debian's package is chromium.")
    return found


def chromium(*options: str) -> None:
    """Let Chromium, with a profile of its own, do what these options say."""
    with tempfile.TemporaryDirectory() as profile:
        command = [program(), "--headless", "--no-sandbox", "--disable-gpu"]
        command += ["--disable-background-networking", f"--user-data-dir={profile}", *options]
        subprocess.run(command, check=True, capture_output=True, encoding="utf-8")


def print_text(text: str, to: Path, *options: str) -> PdfReader:
    """Print a document of HTML; the PDF as it is read."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "book.html"
        source.write_text(text, encoding="utf-8", newline="\n")
        chromium("--no-pdf-header-footer", *options, f"--print-to-pdf={to}", source.as_uri())
    return PdfReader(to)


def style(html: Path) -> str:
    """The address of the site's style sheet."""
    return next((html / "_static").glob("book.*.css")).as_uri()


def print_html(html: Path, articles: Iterable[Article], front: str, to: Path) -> PdfReader:
    """Print these articles, with bookmarks from their headings; the document as it is read."""
    articles = list(articles)
    title = escape(record(html.parents[1])["title"])
    body = front + "".join(one.html for one in articles)
    text = PAGE.format(title=title, style=style(html), heads=heads(articles), body=body)
    return print_text(text, to, "--generate-pdf-document-outline")


def numbers(book: PdfReader, articles: Iterable[Article]) -> dict[str, int]:
    """The page of each heading that the contents name: Chromium keeps where their links lead."""
    places = book.named_destinations
    pages = {}
    for one in articles:
        for heading in one.headings:
            place = places.get(f"/{heading.anchor}") or places.get(heading.anchor)
            number = book.get_destination_page_number(place) if place else None
            if number is None:
                raise ValueError(f"contents: got no place of {heading.anchor}, needs one to number")
            pages[heading.anchor] = number + 1
    return pages


def main() -> None:
    """Print all pages and the book into the site, and link to them."""
    program()  # before anything is begun
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    html = root / "_build" / "html"
    folder = html / "pdf"
    folder.mkdir(exist_ok=True)
    names = list(parse_toc_yaml(root / "_toc.yml"))
    articles = [article(html, name, names) for name in names]
    for k, one in enumerate(articles, start=1):
        pages = len(print_html(html, [one], "", folder / f"{one.name}.pdf").pages)
        print(f"[{k}/{len(names)}] {one.name}, {pages} pages", flush=True)
    whole = folder / "book.pdf"
    found: dict[str, int] = {}
    for turn in ("to number its pages", "with their numbers in the contents"):
        print(f"The whole book, {turn}", flush=True)
        front = cover(root) + contents(articles, found)
        book = print_html(html, articles, front, whole)
        found = numbers(book, articles)
    for name in names:
        link(html / f"{name}.html", "../" * name.count("/"))
    print(f"{len(names)} pages and the book, {len(book.pages)} pages: {whole.as_uri()}")


def link(page: Path, up: str) -> None:
    """Let the page offer what was printed: itself, and the whole book."""
    before, offer, after = page.read_text(encoding="utf-8").partition(OFFER)
    if not offer:
        raise ValueError(f"{page.name}: got no offer to print, needs one: has the theme changed?")
    offers = (
        f'<li><a href="{up}pdf/{page.stem}.pdf">This page, .pdf</a></li>\n'
        f'<li><a href="{up}pdf/book.pdf">Whole book, .pdf</a></li>\n'
    )
    if not before.endswith(offers):  # from an earlier call
        page.write_text(f"{before}{offers}{offer}{after}", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
