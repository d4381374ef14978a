"""Cells that run in the page: all of them, in a browser, against what the build has printed.

They need a site of ``make live``. What a page asks for before the press, what it says when
something goes wrong, and that it works again after.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from conftest import ROOT, RULES, Files, Watched, watched
from playwright.sync_api import BrowserContext, expect

Contexts = Callable[..., BrowserContext]
LONG = 300_000  # milliseconds: a whole chapter on a busy machine
SHORT = 60_000
# Cells that do not run in a browser: what they say there, and why.
NOT_HERE = {("book/how-checked.html", "PackageNotFoundError"): "it lists what the build has"}
# What two machines may print differently: measured times, versions, the machine.
OWN = {
    "book/how-checked.html": "versions and the machine",
    "book/many-ways.html": "times",
    "book/checking.html": "errors of differences, which are rounding",
    "book/memory.html": "rounding, in units of the last digit",
    "book/your-framework.html": "differences of two right gradients",
    "book/second-derivatives.html": "errors of the complex step, which are rounding",
    "book/errata.html": "a sum of large parts that is 0 up to rounding",
}
# Runs of chaotic networks part on two machines: how far their numbers may differ, relatively.
CHAOTIC = {"Factor per step: ": 0.02, "With more steps ": 0.5}
DATA = re.compile("<[^<>]+>")  # what a page shows as a figure that moves, a notebook names
NUMBER = re.compile(r"[-−]?\d[\d,]*\.?\d*(?:e[-+]\d+| × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")
DIGITS = str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789", ",")
ROUNDING = 1e-12  # differences of two right results are below, and their digits chance
OUTPUTS = """() => [...document.querySelectorAll(".cell[data-cell]")].map((cell) => {
    const text = (box) => {
        const copy = box?.cloneNode(true);
        const apart = ".heard, .headerlink, .caption-number, annotation, .copy, figcaption";
        for (const part of copy?.querySelectorAll(apart) ?? []) part.remove();
        return copy?.textContent.replace(/\\s+/g, " ").trim() ?? "";
    };
    const built = cell.querySelector(":scope > .cell_output:not(.live-output)");
    const live = cell.querySelector(":scope > .live-output");
    const figures = (box) => [...box?.querySelectorAll("img.in-light") ?? []];
    return { number: cell.dataset.cell, built: text(built), live: text(live),
        error: live?.querySelector(".error")?.textContent,
        figures: [figures(built).length, figures(live).length],
        blank: figures(live).some((image) => !image.naturalWidth || image.src.length < 3000) };
})"""


@pytest.fixture(autouse=True)
def _live(site: Path) -> None:
    if not (site / "_live" / "index.json").is_file():
        pytest.skip("this site was built without live cells: make live")


class Reader:
    """Someone at a page with live cells."""

    def __init__(self, record: Watched) -> None:
        self.record, self.page = record, record.page
        self.status = self.page.locator(".live-panel [role=status]")

    def cell(self, text: str) -> Any:
        return self.page.locator(
            ".cell[data-cell]", has=self.page.locator(".cell_input", has_text=text)
        ).first

    def press(self, name: str, text: str) -> None:
        """Press a button of the cell whose code has this text; also one that is folded away."""
        cell = self.cell(text)
        cell.evaluate("""(cell) => {
            for (const fold of [cell.closest("details"), ...cell.querySelectorAll("details")])
                if (fold) fold.open = true;
        }""")
        cell.get_by_role("button", name=name, exact=True).click()

    def run(self, text: str) -> None:
        self.press("Run", text)
        self.rest()

    def rest(self, timeout: float = SHORT) -> None:
        """Wait until Python has nothing to do."""
        expect(self.status).to_contain_text(
            re.compile("Done|stopped|ended|Stopped"), timeout=timeout
        )
        expect(self.page.locator(".live-panel.busy")).to_have_count(0, timeout=timeout)

    def write(self, text: str, code: str) -> Any:
        """Replace the code of a cell by typing."""
        cell = self.cell(text)
        self.press("Edit", text)
        area = cell.get_by_role("textbox")
        expect(area).to_be_focused()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(code)
        return cell


@pytest.fixture
def read(context: Contexts, server: str) -> Iterator[Callable[..., Reader]]:
    """Opens a page; what the browser complains of at the end fails the test, unless it is meant."""
    records = []

    def open_it(page: str, meant: str = "$^", **settings: Any) -> Reader:
        record = watched(context(**{"service_workers": "block"} | settings))
        records.append((record, meant))
        record.page.goto(f"{server}/{page}")
        record.page.wait_for_selector(".live button", state="attached")
        return Reader(record)

    yield open_it
    for record, meant in records:
        assert [one for one in record.complaints if not re.search(meant, one)] == []


def same(built: str, live: str) -> bool:
    """Whether two outputs have the same words, and the same numbers to 1e-9."""
    near = max((CHAOTIC[begin] for begin in CHAOTIC if built.startswith(begin)), default=1e-9)

    def value(text: str) -> float:
        return float(text.replace(" × 10", "e").translate(DIGITS))

    if not built and DATA.fullmatch(live):
        return True
    pairs = zip(NUMBER.findall(built), NUMBER.findall(live), strict=False)
    return NUMBER.sub("#", built) == NUMBER.sub("#", live) and all(
        abs(value(a) - value(b)) <= max(near * abs(value(a)), ROUNDING) for a, b in pairs
    )


def test_every_cell_runs_as_it_did_in_the_build(
    read: Callable[..., Reader], site: Path, page: str
) -> None:
    if not (site / "_live/cells" / page).with_suffix(".json").is_file():
        pytest.skip("a page without code")
    reader = read(page)
    reader.page.locator(".live button").first.evaluate("(button) => button.click()")
    expect(reader.page.locator(".live-panel")).to_be_visible(timeout=SHORT)
    reader.page.locator("[data-do=all]").evaluate("(button) => button.click()")
    reader.page.wait_for_timeout(500)
    reader.rest(LONG)
    differ = []
    for one in reader.page.evaluate(OUTPUTS):
        figures = one["blank"] or len({*one["figures"]}) > 1
        if one["error"]:
            wrong = not any(page == where and what in one["error"] for where, what in NOT_HERE)
        else:
            wrong = page not in OWN and (figures or not same(one["built"], one["live"]))
        differ += [one] * wrong
    assert differ == []
    assert reader.page.locator(".fails").count() == 0


def test_before_the_press_a_script_and_a_style(read: Callable[..., Reader], site: Path) -> None:
    reader = read("book/gates.html")
    asked = [name for name in reader.record.requests if "/_live/" in name or "live." in name]
    files = [site / "_static" / name.rpartition("/")[2] for name in asked]
    assert {file.suffix for file in files} == {".js", ".css"}
    assert len(files) == 2
    assert sum(file.stat().st_size for file in files) <= 4096


def test_an_edit_that_breaks_an_equation_turns_its_check(read: Callable[..., Reader]) -> None:
    reader = read("book/forgotten-rule.html")
    code = reader.page.evaluate(
        "fetch('../_live/cells/book/forgotten-rule.json').then((a) => a.json())"
    )
    source = next(
        cell["source"]
        for cell in code
        if "eq-for-horner" in cell["source"] or 'verified("eq-for-line-8' in cell["source"]
    )
    label = re.search(r'verified\(\s*"([^"]+)"', source)[1]  # type: ignore[index]
    mark = reader.page.locator(f"[data-check='{label}']").first
    before = mark.text_content()
    wrong = f'{source}\nverified("{label}", 1.0, 2.0, tol=1e-12)'
    cell = reader.write(source.splitlines()[0], wrong)
    reader.page.keyboard.press("Control+Enter")
    reader.rest(LONG)
    line = reader.page.locator("summary, p.checked", has=mark)
    expect(line).to_contain_text("✗")
    expect(line).to_contain_text("left is 1, right is 2")
    cell.get_by_role("button", name="Reset").click()
    expect(line).to_contain_text("✓ checked: ")
    expect(mark).to_have_text(str(before))
    reader.run(source.splitlines()[0])
    expect(line).to_contain_text("✓ checked here: ")


def test_an_output_comes_where_the_reader_is_and_reset_takes_it_away(
    read: Callable[..., Reader],
) -> None:
    reader = read("book/index.html")
    cell = reader.write("def network", "print('mine')")
    reader.page.keyboard.press("Shift+Enter")
    reader.rest()
    expect(cell.get_by_role("textbox")).to_be_focused()
    expect(cell.locator(".live-output")).to_contain_text("mine")
    cell.get_by_role("button", name="Reset").click()
    expect(cell.locator(".live-output")).to_have_count(0)


SAID = {
    "while True: pass": None,
    "bytearray(2**31 - 1)": "MemoryError",
    "x = (": "SyntaxError",
    "import nowhere": "nowhere",
    "1 / 0": "ZeroDivisionError",
}


@pytest.mark.parametrize("code", SAID)
def test_what_goes_wrong_is_said_and_run_works_again(
    read: Callable[..., Reader], code: str
) -> None:
    reader = read("book/index.html")
    text = "def network"
    cell = reader.write(text, code)
    reader.page.keyboard.press("Control+Enter")
    if SAID[code] is None:
        expect(reader.status).to_contain_text("Running cell 2", timeout=SHORT)
        reader.page.get_by_role("button", name="Stop").click()
        expect(reader.status).to_contain_text("Stopped")
    else:
        reader.rest()
        expect(cell.locator(".error")).to_contain_text(SAID[code])
    cell.get_by_role("button", name="Reset").click()
    reader.run(text)
    expect(reader.status).to_contain_text("Done")


def test_presses_wait_for_each_other(read: Callable[..., Reader]) -> None:
    """Twice at once, and while Python starts."""
    reader = read("book/index.html")
    for text in ("def network", "def by_state", "def network"):
        reader.press("Run", text)
    reader.rest()
    expect(reader.status).to_contain_text("Done: cell 2 of")
    expect(reader.page.locator(".error")).to_have_count(0)


@pytest.mark.parametrize(
    ("file", "answer"),
    [
        ("numpy-*.whl", {"body": b"PK not numpy"}),
        ("numpy-*.whl", {"status": 404, "body": ""}),
        ("book-*.zip", {"body": b"PK not the book"}),
        ("pyodide.asm.wasm", {"body": b"\0asm"}),
        ("worker-*.js", {"status": 404, "body": ""}),
    ],
)
def test_a_file_that_is_not_whole_is_refused_by_name(
    read: Callable[..., Reader], file: str, answer: dict[str, Any]
) -> None:
    # Pyodide that is refused a file while its core is still coming complains of its own stack.
    meant = "integrity|404|Failed to|digest|wasm|Worker|_emscripten_stack"
    reader = read("book/index.html", meant=meant)
    place = f"**/_live/**/{file}" if "/" not in file else file
    reader.page.context.route(place, lambda route: route.fulfill(**answer))
    reader.run("def network")
    expect(reader.status).to_contain_text(file.partition("-")[0].partition("*")[0])
    reader.page.context.unroute(place)
    reader.run("def network")
    expect(reader.status).to_contain_text("Done")


def test_the_second_visit_needs_no_network(read: Callable[..., Reader]) -> None:
    reader = read("book/index.html", meant="ERR_INTERNET_DISCONNECTED", service_workers="allow")
    reader.run("def network")
    reader.page.context.set_offline(True)
    reader.page.reload()
    reader.page.wait_for_selector(".live button", state="attached")
    reader.run("def network")
    expect(reader.status).to_contain_text("Done")
    remove = reader.page.get_by_role("button", name="Remove the")
    expect(remove).to_contain_text(re.compile(r"Remove the \d+\.\d MB"))
    remove.click()
    expect(reader.status).to_contain_text("Removed")
    assert reader.page.evaluate("caches.keys()") == []


def test_a_folder_opened_as_files_says_how_to_serve_it(context: Contexts, site: Path) -> None:
    page = context().new_page()
    page.goto((site / "book/index.html").as_uri())
    page.locator(".live button:visible").first.click()
    expect(page.get_by_role("alert")).to_contain_text("python -m http.server")


def test_a_host_may_send_the_policy_as_a_header(context: Contexts, site: Path) -> None:
    class Strict(Files):
        def end_headers(self) -> None:
            policy = (
                "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; "
            )
            self.send_header(
                "Content-Security-Policy",
                policy + "style-src 'self' 'unsafe-inline'; font-src 'self' data:",
            )
            super().end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Strict, directory=site)) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        record = watched(context(service_workers="block"))
        record.page.goto(f"http://127.0.0.1:{http.server_port}/book/index.html")
        reader = Reader(record)
        reader.run("def network")
        expect(reader.status).to_contain_text("Done")
        http.shutdown()
    assert record.complaints == []


def test_an_edit_stays_for_the_next_visit_until_reset(read: Callable[..., Reader]) -> None:
    reader = read("book/index.html")
    reader.write("def network", "runs = 'mine'")
    reader.page.reload()
    reader.page.wait_for_selector(".live button", state="attached")
    cell = reader.cell("runs = 'mine'")
    expect(cell).to_have_class(re.compile("edited"))
    reader.run("runs = 'mine'")
    cell.get_by_role("button", name="Reset").click()
    reader.page.reload()
    expect(reader.cell("def network")).to_have_count(1)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_live_cells_obey_the_rules_of_accessibility(
    read: Callable[..., Reader], theme: str, width: int
) -> None:
    reader = read("book/index.html", viewport={"width": width, "height": 844}, color_scheme=theme)
    reader.write("def network", "x = [1, 2]\nx")
    reader.page.keyboard.press("Control+Enter")
    reader.rest()
    reader.page.keyboard.press("Tab")  # leaves the editor
    focused = reader.page.evaluate("document.activeElement.textContent")
    assert focused in ("Run", "Edit", "Reset", "Copy")
    reader.page.evaluate((ROOT / "node_modules/axe-core/axe.min.js").read_text())
    options = {"runOnly": RULES, "resultTypes": ["violations"]}
    found = reader.page.evaluate("(options) => axe.run(document, options)", options)
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []


def test_the_panel_says_how_far_python_is(read: Callable[..., Reader]) -> None:
    """A bar that is neither empty nor full, a size that stays, and a word at the cell."""
    reader = read("book/index.html", viewport={"width": 390, "height": 844})
    reader.page.evaluate("""() => {
        window.seen = [];
        const look = () => {
            const panel = document.querySelector(".live-panel:not([hidden])");
            const bar = panel?.querySelector("progress:not([hidden])");
            const word = document.querySelector("[data-now]")?.dataset.now;
            const loads = panel?.textContent.includes("Loading");
            if (bar) seen.push([bar.position, panel.offsetWidth, panel.offsetHeight, loads, word]);
        };
        const all = { subtree: true, childList: true, attributes: true };
        new MutationObserver(look).observe(document.body, all);
    }""")
    reader.run("def network")
    seen = reader.page.evaluate("seen")
    loading = [position for position, *_, loads, _ in seen if loads and position >= 0]
    assert any(0.1 < position < 0.9 for position in loading)
    assert {(width, round(height)) for _, width, height, *_ in seen} == {(390, round(seen[0][2]))}
    assert {"Waiting", "Running"} <= {word for *_, word in seen}
    expect(reader.page.locator("[data-now]")).to_have_count(0)


BYTES = {"def network": 9e6, "plt.subplots": 16e6, "sympy": 22e6}


def test_only_what_a_cell_needs_is_loaded(read: Callable[..., Reader]) -> None:
    """NumPy first; Matplotlib when a figure is drawn, SymPy when an expression is."""
    reader = read("book/forgotten-rule.html")
    sizes = json.loads(reader.page.evaluate("fetch('../_live/index.json').then((a) => a.text())"))[
        "sizes"
    ]
    first = reader.page.evaluate(
        "document.querySelector('.cell[data-cell] .cell_input').textContent"
    )
    reader.run(first.strip().splitlines()[0])
    names = [url.rpartition("/")[2] for url in reader.record.requests if "/_live/" in url]
    assert any(name.startswith("numpy") for name in names)
    assert not any(name.startswith(("matplotlib", "pillow")) for name in names)
    assert sizes
