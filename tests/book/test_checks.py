"""Which cells only check, where their checks stand on a page, and what a page is warned of."""

import re
from pathlib import Path

import nbformat
import nbformat.v4 as nb
import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from booktools.checks import by_hand, folded, in_words, needs, only_checks
from booktools.formulas import alone

ROOT = Path(__file__).parents[2]

# What a cell does, told from its code


@pytest.mark.parametrize(
    "code",
    [
        'verified("eq-a", 1, 1, tol=0)',
        'bptt.verified("eq-a", 1, 1, tol=0)',
        'import numpy as np\nx = np.ones(2)\nverified("eq-a", x, x, tol=0)',
        'def f(x):\n    y = x\n    return y\nverified("eq-a", f(1), 1, tol=0)',
        'for k in range(3):\n    verified("eq-a", k, k, tol=0)',
        'x = []\nfor k in range(3):\n    x.append(k)\nverified("eq-a", x, x, tol=0)',
        'a = [0]\na[0] = 1\nverified("eq-a", a, a, tol=0)',
        'a = {}\na.update(b=1)\nverified("eq-a", a["b"], 1, tol=0)',
        'x = 1\nassert x > 0\nverified("eq-a", x, x, tol=0)',
    ],
)
def test_a_cell_that_only_checks(code):
    assert only_checks(code)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "x = 1",
        "assert 1 == 1",
        'print("x")\nverified("eq-a", 1, 1, tol=0)',
        'verified("eq-a", 1, 1, tol=0)\nx = 1',  # for nothing here
        'import math\nverified("eq-a", 1, 1, tol=0)',
        'x = 1\ny = 2\nverified("eq-a", x, x, tol=0)',
        'verified("eq-a", 1, 1, tol=0)\nplt.plot(x)',
        'x = 1\nverified("eq-a", x, x, tol=0)\nx',
        "verify(1)",
    ],
)
def test_a_cell_that_does_more(code):
    assert not only_checks(code)


def test_names_follow_the_scopes_of_python():
    assert needs("y = x + sum(k for k in z)\ndef f(a):\n    b = y + c\n    return a + b") == (
        {"x", "z", "c", "sum"},
        {"y", "f"},
    )
    assert needs("total += 1") == ({"total"}, {"total"})
    assert needs("for k in range(3):\n    k") == ({"range"}, {"k"})
    assert needs("x = x + 1") == ({"x"}, {"x"})


CHECKS = 'x = {}\nverified("eq-a", x, x, tol=0)'


@pytest.mark.parametrize(
    ("cells", "places"),
    [
        ([CHECKS, "print(1)"], [True, False]),
        ([CHECKS, "print(x)"], [False, False]),  # a cell of the text uses x
        ([CHECKS, "x = 2\nprint(x)"], [True, False]),  # an x of its own
        ([CHECKS, "x = x + 1\nprint(x)"], [False, False]),
        ([CHECKS, 'verified("eq-b", x, x, tol=0)'], [True, True]),  # neither is in the text
        ([CHECKS, 'verified("eq-b", x, x, tol=0)', "print(x)"], [False, True, False]),
    ],
)
def test_names_that_the_text_uses_are_met_in_the_text(cells, places):
    assert folded([(code, None) for code in cells]) == places


def test_the_author_may_decide_otherwise():
    assert folded([(CHECKS, False)]) == [False]
    assert folded([(CHECKS, True), ("print(x)", None)]) == [True, False]


# Numbers


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (2.2e-16, "2.2 × 10⁻¹⁶"),
        (9.96e-16, "1.0 × 10⁻¹⁵"),
        (0.0, "0"),
        (0.25, "0.25"),
        (0.001, "0.001"),
        (-0.5, "−0.5"),
        (-1e-5, "−1.0 × 10⁻⁵"),
        (120.0, "120"),
        (3e12, "3.0 × 10¹²"),
    ],
)
def test_numbers_are_written_as_a_person_does(number, written):
    assert by_hand(number) == written


