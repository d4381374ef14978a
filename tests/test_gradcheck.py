"""The checkers: right where the answer is known, and red where a bug is planted."""

import re
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import SETTINGS, difference, problem

import bptt
from bptt.examples import along

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
    """The step of the docstring: cube root of the machine epsilon times max(1, |x|), entrywise."""
    return np.finfo(x.dtype).eps ** (1 / 3) * np.maximum(1, abs(x))


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
        moved[entry] = step_of(x).flat[entry]
        expected += [x + moved.reshape(2, 3), x - moved.reshape(2, 3)]
    eps = np.finfo(dtype).eps
    assert abs(np.array(points) - np.array(expected)).max() <= 2 * eps * max(1, scale)


def test_central_difference_takes_the_smallest_and_any_kind_of_step():
    x = np.zeros(1)
    for eps in (np.finfo(float).tiny, np.float32(0.5), 1, np.int64(2)):
        assert bptt.central_difference(np.sum, x, eps)[0] == 1


def test_each_evaluation_gets_an_array_of_its_own():
    """Also where x has no axes, and also where f writes into it."""

    def doubled(x):
        x *= 2
        return x.sum()

    for x in (np.arange(3.0), np.array(1.5)):
        assert abs(bptt.central_difference(doubled, x) - 2).max() <= 1e-9
        assert bptt.check(doubled, x, np.full(x.shape, 2.0), rng=rng()).entries == x.size
    assert x == 1.5


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


@pytest.mark.parametrize("way", [bptt.complex_step, lambda f, x: along(f, x, np.ones(1))])
def test_the_least_derivatives_are_those_of_the_docstrings(way):
    for slope, digits in ((2.3e-208, 15), (1e-209, 13), (2.6e-224, 0)):
        found = way(lambda x: slope * x.sum(), np.zeros(1)).item()  # noqa: B023
        assert found == pytest.approx(slope, rel=10.0**-digits)
    assert way(lambda x: 2.4e-224 * x.sum(), np.zeros(1)) == 0
    assert way(lambda x: 1e230 * (1e-230 * x.sum()), np.zeros(1)) == 0


@pytest.mark.parametrize("way", [bptt.central_difference, bptt.complex_step])
def test_underflow_of_a_step_is_no_error_and_a_division_by_zero_is(way):
    with np.errstate(all="raise"):
        assert abs(way(lambda x: (x**80).sum(), np.zeros(2))).max() <= 1e-300
        with pytest.raises(FloatingPointError, match="divide by zero"):
            way(lambda x: (x / np.zeros(2)).sum(), np.ones(2))


# check: what passes


@SETTINGS
@given(shapes, seeds)
def test_check_passes_a_right_gradient(shape, seed):
    x = np.random.default_rng(seed).uniform(-1, 1, shape)
    report = bptt.check(smooth, x, smooth_gradient(x), rng=rng())
    assert isinstance(report, bptt.Report)
    assert report.entries == x.size
    assert type(report.gradient) is type(report.difference_quotient) is type(report.resolution)
    assert type(report.resolution) is float
    assert all(type(i) is int for i in report.worst)
    assert report.gradient == smooth_gradient(x)[report.worst]
    assert abs(report.difference_quotient - report.gradient) <= report.resolution
    # an error of a millionth is allowed, and one of a tenth of it hides in the differences
    assert 1e-6 <= report.resolution / abs(smooth_gradient(x)).max() <= 1.5e-6


@pytest.mark.parametrize("name", ["ELMAN", "LSTM", "GRU"])
def test_check_passes_backward_in_both_precisions(name):
    p = problem(name, T=5, B=2, d=2, n=3)

    def loss(W, p):
        return (p.dh * bptt.unroll(p.cell, p.params._replace(W=W), p.x, p.s0).h[1:]).sum()

    for q, seen in ((p, 2e-6), (p.astype(np.float32), 2e-3)):
        gradient = bptt.backward(q.run(), q.dh).W
        report = bptt.check(lambda W, q=q: loss(W, q), q.params.W, gradient, rng=rng())
        assert report.entries == q.params.W.size
        assert report.resolution <= seen * abs(gradient).max()


