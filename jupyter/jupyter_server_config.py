"""How ``make lab`` starts: on a page that leads to the chapters in the order of reading.

JupyterLab's file browser sorts by name, and cannot do otherwise. The page is written at each start,
from ``_toc.yml`` and the titles that stand in the chapters.
"""

import re
from pathlib import Path

import yaml
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).parents[1]
START = Path("_build", "start.md")
FRONT = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# {title}

Each link opens a chapter as a notebook. Run it from top to bottom, with Shift and Enter, then
change it.
Theorems and exercises stand here as plain text; the site, which `make book` writes, sets them.

[Front page](../book/index.md): the question, its answer in short, and how to read on.
"""


def contents() -> str:
    """The start page: a link to each notebook of the book, chapters with their numbers."""
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    lines, number = [FRONT.format(title=settings["title"])], 0
    for part in parse_toc_yaml(ROOT / "_toc.yml").root.subtrees:
        lines.append(f"## {part.caption}\n")
        for page in part.files():
            text = (ROOT / f"{page}.md").read_text(encoding="utf-8")
            number += bool(part.numbered)
            if "{code-cell}" in text:
                title = re.search(r"^# (.+)$", text, re.MULTILINE)[1]
                mark = f"{number}." if part.numbered else "-"
                lines.append(f"{mark} [{title}](../{page}.md)")
        lines.append("")
    return "\n".join(lines)


(ROOT / START).parent.mkdir(exist_ok=True)
(ROOT / START).write_text(contents(), encoding="utf-8", newline="\n")

c.ServerApp.root_dir = str(ROOT)  # noqa: F821 - Jupyter gives the file its c
c.ServerApp.allow_root = True  # noqa: F821 - in a container there may be nobody else
c.LabApp.default_url = f"/lab/tree/{START.as_posix()}"  # noqa: F821
