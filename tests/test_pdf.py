"""Printing: what a page offers before and after."""

from pathlib import Path

import pytest

from booktools import pdf

ROOT = Path(__file__).parents[1]


def test_the_offer_to_print_is_that_of_the_theme():
    layout = (ROOT / "src/booktools/theme/layout.html").read_text(encoding="utf-8")
    assert layout.count(pdf.PRINT) == 1
    assert layout.count("<article>") == 1


def written(html, text):
    """A page in two folders."""
    page = html / "book/part/gates.html"
    page.parent.mkdir(parents=True)
    page.write_text(text, encoding="utf-8")
    return page


def test_a_printed_page_offers_its_pdf_and_the_book_once(tmp_path):
    page = written(tmp_path, f"<ul>{pdf.PRINT}</ul>")
    for _ in range(2):
        pdf.link(tmp_path, "book/part/gates")
    text = page.read_text(encoding="utf-8")
    for name in ("gates", "book"):
        assert text.count(f'href="../../pdf/{name}.pdf"') == 1
    assert "data-print" not in text


def test_a_page_that_offers_no_printing_is_named(tmp_path):
    written(tmp_path, "<ul></ul>")
    with pytest.raises(ValueError, match=r"gates.html: got no offer to print"):
        pdf.link(tmp_path, "book/part/gates")
