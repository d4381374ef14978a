"""Stored results of the programs in PyTorch and JAX."""

import json
import sys
from pathlib import Path

import pytest

from booktools.frameworks import StaleResults, code, main, stored

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def folder(tmp_path):
    """A program whose results are stored."""
    (tmp_path / "results").mkdir()
    (tmp_path / "problem.py").write_text("n = 1\n")
    program = tmp_path / "one.py"
    program.write_text("def results():\n    return {}\n")
    text = json.dumps({"code": code(program), "a": [1.5]})
    (tmp_path / "results" / "one.json").write_text(text)
    return tmp_path


def test_results_of_the_present_code_are_read(folder):
    assert stored(str(folder), "one") == {"a": [1.5]}


@pytest.mark.parametrize("file", ["one.py", "problem.py"])
def test_results_of_other_code_are_refused_by_name(folder, file):
    (folder / file).write_text("n = 2\n")
    with pytest.raises(StaleResults, match=r"one\.py: .* make examples"):
        stored(str(folder), "one")


def test_a_program_that_runs_is_stored_as_it_is_read(folder, monkeypatch):
    program = folder.rename(folder.with_name("examples")) / "two.py"
    program.write_text(
        "from problem import n\ndef results():\n    return {'n': n, 'a': (n, 0.5)}\n"
    )
    monkeypatch.chdir(program.parents[1])
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["frameworks", "two"])
    main()
    assert stored("examples", "two") == {"n": 1, "a": [1, 0.5]}


def test_a_program_that_never_ran_is_named(folder):
    (folder / "two.py").write_text("")
    with pytest.raises(StaleResults, match=r"two\.py"):
        stored(str(folder), "two")


def test_ends_of_lines_do_not_count(folder):
    program = folder / "one.py"
    program.write_bytes(program.read_bytes().replace(b"\n", b"\r\n"))
    assert stored(str(folder), "one") == {"a": [1.5]}


@pytest.mark.parametrize("name", ["in_pytorch", "in_jax"])
def test_the_results_of_the_book_are_of_the_present_code(name):
    assert stored(str(EXAMPLES), name).keys() > {"gradients", "layers", "reach"}
