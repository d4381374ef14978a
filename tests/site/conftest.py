"""The built site, served on this machine, and the one browser that looks at it."""

import gzip
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect, sync_playwright
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[2]
CHROMIUM = ["chromium", "chromium-browser", "google-chrome"]
FIREFOX = ["firefox-esr", "firefox"]
NARROWER = {390: 320, 1280: 768}  # looked at in the same visit
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]

# axe needs a minute for a chapter with ten thousand coloured pieces of code and formulas. What has
# one style is looked at three times a page, the rest becomes plain text of the same size.
THIN_OUT = """() => {
    const seen = new Map();
    const again = (kind) => seen.set(kind, (seen.get(kind) ?? 0) + 1).get(kind) > 3;
    for (const token of document.querySelectorAll("pre span:not(:has(*))"))
        if (again(`${token.className} in ${token.closest("div[class*=cell]")?.className}`))
            token.replaceWith(token.textContent);
    for (const formula of document.querySelectorAll(".katex-html")) {
        if (!again("formula")) continue;
        const { width, height } = formula.getBoundingClientRect();
        formula.style.cssText = `display: inline-block; width: ${width}px; height: ${height}px`;
        formula.textContent = "x";
    }
}"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--site", type=Path, default=ROOT / "_build" / "html", help="what make book wrote"
    )
    parser.addoption("--firefox", action="store_true", help="in Firefox, where Chromium is usual")


def pytest_sessionstart(session: pytest.Session) -> None:
    browser = (CHROMIUM, "chromium")
    if session.config.getoption("--firefox"):
        browser = (FIREFOX, "firefox-esr")
    for names, package in (browser, (["java"], "default-jre-headless")):
        if program(names) is None:
            raise pytest.UsageError(f"{names[0]} is not installed: apt-get install {package}")


def program(names: list[str]) -> str | None:
    """The first of these programs that is there."""
    return next(filter(None, map(shutil.which, names)), None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a ``page`` runs for each one; the root only sends on to the front."""
    site = metafunc.config.getoption("--site")
    if not (site / "index.html").is_file():
        raise pytest.UsageError(f"no site at {site}: run 'make book' first")
    pages = sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
    chosen = {
        "page": [page for page in pages if page != "index.html"],
        "chapter": [page for page in pages if 'class="katex' in (site / page).read_text()],
    }
    for name in chosen.keys() & {*metafunc.fixturenames}:
        metafunc.parametrize(name, chosen[name])


class PageByPage(LoadScopeScheduling):  # type: ignore[misc]
    """One process has all tests of a page, so that it makes each visit once."""

    def _split_scope(self, nodeid: str) -> str:
        page = re.search(r"[^\[]+\.html", nodeid)
        return page[0] if page else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return PageByPage(config, log)


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Path:
    """The folder with the site."""
    return Path(request.config.getoption("--site")).resolve()


class Files(SimpleHTTPRequestHandler):
    """Files as a host of static pages sends them: text compressed."""

    extensions_map: ClassVar = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}

    def send_head(self) -> Any:
        path = Path(self.translate_path(self.path))
        if path.is_dir() or path.suffix == ".woff2" or not path.is_file():
            return super().send_head()
        data = gzip.compress(path.read_bytes(), 6)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Cache-Control", "max-age=600")  # as GitHub Pages
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        return BytesIO(data)

    def handle(self) -> None:
        with suppress(ConnectionError):  # a browser may close before it has all
            super().handle()

    def log_message(self, *args: Any) -> None:
        """Tell nothing: what a page asks in vain is a console error, and so a failure."""


