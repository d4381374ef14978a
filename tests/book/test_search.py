"""The search: what of a page can be found, and in which order."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from docutils import nodes
from sphinx import addnodes

from booktools import bundle, mathematics, search

ROOT = Path(__file__).parents[2]
WORDS = tomllib.loads(search.WORDS.read_text(encoding="utf-8"))

# What can be found of a page


def text(words, kind=nodes.paragraph, **values):
    return kind("", words, **values)


def chapter():
    """A page with all that a chapter has."""
    title = nodes.title("", "The rule for ", nodes.math("", r"\partial^+ h_{t-1}"))
    first = nodes.section("", title, text("The question."), ids=["the-rule", "rule"])
    line = text("A segment is ")
    line += [nodes.emphasis("", "cut"), nodes.Text(" after "), nodes.math("", "h_0", mark=",")]
    output = nodes.container("", text("printed", nodes.literal_block), classes=["cell_output"])
    output += nodes.figure("", nodes.image(uri="x.svg"), text("It falls.", nodes.caption))
    code = nodes.container("", text("import numpy", nodes.literal_block), classes=["cell_input"])
    inside = nodes.section("", text("Show it."), ids=["exercise-content"])
    exercise = nodes.admonition("", nodes.title("", "Exercise 1 (Halves)"), inside)
    solution = nodes.admonition("", text("By twos."), classes=["solution"])
    second = nodes.section("", nodes.title("", "Cutting"), line, ids=["cutting"])
    second += [
        nodes.math_block("", "x = y"),
        nodes.container("", code, output, classes=["cell"]),
        text("✓ checked: 1e-16", classes=["checked"]),
        exercise,
        solution,
        nodes.section("", nodes.title("", "Deeper"), text("Below."), ids=["deeper"]),
    ]
    first += second
    page = nodes.document(None, None)
    page += first
    return page


def test_a_page_is_taken_apart_into_its_sections():
    found = list(search.sections(chapter(), []))
    assert [(part["id"], part["title"], part["above"]) for part in found] == [
        ("", "The rule for ∂^+ h_{t-1}", []),
        ("cutting", "Cutting", ["The rule for ∂^+ h_{t-1}"]),
        ("deeper", "Deeper", ["The rule for ∂^+ h_{t-1}", "Cutting"]),
    ]
    assert [part["text"] for part in found] == [
        "The question.",
        "A segment is cut after h_0, It falls. Show it.",
        "Below.",
    ]
    assert found[1]["terms"] == ["cut", "Exercise 1 (Halves)"]
    assert found[1]["aside"] == "By twos."


def test_a_name_of_the_package_is_found_by_itself():
    signature = addnodes.desc_signature("", "unroll", ids=["bptt.unroll"], fullname="unroll")
    content = addnodes.desc_content("", text("Run a cell."))
    entry = addnodes.index(entries=[("single", "unroll() (in module bptt)", "", "", None)])
    place = nodes.section("", nodes.title("", "Recurrence"), text("All."), ids=["recurrence"])
    place += [entry, addnodes.desc("", signature, content)]
    page = nodes.document(None, None)
    page += nodes.section("", nodes.title("", "Package"), place, ids=["package"])
    whole, part, name = search.sections(page, [])
    assert (whole["text"], part["text"], part["terms"]) == ("", "All.", [])
    assert (name["id"], name["name"], name["text"]) == ("bptt.unroll", "unroll", "Run a cell.")
    assert name["above"] == ["Package", "Recurrence"]


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        ("h_{t-1}", "h_{t-1}"),
        (r"h_t = \lambda h_0", "h_t = λ h_0"),
        (r"\operatorname{vec} \mathrm{d}W", "vec dW"),
        (r"\diag \sigma'(a_t)", "diag σ'(a_t)"),
        (r"\tfrac12 + \frac{a}{b}", "1/2 + a/b"),
        (r"\mathrm{d} L_t / \mathrm{d} W", "d L_t / d W"),
        (r"\bigl(a \ne b\bigr)", "(a ≠ b)"),
        (r"\binom{n}{k}", "(n over k)"),
    ],
)
def test_a_formula_is_written_as_one_would_type_it(tex, text):
    assert search.readable(tex) == text


def test_every_formula_of_the_text_can_be_read():
    found = set()
    for page in sorted((ROOT / "book").glob("*.md")):
        prose = re.sub(
            r"(?s)```\{code-cell\}.*?```|\$\$.*?\$\$|`[^`\n]*`", "", page.read_text("utf-8")
        )
        found.update(re.findall(r"\$([^$\n]+)\$", prose))
    assert len(found) > 500
    assert [tex for tex in sorted(found) if "\\" in search.readable(tex)] == []


# What words mean


def test_every_page_with_a_weight_is_one_of_the_book():
    pages = {page.stem for page in (ROOT / "book").glob("*.md")}
    assert {*WORDS["weights"]["pages"]} <= pages


def test_every_section_with_a_weight_is_in_the_book():
    titles = set()
    for page in (ROOT / "book").glob("*.md"):
        titles.update(re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert {*WORDS["weights"]["sections"]} <= titles


def test_names_of_one_thing_are_several_and_each_is_there_once():
    for group in WORDS["same"]:
        lower = [name.lower() for name in group]
        assert len(group) > 1, group
        assert len({*lower}) == len(lower), group
    idle = WORDS["idle"].split()
    assert not {*idle} & {name.lower() for group in WORDS["same"] for name in group}


# What is found


def part(title, text="", **values):
    ids = "" if not values.get("above") else title.lower().replace(" ", "-")
    rest = {"id": ids, "above": [], "terms": [], "aside": ""}
    return {"title": title, "text": text} | rest | values


def page(name, number, *sections, lead="", **places):
    return {"page": f"book/{name}", "number": number, "lead": lead, "places": places} | {
        "sections": [*sections]
    }


BOOK = [
    page(
        "forgotten",
        "2",
        part("The rule", "Each step adds a term."),
        part("Why we sum", "We sum over time steps, from the state h_0 on.", above=["The rule"]),
        part("Exercises", "Do we sum over time steps?", above=["The rule"]),
        part("Clipping", "Longer vectors are cut to a norm.", above=["The rule"], aside="A quux."),
        **{"equation 2.1": "equation-eq-rule", "theorem 2.1": "thm-rule"},
    ),
    page(
        "gates",
        "13",
        part("Gates", "Gradients of an LSTM vanish like others."),
        part("The bias", "A forget gate stays open.", above=["Gates"]),
        part("Letting go", "One detaches the state from its past.", above=["Gates", "The bias"]),
        lead="What the constant error carousel promises.",
    ),
    page(
        "package",
        "",
        part("The package"),
        part(
            "clip_by_norm",
            "Gradients of at most this norm.",
            above=["The package"],
            name="clip_by_norm",
        ),
        part("rule", "Apply a rule.", above=["The package"], name="rule"),
    ),
]


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script of a small book."""
    folder = tmp_path_factory.mktemp("search")
    names = bundle.run(ROOT, [bundle.THEME / bundle.FINDER], {}, folder)
    index = folder / "search-index.js"
    finder = (folder / names[bundle.FINDER]).read_text(encoding="utf-8")
    index.write_text(search.script(BOOK, finder), encoding="utf-8")
    return index


