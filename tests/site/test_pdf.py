"""What Chromium prints of a chapter: all that is folded, its head, and no bars that open folds."""

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from booktools import pdf

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def printed(site: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The words of a chapter with solutions, checks and folded code, as they are printed."""
    target = tmp_path_factory.mktemp("pdf") / "gates.pdf"
    pages = [pdf.article(site, "book/gates", ["book/gates"])]
    document = pdf.print_html(site, pages, pdf.cover(ROOT), target)
    return " ".join(" ".join(page.extract_text() for page in document.pages).split())


def test_solutions_are_printed(printed: str, site: Path) -> None:
    page = BeautifulSoup((site / "book/gates.html").read_text(encoding="utf-8"), "html.parser")
    solutions = page.select("details.solution")
    assert solutions
    for solution in solutions:
        assert " ".join(solution.summary.get_text().split()) in printed
        for text in solution.select("p"):
            if not text.find_parent(class_="check") and not text.select(".math"):
                assert " ".join(text.get_text().split())[:30] in printed


def test_checks_are_lines_and_folded_code_is_left_out(printed: str, site: Path) -> None:
    page = BeautifulSoup((site / "book/gates.html").read_text(encoding="utf-8"), "html.parser")
    lines = page.select("details.check > summary")
    assert lines
    assert printed.count("✓ checked:") >= len(lines)
    for fold in page.select("details.check, details.hide"):
        first = " ".join(fold.select_one("pre").get_text().split("\n")[-2].split())
        assert first not in printed or len(first) < 12
    assert not re.search(r"\bCode code\b|Show code", printed)


def test_pages_have_a_head_and_the_first_says_the_version(printed: str) -> None:
    assert len(re.findall(r"The Product Rule in RNNs \d+\. Gates", printed)) > 5
    assert "Version " in printed


def test_the_sheet_of_formulas_is_one_page(site: Path, tmp_path: Path) -> None:
    articles = [pdf.article(site, "book/formulas", ["book/formulas"])]
    target = tmp_path / "formulas.pdf"
    document = pdf.print_html(site, articles, "", target)
    (page,) = document.pages
    assert "The network" in page.extract_text()
    assert "Cost and memory" in page.extract_text()
