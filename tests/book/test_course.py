"""What a course is given from: sheets, slides, figures; their notebooks are in test_gaps.py."""

import re
from pathlib import Path

import pytest
from sphinx_external_toc.parsing import parse_toc_yaml

from booktools import course, pdf
from booktools.exercises import read

ROOT = Path(__file__).parents[2]
SLIDES = sorted((ROOT / "teaching" / "slides").glob("*.md"))
PAGE = """<html><body><article><section id="a"><h1>14. Gates</h1>
<div class="exercise admonition" id="ex-one"><p class="admonition-title">Exercise 14.1</p>
<p>Asked. See <a href="other.html#eq">(3.1)</a>.</p>
<div class="answer"><p>Define <code>f(x)</code>.</p><textarea>def f</textarea>
<p><button>Check</button></p><div role="status"></div></div></div>
<details class="solution"><summary>Solution to Exercise 14.1</summary><p>Told.</p></details>
<figure id="fig-one"><img alt="A." class="in-light" src="../_images/one.svg" width="3" height="3">
<img class="in-dark" src="../_images/dark.svg"><figcaption><p><span class="caption-number">Fig. 14.1
</span><span class="caption-text">It <b>grows</b>.<a class="headerlink" href="#">#</a></span></p>
</figcaption></figure>
<div class="math" id="equation-eq-one"><span>x = 1</span><a class="headerlink">#</a></div>
</section></article></body></html>"""


@pytest.fixture
def html(tmp_path: Path) -> Path:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "gates.html").write_text(PAGE, encoding="utf-8")
    return tmp_path


def test_a_sheet_has_what_is_asked_and_a_solution_only_where_it_is_wanted(html: Path) -> None:
    level_of = {"14.1": "drill, 10 minutes"}
    plain = course.sheet(html, "book/gates", level_of, solved=False).html
    assert "Exercise 14.1: drill, 10 minutes" in plain
    assert "Asked. See (3.1)." in plain
    assert "Define <code>f(x)</code>." in plain
    assert not re.search("textarea|button|status|Told|Solution", plain)
    solved = course.sheet(html, "book/gates", level_of, solved=True).html
    assert plain.split("</h1>")[1].removesuffix("</article>") in solved.replace("\n\n", "\n")
    assert "Told." in solved


def test_each_exercise_of_the_book_has_a_level_and_minutes_and_no_other_is_named() -> None:
    found = course.levels((ROOT / "book" / "teaching.md").read_text(encoding="utf-8"))
    assert {level.split(",")[0] for level in found.values()} == {"drill", "derivation", "project"}
    chapters = [name for name in parse_toc_yaml(ROOT / "_toc.yml") if read(ROOT / f"{name}.md")]
    numbers = [
        f"{chapter}.{k}"
        for chapter, name in enumerate(chapters, start=1)
        for k, _ in enumerate(read(ROOT / f"{name}.md"), start=1)
    ]
    assert sorted(found) == sorted(numbers)


def test_a_figure_has_its_number_and_its_caption(html: Path) -> None:
    (figure,) = course.figures(pdf.read(html, "book/gates"))
    assert figure == ("fig-one", html / "_images" / "one.svg", "Fig. 14.1", "It grows.")


def test_slides_show_equations_and_figures_by_label(html: Path, tmp_path: Path) -> None:
    shown = course.shown(pdf.read(html, "book/gates"))
    source = tmp_path / "talk.md"
    source.write_text("# Talk\n\n---\n\n## Two\n\n@eq-one\n\n@fig-one\n\n- So $x$.\n")
    one, two = course.slides(source, shown, {}, "The book")
    assert "<h1>Talk</h1>" in one
    assert "x = 1" in two
    assert (html / "_images" / "one.svg").as_uri() in two
    assert not re.search("headerlink|dark|id=|figcaption|@", two)
    assert 'class="katex"' in two
    assert "<span>2</span>" in two


@pytest.mark.parametrize("line", ["@eq-two", "$\\nothing{$"])
def test_what_a_slide_cannot_show_is_named(line: str, html: Path, tmp_path: Path) -> None:
    (tmp_path / "talk.md").write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"eq-two, needs the label|nothing"):
        course.slides(tmp_path / "talk.md", {}, {}, "")


@pytest.mark.parametrize("source", SLIDES, ids=lambda source: source.stem)
def test_labels_on_slides_are_those_of_the_book_and_exercises_exist(source: Path) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")]
    labels = {label for text in pages for label in re.findall(r"\((eq-\S+|def-\S+)\)$", text, re.M)}
    labels |= {label for text in pages for label in re.findall(r"name: (fig-\S+)", text)}
    text = source.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert {*re.findall(r"^@(\S+)$", text, re.MULTILINE)} <= labels


def test_there_are_slides_for_two_lectures_and_a_seminar_of_six() -> None:
    names = [f"lecture-{k}" for k in (1, 2)] + [f"seminar-{k}" for k in range(1, 7)]
    assert [source.stem for source in SLIDES] == names
