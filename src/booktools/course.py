"""What a course is given from: ``python -m booktools.course [folder]``, after the build.

Below ``_build/course`` it writes, from the same sources as the pages:

- ``sheets``: the exercises of each chapter as a PDF, without solutions and with them;
- ``notebooks``: the same as notebooks with gaps that grade themselves (:mod:`booktools.gaps`);
- ``slides``: a PDF for each file of ``teaching/slides``;
- ``figures``: every figure as SVG and PNG, with its caption.

Chromium prints, as for :mod:`booktools.pdf`.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import yaml
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pypdf import PdfReader
from sphinx_external_toc.parsing import parse_toc_yaml

from . import exercises, gaps, packed, pdf
from .mathematics import typeset

CHROMIUM = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
HEAD_OF_FIGURES = """\
# Figures of *{book}*

Text and figures are published under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/): use
them as you like, and name the book, {author}, version {version}.
"""
README = """# A course from *{book}*, version {version}

- `sheets`: the exercises of each chapter, with level and minutes, without solutions and with them.
- `notebooks/release`: the same as notebooks with gaps, which grade themselves. Students need the
  folder with the wheel beside it: `pip install *.whl jupyterlab`.
- `notebooks/source`: with the answers, as nbgrader's source.
- `slides`: two lectures and a seminar of six sessions.
- `figures`: every figure as SVG and PNG, with captions.

Text and figures: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/. Code: MIT.
"""
EXERCISE = re.compile(r"(\d+\.\d+) \((\d+)\)")  # a number and its minutes
SCALE = 3  # of PNG files: 288 pixels an inch
WITHOUT = ".answer textarea, .answer button, .answer [role=status], .live-panel, .headerlink"
SLIDES = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="{style}">
<style>
@page {{ size: 254mm 143mm; margin: 0; }}
section {{ font-size: 23px; line-height: 1.4; }}
html, body {{ background: white; margin: 0; }}
section {{
  box-sizing: border-box; width: 254mm; min-height: 142.9mm; padding: 9mm 14mm 12mm;
  break-after: page; position: relative; display: flex; flex-direction: column; gap: 3mm;
}}
section > * {{ margin: 0; }}
section h1 {{ font-size: 46px; margin-top: 30mm; text-wrap: balance; }}
section h2 {{ font-size: 34px; line-height: 1.2; text-wrap: balance; }}
section li {{ margin: 1.2mm 0; }}
section .math {{ margin: 1mm 0; }}
section figure {{ margin: 0; }}
section figure img {{ width: 100%; height: 98mm; object-fit: contain; }}
section:has(p, ul) figure img {{ height: 80mm; }}
section:has(.math) figure img {{ height: 62mm; }}
section:has(.math):has(p, ul) figure img {{ height: 52mm; }}
section .foot {{ position: absolute; bottom: 4mm; left: 14mm; right: 14mm; display: flex;
  justify-content: space-between; font-size: 12px; color: #666; }}
</style></head><body>{body}</body></html>
"""


class Figure(NamedTuple):
    """A figure of a page: its name, the file of its picture, its number and its caption."""

    name: str
    file: Path
    number: str
    caption: str


# Sheets


def levels(text: str) -> dict[str, str]:
    """Of each exercise, by its number, its level and minutes: from the page for teachers."""
    heads: list[str] = []
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if "Drill" in cells:
            heads = cells
        for level, cell in zip(heads, cells, strict=False):
            for number, minutes in EXERCISE.findall(cell):
                found[number] = f"{level.lower()}, {minutes} minutes"
    return found


def sheet(html: Path, name: str, level_of: Mapping[str, str], *, solved: bool) -> pdf.Article:
    """The exercises of a page, as a page of their own; links to what is not on it become text."""
    page = pdf.article(html, name, [])
    found = BeautifulSoup(page.html, "html.parser")
    parts = found.select(".exercise, .solution" if solved else ".exercise")
    for part in parts:
        for tool in part.select(WITHOUT):
            tool.decompose()
        if title := part.select_one(".exercise > .admonition-title"):
            title.append(f": {level_of[title.get_text().split()[1]]}")
    heading = f"<h1>{'Exercises and solutions' if solved else 'Exercises'}: {page.title}</h1>"
    body = "".join(map(str, parts))
    return pdf.Article(
        page.name, page.title, [], f'<article id="{page.name}">{heading}{body}</article>'
    )


# Figures


def figures(html: Path, name: str) -> Iterator[Figure]:
    """The figures of a page."""
    page = html / f"{name}.html"
    found = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    for link in found.select(".headerlink"):
        link.decompose()
    for figure in found.select("article figure[id]"):
        image = figure.select_one("img.in-light") or figure.img
        number, caption = figure.select_one(".caption-number"), figure.select_one(".caption-text")
        if image is not None and caption is not None:
            file = (page.parent / str(image["src"])).resolve()
            label = number.get_text().strip() if number else ""
            yield Figure(str(figure["id"]), file, label, pdf.plain(caption))


def export(chromium: str, found: list[tuple[str, Figure]], folder: Path, head: str) -> None:
    """Write each figure as SVG and PNG, and a list of them."""
    lines = [head]
    for title, figure in found:
        target = folder / f"{figure.name.removeprefix('fig-')}{figure.file.suffix}"
        shutil.copy(figure.file, target)
        if target.suffix == ".svg":
            photograph(chromium, target)
        lines.append(f"- `{target.name}`: {title}, {figure.number}. {figure.caption}")
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def photograph(chromium: str, picture: Path) -> None:
    """Write an SVG as a PNG beside it."""
    drawn = ElementTree.parse(picture).getroot()
    box = [float(number) for number in drawn.attrib["viewBox"].split()]
    size = ",".join(str(round(length * 4 / 3)) for length in box[2:])  # points to pixels
    with tempfile.TemporaryDirectory() as profile:
        options = [f"--user-data-dir={profile}", "--hide-scrollbars", f"--window-size={size}"]
        options += [f"--force-device-scale-factor={SCALE}"]
        options += [f"--screenshot={picture.with_suffix('.png')}"]
        command = [chromium, *CHROMIUM, *options, picture.as_uri()]
        subprocess.run(command, check=True, capture_output=True)


