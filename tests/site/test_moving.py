"""The figures that move: by mouse, by keyboard, by touch; without motion, on paper, on a phone."""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from conftest import watched
from playwright.sync_api import BrowserContext, Locator, Page, expect

Contexts = Callable[..., BrowserContext]
RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
PAGES = {
    "summands": "book/forgotten-rule.html",
    "network": "book/unrolled-network.html",
    "matrix": "book/matrices.html",
    "truncation": "book/truncation.html",
    "reading": "book/reading.html",
    "vanishing": "book/vanishing.html",
    "gates": "book/gates.html",
    "tape": "book/automatic-differentiation.html",
    "scan": "book/linear-recurrences.html",
    "online": "book/learning-online.html",
}


@pytest.fixture
def explorable(context: Contexts, server: str) -> Iterator[Callable[..., Locator]]:
    """Opens the page of an explorable and gives the figure, upgraded; no complaints at the end."""
    records = []

    def open_it(name: str, width: int = 1280, **settings: object) -> Locator:
        record = watched(context(viewport={"width": width, "height": 900}, **settings))
        records.append(record)
        record.page.goto(f"{server}/{PAGES[name]}")
        figure = record.page.locator(f".tag_explorable-{name} figure")
        figure.scroll_into_view_if_needed()
        expect(figure.locator(".ex-words")).not_to_be_empty()
        figure.locator("svg, .ex-text").evaluate(
            "(svg) => svg.scrollIntoView({ block: 'center', behavior: 'instant' })"
        )
        return figure

    yield open_it
    assert [record.complaints for record in records] == [[]] * len(records)


@contextmanager
def held(page: Page, handle: Locator) -> Iterator[tuple[float, float]]:
    """The mouse button, down on the dot of a handle; where that is."""
    box = handle.locator(".ex-dot").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    yield x, y
    page.mouse.up()


def slider(figure: Locator, name: str) -> Locator:
    return figure.get_by_role("slider", name=name)


def set_to(figure: Locator, name: str, value: float) -> None:
    slider(figure, name).evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value
    )


def numbers(figure: Locator) -> list[float]:
    """The last line of factors and its product, as they are shown."""
    shown = figure.locator(".ex-line:not([role]) .ex-part b").all_text_contents()
    plain = [re.sub(r" ?× ?10(?=[⁻⁰¹²³⁴⁵⁶⁷⁸⁹])", "e", text).translate(RAISED) for text in shown]
    return [float(re.sub("[×= ()]", "", text).replace("−", "-")) for text in plain]


