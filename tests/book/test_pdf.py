"""What is printed: one document of all pages, with links within it, and offered on each page."""

import re
from pathlib import Path

import pytest

from booktools import pdf

PAGE = """<main><article class="x">
<section id="one"><h1>1. One <em>way</em><a class="headerlink" href="#one">#</a></h1>
<a href="#two">here</a> <a href="other.html#three">there</a> <a href="lists/in-one.html">list</a>
<a href="https://example.org/a.html">elsewhere</a> <img src="../_images/a.svg" loading="lazy">
<section id="two"><h2>Two</h2></section></section>
</article></main>"""
LIST = '<article><a href="../one.html#two">back</a><img src="../../_images/a.svg"></article>'


@pytest.fixture
def html(tmp_path):
    """A site of two pages."""
    (tmp_path / "book/lists").mkdir(parents=True)
    (tmp_path / "book/one.html").write_text(PAGE)
    (tmp_path / "book/lists/in-one.html").write_text(LIST)
    return tmp_path


def test_links_lead_to_places_of_the_one_document(html):
    text = pdf.article(html, "book/one")
    targets = ["#one--two", "#other--three", "#in-one", "https://example.org/a.html"]
    assert re.findall('href="([^"]*)"', text) == targets
    assert re.findall('id="([^"]*)"', text) == ["one", "one--one", "one--two"]
    assert f'src="{html.as_uri()}/_images/a.svg"' in text
    text = pdf.article(html, "book/lists/in-one")
    assert re.findall('href="([^"]*)"', text) == ["#one--two"]
    assert f'src="{html.as_uri()}/_images/a.svg"' in text


def test_contents_and_running_heads_have_the_words_of_the_headings(html):
    text = pdf.article(html, "book/one")
    found = [("1", "one--one", "1. One way"), ("2", "one--two", "Two")]
    assert pdf.headings(text) == found
    assert 'content: "1. One way"' in pdf.heads({"book/one": text})
    assert "@page one {" in pdf.heads({"book/one": text})
    contents = pdf.contents(found, {"one--two": 7})
    assert re.findall('href="#(.*?)">(.*?)</a><span>(.*?)<', contents) == [
        ("one--one", "1. One way", ""),
        ("one--two", "Two", "7"),
    ]


def test_the_cover_says_which_version_it_is():
    root = Path(__file__).parents[2]
    (version,) = re.findall(r"(?m)^version: (.*)$", (root / "CITATION.cff").read_text())
    assert f"<p>Version {version}" in pdf.cover(root)
    assert re.fullmatch(r"|, [1-9]\d? \w+ 20\d\d", pdf.day(root))


def test_without_git_the_cover_has_no_day(tmp_path):
    assert pdf.day(tmp_path) == ""


@pytest.mark.parametrize(
    "offer",
    ['<li class="scripted"><button type="button" data-print>', '<li>\n<button data-print="">'],
)
def test_a_page_offers_what_was_printed(tmp_path, offer):
    page = tmp_path / "one.html"
    page.write_text(f"<ul><li>.md</li>{offer}")
    pdf.link(page, "../")
    assert page.read_text() == (
        '<ul><li>.md</li><li><a href="../pdf/one.pdf">This page, .pdf</a></li>\n'
        f'<li><a href="../pdf/book.pdf">Whole book, .pdf</a></li>\n{offer}'
    )


def test_a_page_without_a_place_for_the_offer_fails(tmp_path):
    page = tmp_path / "one.html"
    page.write_text("<ul></ul>")
    with pytest.raises(ValueError, match=r"one\.html: got no offer to print, needs one"):
        pdf.link(page, "../")
