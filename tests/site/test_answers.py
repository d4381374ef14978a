"""Exercises that are answered in the page: a wrong answer, its hint, the right one."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, RULES, Watched, watched
from playwright.sync_api import BrowserContext, Locator, expect

Contexts = Callable[..., BrowserContext]
SHORT = 60_000  # milliseconds, in which Python starts on a busy machine
CHAPTER = "forgotten-rule"
LABEL = "ex-for-hand"


@pytest.fixture(autouse=True)
def _live(site: Path) -> None:
    if not (site / "_live" / "index.json").is_file():
        pytest.skip("this site was built without live cells: make live")


@pytest.fixture
def record(context: Contexts, server: str) -> Watched:
    record = watched(context(service_workers="block"))
    record.page.goto(f"{server}/book/{CHAPTER}.html")
    return record


@pytest.fixture
def exercise() -> dict[str, Any]:
    file = ROOT / "book" / "exercises" / f"{CHAPTER}.toml"
    found: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))[LABEL]
    return found


def box_of(record: Watched) -> Locator:
    return record.page.locator(f"[data-exercise='{LABEL}']")


def write(record: Watched, code: str) -> None:
    """Into the editor, by the keyboard, as a reader does."""
    box = box_of(record)
    box.get_by_role("textbox").focus()
    expect(box.locator(".cm-content")).to_be_focused(timeout=SHORT)
    record.page.keyboard.press("ControlOrMeta+a")
    record.page.keyboard.insert_text(code)


def test_a_wrong_answer_has_its_hint_and_the_right_one_passes(
    record: Watched, exercise: dict[str, Any]
) -> None:
    box = box_of(record)
    status = box.get_by_role("status")
    for wrong in exercise["wrong"][:2]:
        write(record, wrong["code"])
        box.get_by_role("button", name="Check").click()
        expect(status).to_contain_text(wrong["hint"].replace("`", ""), timeout=SHORT)
        expect(status).to_contain_text("needs")
    write(record, "import numpy as np\n\ngradient = 1 / 0")
    record.page.keyboard.press("Control+Enter")
    expect(status).to_contain_text("Line 3: ZeroDivisionError", timeout=SHORT)
    write(record, exercise["right"])
    record.page.keyboard.press("Control+Enter")
    expect(status).to_contain_text("✓ Right: all 3 values agree.", timeout=SHORT)
    expect(record.page.locator(".live-panel")).to_be_hidden()
    record.page.keyboard.press("Tab")  # leaves the editor
    expect(box.get_by_role("button", name="Check")).to_be_focused()
    solution = record.page.locator("details.solution", has_text="A hand gradient")
    expect(solution).not_to_have_attribute("open", "")
    assert record.complaints == []


def test_an_answer_stays_for_the_next_visit_until_reset(
    record: Watched, exercise: dict[str, Any]
) -> None:
    write(record, "mine = 1")
    record.page.reload()
    text = box_of(record).locator("textarea")
    expect(text).to_have_value("mine = 1")
    box_of(record).get_by_role("button", name="Reset").click()
    expect(text).to_have_value(exercise["stub"].strip("\n"))
    record.page.reload()
    expect(text).to_have_value(exercise["stub"].strip("\n"))


def test_an_answer_that_never_ends_is_stopped(record: Watched, exercise: dict[str, Any]) -> None:
    box, panel = box_of(record), record.page.locator(".live-panel")
    write(record, "while True: pass")
    record.page.keyboard.press("Control+Enter")
    expect(panel).to_contain_text("Checking the answer", timeout=SHORT)
    panel.get_by_role("button", name="Stop").click()
    expect(panel).to_contain_text("Stopped")
    write(record, exercise["right"])
    record.page.keyboard.press("Control+Enter")
    expect(box.get_by_role("status")).to_contain_text("✓ Right", timeout=SHORT)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_box_with_its_verdict_obeys_the_rules_of_accessibility(
    context: Contexts, server: str, exercise: dict[str, Any], theme: str, width: int
) -> None:
    size = {"width": width, "height": 844}
    record = watched(context(service_workers="block", viewport=size, color_scheme=theme))
    page = record.page
    page.goto(f"{server}/book/{CHAPTER}.html")
    write(record, exercise["wrong"][0]["code"])
    page.keyboard.press("Control+Enter")
    expect(box_of(record).get_by_role("status")).to_contain_text("Hint", timeout=SHORT)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate((ROOT / "node_modules/axe-core/axe.min.js").read_text())
    options = {"runOnly": RULES, "resultTypes": ["violations"]}
    found = page.evaluate("(options) => axe.run('.exercise', options)", options)
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []


def test_without_scripts_only_the_statement_stands(context: Contexts, server: str) -> None:
    page = context(java_script_enabled=False).new_page()
    page.goto(f"{server}/book/{CHAPTER}.html")
    expect(page.locator(".answer").first).to_be_hidden()


def test_each_exercise_has_its_box_and_what_it_is_judged_by(site: Path) -> None:
    for file in sorted((ROOT / "book" / "exercises").glob("*.toml")):
        labels = {*tomllib.loads(file.read_text(encoding="utf-8"))}
        html = (site / "book" / f"{file.stem}.html").read_text(encoding="utf-8")
        served = json.loads((site / f"_live/exercises/book/{file.stem}.json").read_bytes())
        assert labels == {*served}
        assert all(f'<div class="answer" data-exercise="{label}">' in html for label in labels)
