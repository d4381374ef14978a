"""What pages offer: notebooks that are complete and repeatable, addresses that fit."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from booktools import offers

ROOT = Path(__file__).parents[1]
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


def test_launch_buttons_lead_to_the_right_notebook(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    context = {"ipynb_source": "book/matrices.ipynb", "header_buttons": []}
    offers.launch(SimpleNamespace(), "book/matrices", "page.html", context, None)
    urls = [button["url"] for button in context["header_buttons"][0]["buttons"]]
    assert urls == [
        "https://mybinder.org/v2/gh/owner/name/HEAD?urlpath=lab/tree/book/matrices.md",
        "https://colab.research.google.com/github/owner/name/blob/notebooks/book/matrices.ipynb",
    ]


@pytest.mark.parametrize("base", ["", "https://owner.example.org/book/"])
def test_every_page_says_how_to_cite_it(base):
    config = SimpleNamespace(html_baseurl=base, copyright="2026")
    context = {"body": "<h1>1. A title</h1>", "title": "<em>A</em> title"}
    app = SimpleNamespace(confdir=ROOT, config=config)
    offers.cite(app, "book/matrices", "page.html", context, object())
    assert context["body"].startswith("<h1>1. A title</h1>")
    assert "@misc{matrices,\n  title   = {The Product Rule in RNNs}," in context["body"]
    assert "<cite>A title</cite>" in context["body"]
    assert ("{https://owner.example.org/book/book/matrices.html}" in context["body"]) == bool(base)


def test_no_repository_no_buttons(monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    context = {"ipynb_source": "book/matrices.ipynb", "header_buttons": []}
    offers.launch(SimpleNamespace(), "book/matrices", "page.html", context, None)
    assert context["header_buttons"] == []


def test_addresses_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    monkeypatch.setenv("BOOK_URL", "https://owner.example.org/book")
    config = SimpleNamespace(html_theme_options={}, html_baseurl="", html_title="Book")
    offers.addresses(SimpleNamespace(), config)
    assert config.html_theme_options["repository_url"] == "https://github.com/owner/name"
    assert config.html_baseurl == "https://owner.example.org/book/"
    assert config.notfound_urls_prefix == "/book/"


def test_the_notebooks_for_colab_are_written_where_the_button_looks(monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["offers", str(tmp_path)])
    assert offers.main() == 0
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.ipynb")}
    assert written == {f"book/{chapter.stem}.ipynb" for chapter in CHAPTERS}
