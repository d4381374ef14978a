"""The reading time of a page."""

from types import SimpleNamespace

import pytest
from docutils import nodes
from sphinx import addnodes

from booktools import guide
from booktools.checked import check_fold


def cell(code, *tags):
    source = nodes.container("", nodes.literal_block(code, code), classes=["cell_input"])
    output = nodes.container("", nodes.paragraph("", "word " * 500), classes=["cell_output"])
    return nodes.container("", source, output, classes=["cell", *tags])


def section(title, *parts):
    return nodes.section("", nodes.title("", title), *parts)


def words(count):
    return nodes.paragraph("", "word " * count)


def times(*parts):
    page = nodes.document("", "")
    page += section("Title", *parts)
    env = SimpleNamespace(docname="page", metadata={"page": {}})
    guide.measure(SimpleNamespace(env=env), page)
    return env.metadata["page"]["reading_times"]


@pytest.mark.parametrize(
    ("part", "minutes"),
    [
        (words(360), 2),
        (nodes.math_block("", "a", label="eq-a"), 40 / 60),
        (nodes.math_block("", "a", label=None), 0),
        (nodes.paragraph("", "", nodes.math("", "\\mathrm{three of these words}")), 0),
        (cell("a = 1\n\nb = 2"), 6 / 60),
        (cell("a = 1", "tag_hide-input"), 0),
        (nodes.container("", words(9), cell("a = 1"), classes=["dropdown"]), 0),
        (nodes.paragraph("", "checked and checked", classes=["checked"]), 0),
        (check_fold("", cell("a = 1"), said=""), 0),
        (nodes.paragraph("", "two words ", nodes.emphasis("", "and two")), 4 / 180),
    ],
)
def test_what_is_read_takes_time_and_what_is_folded_none(part, minutes):
    assert times(part)["core"] - times()["core"] == pytest.approx(minutes)


def test_the_core_ends_where_it_goes_deeper_and_exercises_do_not_count():
    found = times(words(180), section("Going deeper", words(358)), section("Exercises", words(99)))
    assert found == pytest.approx({"core": 1 + 1 / 180, "deeper": 2})


def test_the_time_is_said_in_words():
    assert guide.said({"core": 21.6, "deeper": 0.2}) == "22 minutes"
    assert guide.said({"core": 21.6, "deeper": 8}) == "22 minutes, and 8 for “Going deeper”"


def test_the_map_names_the_parts_that_have_chapters():
    tree = nodes.document("", "")
    for caption, pages in (("First", ["a", "b"]), ("Notes", ["c"]), ("Second", ["d"]), (None, [])):
        tree += addnodes.toctree(caption=caption, includefiles=pages)
    env = SimpleNamespace(
        config=SimpleNamespace(root_doc="index"),
        get_doctree={"index": tree}.__getitem__,
        collect_relations=lambda: dict.fromkeys("abcd"),
        toc_secnumbers={page: {"": (k,)} for k, page in enumerate(("a", "b", "d"), 1)},
    )
    assert guide.parts(env) == [("Part I: First", ["a", "b"]), ("Part II: Second", ["d"])]
