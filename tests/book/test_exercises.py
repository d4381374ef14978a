"""Exercises and who judges them: right answers pass, wrong ones do not, each with its own hint."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from booktools import exercises
from booktools.live.judge import judge, values

ROOT = Path(__file__).parents[2]
FIRST = {"unrolled-network", "forgotten-rule", "matrices", "every-gradient", "any-length"}
BOOK = {
    f"{file.stem}: {label}": (file.stem, exercise)
    for file in sorted((ROOT / "book" / "exercises").glob("*.toml"))
    for label, exercise in exercises.read(ROOT / "book" / f"{file.stem}.md").items()
}


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
def test_no_constant_passes(name: str) -> None:
    """Whatever the constant: one of the values that are compared, or another."""
    _, exercise = BOOK[name]
    for constant in (*values(exercise, exercise["right"]), 0, 1.0, np.nan):
        text = repr(np.asarray(constant).tolist())
        code = f"nan = None\n{exercise['name']} = lambda *given, **named: {text}"
        assert not judge(exercise, code)["passes"], text


def test_of_all_chapters() -> None:
    assert FIRST <= {chapter for chapter, _ in BOOK.values()}
