"""The tape of the chapter on automatic differentiation: what it runs, and an independent judge."""

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from tape import TAPE, cells

import bptt
from bptt.examples import example


def test_it_runs_the_loss_of_many_ways_word_for_word():
    ours, theirs = (
        next(source for source, names in cells(chapter) if "loss" in names)
        for chapter in ("automatic-differentiation", "many-ways")
    )
    assert ours == theirs


PROGRAMS = {
    "every operation": lambda a, b, np: np.exp(-a) @ (b / (2 - np.tanh(a @ b))).T - 3 * a @ b,
    "one value, often": lambda a, b, np: a * a @ b / a @ (a - b) + b @ b @ b.T,
    "parts": lambda a, b, np: a[:, 1:3] @ b[0:2] + a[:, :1] * b[:, 2:3] @ a[:1],
    "rows and columns": lambda a, b, np: (a[:1] + b) * a[:, 1:2] / (3 + b[:, :1] * b[:, :1]),
    "a number": lambda a, b, np: a.sum() * b + (a * b).sum() * (a * a).sum(),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_against_autograd(program):
    rng = np.random.default_rng(len(program))
    a, b = rng.uniform(0.5, 1.5, (2, 3, 3)) * rng.choice([-1, 1], (2, 3, 3))
    f, Node, notes = PROGRAMS[program], TAPE["Node"], []
    given = [Node(notes, a), Node(notes, b)]
    out = f(*given, np)
    weights = rng.standard_normal(out.value.shape)
    TAPE["sweep"]((weights * out).sum() if np.ndim(weights) else weights * out)
    judge = autograd.grad(lambda ab: (weights * f(*ab, anp)).sum())((a, b))
    for node, expected in zip(given, judge, strict=True):
        assert_allclose(node.bar, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", ["ELMAN", "LSTM", "GRU"])
def test_all_cells_against_autograd_with_one_sequence_and_a_batch(cell):
    for size in ((1, 1, 1, 1), (5, 1, 3, 2), (4, 3, 2, 4)):
        run, g = example(getattr(bptt, cell), *size, seed=3)

        def f(given, run=run, g=g):
            return TAPE["loss"](run, g, *([a] * len(g) for a in given), anp)

        judge = autograd.grad(f)(tuple(np.atleast_2d(a) for a in run.params))
        for found, expected in zip(TAPE["gradients"](run, g), judge, strict=True):
            assert_allclose(found, expected.reshape(found.shape), rtol=1e-11, atol=1e-13)
