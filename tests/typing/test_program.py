"""The user's program that type checkers read also runs, and leaves no public name out."""

import inspect
import re
from pathlib import Path

import program

import bptt


def test_it_runs(tmp_path: Path) -> None:
    program.main(tmp_path)


def test_it_uses_every_public_name() -> None:
    used = re.findall(r"\bbptt\.(\w+)", inspect.getsource(program))
    assert {*bptt.__all__} - {*used} == set()
