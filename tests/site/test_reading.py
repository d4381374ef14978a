"""What a reader does: read without scripts or network, search, switch the theme, scroll, print."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import hidden, watched
from playwright.sync_api import BrowserContext, expect

Contexts = Callable[..., BrowserContext]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 844}


@pytest.fixture
def figures(site: Path) -> str:
    """A page with figures for both themes."""
    return next(
        str(path.relative_to(site))
        for path in sorted(site.rglob("*.html"))
        if ".dark.svg" in path.read_text(encoding="utf-8")
    )


def test_heads_of_tables_stand_side_by_side(context: Contexts, server: str) -> None:
    page = context().new_page()
    page.goto(f"{server}/book/vanishing.html")
    tops = page.locator("thead tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.offsetTop))"
    )
    assert len(tops) > 5
    assert [len({*row}) for row in tops] == [1] * len(tops)


def test_every_page_is_complete_without_scripts(context: Contexts, server: str, page: str) -> None:
    record = watched(context(java_script_enabled=False, viewport=DESK))
    record.page.goto(f"{server}/{page}")
    assert page == "search.html" or record.page.locator("article h1").is_visible()
    assert hidden(record.page) == []
    assert record.complaints == []


def test_every_page_is_complete_from_a_folder(context: Contexts, site: Path, page: str) -> None:
    """Offline, from the disk: nothing refused, nothing missing."""
    if page == "404.html":
        pytest.skip("a server's page: its links start at the root")
    offline = context(viewport=DESK, offline=True)
    record = watched(offline)
    record.page.goto((site / page).as_uri())
    assert hidden(record.page) == []
    assert record.complaints == []
    assert [url for url in record.requests if not url.startswith(("file:", "data:"))] == []


def test_root_sends_to_the_front(context: Contexts, server: str) -> None:
    page = context().new_page()
    page.goto(f"{server}/")
    page.wait_for_url("**/book/index.html")
    assert page.title() == "The Product Rule in RNNs"


def test_policy_holds(context: Contexts, server: str, figures: str) -> None:
    """Whatever a page might try to load from elsewhere is refused before it is asked for."""
    record = watched(context())
    failures: dict[str, str] = {}
    record.page.on("requestfailed", lambda one: failures.update({one.url: str(one.failure)}))
    record.page.goto(f"{server}/{figures}")
    refused = record.page.evaluate("""async () => {
        const refused = [], elsewhere = "https://elsewhere.invalid/x";
        const add = (name, values) =>
            document.body.append(Object.assign(document.createElement(name), values));
        addEventListener("securitypolicyviolation", (event) =>
            refused.push(event.effectiveDirective));
        for (const name of ["script", "img", "iframe"]) add(name, { src: elsewhere });
        add("link", { rel: "stylesheet", href: elsewhere });
        add("script", { textContent: "window.ran = true" });
        await fetch(elsewhere).catch(() => 0);
        document.fonts.add(new FontFace("x", `url(${elsewhere})`));
        await document.fonts.load("12px x").catch(() => 0);
        for (let k = 0; k < 20 && refused.length < 7; k++)
            await new Promise((done) => setTimeout(done, 100));
        return [refused.sort(), window.ran];
    }""")
    kinds = ["connect-src", "font-src", "frame-src", "img-src"]
    assert refused == [[*kinds, "script-src-elem", "script-src-elem", "style-src-elem"], None]
    assert failures == {"https://elsewhere.invalid/x": "csp"}
    assert [one.url for one in record.responses if "elsewhere" in one.url] == []


def test_figures_follow_the_theme(context: Contexts, server: str, figures: str) -> None:
    page = context(viewport=DESK, color_scheme="light").new_page()
    page.goto(f"{server}/{figures}")

    def dark() -> bool:
        """Whether all figures that are shown are those of the dark page."""
        (found,) = {
            ".dark." in str(image.get_attribute("src"))
            for image in page.locator("article img").all()
            if image.is_visible()
        }
        return found

    assert not dark()
    button = page.locator("[data-theme-switch]")
    for name, expected in (("light", False), ("dark", True)):  # as the system has it comes first
        button.click()
        expect(button).to_have_accessible_name(f"Theme: {name}")
        assert dark() == expected
    page.reload()
    assert dark()
    page = context(viewport=DESK, color_scheme="dark").new_page()
    page.goto(f"{server}/{figures}")
    assert dark()
    page.locator("[data-theme-switch]").click()
    assert not dark()


def test_the_theme_of_the_system_needs_no_script(
    context: Contexts, server: str, figures: str
) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page = context(java_script_enabled=False, color_scheme=scheme).new_page()
        page.goto(f"{server}/{figures}")
        assert page.locator(f"article .in-{scheme}").first.is_visible()
        shown = page.screenshot(clip={"x": 0, "y": 0, "width": 1, "height": 1})
        grounds.append(shown)
        expect(page.locator("[data-theme-switch]")).to_be_hidden()
    assert grounds[0] != grounds[1]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_drawers_of_a_phone_by_keyboard(
    context: Contexts, server: str, figures: str, scripts: bool
) -> None:
    page = context(viewport=PHONE, java_script_enabled=scripts).new_page()
    page.goto(f"{server}/{figures}")
    for name, drawer in (("Chapters", "#book"), ("On this page", "#contents")):
        button, panel = page.get_by_role("button", name=name), page.locator(drawer)
        expect(panel).to_be_hidden()
        button.focus()
        page.keyboard.press("Enter")
        expect(panel).to_be_visible()
        page.keyboard.press("Tab")
        assert panel.evaluate("(panel) => panel.contains(document.activeElement)")
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
        expect(button).to_be_focused()
    page.get_by_role("button", name="On this page").click()
    page.locator("#contents a").last.click()
    assert page.url.partition("#")[2]
    if scripts:
        expect(page.locator("#contents")).to_be_hidden()


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_the_chapters_and_the_contents_show_where_one_is(
    context: Contexts, server: str, viewport: dict[str, int]
) -> None:
    page = context(viewport=viewport).new_page()
    page.goto(f"{server}/book/references.html")
    here = page.locator("#book [aria-current]")
    if viewport == PHONE:
        expect(page.locator(".bar .title")).to_have_text("References")
        page.get_by_role("button", name="Chapters").click()
    expect(here).to_be_in_viewport(ratio=1)
    assert page.evaluate("scrollY") == 0
    page.goto(f"{server}/book/gates.html")
    if viewport == PHONE:
        expect(page.locator(".bar .title")).to_have_text("14 · Gates")
        page.get_by_role("button", name="On this page").click()
    first = page.locator("#contents a").first
    expect(first).to_have_attribute("aria-current", "true")
    expect(first).to_be_in_viewport(ratio=1)
    if viewport == PHONE:
        page.locator("#contents").get_by_role("button", name="Close").click()
        expect(page.locator("#contents")).to_be_hidden()


def test_a_menu_closes_with_escape_and_elsewhere(
    context: Contexts, server: str, figures: str
) -> None:
    page = context(viewport=DESK).new_page()
    page.goto(f"{server}/{figures}")
    menu = page.locator(".menu", has=page.get_by_label("Download this page"))
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.locator("h1").click()):
        menu.locator("summary").click()
        expect(menu.get_by_role("link", name="Notebook, .ipynb")).to_be_visible()
        close()
        expect(menu.get_by_role("link", name="Notebook, .ipynb")).to_be_hidden()


def test_the_contents_mark_the_section_on_screen(
    context: Contexts, server: str, figures: str
) -> None:
    page = context(viewport=DESK).new_page()
    page.goto(f"{server}/{figures}#main-content")
    links = page.locator("#contents > ul > li > a")
    for k in (1, links.count() - 1, 0):
        links.nth(k).click()
        expect(page.locator("#contents > ul > li:has([aria-current]) > a")).to_have_text(
            links.nth(k).inner_text()
        )


def test_code_is_copied(context: Contexts, server: str, figures: str) -> None:
    page = context(viewport=DESK, permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.goto(f"{server}/{figures}")
    code = page.locator(".cell_input .highlight:visible").first
    code.hover()
    code.get_by_role("button", name="Copy").click()
    expect(code.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == code.locator("pre").text_content()


def test_long_formula_scrolls_by_keyboard(context: Contexts, server: str, chapter: str) -> None:
    page = context(viewport=PHONE).new_page()
    page.goto(f"{server}/{chapter}")
    page.wait_for_function("document.fonts.status === 'loaded'")
    # While the page is laid out, more boxes come to be reached by Tab from one call to the next.
    expect(page.locator(".from-top .later")).to_have_count(0, timeout=60_000)
    long = [
        place
        for place in page.locator(".formula:visible").all()
        if place.evaluate("(place) => place.scrollWidth > place.clientWidth + 1")
    ]
    for place in long[:1]:
        place.evaluate("""(place) => [
            ...document.querySelectorAll("a, button, summary, [tabindex]")
        ].findLast((other) => other.checkVisibility({ visibilityProperty: true })
                && place.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_PRECEDING)
            ?.focus()""")
        page.keyboard.press("Tab")
        assert place.evaluate("(place) => place === document.activeElement")
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(300)
        assert place.evaluate("(place) => place.scrollLeft") > 0


def test_what_is_laid_out_later_is_read_aloud(context: Contexts, server: str, figures: str) -> None:
    """After a while, assistive technology has all that it has of a page laid out at once."""
    trees = []
    for place in ("", "#main-content"):
        page = context(viewport=PHONE).new_page()
        page.goto(f"{server}/{figures}{place}")
        assert (page.locator(".from-top .later").count() > 10) == (not place)
        expect(page.locator(".from-top .later")).to_have_count(0, timeout=60_000)
        session = page.context.new_cdp_session(page)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        trees.append(Counter(node["role"]["value"] for node in nodes if not node["ignored"]))
    assert trees[0] == trees[1]
    assert trees[0]["MathMLMath"] > 100


def test_print_shows_the_text_alone(context: Contexts, server: str, page: str) -> None:
    tab = context(viewport=DESK).new_page()
    tab.goto(f"{server}/{page}")
    tab.emulate_media(media="print")
    assert tab.locator("h1:visible").count() == 1
    shown = tab.evaluate("""() => {
        const aids = "nav, header, footer, button, input, dialog, .headerlink, .cite";
        return [...document.querySelectorAll(aids)]
            .filter((aid) => aid.checkVisibility({ visibilityProperty: true }) && aid.clientHeight)
            .map((aid) => aid.outerHTML.slice(0, 200));
    }""")
    assert shown == []


def test_titles_and_descriptions_differ(site: Path) -> None:
    heads = [
        path.read_text(encoding="utf-8").partition("</head>")[0]
        for path in sorted((site / "book").rglob("*.html"))
    ]
    for pattern in (r"<title>(.+?)</title>", r'<meta content="([^"]+)" name="description"'):
        found = [match[1] for match in (re.search(pattern, head) for head in heads) if match]
        assert len({*found}) == len(found) == len(heads) > 1