def test_check_reports_the_entry_that_differs_most():
    x = np.zeros((2, 3))
    gradient = np.ones((2, 3))
    gradient[1, 2], gradient[0, 1] = 1.25, 0.5
    report = bptt.check(np.sum, x, gradient, rtol=2, rng=rng())
    assert (report.entries, report.worst, report.gradient) == (6, (0, 1), 0.5)
    assert abs(report.difference_quotient - 1) <= 1e-9


RIGHT = {
    "entries of different scales": (lambda x: np.sin(x).sum(), [1e6, 0.5], np.cos),
    "close to the edge of the domain": (lambda x: np.log(x).sum(), [1e-6, 1.0], np.reciprocal),
    "a large constant": (lambda x: 1e9 + x @ x, [1.0, 1.0, 1.0], lambda x: 2 * x),
    "a minimum that is zero": (lambda x: x @ x, [0.0, 0.0], lambda x: 2 * x),
    "a minimum that is not": (lambda x: 7 + x @ x, [0.0, 0.0], lambda x: 2 * x),
    "zero": (lambda x: 0 * x.sum(), [0.0, 1.0], np.zeros_like),
    "a line": (lambda x: 3 * x.sum(), [0.0, -4.0, 1e-3], lambda x: np.full(3, 3.0)),
    "a kink on one side": (lambda x: np.maximum(x, 0).sum(), [1e-5, 1, -1], lambda x: x > 0),
    "values beyond squares": (
        lambda x: 1e200 * np.sin(x).sum(),
        [0.3, 2],
        lambda x: 1e200 * np.cos(x),
    ),
    "entries below the normal numbers": (lambda x: np.sin(x).sum(), [1e-312], np.cos),
    "values below the normal numbers": (
        lambda x: 1e-309 * (x @ x),
        [0.3, 0.7, 1.1],
        lambda x: 2e-309 * x,
    ),
    "slopes beyond squares": (
        lambda x: np.sin(1e200 * x).sum(),
        [3e-201],
        lambda x: 1e200 * np.cos(1e200 * x),
    ),
}


@pytest.mark.parametrize("kind", list(RIGHT))
def test_a_right_gradient_passes_and_one_that_is_wrong_in_the_third_digit_fails(kind):
    f, x, derivative = RIGHT[kind]
    x = np.array(x)
    gradient = derivative(x).astype(float)
    with np.errstate(all="raise"):  # what underflows is no error
        report = bptt.check(f, x, gradient, rng=rng())
    assert report.resolution <= 1e-4 * max(abs(gradient).max(), 1e-6)
    gradient[0] += 1e-3 * (abs(gradient).max() or 1)
    with pytest.raises(bptt.GradientMismatch, match=r"^entry \(0,\): .*; 1 of"):
        bptt.check(f, x, gradient, rng=rng())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_single_precision_inside_is_told_by_its_noise(dtype):
    """f takes float64 and answers in it, and yet its values have seven digits."""

    def f(x):
        return float(np.sin(x.astype(np.float32)).sum())

    x = np.linspace(0.1, 1, 10).astype(dtype)
    report = bptt.check(f, x, np.cos(x), rng=rng())
    assert 1e-5 <= report.resolution <= 2e-3
    with pytest.raises(bptt.GradientMismatch, match="10 of 10"):
        bptt.check(f, x, dtype(1.01) * np.cos(x), rng=rng())


ROUNDED = {
    "6 decimals": lambda x: round(float(np.sin(x).sum()), 6),
    "8 decimals": lambda x: round(float(np.sin(x).sum()), 8),
    "float32 inside": lambda x: float(np.sin(x.astype(np.float32)).sum()),
    "half a rounding up": lambda x: np.ceil(1e6 * np.sin(x).sum()) / 1e6,
}


@pytest.mark.parametrize("kind", list(ROUNDED))
def test_next_to_the_edge_of_a_rounding_it_is_none(kind):
    """Between two values, at points where these or those of one distance hide the rounding."""
    for seed in (0, 7, 26, 29, 43, 61, 75, 91, *range(193, 224, 5)):
        draws = np.random.default_rng(seed)
        x = draws.uniform(0.5, 2, 4)
        with suppress(bptt.CannotJudge):
            bptt.check(ROUNDED[kind], x, np.cos(x), rng=np.random.default_rng(seed))
        with pytest.raises(bptt.GradientMismatch):
            bptt.check(ROUNDED[kind], x, 0 * x, atol=1e-3, rng=np.random.default_rng(seed))


