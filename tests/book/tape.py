"""The tape of the chapter on automatic differentiation, for the tests."""

import ast
from pathlib import Path

import jupytext
import numpy as np

import bptt

BOOK = Path(__file__).parents[2] / "book"
WANTED = {"RULES", "Node", "record", "part", "fit", "sweep", "gradients", "loss", "late"}


def named(statement):
    """The names that a statement defines."""
    targets = getattr(statement, "targets", [])
    return {getattr(statement, "name", "")} | {getattr(target, "id", "") for target in targets}


def cells(chapter):
    """The code cells of a chapter, with the names that each defines."""
    for cell in jupytext.read(BOOK / f"{chapter}.md", fmt="md:myst").cells:
        if cell.cell_type == "code":
            names = (named(statement) for statement in ast.parse(cell.source).body)
            yield cell.source, set().union(*names)


def tape():
    """The functions of the chapter, by name."""
    known = {"np": np, **{name: getattr(bptt, name) for name in ("ELMAN", "LSTM", "GRU")}}
    for source, names in cells("automatic-differentiation"):
        if names & WANTED:
            exec(source, known)
    assert known.keys() >= WANTED
    return known


TAPE = tape()