ASK = """
import vm from "node:vm";
import { readFileSync } from "node:fs";
vm.runInThisContext(readFileSync(process.argv[1], "utf8"));
const queries = JSON.parse(readFileSync(0, "utf8"));
const whole = (result) => ({ ...result, snippet: result.snippet });
process.stdout.write(JSON.stringify(queries.map((query) => findInBook(query).map(whole))));
"""


FIRST = {
    "why do we sum over time steps?": "forgotten.html#why-we-sum",  # and no exercise
    "clipping": "forgotten.html#clipping",
    "gradient clipping": "forgotten.html#clipping",  # another name
    "cliping": "forgotten.html#clipping",  # a slip
    "clipp": "forgotten.html#clipping",  # while one types
    "detach": "gates.html#letting-go",  # another ending
    "forget gate bias": "gates.html#the-bias",
    "h0": "forgotten.html#why-we-sum",
    "h₀": "forgotten.html#why-we-sum",
    "H_0": "forgotten.html#why-we-sum",
    "constant error carousel": "gates.html",  # said of the whole chapter
    "verschwinden": "gates.html",
    "clip_by_norm": "package.html#clip_by_norm",
    "bptt.clip_by_norm(gradients, 1)": "package.html#clip_by_norm",
    "eq-rule": "forgotten.html#equation-eq-rule",
    "Equation (2.1)": "forgotten.html#equation-eq-rule",
    "theorem 2.1": "forgotten.html#thm-rule",
    "chapter 13": "gates.html",
    "2.1": "forgotten.html#equation-eq-rule",
    "(2.1)": "forgotten.html#equation-eq-rule",
    "eq. 2.1": "forgotten.html#equation-eq-rule",
    "eqn (2.1)": "forgotten.html#equation-eq-rule",
    "thm 2.1": "forgotten.html#thm-rule",
    "stays open": "gates.html#the-bias",
    "gradients of an LSTM vanish": "gates.html",  # word for word
    "we": "forgotten.html#why-we-sum",  # where there is nothing but such words
    "quux": "forgotten.html#clipping",  # of a solution
}
NOTHING = ["", "  ", "?!", "zzzzqqqq"]


@pytest.fixture(scope="module")
def found(script):
    """What is found of each query of these tests."""
    queries = [*FIRST, *NOTHING, "rule", "detach state", "LSTM"]
    command = [str(mathematics.node()), "--input-type=module", "-e", ASK, str(script)]
    run = subprocess.run(
        command,
        input=json.dumps(queries),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return dict(zip(queries, json.loads(run.stdout), strict=True))


@pytest.mark.parametrize("query", FIRST)
def test_what_is_first(found, query):
    assert found[query][0]["address"] == f"book/{FIRST[query]}"


def test_a_number_is_found_once_for_each_thing_that_has_it(found):
    addresses = [result["address"] for result in found["2.1"]]
    assert addresses[:2] == ["book/forgotten.html#equation-eq-rule", "book/forgotten.html#thm-rule"]
    assert len({*addresses}) == len(addresses)


def test_a_name_that_is_a_word_comes_second(found):
    addresses = [result["address"] for result in found["rule"]]
    assert addresses[:2] == ["book/forgotten.html", "book/package.html#rule"]


@pytest.mark.parametrize("query", NOTHING)
def test_nothing_is_found_of_nothing(found, query):
    assert found[query] == []


def test_a_result_says_where_it_stands_and_what_was_found(found):
    (result, *_) = found["detach state"]
    assert result["path"] == ["13 Gates", "The bias"]
    assert "".join(piece["text"] for piece in result["title"]) == "Letting go"
    marked = [piece["text"] for piece in result["snippet"] if piece.get("found")]
    assert marked == ["detaches", "state"]
    assert "".join(piece["text"] for piece in result["snippet"]) == (
        "One detaches the state from its past."
    )


def test_a_chapter_has_its_number_and_no_path(found):
    (result, *_) = found["LSTM"]
    assert result["path"] == []
    assert "".join(piece["text"] for piece in result["title"]) == "13 Gates"