def test_summands_by_mouse(explorable: Callable[..., Locator]) -> None:
    figure = explorable("summands")
    page, fourth = figure.page, slider(figure, "Input x 4")
    before = float(str(fourth.get_attribute("aria-valuenow")))
    with held(page, fourth) as (x, y):
        page.mouse.move(x, y - 15, steps=5)
    expect(fourth).to_have_attribute("aria-valuenow", str(before + 1))
    box = figure.locator("svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 110, box["y"] + 100)
    expect(figure.get_by_role("radio", name="lag 5")).to_be_checked()


def test_summands_by_keyboard(explorable: Callable[..., Locator]) -> None:
    figure = explorable("summands")
    page = figure.page
    slider(figure, "Input x 1").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowDown")
    expect(slider(figure, "Input x 1")).to_have_attribute("aria-valuetext", "0.4")
    page.keyboard.press("ArrowRight")
    expect(slider(figure, "Input x 2")).to_be_focused()
    slider(figure, "T steps").press("End")
    expect(slider(figure, "Input x 9")).to_be_visible()
    figure.get_by_role("radio", name="lag 2").focus()
    page.keyboard.press("ArrowRight")
    expect(figure.get_by_role("radio", name="lag 3")).to_be_checked()
    *factors, product = numbers(figure)
    assert len(factors) == 4
    assert math.isclose(math.prod(factors), product, rel_tol=0.02)  # of numbers to three digits
    figure.get_by_role("button", name="Reset").press("Enter")
    expect(slider(figure, "Input x 9")).to_be_hidden()


def test_what_the_reader_finds_in_the_summands(explorable: Callable[..., Locator]) -> None:
    figure = explorable("summands")
    words, button = figure.locator(".ex-words"), figure.get_by_role
    button("button", name="saturate").click()
    expect(words).to_contain_text("saturated")
    button("button", name="grow").click()
    expect(words).to_contain_text("in size 1.4, so the past grows")
    button("button", name="alternate").click()
    expect(words).to_contain_text("the signs alternate")
    button("button", name="h0 = 0").click()
    expect(words).to_contain_text("The summand of lag 7 is zero")
    assert numbers(figure)[-1] == 0
    figure.get_by_text("logarithmic", exact=True).click(force=True)
    expect(figure.locator("svg")).to_contain_text("size of the summands")


def test_network_by_touch(explorable: Callable[..., Locator]) -> None:
    figure = explorable("network", width=390, has_touch=True)
    words, box = figure.locator(".ex-words"), figure.locator("svg").bounding_box()
    assert box is not None

    def tap(column: float, y: float) -> None:
        figure.page.touchscreen.tap(box["x"] + box["width"] * column / 5, box["y"] + y)

    tap(0.5, 125)
    expect(words).to_contain_text("A small change of h0 reaches z4")
    tap(2.5, 25)
    expect(words).to_contain_text("A small change of h0 reaches z2")
    figure.get_by_role("button", name="‹ Back").tap()
    expect(words).to_contain_text("A small change of h1 reaches z2")
    *factors, product = numbers(figure)
    assert math.isclose(math.prod(factors), product, rel_tol=0.02)


def test_network_step_by_step(explorable: Callable[..., Locator]) -> None:
    figure = explorable("network")
    step = slider(figure, "Step")
    step.press("Home")
    said = []
    for _ in range(10):
        said.append(step.get_attribute("aria-valuetext"))
        step.press("ArrowRight")
        figure.page.wait_for_timeout(50)
    forward = ["at h0", *(f"forward to h{t}" for t in range(1, 5))]
    assert said == forward + [f"back to h{t}" for t in range(4, -1, -1)]


def test_eigenvalues_meet_on_the_axis_and_leave_it(explorable: Callable[..., Locator]) -> None:
    figure = explorable("matrix")
    first, second = (slider(figure, f"Eigenvalue {i} of W") for i in (1, 2))
    with held(figure.page, first) as (x, y):
        twin = second.locator(".ex-dot").bounding_box()
        assert twin is not None
        figure.page.mouse.move(x, (y + twin["y"] + twin["height"] / 2) / 2, steps=5)
    expect(figure.get_by_role("radio", name="real")).to_be_checked()
    first.press("Shift+ArrowRight")
    expect(second).to_have_attribute("aria-valuetext", "0.75")
    expect(first).to_have_attribute("aria-valuetext", "1")
    first.press("ArrowUp")
    expect(second).to_have_attribute("aria-valuetext", "1 − 0.15 i")
    direction = slider(figure, "Direction")
    direction.press("ArrowUp")
    expect(direction).to_have_attribute("aria-valuenow", "28")
    set_to(figure, "s non-normality", 2)
    expect(figure.locator(".ex-words")).to_contain_text("Both eigenvalues have size 1.01")


def test_the_window_turns_the_sign(explorable: Callable[..., Locator]) -> None:
    figure = explorable("truncation")
    page, grip, words = figure.page, slider(figure, "Length K"), figure.locator(".ex-words")
    expect(words).to_contain_text("A window of 19 keeps 16.48 ")
    expect(words).to_contain_text("The sign is wrong")
    with held(page, grip) as (x, y):
        page.mouse.move(x + 120, y, steps=5)
    expect(words).to_contain_text("The sign is right")
    slider(figure, "K length").press("Home")
    expect(grip).to_have_attribute("aria-valuenow", "1")
    grip.press("Shift+ArrowRight")
    expect(grip).to_have_attribute("aria-valuetext", "a window of 6")
    figure.get_by_role("button", name="window 41").click()
    expect(words).to_contain_text("A window of 41 keeps")  # the length glides there
    expect(words).to_contain_text("The sign is right from a length of 41 on")
    figure.locator(".ex-choice").get_by_text("segments", exact=True).click(force=True)
    expect(words).to_contain_text("Segments of 41 keep, on average")
    kept, deleted, whole = numbers(figure)
    assert math.isclose(kept + deleted, whole, abs_tol=0.06)
    assert whole == -6


def test_the_text_by_mouse_keyboard_and_touch(explorable: Callable[..., Locator]) -> None:
    figure = explorable("reading", has_touch=True)
    letters, words = figure.locator(".ex-text span"), figure.locator(".ex-words")
    letters.nth(151).hover()
    expect(letters.nth(151)).to_have_class("ex-next")
    slider(figure, "Character").press("ArrowRight")
    expect(letters.nth(152)).to_have_class("ex-next")
    letters.nth(200).tap()
    expect(letters.nth(200)).to_have_class("ex-next")
    figure.get_by_role("button", name="Next ›").press("Enter")
    expect(letters.nth(201)).to_have_class("ex-next")
    figure.get_by_role("button", name="inside a name").click()
    expect(words).to_contain_text("Jo” comes “s”")
    used = letters.evaluate_all(
        "(all) => all.map((one) => one.style.getPropertyValue('--ex-used'))"
    )
    at = letters.evaluate_all("(all) => all.findIndex((one) => one.className)")
    shares = [float(text.removesuffix("%")) for text in used[at - 40 : at]]
    assert max(shares) == 100 > shares[0]
    assert {*used[at + 1 : at + 40]} <= {"", "0%"}
    figure.get_by_text("plain", exact=True).first.click(force=True)
    expect(figure.locator(".ex-reader.ex-chosen .ex-name")).to_contain_text("plain")


def test_four_numbers_disagree(explorable: Callable[..., Locator]) -> None:
    figure = explorable("vanishing")
    words, button = figure.locator(".ex-words"), figure.get_by_role
    button("button", name="eigenvalues 0").click()
    expect(words).to_contain_text("multiplies the gradient by 2: it explodes")
    expect(words).to_contain_text("the largest has size 0.")
    button("button", name="eigenvalue 2").click()
    expect(words).to_contain_text("it vanishes. The eigenvalues of W say otherwise")
    button("button", name="Reset").click()
    column = slider(figure, "Column 1 of W")
    expect(column).to_have_attribute("aria-valuetext", "0.9, 0")
    with held(figure.page, column) as (x, y):
        figure.page.mouse.move(x + 40, y, steps=5)
    expect(words).to_contain_text("it explodes")
    column.press("ArrowUp")
    expect(column).not_to_have_attribute("aria-valuetext", re.compile(r", 0$"))


def test_gates_open_and_close(explorable: Callable[..., Locator]) -> None:
    figure = explorable("gates", has_touch=True)
    words = figure.locator(".ex-words")
    pads = figure.locator(".ex-pad")
    expect(pads).to_have_count(30)
    pads.nth(14).tap()  # the forget gate of step 5
    expect(pads.nth(14)).to_have_attribute("aria-pressed", "false")
    expect(words).to_contain_text("The forget gate of step 5 is closed")
    pads.nth(0).focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowDown"):
        figure.page.keyboard.press(key)
    expect(pads.nth(21)).to_be_focused()
    figure.page.keyboard.press("Enter")
    expect(pads.nth(21)).to_have_attribute("aria-label", "output gate at step 2, 0.98 open")
    figure.get_by_role("button", name="all open").click()
    *parts, whole = numbers(figure)
    assert len(parts) == 5
    assert math.isclose(sum(parts), whole, abs_tol=0.01)


def test_one_summand_survives(explorable: Callable[..., Locator]) -> None:
    figure = explorable("tape")
    words, kept = figure.locator(".ex-words"), figure.locator(".ex-pair.ex-kept")
    expect(kept).to_have_count(28)
    figure.locator(".ex-choice").get_by_text("the h", exact=True).click(force=True)
    expect(words).to_contain_text("the diagonal, lag 0")
    expect(kept).to_have_count(7)
    figure.get_by_role("radio", name="in the loop").press("ArrowRight")
    expect(words).to_contain_text("the row t = 7")
    figure.get_by_role("button", name="the other").click()
    expect(words).to_contain_text("one summand is left: loss 7, use 1")
    expect(kept).to_have_count(1)
    figure.get_by_role("radio", name="0", exact=True).press("Space")
    expect(words).to_contain_text("W never learns")
    slider(figure, "T steps").press("Home")
    expect(words).to_contain_text("loss 2, use 1")


def test_the_tree_grows_and_turns_round(explorable: Callable[..., Locator]) -> None:
    figure = explorable("scan", has_touch=True)
    words = figure.locator(".ex-words")
    figure.get_by_role("button", name="start").tap()
    expect(words).to_contain_text("Nothing is combined yet")
    for _ in range(5):
        figure.get_by_role("button", name="Next").tap()
    expect(words).to_contain_text("5 rounds and 11 combinations")
    figure.get_by_role("radio", name="backward").check()
    expect(words).to_contain_text("every adjoint")
    set_to(figure, "T steps", 3)
    expect(words).to_contain_text("2 rounds and 2 combinations")


def test_a_leak_keeps_a_local_rule_alive(explorable: Callable[..., Locator]) -> None:
    figure = explorable("online")
    words = figure.locator(".ex-words")
    expect(words).to_contain_text("RFLO")
    figure.get_by_role("button", name="plain, S =").click()
    expect(words).to_contain_text("Of lag 0 alone it keeps")
    slider(figure, "leak").press("ArrowLeft")
    expect(words).to_contain_text("a = 0.95")
    expect(words).to_contain_text("RFLO")
    set_to(figure, "leak", 0.3)
    expect(words).to_contain_text("Of the lags 0 to")
    figure.get_by_label("W", exact=True).check()
    expect(words).to_contain_text("Of every lag shown it keeps")
    assert numbers(figure) == [1]


def test_words_come_slowly_and_the_last_ones_stand(explorable: Callable[..., Locator]) -> None:
    figure = explorable("summands")
    changes, seconds = figure.evaluate("""async (figure) => {
        let changes = 0;
        const watch = new MutationObserver(() => changes++);
        watch.observe(figure.querySelector(".ex-words"), { childList: true });
        const input = figure.querySelector("[data-name=w]"), start = performance.now();
        for (let i = 0; i <= 40; i++) {
            input.value = -1 + i * 0.05;
            input.dispatchEvent(new Event("input"));
            await new Promise((done) => setTimeout(done, 30));
        }
        await new Promise((done) => setTimeout(done, 1000));
        return [changes, (performance.now() - start) / 1000];
    }""")
    assert 2 <= changes <= 1 + seconds / 0.7
    total = figure.locator(".ex-line[role] .ex-part b").last.text_content()
    expect(figure.locator(".ex-words")).to_contain_text(f"is {str(total).removeprefix('= ')}.")


def test_who_wants_no_motion_gets_none(explorable: Callable[..., Locator]) -> None:
    figure = explorable("matrix", reduced_motion="reduce")
    seen = figure.evaluate("""async (figure) => {
        const button = [...figure.querySelectorAll("button")].find((b) => b.textContent === "flip");
        const eigenvalue = figure.querySelectorAll("[role=slider]")[1], seen = new Set();
        button.click();
        for (let i = 0; i < 30; i++) {
            await new Promise(requestAnimationFrame);
            seen.add(eigenvalue.getAttribute("aria-valuenow"));
        }
        return [...seen];
    }""")
    assert set(seen) <= {"0.75", "-0.9"}
    assert seen[-1] == "-0.9"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_the_figure_takes_the_place_of_its_picture(
    explorable: Callable[..., Locator], name: str, scheme: str
) -> None:
    figure = explorable(name, color_scheme=scheme)
    expect(figure.locator(".explorable")).to_be_visible()
    expect(figure.locator("img").filter(visible=True)).to_have_count(0)


@pytest.mark.parametrize("name", PAGES)
def test_paper_gets_the_picture(explorable: Callable[..., Locator], name: str) -> None:
    figure = explorable(name)
    figure.page.emulate_media(media="print")
    expect(figure.locator(".explorable")).to_be_hidden()
    expect(figure.locator("img.in-light")).to_be_visible()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [320, 390, 600, 768, 1280])
def test_the_place_is_kept_and_every_target_is_wide_enough(
    context: Contexts, server: str, name: str, width: int
) -> None:
    page = context(viewport={"width": width, "height": 900}).new_page()
    page.goto(f"{server}/{PAGES[name]}")
    figure = page.locator(f".tag_explorable-{name} figure")
    height = figure.evaluate("(figure) => figure.offsetHeight")
    figure.scroll_into_view_if_needed()
    expect(figure.locator(".ex-words")).not_to_be_empty()
    assert figure.evaluate("(figure) => figure.offsetHeight") == height
    if name == "summands":
        set_to(figure, "T steps", 9)  # as close as its points can be
        expect(slider(figure, "Input x 9")).to_be_visible()
    small = figure.evaluate("""(figure) =>
        [...figure.querySelectorAll("button, input[type=range], label:has(input), [role=slider]")]
            .map((target) => [target.outerHTML, target.getBoundingClientRect()])
            .filter(([, { width, height }]) => width && Math.min(width, height) < 24)""")
    assert small == []