@pytest.fixture(scope="session")
def server(site: Path) -> Iterator[str]:
    """The address of the site, on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=site)) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture(scope="session")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """The machine's own Chromium or Firefox, not one that Playwright would fetch."""
    with sync_playwright() as playwright:
        if request.config.getoption("--firefox"):
            # A Firefox as its makers ship it: Playwright speaks WebDriver BiDi to it.
            browser = playwright.firefox.launch(
                executable_path=program(FIREFOX), channel="moz-firefox"
            )
        else:
            browser = playwright.chromium.launch(executable_path=program(CHROMIUM))
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, all that it asked for and all that it complained of."""

    page: Page
    responses: list[Response] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """New, empty contexts: no cache, no settings; closed after the test."""
    made: list[BrowserContext] = []

    def new(**settings: Any) -> BrowserContext:
        made.append(browser.new_context(**settings))
        return made[-1]

    yield new
    for one in made:
        one.close()


def watched(context: BrowserContext) -> Watched:
    """A new page under watch."""
    page = context.new_page()
    record = Watched(page)
    page.on("request", lambda request: record.requests.append(request.url))
    page.on("response", lambda response: record.responses.append(response))
    page.on("pageerror", lambda error: record.complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            record.complaints.append(f"{message.text} {message.location['url']}")
            if message.type == "error"
            else None
        ),
    )
    return record


def scroll_through(page: Page) -> None:
    """Scroll to the end, a screen at a time, and back; no reader has more than fifteen a second."""
    page.evaluate("""async () => {
        // A machine that is busy may draw no frame for long.
        const frame = () => new Promise((done) => {
            requestAnimationFrame(() => setTimeout(done));
            setTimeout(done, 1000);
        });
        const look = async () => { for (let k = 0; k < 4; k++) await frame(); };
        for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {
            scrollTo({ top: y, behavior: "instant" });
            await look();
        }
        scrollTo({ top: 0, behavior: "instant" });
        await look();
    }""")


def hidden(page: Page) -> list[str]:
    """What a reader of the page cannot see: text, formulas, figures; folded details left out."""
    found: list[str] = page.evaluate("""async () => {
        const lost = [];
        const parts = "h1, h2, h3, p, li, td, th, pre, .katex-html, img";
        await document.fonts.ready;
        const images = [...document.images].filter((image) => !image.matches(".in-dark"));
        for (const image of images) image.loading = "eager";
        await Promise.all(images.map((image) => image.decode().catch(() => 0)));
        for (const part of document.querySelectorAll(`article :is(${parts})`)) {
            if (part.closest("details:not([open]), .in-dark")) continue;
            // on a phone, where each cell of such a table says what its head says
            if (part.closest(".cards thead") && matchMedia("(max-width: 36rem)").matches) continue;
            if (part.closest(".answer") && matchMedia("(scripting: none)").matches) continue;
            const { width, height } = part.getBoundingClientRect();
            const empty = !part.src && !part.textContent.trim();
            const seen = width && height && part.naturalWidth !== 0
                && part.checkVisibility({ opacityProperty: true });
            if (!empty && !seen) lost.push(part.outerHTML.slice(0, 200));
        }
        return lost;
    }""")
    return found


@cache
def axe() -> str:
    """The script of axe."""
    return (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def axe_finds(page: Page, part: str = "html", without: tuple[str, ...] = ()) -> list[str]:
    """The violations that axe finds in a part of a page, in its present state."""
    page.evaluate(THIN_OUT)
    page.evaluate(axe())
    rules = {rule: {"enabled": False} for rule in without}
    options = {"runOnly": RULES, "resultTypes": ["violations"], "rules": rules}
    found = page.evaluate("([part, options]) => axe.run(part, options)", [part, options])
    return [
        f"{rule['id']}: {place['target']} {place['failureSummary']}"
        for rule in found["violations"]
        for place in rule["nodes"]
    ]


@dataclass
class Visit:
    """What a visit to a page found."""

    requests: list[str]
    complaints: list[str]
    overflow: dict[int, int]  # width of the window: pixels beyond it
    weight: dict[str, int]  # address: bytes, compressed, figures left out
    violations: list[str]


@pytest.fixture(scope="session")
def visit(browser: Browser, server: str) -> Callable[[str, str, int], Visit]:
    """Visit a page in a theme, at a width; each once, however many tests ask."""

    @cache
    def look(page: str, theme: str, width: int) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme="dark" if theme == "dark" else "light",
        )
        record = watched(context)
        record.page.goto(f"{server}/{page}")
        scroll_through(record.page)
        expect(record.page.locator(".from-top .later")).to_have_count(0, timeout=60_000)
        weight = {
            response.url.removeprefix(server): compressed(response)
            for response in record.responses
            if "/_images/" not in response.url and response.ok
        }
        overflow = {}
        for size in (NARROWER[width], width):
            record.page.set_viewport_size({"width": size, "height": 844})
            beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            overflow[size] = record.page.evaluate(beyond)
        violations = axe_finds(record.page)
        context.close()
        return Visit(record.requests, record.complaints, overflow, weight, violations)

    return look


def compressed(response: Response) -> int:
    """The bytes of a response as a server sends them: text with gzip, fonts as they are."""
    body = response.body()
    return len(body) if response.url.endswith(".woff2") else len(gzip.compress(body, 6))
