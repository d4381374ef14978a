"""A Sphinx extension: what a page offers beside its text: notebooks to take along, to run, to edit.

Addresses come from the environment, as CI sets it, so that a fork's book points to the fork:
``GITHUB_REPOSITORY`` (owner/name) and ``BOOK_URL`` (where the site will stand). Without them the
book builds all the same, and leaves out what needs an address.
"""

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import jupytext
import nbformat
import yaml
from sphinx.application import Sphinx

from . import packed

# The branch on which the workflow puts the notebooks as .ipynb, since Colab reads no Markdown.
NOTEBOOKS = "notebooks"
BINDER = "https://mybinder.org/v2/gh"
COLAB = "https://colab.research.google.com/github"

# Pages that have another form for reports: what the link says, and the form.
FORMS = {"book/errata": ("Report an erratum", "erratum.yml")}

# Where the session began, what is there already stays; the kernel that runs need not start again.
INSTALL = """\
# The book's sources and what they need. To run this cell twice does no harm.
%cd -q {{_dh[0]}}
!test -d {name} || git clone --quiet --depth 1 https://github.com/{repository}
%cd -q {name}
%pip install --quiet -e '.[book]'
%cd -q book
import site; site.addsitedir("../src")  # else found only after a restart"""


def notebook(source: Path, repository: str | None = None) -> str:
    """A chapter as .ipynb, without outputs; for Colab, with a first cell that brings the book."""
    book = jupytext.read(source)
    if repository:
        install = INSTALL.format(repository=repository, name=repository.rpartition("/")[2])
        book.cells.insert(0, nbformat.v4.new_code_cell(install))
    return str(jupytext.writes(settled(book), "ipynb"))


def settled(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook with all that libraries choose at random or leave out."""
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number}"
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return book


def is_notebook(source: Path) -> bool:
    return source.suffix == ".md" and "{code-cell}" in source.read_text(encoding="utf-8")


def addresses(app: Sphinx, config: Any) -> None:
    """A sitemap and preview cards, where the site has an address; the page for wrong ones."""
    url = os.environ.get("BOOK_URL", "")
    if url:
        config.html_baseurl = config.ogp_site_url = url.rstrip("/") + "/"
        config.ogp_site_name = config.html_title
        config.sitemap_url_scheme = "{link}"
    # the page that a server shows for any wrong address, so its links start at the root
    config.notfound_context = {"title": "No such page"}
    config.notfound_template = "404.html"
    config.notfound_urls_prefix = urlsplit(url).path.rstrip("/") + "/"


def take_along(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Write what of a page can be taken along, and say what there is, for the page's menu."""
    if tree is None or "sourcename" not in context:  # the search, the page for wrong addresses
        return
    source = Path(app.env.doc2path(page))
    offered = [("Source, .md", context["sourcename"])]
    if is_notebook(source):
        text = notebook(source)
        name, along = packed.pack(Path(app.confdir), source, text, app.config.html_title)
        alone = Path(app.outdir) / "_sources" / f"{page}.ipynb"
        alone.parent.mkdir(parents=True, exist_ok=True)
        alone.write_text(text, encoding="utf-8", newline="\n")
        alone.with_name(name).write_bytes(along)
        zipped = Path(page).with_name(name).as_posix()
        offered[:0] = [
            (f"Notebook and all it needs, .zip, {size(along)}", zipped),
            ("Notebook, .ipynb", f"{page}.ipynb"),
        ]
    context["downloads"] = [
        (words, context["pathto"](f"_sources/{file}", 1)) for words, file in offered
    ]


def size(content: bytes) -> str:
    """How large a file is, as browsers write it."""
    kilobytes = round(len(content) / 1000)
    return f"{kilobytes} kB" if kilobytes < 1000 else f"{kilobytes / 1000:.1f} MB"


def cite(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """What a citation of the page says of the book, from CITATION.cff."""
    if tree is not None and (Path(app.confdir) / "CITATION.cff").is_file():
        context["citation"] = record(Path(app.confdir))


def record(root: Path) -> dict[str, str]:
    """What the book says of itself: its author, title and version."""
    cff = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    return {"author": cff["authors"][0]["name"], "title": cff["title"], "version": cff["version"]}


def links(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Where the page's source is, can be edited and be reported; free services that run it."""
    repository = os.environ.get("GITHUB_REPOSITORY")
    if not repository or tree is None:
        return
    home = f"https://github.com/{repository}"
    context["repository"] = [
        ("Repository", home),
        ("Edit this page", f"{home}/edit/main/{page}.md"),
        ("Report a mistake", f"{home}/issues/new?title={quote(f'On page {page}')}"),
    ]
    if page in FORMS:
        words, form = FORMS[page]
        context["repository"].append((words, f"{home}/issues/new?template={form}"))
    if is_notebook(Path(app.env.doc2path(page))):
        context["launch"] = [
            ("Run on Binder", f"{BINDER}/{repository}/HEAD?urlpath=lab/tree/{page}.md"),
            ("Run on Colab", f"{COLAB}/{repository}/blob/{NOTEBOOKS}/{page}.ipynb"),
        ]


def main() -> None:
    """``python -m booktools.offers FOLDER``: write the notebooks for Colab below this folder."""
    for source in sorted(Path("book").glob("*.md")):
        if is_notebook(source):
            target = Path(sys.argv[1]) / source.with_suffix(".ipynb")
            target.parent.mkdir(parents=True, exist_ok=True)
            text = notebook(source, os.environ["GITHUB_REPOSITORY"])
            target.write_text(text, encoding="utf-8", newline="\n")


def setup(app: Sphinx) -> dict[str, Any]:
    if os.environ.get("BOOK_URL"):
        app.setup_extension("sphinxext.opengraph")
        app.setup_extension("sphinx_sitemap")
    if (Path(app.confdir) / ".git").exists():  # not in an unpacked archive
        app.setup_extension("sphinx_last_updated_by_git")
    app.setup_extension("notfound.extension")
    app.connect("config-inited", addresses, priority=100)
    for offer in (take_along, cite, links):
        app.connect("html-page-context", offer)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    main()