def test_in_single_precision_f_is_asked_in_double_where_it_takes_that():
    x, points = np.array([0.5, 0.25], np.float32), []
    gradient = smooth_gradient(x).astype(np.float32)
    report = bptt.check(recorded(smooth, points), x, gradient, rng=rng())
    assert {point.dtype for point in points} == {np.dtype(np.float64)}
    # beside a millionth, the claim may have the error of a thousand roundings of its own
    assert 1.2e-4 <= report.resolution / gradient.max() <= 1.8e-4


def test_in_single_precision_f_is_asked_in_single_where_it_takes_nothing_else():
    points = []

    def f(x):
        points.append(x.dtype)
        if x.dtype == np.float64:
            raise TypeError("x: got float64, needs float32")
        return smooth(x)

    x = np.array([0.5, 0.25], np.float32)
    report = bptt.check(f, x, smooth_gradient(x), rng=rng())
    assert points.count(np.float64) == 1
    assert report.resolution <= 2e-3 * smooth_gradient(x).max()


def test_an_answer_in_single_precision_is_not_taken_for_double():
    x, points = np.array([0.5], np.float32), []
    f = recorded(lambda x: np.float32(np.sin(x[0])), points)
    bptt.check(f, x, np.cos(x), rng=rng())
    assert [point.dtype for point in points].count(np.float64) == 1


def test_the_cost_is_six_values_an_entry():
    points, x = [], np.random.default_rng(0).uniform(-1, 1, 100)
    bptt.check(recorded(smooth, points), x, smooth_gradient(x), rng=rng())
    assert 600 < len(points) < 700


# check: what it allows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_default_atol_is_1000_epsilons_of_the_largest_entry(dtype):
    x, slopes = np.zeros(2), np.array([1.0, 8.0])
    allowed = 8000 * np.finfo(dtype).eps

    def check(error):
        gradient = (slopes + np.array([error, 0])).astype(dtype)
        return bptt.check(lambda x: slopes @ x, x, gradient, rtol=0, rng=rng())

    check(0.9 * allowed)
    with pytest.raises(bptt.GradientMismatch):
        check(1.2 * allowed)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("atol", "rtol"), [(0.5, 0.0), (0.0, 0.25), (0.5, 0.25)])
def test_a_difference_of_atol_and_rtol_times_the_quotient_is_allowed(sign, atol, rtol):
    x, slope = np.zeros(1), -4.0  # at 0 the difference of a line is the slope to rounding
    allowed = atol + rtol * 4

    def check(error):
        gradient = np.array([slope + sign * error])
        return bptt.check(lambda x: slope * x[0], x, gradient, atol=atol, rtol=rtol, rng=rng())

    assert check(0.6 * allowed).difference_quotient == pytest.approx(slope, rel=1e-9)
    assert check(0.6 * allowed).resolution == pytest.approx(allowed, rel=1e-6)
    with pytest.raises(bptt.GradientMismatch):
        check(1.001 * allowed)


def test_the_default_rtol_is_a_millionth():
    x, line = np.zeros(1), lambda x: 8.0 * x[0]
    bptt.check(line, x, np.array([8 + 7.9e-6]), atol=0, rng=rng())
    with pytest.raises(bptt.GradientMismatch):
        bptt.check(line, x, np.array([8 + 8.9e-6]), atol=0, rng=rng())


def test_nothing_allowed_and_nothing_different():
    """0 / 0 in a relative error must neither pass silently nor fail a zero gradient."""
    x = np.zeros(3)
    report = bptt.check(lambda x: 0.0 * x.sum(), x, np.zeros(3), atol=0, rtol=0, rng=rng())
    assert (report.gradient, report.difference_quotient, report.resolution) == (0, 0, 0)
    with pytest.raises(bptt.GradientMismatch):
        bptt.check(lambda x: 0.0 * x.sum(), x, np.full(3, 1e-300), atol=0, rtol=0, rng=rng())


# check: what it notices


def test_a_mismatch_counts_the_entries_that_differ_and_no_others():
    x = np.zeros(3)
    with pytest.raises(bptt.GradientMismatch, match=r"; 1 of 3 entries compared differ$"):
        bptt.check(lambda x: 2 * x.sum(), x, np.array([2, 2, 3.0]), rng=rng())