def test_only_numbers_change_in_what_a_check_says():
    assert in_words(None, "equal as expressions") == "equal as expressions"
    said = in_words("3", "largest relative difference 4.1e-16")
    assert said == "largest relative difference 4.1 × 10⁻¹⁶ (3\N{NO-BREAK SPACE}cases)"


# Where checks stand on a page

TEXT = """\
# A page

$$ a = b $$ (eq-a)

$$ c = d $$ (eq-c)

$$ e := f $$ (def-e)

```{prf:theorem} T
:label: thm-t

So

$$ g = h $$ (eq-g)
```
"""
CONFIG = """\
extensions = ["myst_nb", "sphinx_proof", "booktools.writer", "booktools.mathematics"]
extensions += ["booktools.equations", "booktools.formulas"]
myst_enable_extensions = ["dollarmath"]
myst_dmath_double_inline = False
nb_execution_mode = "off"
exclude_patterns = ["node_modules"]
"""
LIST = "# A list\n\n```{checked-equations} page\n```\n"
FRONT = "# Front\n\n```{toctree}\npage\nlist\n```\n\n```{checked-equations}\n```\n"


def cell(*labels, code="", tags=(), more=()):
    """A cell that has checked these labels, and printed more."""
    calls = [f'verified("{label}", 1, 1, tol=0)' for label in labels]
    lines = [f"{label} checked: largest relative difference 1.5e-16" for label in labels]
    text = "".join(f"{line}\n" for line in [*lines, *more])
    outputs = [nb.new_output("stream", name="stdout", text=text)] if text else []
    source = "\n".join([*filter(None, [code]), *calls])
    return nb.new_code_cell(source, outputs=outputs, metadata={"tags": [*tags]})


GOOD = [cell("eq-a"), cell("eq-c"), cell("thm-t")]


