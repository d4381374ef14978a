"""Examples that chapters start from, and derivatives along a direction."""

import re
from typing import NamedTuple

import numpy as np
import pytest

import bptt
from bptt.examples import along, example

CELLS = [bptt.ELMAN, bptt.LSTM, bptt.GRU, bptt.TORCH_GRU]


class Pair(NamedTuple):
    params: bptt.Params
    V: np.ndarray


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_an_example_is_drawn_from_its_seed_and_sizes(cell):
    run, dh = found = example(cell, 5, 3, 2, 4, 7)
    rng = np.random.default_rng([7, 5, 3, 2, 4])
    params, x = bptt.init(cell, 2, 4, rng=rng), rng.standard_normal((5, 3, 2))
    s0 = rng.uniform(-1, 1, (3, 4 * cell.parts))
    assert run.cell is cell
    for ours, drawn in zip((*run.params, run.x, run.s[0]), (*params, x, s0), strict=True):
        np.testing.assert_array_equal(ours, drawn)
    np.testing.assert_array_equal(run.s, bptt.unroll(cell, params, x, s0).s)
    np.testing.assert_array_equal(dh, rng.standard_normal((5, 3, 4)))
    assert found.run is run
    assert found.dh is dh


def test_what_is_not_given():
    run, dh = example(bptt.GRU)
    assert run.x.shape == (6, 2, 2)
    assert dh.shape == (6, 2, 3)
    np.testing.assert_array_equal(dh, example(bptt.GRU, 6, 2, 2, 3, 0).dh)


@pytest.mark.parametrize("name", ["T", "B", "d", "n"])
def test_sizes_are_at_least_one(name):
    assert example(bptt.LSTM, **{name: 1}).run.h.ndim == 3
    with pytest.raises(ValueError, match=f"^{name}: got 0, needs an integer from 1 to inf$"):
        example(bptt.LSTM, **{name: 0})


def test_the_seed_is_an_integer_from_zero():
    with pytest.raises(ValueError, match=r"^seed: got -1, needs an integer from 0 to inf$"):
        example(bptt.LSTM, seed=-1)
    with pytest.raises(TypeError, match=r"^cell: got str, needs Cell$"):
        example("LSTM")


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_along_agrees_with_the_gradient(cell):
    run, dh = example(cell)
    direction = bptt.Params(*(np.cos(np.arange(a.size)).reshape(a.shape) for a in run.params))
    slope = along(
        lambda params: (dh * bptt.unroll(cell, params, run.x, run.s[0]).h[1:]).sum(),
        run.params,
        direction,
    )
    exact = sum(map(np.vdot, bptt.backward(run, dh), direction))
    assert slope == pytest.approx(exact, rel=1e-13)


def test_along_keeps_the_form_of_the_value():
    x, v = np.array([2.0, 3.0]), np.array([1.0, -1.0])
    np.testing.assert_array_equal(along(lambda x: np.outer(x, x), x, v), [[4, 1], [1, -6]])
    assert along(lambda x: x**3, 2.0, 0.5) == 6
    found = along(lambda x: bptt.Gradients(x, 2 * x, x[:1]), x, v)
    assert type(found) is bptt.Gradients
    np.testing.assert_array_equal(found.U, 2 * v)
    assert found.x is found.s0 is None
    assert found.W.dtype == float


def test_along_takes_what_is_nested():
    params = bptt.Params(np.ones((2, 2)), np.ones((2, 1)), np.ones(2))
    at = Pair(params, np.full(3, 2.0))
    direction = (tuple(np.full(a.shape, 3.0) for a in params), np.arange(3.0))
    slopes = along(lambda at: (at.params.W**2, at.V**2), at, direction)
    np.testing.assert_array_equal(slopes[0], np.full((2, 2), 6.0))
    np.testing.assert_array_equal(slopes[1], [0, 4, 8])


def test_underflow_along_the_way_is_no_error():
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(along(lambda x: x * x * x * x, np.zeros(2), np.ones(2)), 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ((3, 1.0, 1.0), TypeError, "function: got int, needs Callable"),
        ((np.sin, 1, 1.0), TypeError, "point: got dtype int64, needs float64"),
        ((np.sin, 1.0, 1j), TypeError, "direction: got dtype complex128, needs float64"),
        (
            (np.sin, np.ones(2), np.ones(3)),
            ValueError,
            "direction: got [(3,)], needs [(2,)], the shapes of point",
        ),
        (
            (lambda p: p.W, bptt.Params(*np.ones((3, 2))), np.ones(2)),
            ValueError,
            "direction: got [(2,)], needs [(2,), (2,), (2,)], the shapes of point",
        ),
        ((np.abs, 1.0, 1.0), TypeError, "function(point): got dtype float64, needs complex128"),
    ],
)
def test_what_along_cannot_take(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        along(*call)
