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
import sys
from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname
from xml.etree import ElementTree

import yaml
from bs4 import BeautifulSoup, Tag
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from sphinx_external_toc.parsing import parse_toc_yaml

from . import exercises, gaps, packed, pdf
from .mathematics import typeset
from .offers import record

HEAD_OF_FIGURES = """\
# Figures of *{title}*

Text and figures are published under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/): use
them as you like, and name the book, {author}, version {version}.
"""
README = """# A course from *{title}*, version {version}

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


def sheet(site: Path, name: str, level_of: Mapping[str, str], *, solved: bool) -> pdf.Article:
    """The exercises of a page, as a page of their own; links to what is not on it become text."""
    page = pdf.article(site, name, [])
    found = BeautifulSoup(page.html, "html.parser")
    parts = found.select(".exercise, .solution" if solved else ".exercise")
    for part in parts:
        for tool in part.select(WITHOUT):
            tool.decompose()
        if title := part.select_one(".exercise > .admonition-title"):
            title.append(f": {level_of[title.get_text().split()[1]]}")
    heading = f"<h1>{'Exercises and solutions' if solved else 'Exercises'}: {page.title}</h1>"
    body = "".join(map(str, parts))
    html = f'<article id="{page.name}">{heading}{body}</article>'
    return page._replace(headings=[], html=html)


# Figures


def figures(article: Tag) -> Iterator[Figure]:
    """The figures of a page."""
    for figure in article.select("figure[id]"):
        image = figure.select_one("img.in-light") or figure.img
        number, caption = figure.select_one(".caption-number"), figure.select_one(".caption-text")
        if image is not None and caption is not None:
            file = Path(url2pathname(urlsplit(str(image["src"])).path))
            label = number.get_text().strip() if number else ""
            yield Figure(str(figure["id"]), file, label, pdf.plain(caption))


def export(found: list[tuple[str, Figure]], folder: Path, head: str) -> None:
    """Write each figure as SVG and PNG, and a list of them."""
    lines = [head]
    for title, figure in found:
        target = folder / f"{figure.name.removeprefix('fig-')}{figure.file.suffix}"
        shutil.copy(figure.file, target)
        if target.suffix == ".svg":
            photograph(target)
        lines.append(f"- `{target.name}`: {title}, {figure.number}. {figure.caption}")
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def photograph(picture: Path) -> None:
    """Write an SVG as a PNG beside it."""
    drawn = ElementTree.parse(picture).getroot()
    box = [float(number) for number in drawn.attrib["viewBox"].split()]
    size = ",".join(str(round(length * 4 / 3)) for length in box[2:])  # points to pixels
    options = ["--hide-scrollbars", f"--window-size={size}", f"--force-device-scale-factor={SCALE}"]
    pdf.chromium(*options, f"--screenshot={picture.with_suffix('.png')}", picture.as_uri())


# Slides


def shown(article: Tag) -> dict[str, str]:
    """The equations and figures of a page, by label, as slides show them: no numbers, no captions,
    no dark twins.
    """
    found = copy(article)
    for image in found.select("figure img"):
        del image["width"], image["height"]
    for part in found.select("img.in-dark, figure figcaption"):
        part.decompose()
    equations = {
        str(one.attrs.pop("id")).removeprefix("equation-"): str(one)
        for one in found.select(".math[id^=equation-]")
    }
    return equations | {str(one.attrs.pop("id")): str(one) for one in found.select("figure[id]")}


def slides(source: Path, there: Mapping[str, str], macros: dict[str, str], about: str) -> list[str]:
    """The slides of a file, as HTML: Markdown between lines of dashes.

    A line ``@label`` stands for an equation or a figure of the book.
    """
    made = []
    markdown = MarkdownIt("commonmark").enable("table")
    dollarmath_plugin(markdown, renderer=lambda tex, options: formula(tex, options, macros))
    parts = source.read_text(encoding="utf-8").split("\n---\n")
    for number, part in enumerate(parts, start=1):
        lines = part.strip().splitlines()
        for k, line in enumerate(lines):
            if line.startswith("@"):
                label = line[1:].strip()
                if label not in there:
                    message = f"got @{label}, needs the label of an equation or a figure"
                    raise ValueError(f"{source}: {message}")
                lines[k] = there[label]
        foot = f'<div class="foot"><span>{about}</span><span>{number}</span></div>'
        made.append(f"<section>{markdown.render(chr(10).join(lines))}{foot}</section>")
    return made


def formula(tex: str, options: dict[str, Any], macros: dict[str, str]) -> str:
    """A formula of a slide, set as the book sets its own."""
    answer = typeset(tex, bool(options["display_mode"]), json.dumps(macros))
    if "error" in answer:
        raise ValueError(f"{tex}: {answer['error']}")
    return str(answer["html"])


def print_slides(style: str, made: list[str], title: str, to: Path) -> None:
    """Print slides, one on each page."""
    printed = pdf.print_text(SLIDES.format(title=title, style=style, body="".join(made)), to)
    if (pages := len(printed.pages)) != len(made):
        raise ValueError(f"{to}: {len(made)} slides take {pages} pages: one of them is too full")


# All of it


def main() -> None:
    """Write all that a course is given from."""
    pdf.program()  # before anything is begun
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    html, course = root / "_build" / "html", root / "_build" / "course"
    shutil.rmtree(course, ignore_errors=True)
    for name in ("sheets", "figures", "slides"):
        (course / name).mkdir(parents=True)
    words = record(root)
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
            pdf.print_html(html, [sheet(html, name, level_of, solved=solved)], "", to)
    print(f"{2 * len(chapters)} sheets", flush=True)
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    macros = config["sphinx"]["config"]["math_macros"]
    articles = [pdf.read(html, name) for name in names]
    there = {label: one for article in articles for label, one in shown(article).items()}
    about = f"{words['title']}, version {words['version']}. CC BY 4.0"
    for source in sorted((root / "teaching" / "slides").glob("*.md")):
        made = slides(source, there, macros, about)
        title = source.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        print_slides(pdf.style(html), made, title, course / "slides" / f"{source.stem}.pdf")
        print(f"{source.stem}: {len(made)} slides", flush=True)
    found = [(pdf.plain(article.h1), one) for article in articles for one in figures(article)]
    export(found, course / "figures", HEAD_OF_FIGURES.format(**words))
    print(f"{len(found)} figures", flush=True)
    (course / "README.md").write_text(README.format(**words), encoding="utf-8", newline="\n")
    print(f"The course stands: {course.as_uri()}")


if __name__ == "__main__":
    main()