@pytest.fixture
def write(tmp_path):
    """A page of this text and these cells, and the warnings."""

    def write(cells, text=TEXT, listed=LIST):
        notebook = nb.new_notebook(cells=[nb.new_markdown_cell(text), *cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": ""}
        source = tmp_path / "source"
        source.mkdir()
        for name in ("node_modules", "package-lock.json"):
            (source / name).symlink_to(ROOT / name)
        nbformat.write(notebook, source / "page.ipynb")
        (source / "list.md").write_text(listed)
        (source / "index.md").write_text(FRONT)
        (source / "conf.py").write_text(CONFIG)
        return build(tmp_path)

    return write


def build(folder):
    """The three pages, built of their sources, and the warnings."""
    source, target = folder / "source", folder / "target"
    with docutils_namespace(), (folder / "warnings").open("w") as warnings:
        folders = [str(folder) for folder in (source, source, target, target / "trees")]
        Sphinx(*folders, "html", status=None, warning=warnings).build()
    pages = [
        BeautifulSoup((target / f"{name}.html").read_text(), "html.parser")
        for name in ("page", "list", "index")
    ]
    said = re.sub(r"\x1b\[[\d;]*m", "", (folder / "warnings").read_text())
    return *pages, said


def test_a_cell_that_only_checks_unfolds_from_the_line_under_its_equation(write):
    page, _, _, said = write(GOOD)
    assert said == ""
    fold = page.find(id="equation-eq-a").find_next_sibling()
    assert (fold.name, fold["class"]) == ("details", ["check"])
    assert fold.summary.text == "✓ checked: largest relative difference 1.5 × 10⁻¹⁶"
    assert fold.pre.text == 'verified("eq-a", 1, 1, tol=0)\n'
    assert not fold.find_all(["a", "button"])
    assert len(page.find_all("pre")) == 3  # none is left in the text
    assert all(code.find_parent("details") for code in page.find_all("pre"))


def test_an_equation_of_a_theorem_takes_its_check(write):
    page, table, _, said = write(GOOD)
    assert said == ""
    theorem = page.find(id="thm-t")
    assert theorem.find_all("details") == [theorem.find_all(recursive=False)[-1]]
    (listed,) = [box for box in table.find_all(class_="checked-equation") if "g = h" in box.text]
    assert "1.5\xa0×\xa010⁻¹⁶" in listed.p.text


def test_checks_of_a_theorem_and_of_its_equation_share_a_line(write):
    page, _, _, said = write([cell("eq-a", "eq-c"), cell("thm-t", "eq-g")])
    assert said == ""
    (fold,) = page.find(id="thm-t").find_all("details")
    assert fold.summary.text.count("1.5 × 10⁻¹⁶") == 2


def test_a_cell_that_checks_several_equations_stands_at_the_first(write):
    page, _, _, said = write([cell("eq-c", "eq-a"), cell("thm-t")])
    assert said == ""
    fold = page.find(id="equation-eq-a").find_next_sibling()
    assert fold["class"] == ["check"]
    line = page.find(id="equation-eq-c").find_next_sibling()
    assert line.name == "p"
    assert page.find(id=line.a["href"][1:]).find_parent("details") == fold


def test_two_cells_that_check_one_equation_stand_in_one_line(write):
    page, _, _, said = write([cell("eq-a"), cell("eq-a", more=["and more"]), *GOOD[1:]])
    assert said == ""
    fold = page.find(id="equation-eq-a").find_next_sibling()
    assert fold.summary.text.count("1.5 × 10⁻¹⁶") == 2
    other = page.find(id=fold.a["href"][1:])
    assert "and more" in other.text
    assert not other.find_parent("details")


@pytest.mark.parametrize(
    "shown",
    [
        cell("eq-a", more=["and more"]),
        cell("eq-a", tags=["teaches"]),
        cell("eq-a", code="x = 1"),
    ],
    ids=["that shows something", "that teaches", "that does more"],
)
def test_a_cell_stays_in_the_text(write, shown):
    page, _, _, said = write([shown, *GOOD[1:]])
    assert said == ""
    line = page.find(id="equation-eq-a").find_next_sibling()
    assert line.text == "✓ checked: largest relative difference 1.5\xa0×\xa010⁻¹⁶"
    place = page.find(id=line.a["href"][1:])
    assert "eq-a" in place.pre.text
    assert not place.find_parent("details")


def test_the_tag_check_takes_a_cell_out_of_the_text(write):
    page, _, _, said = write([cell("eq-a", code="x = 1", tags=["check"]), *GOOD[1:]])
    assert said == ""
    assert "x = 1" in page.find(id="equation-eq-a").find_next_sibling().pre.text


def test_a_cell_that_prepares_a_check_goes_with_it(write):
    page, _, _, said = write([GOOD[0], cell(code="x = 1", tags=["check"]), *GOOD[1:]])
    assert said == ""
    fold = page.find(id="equation-eq-c").find_next_sibling()
    assert [code.text.split("(")[0] for code in fold.find_all("pre")] == ["x = 1\n", "verified"]
    assert page.find(id="equation-eq-a").find_next_sibling().pre.text.startswith("verified")


@pytest.mark.parametrize(
    ("cells", "warned"),
    [
        (GOOD[1:], "equation eq-a has no check"),
        (GOOD[:2], "theorem thm-t has no check"),
        (GOOD[:2], "equation eq-g has no check"),
        ([*GOOD, cell("eq-z")], "check of eq-z, which is no equation"),
        ([*GOOD, cell(code="x = 1", tags=["check"])], "the tag check, and no check after it"),
        ([*GOOD, cell(code="x = 1", tags=["teaches"])], "checks nothing has the tag"),
        ([*GOOD, cell("eq-a", more=["y"], tags=["check"])], "shows more than its check"),
    ],
)
def test_what_is_missing_is_warned_of(write, cells, warned):
    *_, said = write(cells)
    assert re.search(f"page.ipynb.*{warned}", said)


def test_a_display_without_a_label_is_warned_of(write):
    *_, said = write(GOOD, TEXT + "\n$$ x $$\n")
    assert re.search(r"display without a label:\s+x", said)


# The lists


def test_a_list_has_every_equation_with_its_place_and_what_was_found(write):
    page, table, front, said = write(GOOD)
    assert said == ""
    lines = [box.p for box in table.find_all(class_="checked-equation")]
    places = [line.a["href"].partition("#") for line in lines]
    assert [anchor for _, _, anchor in places] == [
        *("equation-eq-a", "equation-eq-c", "equation-def-e", "thm-t", "equation-eq-g")
    ]
    assert all(page.find(id=anchor) for _, _, anchor in places)
    found = [
        "definition" if "a definition" in line.text else "10⁻¹⁶" in line.text for line in lines
    ]
    assert found == [True, True, "definition", True, True]
    (line,) = [item for item in front.find_all("li") if "of which" in item.text]
    assert line.text.strip() == "A list: 5, of which 4 are checked and the others define"
    assert line.a["href"] == "list.html"


def test_a_list_may_have_a_part(write):
    half = LIST.replace("} page", "} page\n:part: 2/2")
    _, table, _, said = write(GOOD, listed=half)
    assert "lists 2/2 of the equations of this page, needs all, once" in said
    lines = [box.p.a["href"].partition("#")[2] for box in table.find_all(class_="checked-equation")]
    assert lines == ["equation-def-e", "thm-t", "equation-eq-g"]


@pytest.mark.parametrize(
    ("listed", "warned"),
    [
        ("# A list\n\n```{checked-equations} index\n```\n", "index is no page with equations"),
        (
            "# A list\n\n```{checked-equations} index\n```\n",
            "lists none of the equations of this page, needs all",
        ),
        ("# A list\n\n```{checked-equations} pag\n```\n", "pag is no page with equations"),
    ],
)
def test_a_list_that_is_not_complete_is_warned_of(write, listed, warned):
    *_, said = write(GOOD, listed=listed)
    assert warned in said


SHEET = "# A sheet\n\n```{formulas}\neq-c Words and $x$\n\ndef-e\n```\n"


def test_a_sheet_has_the_formulas_of_the_chapters_and_leads_to_them(write):
    page, sheet, _, said = write(GOOD, TEXT.replace("c = d", "c = d ."), SHEET)
    assert said == ""
    entries = sheet.select(".formulas > div")
    assert [one.select(".formula annotation")[0].text for one in entries] == ["c = d", "e := f"]
    assert entries[0].p.span.text.startswith("Words and ")
    assert [one.p.a["href"] for one in entries] == [
        *("page.html#equation-eq-c", "page.html#equation-def-e")
    ]
    assert all(page.find(id=one.p.a["href"].partition("#")[2]) for one in entries)


def test_lists_and_sheets_follow_a_chapter_that_alone_was_written_again(write, tmp_path):
    sheet = f"{LIST}\n{SHEET.replace('# A sheet', '## A sheet')}"
    write(GOOD, listed=sheet)
    page = tmp_path / "source" / "page.ipynb"
    page.write_text(page.read_text().replace("c = d", "c = z"))
    *_, front, said = build(tmp_path)
    assert said == ""
    assert (tmp_path / "target" / "list.html").read_text().count("c = z") == 2
    assert "A list: 5" in front.text


def test_a_formula_that_is_in_no_chapter_is_warned_of(write):
    *_, said = write(GOOD, listed=SHEET.replace("def-e", "def-f"))
    assert "list.md:6: WARNING: no equation def-f in any chapter" in said


@pytest.mark.parametrize(
    ("tex", "shown"),
    [
        ("a = b .", "a = b"),
        ("a, b \\, ,\n", "a, b"),
        ("\\begin{aligned}\na &= b, \\\\\nc ,\n\\end{aligned}", None),
        ("f(0.5)", "f(0.5)"),
    ],
)
def test_a_formula_on_a_sheet_ends_no_sentence(tex, shown):
    shown = shown or "\\begin{aligned}\na &= b, \\\\\nc \\end{aligned}"
    assert alone(tex) == shown
