"""What is printed: one document of all pages, with links within it, and offered on each page."""

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from booktools import pdf

ROOT = Path(__file__).parents[2]
FORMULA = (
    '<span class="math"><span class="katex"><span class="katex-mathml"><math><semantics>'
    '<mi>λ</mi><annotation encoding="application/x-tex">\\lambda</annotation></semantics></math>'
    '</span><span class="katex-html"><span class="mord">λ</span></span></span></span>'
)
PAGE = f"""<header>bar</header><main><article class="x">
<section id="one"><h1>1. One <em>way</em><a class="headerlink" href="#one">#</a></h1>
<a href="#two">here</a> <a href="other.html#three">there</a> <a href="lists/in-one.html">list</a>
<a href="https://example.org/a.html">elsewhere</a> <a href="../genindex.html">the index</a>
<img src="../_images/a.svg" loading="lazy"><pre>  x &lt; 1
y</pre><svg viewBox="0 0 1 1"></svg>
<section id="two"><span id="also"></span><h2>Two {FORMULA}s</h2></section></section>
</article></main>"""
LIST = '<article><a href="../one.html#two">back</a><img src="../../_images/a.svg"></article>'
PAGES = ["book/one", "book/other", "book/lists/in-one"]


@pytest.fixture
def html(tmp_path):
    """A site of two pages."""
    (tmp_path / "book/lists").mkdir(parents=True)
    (tmp_path / "book/one.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "book/lists/in-one.html").write_text(LIST, encoding="utf-8")
    return tmp_path


def values(text, name):
    """What an attribute says, wherever it stands."""
    return [place[name] for place in BeautifulSoup(text, "html.parser").find_all(**{name: True})]


def test_links_lead_to_places_of_the_one_document(html):
    text = pdf.article(html, "book/one", PAGES).html
    targets = ["#one--two", "#other--three", "#in-one", "https://example.org/a.html"]
    assert values(text, "href") == targets  # and what is not printed is no link
    assert "</a> the index" in text
    assert values(text, "id") == ["one", "one--one", "one--two", "one--also"]
    text = pdf.article(html, "book/lists/in-one", PAGES).html
    assert values(text, "href") == ["#one--two"]


def test_figures_come_from_the_site_and_all_at_once(html):
    for name in ("book/one", "book/lists/in-one"):
        (image,) = BeautifulSoup(pdf.article(html, name, PAGES).html, "html.parser")("img")
        assert image["src"] == f"{html.as_uri()}/_images/a.svg"
        assert image["loading"] == "eager"


def test_of_a_page_the_article_is_printed_as_it_is_written(html):
    text = pdf.article(html, "book/one", PAGES).html
    assert "bar" not in text
    assert "<pre>  x &lt; 1\ny</pre>" in text
    assert FORMULA in text


def test_a_page_without_an_article_fails(html):
    (html / "book/one.html").write_text("<main></main>")
    with pytest.raises(ValueError, match=r"one\.html: got no article, needs one"):
        pdf.article(html, "book/one", PAGES)


def test_contents_and_running_heads_have_the_words_of_the_headings(html):
    one = pdf.article(html, "book/one", PAGES)
    assert one.title == "1. One way"
    assert one.headings == [
        (1, "one--one", "1. One <em>way</em>"),
        (2, "one--two", f"Two {FORMULA}s"),
    ]
    assert 'content: "1. One way"' in pdf.heads([one])
    assert "@page one {" in pdf.heads([one])
    lines = BeautifulSoup(pdf.contents([one], {"one--two": 7}), "html.parser")("p")
    assert [line["class"] for line in lines] == [["chapter"], ["section"]]
    assert [line.a["href"] for line in lines] == ["#one--one", "#one--two"]
    assert [line.find_all("span")[-1].text for line in lines] == ["", "7"]


def test_a_formula_in_a_title_is_said_once(html):
    page = html / "book/one.html"
    page.write_text(PAGE.replace("<em>way</em>", f'"{FORMULA}"'), encoding="utf-8")
    one = pdf.article(html, "book/one", PAGES)
    assert one.title == '1. One "λ"'
    assert 'content: "1. One ”λ”"' in pdf.heads([one])


def test_the_cover_says_which_version_it_is():
    (version,) = re.findall(r"(?m)^version: (.*)$", (ROOT / "CITATION.cff").read_text())
    assert f"<p>Version {version}" in pdf.cover(ROOT)
    assert re.fullmatch(r"|, [1-9]\d? \w+ 20\d\d", pdf.day(ROOT))


def test_without_git_the_cover_has_no_day(tmp_path):
    assert pdf.day(tmp_path) == ""


def test_a_page_offers_what_was_printed_once(tmp_path):
    page = tmp_path / "one.html"
    page.write_text(f"<ul><li>.md</li>{pdf.OFFER}")
    for _ in range(2):  # printed again, a page has no more offers
        pdf.link(page, "../")
        assert page.read_text() == (
            '<ul><li>.md</li><li><a href="../pdf/one.pdf">This page, .pdf</a></li>\n'
            f'<li><a href="../pdf/book.pdf">Whole book, .pdf</a></li>\n{pdf.OFFER}'
        )


def test_the_theme_has_a_place_for_the_offer():
    layout = (ROOT / "src/booktools/theme/layout.html").read_text(encoding="utf-8")
    assert layout.count(pdf.OFFER) == 1


def test_a_page_without_a_place_for_the_offer_fails(tmp_path):
    page = tmp_path / "one.html"
    page.write_text("<ul></ul>")
    with pytest.raises(ValueError, match=r"one\.html: got no offer to print, needs one"):
        pdf.link(page, "../")