def test_a_mismatch_names_the_entry_and_both_values():
    x = np.zeros((2, 3))
    gradient = np.full((2, 3), 2.0)
    gradient[0, 1], gradient[1, 2] = 2.5, -1.0
    with pytest.raises(bptt.GradientMismatch) as raised:
        bptt.check(lambda x: 2 * x.sum(), x, gradient, rng=rng())
    assert re.fullmatch(
        r"entry \(1, 2\): gradient -1, central difference (2|2\.000000\d|1\.999999\d); "
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
    assert len(np.unique(abs(moved).argmax(axis=1))) == min(entries, 200)
    if entries > 1:  # the random direction moves all entries
        assert len(moved) == 6 * min(entries, 200)
    # an entry that is not drawn shows along the direction only, of length 15, by half of its error
    assert report.resolution == pytest.approx(1e-6 if entries <= 200 else 3e-5, rel=0.3)


def drawn_of(entries):
    points = []
    bptt.check(recorded(np.sum, points), np.zeros(entries), np.ones(entries), rng=rng())
    return {int(abs(point).argmax()) for point in points if np.count_nonzero(point) == 1}


def test_one_wrong_entry_of_many_is_noticed_whether_it_is_drawn_or_not():
    drawn = drawn_of(205)
    assert len(drawn) == 200
    for wrong in (*(set(range(205)) - drawn), min(drawn), max(drawn)):
        gradient = np.ones(205)
        gradient[wrong] = 1 + 1e-4
        with pytest.raises(bptt.GradientMismatch) as raised:
            bptt.check(np.sum, np.zeros(205), gradient, rng=rng())
        place, count = (f"entry ({wrong},)", 1) if wrong in drawn else ("a random direction", 0)
        assert str(raised.value).startswith(f"{place}: gradient ")
        assert str(raised.value).endswith(f"; {count} of 200 entries compared differ")


@pytest.mark.parametrize("seed", range(5))
def test_few_entries_of_many_that_f_takes_are_found_where_they_are_claimed(seed):
    """Of an embedding, three rows; that none is claimed shows along the direction."""
    E, rows, gradient = np.full((2000, 5), 0.5), [3, 77, 1500], np.zeros((2000, 5))
    gradient[rows] = np.cos(0.5)

    def check(gradient):
        draws = np.random.default_rng(seed)
        return bptt.check(lambda E: np.sin(E[rows]).sum(), E, gradient, rng=draws)

    report = check(gradient)
    assert (report.entries, report.resolution <= 1e-4) == (200, True)
    with pytest.raises(bptt.GradientMismatch, match=r"^entry .*; 15 of 200 entries"):
        check(1.01 * gradient)
    with pytest.raises(bptt.GradientMismatch):
        check(0 * gradient)


def test_the_random_direction_has_entries_from_a_half_to_one_and_a_half_and_comes_from_rng():
    def direction(seed):
        points, draws = [], np.random.default_rng(seed)
        bptt.check(recorded(np.sum, points), np.zeros(50), np.ones(50), rng=draws)
        moved = [point for point in points if np.count_nonzero(point) == 50][-1]
        return moved / 2.0 ** np.ceil(np.log2(abs(moved).max() / 1.5))

    v = direction(1)
    assert 0.5 <= abs(v).min() < 0.6
    assert 1.4 < abs(v).max() <= 1.5
    assert 10 < np.sum(v > 0) < 40
    assert np.array_equal(direction(1), v)
    assert not np.array_equal(direction(2), v)


def test_a_gradient_that_is_right_entry_by_entry_must_be_right_along_the_direction():
    """Planted: a function that answers differently once all entries move."""

    def f(x):
        return x.sum() * (2 if np.count_nonzero(x) > 1 else 1)

    with pytest.raises(bptt.GradientMismatch, match=r"^a random direction: "):
        bptt.check(f, np.zeros(5), np.ones(5), rng=rng())


# check: what it could not see


def refusal(f, x, gradient, error=bptt.CannotJudge, **tolerances):
    with pytest.raises(error) as raised:
        bptt.check(f, np.array(x, float), np.array(gradient, float), rng=rng(), **tolerances)
    return str(raised.value)


NUMBER = r"-?\d\.\de[+-]\d+"
COARSE = (
    rf"entry \(\d,\): central difference {NUMBER} may be wrong by \de[+-]\d+, needs "
    r"(at most [1-9]e[+-]\d+|an atol, as all are 0); let f compute in float64, subtract a constant "
    r"from it, sum fewer terms, give an atol, or use complex_step"
)


@pytest.mark.parametrize("gradient", [[0, 0, 0], [2, 2, 2]])
@pytest.mark.parametrize("constant", [1e16, 1e20])
def test_a_gradient_below_the_rounding_of_the_values_is_refused(constant, gradient):
    assert re.fullmatch(COARSE, refusal(lambda x: constant + x @ x, [1, 1, 1], gradient))
    assert issubclass(bptt.CannotJudge, AssertionError)
    assert not issubclass(bptt.CannotJudge, bptt.GradientMismatch)


def test_a_constant_passes_with_an_atol_that_the_differences_can_see():
    message = refusal(lambda x: 7.0, [1, 1], [0, 0])
    assert re.fullmatch(COARSE, message)
    assert "needs an atol, as all are 0; let" in message
    assert re.fullmatch(COARSE, refusal(lambda x: 7.0, [1, 1], [0, 0], atol=1e-16))
    report = bptt.check(lambda x: 7.0, np.ones(2), np.zeros(2), atol=1e-9, rng=rng())
    assert report.resolution == pytest.approx(1e-9, rel=0.01)


def test_tolerances_below_the_error_of_the_differences_are_refused():
    x = np.array([0.3, 0.7])
    for tolerances in ({"rtol": 1e-14}, {"atol": 0}, {"rtol": 0, "atol": 1e-15}):
        if tolerances == {"atol": 0}:  # the default rtol is within reach
            bptt.check(smooth, x, smooth_gradient(x), rng=rng(), **tolerances)
            continue
        assert re.fullmatch(COARSE, refusal(smooth, x, smooth_gradient(x), **tolerances))


def test_a_gradient_in_single_precision_that_is_half_wrong_never_passes():
    """Fifty steps of 64 units, all in float32, and of the gradient the first term alone."""
    for seed in range(5):
        draws = np.random.default_rng(seed)
        params = bptt.init(bptt.ELMAN, 65, 64, rng=draws, dtype=np.float32)
        V = (draws.uniform(-1, 1, (65, 64)) / 8).astype(np.float32)
        text = draws.integers(0, 65, (51, 1))
        x = np.eye(65, dtype=np.float32)[text[:-1]]

        def loss(W, params=params, x=x, V=V, text=text):
            h = bptt.unroll(bptt.ELMAN, params._replace(W=W), x).h
            return bptt.cross_entropy(h[1:] @ V.T, text[1:])[0]

        run = bptt.unroll(bptt.ELMAN, params, x)
        dh = bptt.cross_entropy(run.h[1:] @ V.T, text[1:])[1] @ V
        with pytest.raises(bptt.GradientMismatch, match="of 200 entries compared differ"):
            bptt.check(loss, params.W, bptt.truncated(run, dh, window=1).W, rng=draws)


@pytest.mark.parametrize("state", ["ignore", "warn", "raise"])
@pytest.mark.parametrize(
    ("f", "x", "place"),
    [
        (
            lambda x: 1e300 * (1e9 * x).sum(),
            1e-3,
            r"entry \(0,\): gradient 0, central .* (inf|nan)",
        ),
        (lambda x: 1e308 + 1e300 * abs(x).sum(), 0, r"entry \(0,\): .* 0"),
        (lambda x: 1e308 * np.sign(np.sin(1e9 * x)).sum(), 1, r"entry \(0,\): .*"),
    ],
)
def test_numbers_that_leave_the_range_are_refused(f, x, place, state):
    """Slopes, the sum of values on either side of a kink, and fifth differences."""
    with np.errstate(all=state):
        message = refusal(f, [x], [0])
    assert re.fullmatch(rf"{place}, with numbers too large for float64; scale f", message)


def test_a_gradient_whose_slope_along_the_direction_leaves_the_range_is_refused():
    """Of 205 entries, those that are not compared one by one."""
    gradient = np.full(205, 1e300)
    gradient[[*(set(range(205)) - drawn_of(205))]] = 1.7e308
    message = refusal(lambda x: 1e300 * x.sum(), np.zeros(205), gradient)
    assert message.startswith("a random direction: gradient ")
    assert message.endswith(", with numbers too large for float64; scale f")


FAST = {
    "sine": (lambda x: np.sin(1e10 * x).sum(), [0.3, 1.7], lambda x: 1e10 * np.cos(1e10 * x)),
    "tanh": (lambda x: np.tanh(1e12 * x).sum(), [1e-12, 1], lambda x: 1e12 * (x < 1) * 0.41997),
}


@pytest.mark.parametrize("factor", [1, 1.01])
@pytest.mark.parametrize("kind", list(FAST))
def test_what_varies_within_the_steps_is_refused(kind, factor):
    f, x, derivative = FAST[kind]
    x = np.array(x)
    assert re.fullmatch(COARSE, refusal(f, x, factor * derivative(x)))


@pytest.mark.parametrize("constant", [7.0, 0.1, np.float32(7)])
def test_a_slope_where_there_is_none_is_a_mismatch(constant):
    """No difference has a digit, but what they drown in is rounding."""
    message = refusal(lambda x: constant, [1, 1], [0, 1], bptt.GradientMismatch)
    assert message.startswith("entry (1,): gradient 1, central difference 0; 1 of 2")


def test_a_point_that_was_tried_is_not_taken_for_x():
    def f(x):
        return x.sum() if x.min() > 0 else np.nan

    message = refusal(f, [1000, 1e-6], [1, 1], ValueError)
    assert message == "f near x: got nan at (), needs finite numbers"


@pytest.mark.parametrize("claim", [0.0, 0.5, 1.0])
def test_a_kink_is_told_from_a_mismatch(claim):
    def f(x):
        return np.maximum(x, 0).sum()

    assert refusal(f, [1.0, 0, -1], [1, claim, 0]) == (
        "entry (1,): f is not differentiable here or nearby, with slopes 0 and 1 on either side"
    )
    assert refusal(f, [1.0, 0, -1], [1, 5, 0], bptt.GradientMismatch).startswith("entry (1,): ")


def test_rounding_is_no_kink():
    """Networks in single precision, some of which have a bend that is rounding."""
    for seed in (1004, 1008, 1025, 1034, 1057):
        draws = np.random.default_rng(seed)
        net = bptt.init_network(bptt.ELMAN, 2, 3, 2, rng=draws, dtype=np.float32)
        x, y = draws.standard_normal((5, 4, 2)).astype("f"), draws.integers(2, size=(5, 4))
        batch = bptt.Batch(x, y, np.ones((5, 4), bool))

        def at(W, net=net, batch=batch):
            net = net._replace(W=W)
            return bptt.loss_and_gradients(bptt.ELMAN, net, batch, bptt.cross_entropy)

        try:
            bptt.check(lambda W, at=at: at(W).loss, net.W, at(net.W).gradients.W, rng=rng())
        except bptt.CannotJudge as refused:
            assert "differentiable" not in str(refused)  # noqa: PT017


def test_a_kink_that_only_the_direction_meets():
    """At 0, and on lines through 0 that are none of the axes."""

    def f(x):
        return x.sum() + abs(np.prod(np.cbrt(x)))

    assert refusal(f, [0.0, 0, 0], [1, 1, 1]).startswith(
        "a random direction: f is not differentiable here or nearby, with slopes "
    )


def test_a_kink_inside_the_steps_makes_them_shorter():
    """Nine hundred units: among so many kinks the right gradient passes, and no other one."""
    draws = np.random.default_rng(0)
    A, b = draws.standard_normal((900, 6)), draws.standard_normal(900)
    x = draws.standard_normal(6)

    def f(x):
        return np.maximum(A @ x + b, 0).sum()

    gradient = A.T @ (A @ x + b > 0)
    assert bptt.check(f, x, gradient, rng=rng()).resolution <= 1e-3 * abs(gradient).max()
    message = refusal(f, x, 1.01 * gradient, bptt.GradientMismatch)
    assert message.endswith("6 of 6 entries compared differ")


def test_a_function_that_draws_numbers_is_named():
    draws = np.random.default_rng(0)
    message = refusal(lambda x: x.sum() + draws.uniform(), [1, 1], [1, 1], ValueError)
    assert re.fullmatch(r"f\(x\): got 2\.\d+ and 2\.\d+ for one x, needs one value", message)


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
