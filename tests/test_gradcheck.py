"""The checkers: right where the answer is known, and red where a bug is planted."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import SETTINGS, difference, problem

import bptt

shapes = st.lists(st.integers(1, 4), min_size=0, max_size=3).map(tuple)
seeds = st.integers(0, 2**32 - 1)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def smooth(x):
    """Analytic, with a gradient known by hand and a different weight for each entry."""
    weights = np.arange(1, x.size + 1).reshape(np.shape(x))
    return (weights * np.sin(x)).sum() + (x * x * x).sum()


def smooth_gradient(x):
    return np.arange(1, x.size + 1).reshape(x.shape) * np.cos(x) + 3 * x * x


def recorded(f, points):
    """f, noting every point where it is asked."""

    def f_and_note(x):
        points.append(np.array(x))
        return f(x)

    return f_and_note


def step_of(x):
    """The step of the docstrings: cube root of the machine epsilon times max(1, largest |x|)."""
    return np.finfo(x.dtype).eps ** (1 / 3) * max(1, abs(x).max())


def rng():
    return np.random.default_rng(7)


# central_difference


@SETTINGS
@given(shapes, seeds)
def test_central_difference_of_a_smooth_function(shape, seed):
    x = np.random.default_rng(seed).uniform(-1, 1, shape)
    found = bptt.central_difference(smooth, x)
    assert found.dtype == np.float64
    # Truncation: step**2 / 6 times a third derivative of at most 70. Rounding: of values up to
    # 2200, 2.2e-16 relative, over the step.
    assert abs(found - smooth_gradient(x)).max() <= 4e-10 + 1e-7


def test_central_difference_divides_by_two_steps_on_either_side():
    """Of x**3 it is 3 x**2 + eps**2, exactly; every number below is a binary fraction."""
    x = np.array([[0.5, -1.0, 2.0]])
    found = bptt.central_difference(lambda x: (x * x * x).sum(), x, eps=0.25)
    assert np.array_equal(found, 3 * x**2 + 0.0625)


@dtypes
@pytest.mark.parametrize("scale", [0.1, 1.0, 50.0])
def test_central_difference_asks_twice_for_each_entry(dtype, scale):
    x, points = (scale * np.array([[0.2, -1.0, 0.7], [0.1, 0.0, 0.5]])).astype(dtype), []
    found = bptt.central_difference(recorded(np.sum, points), x)
    assert found.dtype == dtype
    assert found.shape == x.shape
    assert {point.dtype for point in points} == {np.dtype(dtype)}
    expected = []
    for entry in range(6):
        moved = np.zeros(6)
        moved[entry] = step_of(x)
        expected += [x + moved.reshape(2, 3), x - moved.reshape(2, 3)]
    eps = np.finfo(dtype).eps
    assert abs(np.array(points) - np.array(expected)).max() <= 2 * eps * max(1, scale)


def test_central_difference_takes_the_smallest_and_any_kind_of_step():
    x = np.zeros(1)
    for eps in (np.finfo(float).tiny, np.float32(0.5), 1, np.int64(2)):
        assert bptt.central_difference(np.sum, x, eps)[0] == 1


# complex_step


@SETTINGS
@given(shapes, seeds)
def test_complex_step_is_exact_to_rounding(shape, seed):
    x, points = np.random.default_rng(seed).uniform(-1, 1, shape), []
    found = bptt.complex_step(recorded(smooth, points), x)
    assert found.dtype == np.float64
    assert difference(found, smooth_gradient(x)) <= 1e-15
    assert len(points) == x.size
    moved = sum(point.imag for point in points)
    assert np.array_equal(moved, np.full(shape, 1e-100))
    assert all(np.array_equal(point.real, x) for point in points)


def test_complex_step_takes_a_step_that_no_difference_could():
    """f(x + 1e-100) equals f(x) in every digit, and still the derivative has all of its own."""
    assert bptt.complex_step(lambda x: np.exp(x) / x, np.array(2.0)) == pytest.approx(
        np.exp(2) / 4, rel=1e-15
    )


# check: what passes


@SETTINGS
@given(shapes, seeds)
def test_check_passes_a_right_gradient(shape, seed):
    x = np.random.default_rng(seed).uniform(-1, 1, shape)
    report = bptt.check(smooth, x, smooth_gradient(x), rng=rng())
    assert isinstance(report, bptt.Report)
    assert report.entries == x.size
    assert type(report.gradient) is float
    assert type(report.difference_quotient) is float
    assert all(type(i) is int for i in report.worst)
    assert report.gradient == smooth_gradient(x)[report.worst]
    quotient = bptt.central_difference(smooth, x)[report.worst]
    assert abs(report.difference_quotient - quotient) <= 1e-12 * abs(quotient)


@pytest.mark.parametrize("name", ["ELMAN", "LSTM", "GRU"])
def test_check_passes_backward_in_both_precisions(name):
    p = problem(name, T=5, B=2, d=2, n=3)

    def loss(W, p):
        return (p.dh * bptt.unroll(p.cell, p.params._replace(W=W), p.x, p.s0).h[1:]).sum()

    for q in (p, p.astype(np.float32)):
        gradient = bptt.backward(q.run(), q.dh).W
        report = bptt.check(lambda W, q=q: loss(W, q), q.params.W, gradient, rng=rng())
        assert report.entries == q.params.W.size


def test_check_reports_the_entry_that_differs_most():
    x = np.zeros((2, 3))
    gradient = np.ones((2, 3))
    gradient[1, 2], gradient[0, 1] = 1.25, 0.5
    report = bptt.check(np.sum, x, gradient, rtol=2, rng=rng())
    assert (report.entries, report.worst, report.gradient) == (6, (0, 1), 0.5)
    assert abs(report.difference_quotient - 1) <= 1e-9


# check: what it allows


@pytest.mark.parametrize("value", [0.0, 0.3, -1000.0])
@dtypes
def test_the_default_atol_is_100_times_the_rounding_of_a_difference(value, dtype):
    """Of a constant the central difference is zero exactly, so atol is all that is allowed."""
    x = np.array([3.0], dtype)
    allowed = 100 * np.finfo(dtype).eps / step_of(x) * max(1, abs(value))

    def constant(_):
        return dtype(value)

    bptt.check(constant, x, np.array([0.999 * allowed]), rtol=0, rng=rng())
    with pytest.raises(bptt.GradientMismatch):
        bptt.check(constant, x, np.array([1.001 * allowed]), rtol=0, rng=rng())


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("atol", "rtol"), [(0.5, 0.0), (0.0, 0.25), (0.5, 0.25)])
def test_a_difference_of_atol_and_rtol_times_the_quotient_is_allowed(sign, atol, rtol):
    x, slope = np.zeros(1), -4.0  # at 0 the central difference of a line is the slope, exactly
    allowed = atol + rtol * 4

    def check(error):
        gradient = np.array([slope + sign * error])
        return bptt.check(lambda x: slope * x[0], x, gradient, atol=atol, rtol=rtol, rng=rng())

    assert check(0.999 * allowed).difference_quotient == pytest.approx(slope, rel=1e-15)
    with pytest.raises(bptt.GradientMismatch):
        check(1.001 * allowed)


def test_the_default_rtol_is_a_millionth():
    x, line = np.zeros(1), lambda x: 8.0 * x[0]
    bptt.check(line, x, np.array([8 + 7.9e-6]), atol=0, rng=rng())
    with pytest.raises(bptt.GradientMismatch):
        bptt.check(line, x, np.array([8 + 8.1e-6]), atol=0, rng=rng())


def test_nothing_allowed_and_nothing_different():
    """0 / 0 in a relative error must neither pass silently nor fail a zero gradient."""
    x = np.zeros(3)
    report = bptt.check(lambda x: 0.0 * x.sum(), x, np.zeros(3), atol=0, rtol=0, rng=rng())
    assert (report.gradient, report.difference_quotient) == (0, 0)
    with pytest.raises(bptt.GradientMismatch):
        bptt.check(lambda x: 0.0 * x.sum(), x, np.full(3, 1e-300), atol=0, rtol=0, rng=rng())


# check: what it notices


def test_a_mismatch_counts_the_entries_that_differ_and_no_others():
    x = np.zeros(3)  # at 0 the central difference of a line is the slope, exactly
    with pytest.raises(bptt.GradientMismatch, match=r"; 1 of 3 entries compared differ$"):
        bptt.check(lambda x: 2 * x.sum(), x, np.array([2, 2, 3.0]), rtol=0, atol=0, rng=rng())


def test_a_mismatch_names_the_entry_and_both_values():
    x = np.zeros((2, 3))
    gradient = np.full((2, 3), 2.0)
    gradient[0, 1], gradient[1, 2] = 2.5, -1.0
    with pytest.raises(bptt.GradientMismatch) as raised:
        bptt.check(lambda x: 2 * x.sum(), x, gradient, rng=rng())
    assert re.fullmatch(
        r"entry \(1, 2\): gradient -1, central difference 2(\.00000000)?; "
        r"2 of 6 entries compared differ",
        str(raised.value),
    )
    assert isinstance(raised.value, AssertionError)


@pytest.mark.parametrize("entries", [1, 199, 200, 201])
def test_at_most_200_entries_are_compared_one_by_one(entries):
    points = []
    report = bptt.check(recorded(np.sum, points), np.zeros(entries), np.ones(entries), rng=rng())
    assert report.entries == min(entries, 200)
    moved = np.array([point for point in points if np.count_nonzero(point) == 1])
    if entries > 1:  # the random direction moves all entries
        assert len(moved) == 2 * min(entries, 200)
    assert len(np.unique(abs(moved).argmax(axis=1))) == min(entries, 200)


def test_one_wrong_entry_of_many_is_noticed_whether_it_is_drawn_or_not():
    points = []
    bptt.check(recorded(np.sum, points), np.zeros(205), np.ones(205), rng=rng())
    drawn = {int(point.argmax()) for point in points if np.count_nonzero(point) == 1}
    assert len(drawn) == 200
    for wrong in (*(set(range(205)) - drawn), min(drawn), max(drawn)):
        gradient = np.ones(205)
        gradient[wrong] = 1.5
        with pytest.raises(bptt.GradientMismatch) as raised:
            bptt.check(np.sum, np.zeros(205), gradient, rng=rng())
        place, count = (f"entry ({wrong},)", 1) if wrong in drawn else ("a random direction", 0)
        assert str(raised.value).startswith(f"{place}: gradient ")
        assert str(raised.value).endswith(f"; {count} of 200 entries compared differ")


def test_the_random_direction_has_length_1_and_comes_from_rng():
    def directions(seed):
        points = []
        x, draws = np.full((3, 4, 2), 0.5), np.random.default_rng(seed)
        bptt.check(recorded(np.sum, points), x, np.ones(x.shape), rng=draws)
        return (points[-2] - 0.5) / step_of(x), (points[-1] - 0.5) / step_of(x)

    ahead, behind = directions(1)
    assert np.linalg.norm(ahead) == pytest.approx(1, abs=1e-10)
    assert difference(behind, -ahead) <= 1e-10
    assert np.array_equal(directions(1)[0], ahead)
    assert not np.array_equal(directions(2)[0], ahead)


def test_a_gradient_that_is_right_entry_by_entry_must_be_right_along_the_direction():
    """Planted: a function that answers differently once all entries move."""

    def f(x):
        return x.sum() * (2 if np.count_nonzero(x) > 1 else 1)

    with pytest.raises(bptt.GradientMismatch, match=r"^a random direction: "):
        bptt.check(f, np.zeros(5), np.ones(5), rng=rng())


BUGS = {
    "missing transpose": lambda g, p: g.W.T,
    "off by one in time": lambda g, p: bptt.backward(p.run(), np.roll(p.dh, 1, axis=0)).W,
    "recurrence left out": lambda g, p: bptt.truncated(p.run(), p.dh, 1).W,
    "last summand left out": lambda g, p: bptt.truncated(p.run(), p.dh, len(p.x) - 1).W,
    "mean for sum": lambda g, p: g.W / p.x.shape[1],
    "sign": lambda g, p: -g.W,
}


@pytest.mark.parametrize("bug", list(BUGS))
def test_planted_bugs_are_noticed(bug):
    p = problem("ELMAN", T=4, B=2, d=2, n=3)

    def loss(W):
        return (p.dh * bptt.unroll(p.cell, p.params._replace(W=W), p.x, p.s0).h[1:]).sum()

    gradients = bptt.backward(p.run(), p.dh)
    bptt.check(loss, p.params.W, gradients.W, rng=rng())
    with pytest.raises(bptt.GradientMismatch):
        bptt.check(loss, p.params.W, BUGS[bug](gradients, p), rng=rng())


def test_inputs_are_not_modified_and_may_be_read_only():
    x = np.asfortranarray(np.random.default_rng(0).standard_normal((3, 4)))
    gradient = smooth_gradient(x)
    x.setflags(write=False)
    gradient.setflags(write=False)
    before = x.tobytes(), gradient.tobytes()
    bptt.central_difference(smooth, x)
    bptt.complex_step(smooth, x)
    bptt.check(smooth, x, gradient, rng=rng())
    assert (x.tobytes(), gradient.tobytes()) == before
