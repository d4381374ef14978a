"""Results as tables: what a page, JupyterLab and a terminal get of them."""

import numpy as np
import pytest

from booktools.tables import Table, percent, spread, written


@pytest.mark.parametrize(
    ("x", "digits", "text"),
    [
        (9.96e-7, 2, "1.0 × 10⁻⁶"),  # rounding that reaches the next power
        (0.0012, 2, "0.0012"),
        (999_999.7, 3, "1.00 × 10⁶"),
        (-3.2e-17, 1, "−3 × 10⁻¹⁷"),
        (-0.5, 1, "−0.5"),
        (0.9996, 3, "1.00"),
        (np.float32(0.1), 2, "0.10"),
        (np.int64(-1200), 2, "−1,200"),
        (np.True_, 2, "yes"),
        ("1e-3", 2, "1e-3"),
        (None, 2, "None"),
    ],
)
def test_a_value_is_written_as_in_prose(x, digits, text):
    assert written(x, digits) == text


def test_shares_and_spreads():
    assert percent(1.5) == "150 %"
    assert percent(-0.0313, 1) == "−3 %"
    assert spread([0.5, 0.001, 0.25], percent) == "25 % (0.10 % to 50 %)"


COLUMNS = {"cell": ["ELMAN", "LSTM"], "rate": ["0.9 (0.8 to 1)", "<0.5"], "$n$": [1, 2e-9]}


def test_a_page_gets_a_numbered_table_with_numbers_at_the_right():
    text = Table("Rates of `f` fall with $n$.", COLUMNS, name="tab-x")._repr_markdown_()
    head, name, _, heads, sides, *rows, end, last = text.split("\n")
    assert head == "~~~{table} Rates of `f` fall with $n$."
    assert name == ":name: tab-x"
    assert [cell.strip() for cell in heads.strip("|").split("|")] == list(COLUMNS)
    assert [side[0] + side[-1] for side in sides.strip("|").split("|")] == [":-", "-:", "-:"]
    assert [row.strip("|").split("|")[2].strip() for row in rows] == ["1", "2.0 × 10⁻⁹"]
    assert (end, last) == ("~~~", "")


def test_the_lab_gets_a_table_with_its_caption_and_nothing_that_is_markup():
    text = Table("a < b", {"x": ["<b>"]})._repr_html_()
    assert text.startswith("<table><caption>a &lt; b</caption>")
    assert "&lt;b&gt;" in text


@pytest.mark.parametrize("columns", [{}, {"a": []}, {"a": [1], "b": [1, 2]}])
def test_columns_have_one_length(columns):
    with pytest.raises(ValueError, match=r"columns: got lengths .*, needs one length, 1 or more"):
        Table("", columns)
