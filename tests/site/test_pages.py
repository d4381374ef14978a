"""Every page, in both themes, on a phone and on a desk."""

from collections.abc import Callable

import pytest
from conftest import Visit, scroll_through, watched
from playwright.sync_api import BrowserContext

Look = Callable[[str, str, int], Visit]
WIDTHS = [390, 1280]

each_way = pytest.mark.parametrize(
    ("theme", "width"), [(theme, width) for theme in ("light", "dark") for width in WIDTHS]
)


@each_way
def test_nothing_comes_from_elsewhere(
    visit: Look, server: str, page: str, theme: str, width: int
) -> None:
    requests = visit(page, theme, width).requests
    assert f"{server}/{page}" in requests
    assert [url for url in requests if not url.startswith((f"{server}/", "data:"))] == []


@each_way
def test_no_complaint_in_the_console(visit: Look, page: str, theme: str, width: int) -> None:
    assert visit(page, theme, width).complaints == []


@each_way
def test_axe_finds_nothing(visit: Look, page: str, theme: str, width: int) -> None:
    assert visit(page, theme, width).violations == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_its_window(visit: Look, page: str, width: int) -> None:
    """At 320, 390, 768 and 1280 pixels."""
    assert {
        size: over for size, over in visit(page, "light", width).overflow.items() if over > 0
    } == {}


def test_weight(visit: Look, chapter: str) -> None:
    """All that a chapter loads, compressed, without its figures."""
    weight = visit(chapter, "light", 1280).weight
    assert sum(weight.values()) <= 200_000, weight


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_shifts(
    context: Callable[..., BrowserContext], server: str, page: str, width: int
) -> None:
    """While a page loads, at the speed of a telephone, and while it is scrolled."""
    record = watched(context(viewport={"width": width, "height": 844}))
    network = record.page.context.new_cdp_session(record.page)
    network.send("Network.enable")
    network.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 150,
            "downloadThroughput": 200_000,
            "uploadThroughput": 90_000,
        },
    )
    record.page.add_init_script("""
        window.shifts = [];
        new PerformanceObserver((list) => shifts.push(...list.getEntries().map((entry) => [
            entry.value, ...entry.sources.map(({ node }) =>
                (node?.outerHTML ?? node?.parentElement?.outerHTML)?.slice(0, 120)),
        ]))).observe({ type: "layout-shift", buffered: true });
    """)
    record.page.goto(f"{server}/{page}")
    record.page.evaluate("document.fonts.ready")
    scroll_through(record.page)
    shifts = record.page.evaluate("shifts")
    assert sum(value for value, *_ in shifts) <= 0.005, shifts
