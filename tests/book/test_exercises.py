"""Exercises and who judges them: right answers pass, wrong ones do not, each with its own hint."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

import bptt
from booktools import exercises
from booktools.live.judge import judge, values

ROOT = Path(__file__).parents[2]
FIRST = {"unrolled-network", "forgotten-rule", "matrices", "every-gradient", "any-length"}
BOOK = {
    f"{file.stem}: {label}": (file.stem, exercise)
    for file in sorted((ROOT / "book" / "exercises").glob("*.toml"))
    for label, exercise in exercises.read(ROOT / "book" / f"{file.stem}.md").items()
}

ALSO_RIGHT = tomllib.loads(Path(__file__).with_name("also_right.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", BOOK)
def test_only_what_is_right_passes(name: str) -> None:
    chapter, exercise = BOOK[name]
    assert judge(exercise, exercise["right"])["passes"]
    assert not judge(exercise, exercise["stub"])["passes"]
    assert len(exercise["wrong"]) >= (3 if chapter in FIRST else 1)
    for wrong in exercise["wrong"]:
        verdict = judge(exercise, wrong["code"])
        assert not verdict["passes"], wrong["code"]
        assert verdict["hint"] == wrong["hint"], (verdict, wrong["code"])


@pytest.mark.parametrize("name", BOOK)
def test_what_the_chapter_says_passes(name: str) -> None:
    """``right`` is computed another way, so that a slip in one of the two shows."""
    _, exercise = BOOK[name]
    assert judge(exercise, ALSO_RIGHT[name.split()[-1]]["code"])["passes"]


@pytest.mark.parametrize("name", BOOK)
def test_no_constant_passes(name: str) -> None:
    """Whatever the constant: one of the values that are compared, or another."""
    _, exercise = BOOK[name]
    for constant in (*values(exercise, exercise, "right"), 0, 1.0, np.nan):
        text = repr(np.asarray(constant).tolist())
        code = f"nan = None\n{exercise['name']} = lambda *given, **named: {text}"
        assert not judge(exercise, code)["passes"], text


SQUARES = {
    "name": "squares",
    "given": "x = np.array([1.0, 2.0, 3.0])",
    "right": "def squares(x):\n    return x * x",
    "compare": ["squares(x)", "squares(x[:2])", "squares(-x) + x"],
    "wrong": [
        {"code": "def squares(x):\n    return 2 * x", "hint": "That doubles."},
        {"code": "def squares(x):\n    return (x * x).sum()", "hint": "That is one number."},
    ],
}


def said(answer: str) -> str:
    verdict = judge(SQUARES, answer)
    assert not verdict["passes"]
    return str(verdict["said"])


def test_of_a_wrong_value_both_are_shown() -> None:
    assert said("def squares(x):\n    return x**2 + (len(x) == 2)") == (
        "`squares(x[:2])`, entry (0,), gives 2, needs 1."
    )


def test_what_is_no_number_of_the_right_shape() -> None:
    answer = "import numpy as np\nsquares = lambda x: {}"
    cases = {
        "None": "gives None, needs an array of shape (3,)",
        "x[:1]": "has shape (1,), needs (3,)",
        "x * np.nan": "gives nan, needs finite numbers",
        "x / 0": "gives inf, needs finite numbers",
        "'9'": "gives '9', needs an array",
        "[[1], [1, 2]]": "gives [[1], [1, 2]], needs an array",
    }
    for value, message in cases.items():
        assert message in said(answer.format(value))


@pytest.mark.parametrize(
    "cheat",
    [
        "class Same:\n    def __eq__(self, other): return True\n"
        "    def __array__(self, *given, **named): return np.array([1.0, 4.0, 9.0])\n"
        "squares = lambda x: Same()",
        "squares = lambda x: np.ma.masked_all(3)",
        "bptt.verified = bptt.equations.verified = lambda *given, **named: None\n"
        "squares = lambda x: x",
        "squares = lambda x: x.__imul__(0)",
        "squares = lambda x: np.array([1.0, 4.0, 9.0])",
        "squares = lambda x: exit()",
        "print('Right: all 3 values agree.')\nexit()",
    ],
)
def test_who_cheats_does_not_pass(cheat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (bptt, bptt.equations):
        monkeypatch.setattr(module, "verified", module.verified)  # as it is, put back afterwards
    said(f"import bptt, bptt.equations, numpy as np\n{cheat}")


def test_an_answer_that_changes_its_input_passes() -> None:
    answer = "def squares(x):\n    x *= x\n    return x"
    assert judge(SQUARES, answer)["passes"]  # for each expression has inputs of its own


def test_an_error_has_its_line() -> None:
    for answer, message, line in (
        ("x = 1\nsquares = 1 / 0", "ZeroDivisionError: division by zero", 2),
        ("\ndef squares(x):\n    return y", "NameError: name 'y' is not defined", 3),
        ("x = 1\ndef squares(x)\n", "SyntaxError: expected ':'", 2),
        ("import nothing_of_this_name", "No module named 'nothing_of_this_name'", 1),
    ):
        verdict = judge(SQUARES, answer)
        assert message in verdict["said"]
        assert verdict["line"] == line


def test_what_is_not_defined_and_what_is_printed() -> None:
    verdict = judge(SQUARES, "print('seen')\nsquare = 1")
    assert verdict["said"] == "The answer does not define `squares`."
    assert verdict["printed"] == "seen\n"


def test_a_number_that_is_wrong_is_not_told() -> None:
    number = {"name": "steps", "right": "steps = 7", "compare": ["steps"], "wrong": []}
    assert judge(number, "steps = 7") == {"passes": True, "said": "Right.", "printed": ""}
    assert judge(number, "steps = 8")["said"] == "`steps` is not right."


def test_every_exercise_of_the_book_has_its_table() -> None:
    assert {chapter for chapter, _ in BOOK.values()} >= FIRST
    assert {label.split()[-1] for label in BOOK} == {*ALSO_RIGHT}
    for file in (ROOT / "book").glob("*.md"):
        asked = re.findall(r"^```\{exercise\}.*\n:label: (\S+)", file.read_text("utf-8"), re.M)
        assert asked == list(exercises.read(file))