# Slides


class Shown:
    """Equations and figures of the built pages, by label, for slides to show."""

    def __init__(self, html: Path, names: list[str]) -> None:
        self.places: dict[str, str] = {}
        for name in names:
            page = html / f"{name}.html"
            found = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
            for image in found.select("img.in-dark"):
                image.decompose()
            for image in found.select("figure img"):
                image["src"] = (page.parent / str(image["src"])).resolve().as_uri()
                image["loading"] = "eager"
                del image["width"], image["height"]
            for link in found.select(".headerlink"):
                link.decompose()
            for equation in found.select("article .math[id^=equation-]"):
                label = str(equation["id"]).removeprefix("equation-")
                del equation["id"]
                self.places[label] = str(equation)
            for figure in found.select("article figure[id]"):
                label = str(figure.attrs.pop("id"))
                if figure.figcaption:
                    figure.figcaption.decompose()
                self.places[label] = str(figure)

    def show(self, label: str, source: Path) -> str:
        """The equation or figure of this label, as HTML."""
        if label not in self.places:
            raise ValueError(f"{source}: got @{label}, needs the label of an equation or a figure")
        return self.places[label]


def slides(source: Path, shown: Shown, macros: dict[str, str], about: str) -> list[str]:
    """The slides of a file, as HTML: Markdown between lines of dashes.

    A line ``@label`` stands for an equation or a figure of the book.
    """
    made = []
    markdown = MarkdownIt("commonmark").enable("table")
    dollarmath_plugin(markdown, renderer=lambda tex, options: formula(tex, options, macros))
    parts = source.read_text(encoding="utf-8").split("\n---\n")
    for number, part in enumerate(parts, start=1):
        lines = [
            shown.show(line[1:].strip(), source) if line.startswith("@") else line
            for line in part.strip().splitlines()
        ]
        foot = f'<div class="foot"><span>{about}</span><span>{number}</span></div>'
        made.append(f"<section>{markdown.render(chr(10).join(lines))}{foot}</section>")
    return made


def formula(tex: str, options: dict[str, Any], macros: dict[str, str]) -> str:
    """A formula of a slide, set as the book sets its own."""
    answer = typeset(tex, bool(options["display_mode"]), json.dumps(macros))
    if "error" in answer:
        raise ValueError(f"{tex}: {answer['error']}")
    return str(answer["html"])


def print_slides(chromium: str, style: str, made: list[str], title: str, to: Path) -> None:
    """Print slides, one on each page."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "slides.html"
        text = SLIDES.format(title=title, style=style, body="".join(made))
        source.write_text(text, encoding="utf-8", newline="\n")
        options = ["--no-pdf-header-footer", f"--user-data-dir={folder}/profile"]
        command = [chromium, *CHROMIUM, *options, f"--print-to-pdf={to}", source.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
    pages = len(PdfReader(to).pages)
    if pages != len(made):
        raise ValueError(f"{to}: {len(made)} slides take {pages} pages: one of them is too full")


# All of it


def main() -> int:
    """Write all that a course is given from; 1 if there is no Chromium."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is needed to print; Debian's package is chromium.", file=sys.stderr)
        return 1
    html, course = root / "_build" / "html", root / "_build" / "course"
    shutil.rmtree(course, ignore_errors=True)
    for name in ("sheets", "figures", "slides"):
        (course / name).mkdir(parents=True)
    record = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    words = {"book": record["title"], "version": record["version"]}
    words["author"] = record["authors"][0]["name"]
    names = list(parse_toc_yaml(root / "_toc.yml"))
    chapters = [name for name in names if exercises.read(root / f"{name}.md")]

    count = gaps.write(
        [root / f"{name}.md" for name in chapters], packed.wheel(root), course / "notebooks"
    )
    print(f"{len(chapters)} notebooks with {count} exercises", flush=True)
    level_of = levels((root / "book" / "teaching.md").read_text(encoding="utf-8"))
    for k, name in enumerate(chapters, start=1):
        for solved, end in ((False, ""), (True, "-solutions")):
            to = course / "sheets" / f"{k:02}-{Path(name).name}{end}.pdf"
            pdf.print_html(chromium, html, [sheet(html, name, level_of, solved=solved)], "", to)
    print(f"{2 * len(chapters)} sheets", flush=True)
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    macros = config["sphinx"]["config"]["math_macros"]
    style = next((html / "_static").glob("book.*.css")).as_uri()
    shown = Shown(html, names)
    about = f"{words['book']}, version {words['version']}. CC BY 4.0"
    for source in sorted((root / "teaching" / "slides").glob("*.md")):
        made = slides(source, shown, macros, about)
        title = source.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        print_slides(chromium, style, made, title, course / "slides" / f"{source.stem}.pdf")
        print(f"{source.stem}: {len(made)} slides", flush=True)
    found = [
        (pdf.article(html, name, []).title, one) for name in names for one in figures(html, name)
    ]
    export(chromium, found, course / "figures", HEAD_OF_FIGURES.format(**words))
    print(f"{len(found)} figures", flush=True)
    (course / "README.md").write_text(README.format(**words), encoding="utf-8", newline="\n")
    print(f"The course stands: {course.as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
