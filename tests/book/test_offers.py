"""What pages offer: notebooks that are complete and repeatable, addresses that fit."""

import json
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from booktools import offers

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(path for path in (ROOT / "book").glob("*.md") if offers.is_notebook(path))


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_notebook_holds_every_cell_and_no_output(chapter):
    notebook = json.loads(offers.notebook(chapter))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) == chapter.read_text(encoding="utf-8").count("```{code-cell}")
    assert not any(cell["outputs"] for cell in code)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert offers.notebook(chapter) == offers.notebook(chapter)


def test_a_notebook_for_colab_brings_the_book_first():  # and make notebooks-test runs it
    first, *others = json.loads(offers.notebook(CHAPTERS[0], "owner/name"))["cells"]
    assert "".join(first["source"]).splitlines()[1:5] == [
        "%cd -q {_dh[0]}",
        "!test -d name || git clone --quiet --depth 1 https://github.com/owner/name",
        "%cd -q name",
        "%pip install --quiet -e '.[book]'",
    ]
    without = json.loads(offers.notebook(CHAPTERS[0]))["cells"]
    assert [cell["source"] for cell in others] == [cell["source"] for cell in without]


def offered(offer, page="book/matrices", tree=True, base="", outdir=None):
    """What an offer adds to the context of a page."""
    config = SimpleNamespace(html_baseurl=base, copyright="2026", html_title="Book")
    env = SimpleNamespace(doc2path=lambda page: str(ROOT / f"{page}.md"))
    app = SimpleNamespace(confdir=ROOT, outdir=outdir, config=config, env=env)
    context = {"sourcename": f"{page}.md", "pathto": lambda address, resource: f"../{address}"}
    given = {*context}
    offer(app, page, "page.html", context, tree or None)
    return {name: context[name] for name in context.keys() - given}


def test_a_page_that_runs_offers_all_it_needs_its_notebook_and_its_source(tmp_path):
    found = offered(offers.take_along, outdir=tmp_path)["downloads"]
    folder = tmp_path / "_sources" / "book"
    along, alone = folder / "product-rule-in-rnns-matrices.zip", folder / "matrices.ipynb"
    size = round(along.stat().st_size / 1000)
    assert found == [
        (f"Notebook and all it needs, .zip, {size} kB", f"../_sources/book/{along.name}"),
        ("Notebook, .ipynb", "../_sources/book/matrices.ipynb"),
        ("Source, .md", "../_sources/book/matrices.md"),
    ]
    text = offers.notebook(CHAPTERS[0].parent / "matrices.md")
    assert alone.read_text(encoding="utf-8") == text
    with zipfile.ZipFile(along) as archive:
        packed = archive.read(f"{along.stem}/book/matrices.ipynb")
    assert packed.decode() == text


@pytest.mark.parametrize(
    ("length", "written"), [(65_536, "66 kB"), (999_499, "999 kB"), (999_600, "1.0 MB")]
)
def test_sizes_are_written_as_browsers_do(length, written):
    assert offers.size(bytes(length)) == written


def test_a_page_without_cells_offers_its_source_alone(tmp_path):
    found = offered(offers.take_along, "book/references", outdir=tmp_path)
    assert found["downloads"] == [("Source, .md", "../_sources/book/references.md")]
    assert not [*tmp_path.iterdir()]


def test_a_page_made_by_sphinx_offers_nothing(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    for offer in (offers.take_along, offers.cite, offers.links):
        assert offered(offer, "search", tree=False) == {}


def test_links_lead_to_the_page_in_the_repository_and_where_it_runs(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    found = offered(offers.links)
    assert [address for _, address in found["repository"]] == [
        "https://github.com/owner/name",
        "https://github.com/owner/name/edit/main/book/matrices.md",
        "https://github.com/owner/name/issues/new?title=On%20page%20book/matrices",
    ]
    assert [address for _, address in found["launch"]] == [
        "https://mybinder.org/v2/gh/owner/name/HEAD?urlpath=lab/tree/book/matrices.md",
        "https://colab.research.google.com/github/owner/name/blob/notebooks/book/matrices.ipynb",
    ]
    assert {*offered(offers.links, "book/references")} == {"repository"}


def test_errata_are_reported_in_a_form_of_their_own(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    for page, (_, form) in offers.FORMS.items():
        assert (ROOT / f"{page}.md").is_file()
        assert (ROOT / ".github/ISSUE_TEMPLATE" / form).is_file()
        _, address = offered(offers.links, page)["repository"][-1]
        assert address == f"https://github.com/owner/name/issues/new?template={form}"


def test_no_repository_no_links(monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert offered(offers.links) == {}


def test_a_page_is_cited_with_what_the_record_says():
    assert offered(offers.cite)["citation"] == {
        "author": "The Product Rule in RNNs contributors",
        "title": "The Product Rule in RNNs",
        "version": re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M)[
            1
        ].strip('"'),
    }


def test_addresses_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("BOOK_URL", "https://owner.example.org/book")
    config = SimpleNamespace(html_baseurl="", html_title="Book")
    offers.addresses(SimpleNamespace(), config)
    assert config.html_baseurl == "https://owner.example.org/book/"
    assert config.notfound_urls_prefix == "/book/"


def test_the_notebooks_for_colab_are_written_where_the_button_looks(monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["offers", str(tmp_path)])
    offers.main()
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.ipynb")}
    assert written == {f"book/{chapter.stem}.ipynb" for chapter in CHAPTERS}
