"""What the translator writes: tables, citations, folds, code and formulas, on one small page."""

import re

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from booktools import mathematics, writer

PAGE = """\
# A page

|   | a | {math}`h_0` |
|---|---|-------------|
| 1 | 2 | 3           |

```{prf:proof}
By {cite}`ONE`.
```

```{prf:theorem} A
:label: thm-a

A. See {cite}`TWO`.
```

```{exercise} How
:label: ex-one

How?
```

```{solution-start} ex-one
:class: dropdown
```

Thus.

```{solution-end}
```

```{admonition} Kept shut
:class: dropdown

Inside.
```

```{note}
Open: 3.1 × 10⁻⁹ of 12 % in `4 × 10⁵`, 2 × 3 cells.
```

```{code-cell} ipython3
:tags: [hide-input]

x = (1, 2)
```

```python
import a.b

this_line_is_longer_than_a_narrow_screen = None
```

```{table}
:class: cards

| What | So |
|---|---|
| one | two |
```

```{bibliography}
```
"""
HEAD = """\
---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

"""
CONFIG = """\
extensions = ["myst_nb", "sphinx_proof", "sphinx_exercise", "sphinxcontrib.bibtex"]
extensions += ["booktools.writer"]
bibtex_bibfiles = ["all.bib"]
nb_execution_mode = "off"
nb_code_prompt_show = "Code"
"""
SOURCE = "@misc{%s, author={A}, title={B}, year=2000}\n"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page, as it is written."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    (source / "index.md").write_text(HEAD + PAGE)
    (source / "conf.py").write_text(CONFIG)
    (source / "all.bib").write_text(SOURCE % "ONE" + SOURCE % "TWO")
    with docutils_namespace():
        folders = [str(folder) for folder in (source, source, target, target / "trees")]
        Sphinx(*folders, "html", status=None, warningiserror=True).build()
    return BeautifulSoup((target / "index.html").read_text(), "html.parser")


def test_a_heading_that_is_a_formula_has_a_name_for_who_listens(page):
    heads = page.thead.find_all("th")
    assert heads[1].find(class_="heard").text == "h_0"
    assert heads[1].p["aria-hidden"] == "true"
    assert not heads[0].find(class_="heard")


def test_an_empty_cell_is_no_heading(page):
    table = page.table
    assert [(cell.name, cell.text) for cell in table.thead.find_all(["td", "th"])][:2] == [
        ("td", ""),
        ("th", "a"),
    ]
    assert [cell.text for cell in table.tbody.find_all("td")] == ["1", "2", "3"]


def test_a_table_can_be_scrolled_by_keyboard(page):
    box = page.table.parent
    assert (box["tabindex"], box["role"], box["aria-label"]) == ("0", "group", "table")
    assert [part.name for part in box.find_all(recursive=False)] == ["table"]


def test_a_cell_of_a_card_says_what_column_it_is_of(page):
    cards = page.find("table", class_="cards")
    assert [cell["data-label"] for cell in cards.tbody.find_all("td")] == ["What", "So"]
    assert not any(cell.has_attr("data-label") for cell in page.table.find_all("td"))


def test_sources_are_items_of_their_list(page):
    (sources,) = page.find_all(role="list")
    assert [source["role"] for source in sources.find_all(recursive=False)] == ["listitem"] * 2
    assert not page.find_all(role="doc-biblioentry")


def test_no_identifier_occurs_twice(page):
    names = [part["id"] for part in page.find_all(id=True)]
    assert {"thm-a", "ex-one"} <= {*names}
    assert not {*names} & writer.REPEATED
    assert len(names) == len({*names})


def test_folds_are_those_of_the_browser_and_say_what_is_in_them(page):
    folds = page.find_all("details")
    assert [fold.summary.text.strip() for fold in folds] == [
        "Solution to Exercise 1 (How)",
        "Kept shut",
        "Code",
    ]
    for fold, inside in zip(folds, ("Thus.", "Inside.", "x = (1, 2)"), strict=True):
        assert fold.summary == fold.find(recursive=False)
        assert not fold.summary.find_all()  # no link or button inside the button
        assert inside in fold.text
        assert not fold.has_attr("open")
    assert page.find(class_="note").name == "div"


def test_a_number_is_not_broken_from_its_power_or_its_unit(page):
    said = page.find(class_="note").find_all("p")[-1]
    assert said.text == "Open: 3.1\xa0×\xa010⁻⁹ of 12\xa0% in 4 × 10⁵, 2 × 3 cells."


def test_code_has_elements_for_what_has_a_colour_alone(page):
    short, long = page.find_all("pre")
    assert "".join(map(str, short.contents)) == (
        'x <span class="o">=</span> (<span class="mi">1</span>, <span class="mi">2</span>)\n'
    )
    assert long.text.startswith("import a.b\n\nthis_line")
    assert {name for span in long.find_all("span") for name in span["class"]} == {"kn", "o", "kc"}


def test_long_lines_can_be_scrolled_by_keyboard(page):
    short, long = page.find_all("pre")
    assert short.attrs == {}
    assert long.attrs == {"tabindex": "0", "role": "group", "aria-label": "code"}


# Formulas


@pytest.mark.parametrize(
    ("tex", "width"),
    [
        (r"\text{aaaa}", 2.0),  # the letter a is half an em wide
        (r"\text{aa}\quad\text{aa}", 3.0),  # beside each other, and a space of one em
        (r"\begin{gathered}\text{aaaa}\\\text{aa}\end{gathered}", 2.0),  # the wider row
        (r"\scriptstyle\text{aaaa}", 1.4),  # in a smaller size
        (r"\rule{3em}{1em}", 3.0),
    ],
)
def test_the_width_of_a_display_is_known(tex, width):
    assert mathematics.typeset(tex, True, "{}")["width"] == pytest.approx(width, abs=0.02)


def test_heights_are_those_that_browsers_are_told():
    box = mathematics.typeset(r"\sum_{k=1}^T \frac{a}{b} = c", True, "{}")
    struts = re.findall(r'strut" style="height:([\d.]+)em;vertical-align:-([\d.]+)em', box["html"])
    assert struts
    assert box["depth"] == pytest.approx(max(float(depth) for _, depth in struts), abs=1e-3)
    heights = [float(height) - float(depth) for height, depth in struts]
    assert box["height"] == pytest.approx(max(heights), abs=1e-3)


def test_a_table_of_one_column_has_no_empty_attribute():
    html = mathematics.typeset(r"\begin{matrix} a \\ b \end{matrix}", True, "{}")["html"]
    assert "<mtable" in html
    assert 'columnspacing=""' not in html
