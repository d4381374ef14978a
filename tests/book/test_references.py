"""Sources stand under the names and years by which the text cites them."""

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pybtex.database import parse_file, parse_string
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import docutils_namespace

from booktools.references import NamesAndYears

SOURCES = parse_file(Path(__file__).parents[2] / "book/references.bib").entries
CONFIG = """\
extensions = ["myst_parser", "sphinxcontrib.bibtex", "booktools.references"]
source_suffix = {".md": "markdown"}
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
bibtex_default_style = "names_and_years"
"""


def test_every_source_of_the_book_is_listed_as_it_is_cited(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    cited = "".join(f"- {{cite}}`{key}`\n" for key in SOURCES)
    (source / "index.md").write_text(f"# All\n\n{cited}\n```{{bibliography}}\n```\n")
    (source / "conf.py").write_text(CONFIG)
    (source / "references.bib").write_bytes(
        (Path(__file__).parents[2] / "book/references.bib").read_bytes()
    )
    with docutils_namespace():
        folders = [str(folder) for folder in (source, source, target, target / "trees")]
        Sphinx(*folders, "html", status=None, warningiserror=True).build()
    page = BeautifulSoup((target / "index.html").read_text(), "html.parser")
    links = [item.a for item in page.ul.find_all("li")]
    assert len(links) == len(SOURCES) > 80
    for link in links:
        label = page.find(id=link["href"][1:]).find(class_="label").text
        assert label == f"[{link.text}]".replace("\xa0", " ")  # a name of two words
    listed = [label.text for label in page.find_all(class_="label")]
    names = [re.sub(r"[^a-z]", "", label.lower().partition(" ")[0]) for label in listed]
    assert len({*listed}) == len(listed)
    assert names[0] < names[-1]  # by name, not by their order in the text


def test_two_sources_of_one_name_and_year_are_refused():
    text = "@misc{A%d, author = {Britz, D.}, title = {T}, year = {2015}}\n"
    entries = parse_string("".join(text % k for k in (1, 2)), "bibtex").entries.values()
    with pytest.raises(ExtensionError, match="more than one Britz, 2015, needs years such as"):
        list(NamesAndYears().format_labels([*entries]))


def test_one_two_and_more_names():
    text = "".join(
        f"@misc{{A{k}, author = {{{who}}}, title = {{T}}}}\n"
        for k, who in enumerate(("van Dam, Jo", "A, B and {The C}", "A, B and D, E and F, G"))
    )
    entries = parse_string(text, "bibtex").entries.values()
    assert list(NamesAndYears().format_labels([*entries])) == [
        *("van Dam, n.d.", "A and The C, n.d.", "A et al., n.d.")
    ]
