"""Print the book: each page as a PDF, and all of it as one, with cover, contents and bookmarks.

``python -m booktools.pdf [folder]``, after the build. Chromium prints; pip does not install it, so
this is a step of its own, and only then do the pages link to their PDF.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pypdf import PdfReader
from sphinx_external_toc.parsing import parse_toc_yaml

TITLE = "The Product Rule in RNNs"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="{style}">
<style>
@page {{
  size: A4; margin: 22mm 20mm 24mm;
  @bottom-center {{ content: counter(page); font: 9pt sans-serif; color: #666; }}
}}
html, body {{ background: white !important; }}
@page :first {{ @bottom-center {{ content: none; }} }}
article {{ break-before: page; }}
.cover {{ padding-top: 60mm; text-align: center; }}
.cover h1 {{ font-size: 30pt; }} .cover p {{ font-size: 12pt; }}
.contents {{ break-before: page; }}
.contents p {{ display: flex; gap: 0.5em; margin: 0.25em 0; }}
.contents p.section {{ padding-left: 1.5em; font-size: 0.92em; }}
.contents span {{ margin-left: auto; }}
.in-dark {{ display: none; }}
</style></head><body>{body}</body></html>
"""
COVER = """<div class="cover"><h1>{title}</h1>
<p>Why does the last output of a recurrent network depend on all its previous states?</p>
<p>The Product Rule in RNNs contributors</p>
<p>Text and figures: CC BY 4.0. Code: MIT.</p></div>"""
# What the theme offers for paper, until there is a PDF.
PRINT = '<li class="scripted"><button type="button" data-print>Print or save as PDF</button></li>'


def article(html: Path, name: str) -> str:
    """The article of a page, its identifiers and links made those of one document."""
    text = (html / f"{name}.html").read_text(encoding="utf-8")
    inner = text[text.index("<article>") : text.index("</article>")]
    stem = Path(name).name
    inner = re.sub(r'<a class="headerlink".*?</a>', "", inner)
    inner = re.sub(r'\bid="', f'id="{stem}--', inner)
    inner = re.sub(r'href="#', f'href="#{stem}--', inner)
    inner = re.sub(r'href="([\w-]+)\.html#', r'href="#\1--', inner)
    inner = re.sub(r'href="([\w-]+)\.html"', r'href="#\1"', inner)
    inner = inner.replace('src="../', f'src="{html.as_uri()}/').replace('loading="lazy"', "")
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


def print_html(chromium: str, html: Path, title: str, body: str, target: Path) -> PdfReader:
    """Print a document to ``target``, with bookmarks from its headings."""
    style = next((html / "_static").glob("book.*.css")).as_uri()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "book.html"
        source.write_text(PAGE.format(title=title, style=style, body=body), encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        options += ["--no-pdf-header-footer", "--generate-pdf-document-outline"]
        options += [f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}"]
        subprocess.run([chromium, *options, source.as_uri()], check=True, capture_output=True)
    return PdfReader(target)


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
    for name, text in articles.items():
        print_html(chromium, html, TITLE, text, folder / f"{Path(name).name}.pdf")
    entries = [entry for text in articles.values() for entry in headings(text)]
    whole = folder / "book.pdf"
    pages: dict[str, int] = {}
    for _ in range(2):  # the second time with the page numbers that the first one found
        front = COVER.format(title=TITLE) + contents(entries, pages)
        book = print_html(chromium, html, TITLE, front + "".join(articles.values()), whole)
        pages = numbers(book, entries)
    for name in names:
        link(html, name)
    print(f"{len(names)} pages and the book, {len(book.pages)} pages: {whole.as_uri()}")
    return 0


def link(html: Path, name: str) -> None:
    """Offer the PDF of a page and that of the book, in place of printing."""
    page, folder = html / f"{name}.html", "../" * name.count("/") + "pdf"
    text = page.read_text(encoding="utf-8")
    own = (
        f'<li><a href="{folder}/{Path(name).name}.pdf">This page, .pdf</a></li>\n'
        f'<li><a href="{folder}/book.pdf">The book, .pdf</a></li>'
    )
    if own in text:  # printed before
        return
    if PRINT not in text:
        raise ValueError(f"{page}: got no offer to print, needs {PRINT}")
    page.write_text(text.replace(PRINT, own), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
