"""A Sphinx extension: what makes a site of the pages.

Chapters are executed before Sphinx reads them; the root of the site sends on to the front page; and
files that no page loads, which Sphinx and its libraries bring, do not stay.
"""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from .theme import POLICY

ROOT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta http-equiv="refresh" content="0; url={front}">
<title>{title}</title>
<link rel="icon" href="data:,">
</head>
<body><p><a href="{front}">{title}</a></p></body>
</html>
"""


def execute(app: Sphinx, config: Any) -> None:
    """Run what is not kept, as ``make book`` does before it calls Sphinx; Sphinx names mistakes.

    myst-nb by itself runs one notebook after the other, and splits a line that it gets in parts.
    """
    if config.executed:
        return
    from . import build, early  # late: they bring all of Jupyter Book

    root = Path(app.confdir)
    build.execute(root, early.check(root)[0])  # what fails fails again below Sphinx, which says so


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Complete the written site, if it was written."""
    if exception is not None or app.builder.name != "html":
        return
    html = Path(app.outdir)
    front, title = f"{app.config.root_doc}.html", app.config.html_title
    root = ROOT.format(policy=POLICY, front=front, title=title)
    (html / "index.html").write_text(root, encoding="utf-8", newline="\n")
    sweep(html)


def sweep(html: Path) -> None:
    """Remove the static files that neither a page nor a bundle names."""
    static = html / "_static"
    readers = [*html.rglob("*.html"), *static.glob("book.*"), *html.glob("_live/index.json")]
    named = "".join(path.read_text(encoding="utf-8") for path in readers)
    for path in static.rglob("*"):
        if path.is_file() and path.name not in named:
            path.unlink()
    for folder in sorted(static.rglob("*/"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("executed", False, "")  # by booktools.build, before it calls Sphinx
    app.connect("config-inited", execute, priority=900)
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True}
