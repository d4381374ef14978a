"""The search and the cards, as readers use them; see also tests/book/test_search.py."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from conftest import ROOT, axe_finds, watched
from playwright.sync_api import BrowserContext, Page, expect

Contexts = Callable[..., BrowserContext]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 844}
CHAPTER = "book/gates.html"
QUESTIONS = tomllib.loads((ROOT / "tests" / "book" / "questions.toml").read_text(encoding="utf-8"))
FOUND = "dialog.search ol.found a"


def address(place: str) -> str:
    """What a table of the questions calls a section, as its address in the site."""
    page, _, anchor = place.partition("#")
    return f"book/{page}.html" + f"#{anchor}" * bool(anchor)


def opened(page: Page, query: str) -> None:
    """Ask the dialog, and wait for what it finds."""
    page.keyboard.press("Control+k")
    page.keyboard.type(query)
    page.locator(FOUND).first.wait_for()


@pytest.fixture(params=["http", "folder"])
def root(request: pytest.FixtureRequest, site: Path, server: str) -> str:
    """Where the site stands: on a host, or in a folder."""
    return f"{server}/" if request.param == "http" else f"{site.as_uri()}/"


@pytest.mark.parametrize("kind", ["asked", "others"])
def test_every_section_that_answers_is_in_the_book(site: Path, kind: str) -> None:
    for question, places in QUESTIONS[kind].items():
        for place in places:
            page, _, anchor = address(place).partition("#")
            text = (site / page).read_text(encoding="utf-8")
            assert not anchor or f' id="{anchor}"' in text, (question, place)


def test_a_section_that_answers_is_among_the_first_three(context: Contexts, root: str) -> None:
    """Of what readers ask, of all; of the others, of nine in ten."""
    record = watched(context(viewport=DESK))
    record.page.goto(f"{root}{CHAPTER}")
    opened(record.page, "gradient")
    ask = "(queries) => queries.map((query) => findInBook(query, 3).map((found) => found.address))"
    missed: dict[str, list[Any]] = {}
    for kind, questions in QUESTIONS.items():
        answers = record.page.evaluate(ask, list(questions))
        missed[kind] = [
            (question, found)
            for (question, places), found in zip(questions.items(), answers, strict=True)
            if not {*map(address, places)} & {*found}
        ]
    assert missed["asked"] == []
    assert len(missed["others"]) <= len(QUESTIONS["others"]) / 10, missed["others"]
    assert record.complaints == []


def test_every_section_can_be_found_and_is_where_the_index_says(
    context: Contexts, site: Path
) -> None:
    """By its title, which the page has where the result leads to."""
    page = context().new_page()
    page.goto((site / CHAPTER).as_uri())
    opened(page, "gradient")
    places, titles = [], []
    for path in sorted((site / "book").glob("*.html")):
        html = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for heading in html.select("article section > :is(h2, h3)"):
            for mark in heading.select(".headerlink, .katex-mathml"):
                mark.decompose()
            titles.append(heading.get_text())
            places.append(f"book/{path.name}#{heading.parent['id']}")
    every = "(titles) => titles.map((title) => findInBook(title, 40).map((one) => one.address))"
    found = page.evaluate(every, titles)
    assert len(places) > 150
    assert [
        place for place, addresses in zip(places, found, strict=True) if place not in addresses
    ] == []


def test_the_index_is_small_and_comes_when_it_is_asked_for(context: Contexts, server: str) -> None:
    record = watched(context(viewport=DESK))
    record.page.goto(f"{server}/{CHAPTER}")
    record.page.wait_for_load_state("networkidle")
    assert not any("search-index" in url for url in record.requests)
    opened(record.page, "gradient")
    (index,) = [one for one in record.responses if "search-index" in one.url]
    assert int(index.header_value("content-length") or 0) <= 250_000  # compressed


def test_sphinx_has_left_no_search(site: Path) -> None:
    for name in ("searchindex.js", "_static/searchtools.js", "_static/language_data.js"):
        assert not (site / name).exists()


def test_the_index_holds_neither_code_nor_tex(site: Path) -> None:
    text = (site / "_static/search-index.js").read_text(encoding="utf-8")
    for wrong in ("import numpy", "np.random", "\\\\frac", "\\\\mathrm", "✓ checked", "<math"):
        assert wrong not in text


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_by_keyboard(context: Contexts, root: str, viewport: Any) -> None:
    record = watched(context(viewport=viewport))
    page = record.page
    page.goto(f"{root}{CHAPTER}")
    opened(page, "detach hidden state")
    expect(page.locator("dialog.search [role=status]")).to_have_text(re.compile(r"^\d+ sections$"))
    page.keyboard.press("ArrowDown")
    expect(page.locator(FOUND).first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(FOUND).nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator("dialog.search input")).to_be_focused()
    page.keyboard.press("Escape")
    if page.locator("dialog.search").is_visible():  # the first Escape may clear the field
        page.keyboard.press("Escape")
    expect(page.locator("dialog.search")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("dialog.search input")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("forget gate bias")
    expect(page.locator(FOUND).first).to_contain_text("forget gate")
    page.keyboard.press("Enter")
    (place,) = map(address, QUESTIONS["asked"]["forget gate bias"])
    page.wait_for_url(f"**/{place}")
    expect(page.locator("dialog.search")).to_be_hidden()
    expect(page.locator(f"#{place.partition('#')[2]} > h2")).to_be_in_viewport()
    assert record.complaints == []


def test_by_touch(context: Contexts, root: str) -> None:
    page = context(viewport=PHONE, has_touch=True, is_mobile=True).new_page()
    page.goto(f"{root}{CHAPTER}")
    page.locator("[data-search]:visible").first.tap()
    page.locator("dialog.search input").fill("kronecker")
    page.locator(FOUND).first.tap()
    page.wait_for_url("**/matrices.html#unfolding-it-vec-and-the-kronecker-product")


def test_the_page_shows_what_its_address_asks_for(context: Contexts, root: str) -> None:
    record = watched(context(viewport=DESK))
    record.page.goto(f"{root}search.html?q=teacher%20forcing")
    found = record.page.locator("[data-search-page] ol.found a")
    found.first.wait_for()
    assert record.page.locator("[data-search-page] input").input_value() == "teacher forcing"
    assert found.first.locator("mark").count() > 0
    record.page.locator("[data-search-page] input").fill("third-order tensor")
    expect(found.first).to_contain_text("Is it a third-order tensor?")
    assert record.complaints == []


def test_formulas_are_set(context: Contexts, root: str) -> None:
    page = context(viewport=DESK).new_page()
    page.goto(f"{root}{CHAPTER}")
    opened(page, "forget gate f_t close to one")
    page.locator(FOUND).first.wait_for()
    texts = page.locator(f"{FOUND} .snippet").all_inner_texts()
    assert not [text for text in texts if re.search(r"[\^{}]|\b\w_\w\b", text)]
    assert page.locator(f"{FOUND} :is(sub, sup)").count() > 0


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_wrong_address_leads_on(context: Contexts, server: str, scripts: bool) -> None:
    page = context(viewport=DESK, java_script_enabled=scripts).new_page()
    page.route(
        "**/book/forget-gates.html",
        lambda route: route.fulfill(response=route.fetch(url=f"{server}/404.html")),
    )
    page.goto(f"{server}/book/forget-gates.html")
    article = page.locator("article")
    links = [link.get_attribute("href") for link in article.locator("a:not(.found a)").all()]
    assert {"/book/index.html", "/book/gates.html", "/book/references.html"} <= {*links}
    if scripts:
        expect(article.locator("input")).to_have_value("forget gates")
        expect(article.locator("ol.found a").first).to_contain_text("forget gate")
    else:
        expect(article.locator("form")).to_be_hidden()


def test_without_scripts_the_page_has_the_contents(context: Contexts, server: str) -> None:
    page = context(java_script_enabled=False, viewport=DESK).new_page()
    page.goto(f"{server}/{CHAPTER}")
    assert page.locator("[data-search]").first.get_attribute("href") == "../search.html"
    page.goto(f"{server}/search.html")
    article = page.locator("article")
    assert "switched off" in article.inner_text()
    expect(article.locator("form")).to_be_hidden()
    links = [link.get_attribute("href") for link in article.locator("noscript a").all()]
    assert {"genindex.html", "book/gates.html", "book/references.html"} <= {*links}


def test_a_script_that_does_not_come_is_told(context: Contexts, server: str) -> None:
    page = context(viewport=DESK).new_page()
    page.route("**/search-index.js", lambda route: route.abort())
    page.goto(f"{server}/{CHAPTER}")
    page.keyboard.press("Control+k")
    page.keyboard.type("gates")
    expect(page.locator("dialog.search [role=status]")).to_contain_text("could not be loaded")


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_dialog(
    context: Contexts, server: str, viewport: Any, theme: Any
) -> None:
    page = context(viewport=viewport, color_scheme=theme).new_page()
    page.goto(f"{server}/search.html")
    page.goto(f"{server}/book/publish.html")
    opened(page, "clip by value or norm")
    assert axe_finds(page, "dialog.search") == []
    beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(beyond) <= 0


# Cards


def card_of(page: Page, link: Any) -> Any:
    link.scroll_into_view_if_needed()
    link.hover()
    card = page.locator(".preview")
    card.wait_for()
    return card


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ('a[href*="references.html#"]', "Hochreiter"),
        ('a[href^="#equation-"]', "(14."),
        ('a[href="#gat-gru"]', "The GRU"),
        ('a[href="vanishing.html"]', "Vanishing and exploding"),
        ('a[href^="#ex-"]', "Exercise 14."),
    ],
    ids=["reference", "equation", "section", "chapter", "exercise"],
)
def test_hovering_shows_what_a_link_leads_to(
    context: Contexts, server: str, link: str, shown: str
) -> None:
    record = watched(context(viewport=DESK))
    record.page.goto(f"{server}/{CHAPTER}#main-content")  # so that all is laid out, and stays
    links = record.page.locator(f"article {link}:not(.headerlink)")
    card = card_of(record.page, links.first)
    expect(card).to_contain_text(shown)
    assert len(card.inner_text()) > 20
    record.page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    assert record.complaints == []


def test_a_card_comes_by_keyboard_and_from_a_folder(context: Contexts, site: Path) -> None:
    record = watched(context(viewport=DESK, offline=True))
    record.page.goto((site / CHAPTER).as_uri())
    link = record.page.locator('article a[href^="#equation-"]:not(.headerlink)').first
    record.page.keyboard.press("Tab")  # so that what is focused is so by keyboard
    link.focus()
    expect(record.page.locator(".preview .katex").first).to_be_visible()
    other = record.page.locator('article a[href*="references.html#"]').first
    other.hover()  # which no page in a folder may read
    record.page.wait_for_timeout(600)
    assert record.complaints == []
