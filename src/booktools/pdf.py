"""Print the book: each page as a PDF, and all of it as one, with cover, contents and bookmarks.

``python -m booktools.pdf [folder]``, after the build. Chromium prints; pip does not install it, so
this is a step of its own, and only then do the pages link to their PDF. It prints the pages as they
are written: Sphinx's own single page would repeat the identifiers of sections, and be no help with
a PDF for each page. Solutions stand open; of a check the line is printed, and of folded code, which
draws figures, nothing.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import Any

import yaml
from pypdf import PdfReader
from sphinx_external_toc.parsing import parse_toc_yaml

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
.cover h1 {{ font-size: 30pt; }} .cover p {{ font-size: 12pt; }}
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
# Where a page offers to be printed: what is printed stands before it.
OFFER = re.compile(r"<li[^>]*>\s*<button[^>]*(?:btn-download-pdf-button|data-print)")


def article(html: Path, name: str) -> str:
    """The article of a page, its identifiers and links made those of one document."""
    text = (html / f"{name}.html").read_text(encoding="utf-8")
    inner = text[text.index("<article") : text.index("</article>")]
    stem = Path(name).name
    up = "../" * name.count("/")
    inner = re.sub(r'<a class="headerlink".*?</a>', "", inner)
    inner = re.sub(r'\bid="', f'id="{stem}--', inner)
    inner = re.sub(r'href="#', f'href="#{stem}--', inner)
    inner = re.sub(r'href="(?:[\w-]+/|\.\./)*([\w-]+)\.html#', r'href="#\1--', inner)
    inner = re.sub(r'href="(?:[\w-]+/|\.\./)*([\w-]+)\.html"', r'href="#\1"', inner)
    inner = inner.replace(f'src="{up}', f'src="{html.as_uri()}/').replace('loading="lazy"', "")
    return inner.replace("<article", f'<article id="{stem}"', 1) + "</article>"


def headings(text: str) -> list[tuple[str, str, str]]:
    """Level, anchor and plain text of the chapter's title and its sections."""
    section = r'<section[^>]* id="([^"]+)"[^>]*>(?:\s*<span[^>]*></span>)*\s*<h([12])>(.*?)</h\2>'
    found = re.findall(section, text, re.S)
    spoken = re.compile(r'<span class="katex-html".*?(?=<annotation|$)', re.S)
    return [
        (level, anchor, re.sub(r"<[^>]+>", "", spoken.sub("", h))) for anchor, level, h in found
    ]


def contents(entries: list[tuple[str, str, str]], pages: dict[str, int]) -> str:
    """The contents, with page numbers where they are known."""
    lines = [
        f'<p class="{"chapter" if level == "1" else "section"}"><a href="#{anchor}">{text}</a>'
        f"<span>{pages.get(anchor, '')}</span></p>"
        for level, anchor, text in entries
    ]
    return f'<div class="contents"><h1>Contents</h1>{"".join(lines)}</div>'


def heads(articles: dict[str, str]) -> str:
    """Rules for what stands above the pages of each chapter: its title."""
    rules = []
    for name, text in articles.items():
        title = next((text for level, _, text in headings(text) if level == "1"), "")
        quoted = escape(" ".join(title.split()), quote=False).replace('"', "”")
        rules.append(HEAD.format(name=Path(name).name, title=quoted))
    return "\n".join(rules)


def cover(root: Path) -> str:
    """The first page: title, question, authors, the version and its day."""
    record = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    return COVER.format(
        title=escape(record["title"]),
        question=QUESTION,
        author=escape(record["authors"][0]["name"]),
        version=record["version"],
        date=day(root),
    )


def day(root: Path) -> str:
    """The day of the last change, where Git knows it."""
    command = ["git", "log", "-1", "--format=, %cd", "--date=format:%d %B %Y"]
    known = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return known.stdout.strip("\n").replace(", 0", ", ") if (root / ".git").exists() else ""


def print_html(chromium: str, html: Path, articles: dict[str, str], front: str, to: Path) -> Any:
    """Print these articles, with bookmarks from their headings; the document as it is read."""
    record = html.parents[1] / "CITATION.cff"
    title = escape(yaml.safe_load(record.read_text(encoding="utf-8"))["title"])
    style = next((html / "_static").glob("book.*.css")).as_uri()
    body = front + "".join(articles.values())
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "book.html"
        text = PAGE.format(title=title, style=style, heads=heads(articles), body=body)
        source.write_text(text, encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        options += ["--no-pdf-header-footer", "--generate-pdf-document-outline"]
        options += [f"--user-data-dir={folder}/profile", f"--print-to-pdf={to}"]
        subprocess.run([chromium, *options, source.as_uri()], check=True, capture_output=True)
    return PdfReader(to)


def numbers(book: PdfReader, entries: list[tuple[str, str, str]]) -> dict[str, int]:
    """The page of each heading, from the bookmarks, which come in the same order.

    Bookmarks that are no headings (the cover's, the captions of the parts) are passed over.
    """
    waiting = [(anchor, text.split()[:2]) for _, anchor, text in entries]
    pages: dict[str, int] = {}

    def walk(outline: Any) -> None:
        for item in outline:
            if isinstance(item, list):
                walk(item)
                continue
            page = book.get_destination_page_number(item) or 0
            if page and waiting and str(item.title).split()[:2] == waiting[0][1]:
                pages[waiting.pop(0)[0]] = page + 1

    walk(book.outline)
    if waiting:
        raise ValueError(
            f"outline: got no bookmark for {waiting[0][0]}, needs one for each heading"
        )
    return pages


def main() -> int:
    """Print all pages and the book into the site, and link to them; 1 if there is no Chromium."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is needed to print; Debian's package is chromium.", file=sys.stderr)
        return 1
    html = root / "_build" / "html"
    folder = html / "pdf"
    folder.mkdir(exist_ok=True)
    names = list(parse_toc_yaml(root / "_toc.yml"))
    articles = {name: article(html, name) for name in names}
    for k, (name, text) in enumerate(articles.items(), start=1):
        target = folder / f"{Path(name).name}.pdf"
        pages = len(print_html(chromium, html, {name: text}, "", target).pages)
        print(f"[{k}/{len(names)}] {name}, {pages} pages", flush=True)
    entries = [entry for text in articles.values() for entry in headings(text)]
    whole = folder / "book.pdf"
    found: dict[str, int] = {}
    for turn in ("to number its pages", "with their numbers in the contents"):
        print(f"The whole book, {turn}", flush=True)
        front = cover(root) + contents(entries, found)
        book = print_html(chromium, html, articles, front, whole)
        found = numbers(book, entries)
    for name in names:
        link(html / f"{name}.html", "../" * name.count("/"))
    print(f"{len(names)} pages and the book, {len(book.pages)} pages: {whole.as_uri()}")
    return 0


def link(page: Path, up: str) -> None:
    """Let the page offer what was printed: itself, and the whole book."""
    text = page.read_text(encoding="utf-8")
    offers = (
        f'<li><a href="{up}pdf/{page.stem}.pdf">This page, .pdf</a></li>\n'
        f'<li><a href="{up}pdf/book.pdf">Whole book, .pdf</a></li>\n'
    )
    text, found = OFFER.subn(lambda place: offers + place[0], text)
    if not found:
        raise ValueError(f"{page.name}: got no offer to print, needs one: has the theme changed?")
    page.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
