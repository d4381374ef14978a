"""Every page where it is hard: a slow processor, no scripts, few pixels, wide text, few colours."""

from collections.abc import Callable
from typing import Any

import pytest
from conftest import axe_finds, hidden, watched
from playwright.sync_api import BrowserContext, Page, expect

Contexts = Callable[..., BrowserContext]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 844}

# As WCAG 1.4.12 has it.
SPACING = """
    * { line-height: 1.5 !important; letter-spacing: 0.12em !important;
        word-spacing: 0.16em !important; }
    p { margin-bottom: 2em !important; }
"""


def cut(page: Page) -> list[str]:
    """Boxes with text that goes on beyond them, and cannot be scrolled to."""
    found: list[str] = page.evaluate("""() => {
        const apart = "details:not([open]), .heard, .katex-mathml, [popover], .bar .title";
        const cut = (box, way, size) => ["hidden", "clip"].includes(getComputedStyle(box)[way])
            && box[`scroll${size}`] > box[`client${size}`] + 2;
        return [...document.querySelectorAll("body *")]
            .filter((box) => box.textContent.trim() && box.clientWidth && !box.closest(apart)
                && (cut(box, "overflowX", "Width") || cut(box, "overflowY", "Height")))
            .map((box) => box.outerHTML.slice(0, 200));
    }""")
    return found


def beyond(page: Page) -> int:
    """How many pixels a page is wider than its window."""
    script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    width: int = page.evaluate(script)
    return width


def test_axe_finds_nothing_at_once_with_a_slow_processor(
    context: Contexts, server: str, page: str
) -> None:
    """Before the page's script has done what it does later; contrast needs no script."""
    tab = context(viewport=PHONE).new_page()
    tab.context.new_cdp_session(tab).send("Emulation.setCPUThrottlingRate", {"rate": 6})
    tab.goto(f"{server}/{page}")
    assert axe_finds(tab, without=("color-contrast",)) == []


@pytest.mark.parametrize(("viewport", "theme"), [(PHONE, "dark"), (DESK, "light")])
def test_axe_finds_nothing_without_scripts(
    context: Contexts, server: str, page: str, viewport: Any, theme: Any
) -> None:
    tab = context(viewport=viewport, color_scheme=theme).new_page()
    session = tab.context.new_cdp_session(tab)
    session.send("Emulation.setScriptExecutionDisabled", {"value": True})
    tab.goto(f"{server}/{page}")
    # axe is a script: what a style shows only where there are some goes before it may run.
    tab.evaluate(
        "for (const part of document.querySelectorAll('.scripted, .answer')) part.remove()"
    )
    session.send("Emulation.setScriptExecutionDisabled", {"value": False})
    assert axe_finds(tab) == []


@pytest.mark.parametrize("way", ["400 % zoom", "wide text", "few colours"])
def test_nothing_is_lost(context: Contexts, server: str, page: str, way: str) -> None:
    settings: dict[str, Any] = {
        "400 % zoom": {"viewport": {"width": 320, "height": 256}},  # of a desk, 1280 by 1024
        "wide text": {"viewport": PHONE},
        "few colours": {"viewport": DESK, "forced_colors": "active"},
    }[way]
    record = watched(context(**settings))
    tab = record.page
    tab.goto(f"{server}/{page}#main-content")  # so that all is laid out
    if way == "wide text":
        tab.add_style_tag(content=SPACING)
    assert hidden(tab) == []
    assert cut(tab) == []
    assert beyond(tab) <= 0
    assert record.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_keep_their_ground_where_colours_are_few(
    context: Contexts, server: str, theme: Any
) -> None:
    """A drawing has inks of its own, which a ground of the system's might swallow."""
    tab = context(forced_colors="active", color_scheme=theme, viewport=DESK).new_page()
    tab.goto(f"{server}/book/unrolled-network.html#main-content")
    tab.locator(".tag_explorable-network figure").scroll_into_view_if_needed()
    expect(tab.locator(".ex-words").first).not_to_be_empty()
    for name in ("article img:visible", ".explorable"):
        place = tab.locator(name).first
        ground = place.evaluate("(place) => getComputedStyle(place).backgroundColor")
        assert (ground == "rgb(253, 253, 251)") == (theme == "light"), name
        assert ground != "rgba(0, 0, 0, 0)", name
