"""Slopes by differences: exact where the arithmetic is, and the error that they state."""

from zlib import crc32

import numpy as np
import pytest

from bptt._differences import SAFETY, Near, norm

ONE = np.ones(1)


def near(f, x=0.0, dtype=np.float64):
    return Near(f, np.array([x], dtype), ONE, 1e-7)


@pytest.mark.parametrize("direction", [ONE, -2 * ONE])
def test_a_polynomial_of_degree_six_is_differentiated_exactly(direction):
    """Every number is a binary fraction. Of x**5 at 0, once extrapolated, -4 h**4 is left."""
    c = [3.0, 5.0, -2.0, 7.0, 0.5, 1.5, -4.0]
    h = 2.0**-6
    sign, width = np.sign(direction[0]), abs(direction[0])
    found = near(lambda x: np.polyval(c[::-1], x[0])).extrapolated(direction, h / width)
    assert found.value == 5 * sign
    bend = 2 * (c[2] * h + c[4] * h**3 + c[6] * h**5)  # of the even terms
    twice = 2 * (c[2] * 2 * h + c[4] * (2 * h) ** 3 + c[6] * (2 * h) ** 5)
    kink = 2 * bend - twice
    assert found.bend == bend
    assert found.truncation == max(60 * h**4 * c[5], abs(kink))
    assert found.kink == 0
    assert found.error() == found.truncation + found.rounding


def test_truncation_is_the_difference_of_two_extrapolations():
    """Of x**7 at 0: Q = h**6, extrapolated once -20 h**6 and 64 times that, twice 64 h**6."""
    h = 2.0**-3
    found = near(lambda x: x[0] ** 7).extrapolated(ONE, h)
    assert found.truncation == 20 * 63 * h**6
    assert found.value == 64 * h**6


def test_a_kink_is_the_difference_of_the_slopes_on_either_side():
    found = near(lambda x: 3 * x[0] + 2 * abs(x[0]) + x[0] ** 2).extrapolated(ONE, 0.25)
    assert (found.value, found.kink, found.truncation, found.bend) == (3, 4, 4, 4.5)


def test_a_kink_is_what_is_left_of_the_bend_at_the_smaller_steps():
    """Of 2|x| + |x|**3 the bends are 4 + 2 h**2: once extrapolated, 4 - 4 h**2 is left."""
    h = 2.0**-6
    assert near(lambda x: 2 * abs(x[0]) + abs(x[0]) ** 3).extrapolated(ONE, h).kink == 4 - 4 * h**2


@pytest.mark.parametrize(("kinks", "found"), [((3.9, 5.0), 0), ((4.5, 5.5), 4.5), ((5, 3.9), 5)])
def test_a_kink_lasts_if_it_hardly_changes_with_the_step(kinks, found):
    """Of a|x| + b|x|**1.5 it is 2a + b (4 - sqrt(8)) sqrt(h)."""
    h = 2.0**-4
    b = (kinks[1] - kinks[0]) / (2**0.5 - 1) / (4 - 8**0.5) / h**0.5
    a = kinks[0] / 2 - b * (2 - 2**0.5) * h**0.5
    slope = near(lambda x: a * abs(x[0]) + b * abs(x[0]) ** 1.5).extrapolated(ONE, h)
    assert slope.kink == pytest.approx(found, rel=1e-12)


def test_a_bend_is_no_kink():
    """Of x**4 the bends are 2 h**3 and eight times that: they vanish with the step."""
    found = near(lambda x: x[0] ** 4).extrapolated(ONE, 0.25)
    assert (found.kink, found.bend) == (0, 2 * 0.25**3)
    assert found.truncation == 12 * 0.25**3


@pytest.mark.parametrize("edge", [0, 0.5])
@pytest.mark.parametrize("grain", [1e-3, 1e-6, 1e-9])
def test_the_noise_of_rounding_to_a_grid_is_measured(grain, edge):
    """Rounding to multiples of a grain has the standard deviation grain / sqrt(12)."""
    x = np.arcsin((np.round(np.sin(0.7) / grain) + edge) * grain)
    found = near(lambda x: np.round(np.sin(x[0]) / grain) * grain, x)
    assert grain / 12 <= found.noise <= grain
    for step in (0.25, 0.03125):
        slope = found.extrapolated(ONE, step)
        assert slope.rounding == pytest.approx(SAFETY * found.noise / step, rel=1e-12)
        assert abs(slope.value - np.cos(0.7)) <= slope.error()


def test_the_noise_of_random_errors_is_their_standard_deviation():
    """In the mean of its square. The errors, uniform on (0, 1), are the same whenever x is."""
    points = np.linspace(1, 2, 1200)
    found = [near(lambda x: crc32(x.tobytes()) / 2**32, x) for x in points]
    square = np.mean([one.noise**2 for one in found])
    assert square == pytest.approx(1 / 12, rel=0.04)  # 5 deviations of this mean
    enough = [x * one.enough / one.noise for x, one in zip(points, found, strict=True)]
    assert min(enough) == pytest.approx(np.quantile(enough, 0.2), rel=1e-6)  # that of the noise


def test_the_noise_of_the_smallest_numbers_is_their_distance():
    slope = near(lambda x: 1e-320 + 0 * x[0], 1.0).extrapolated(ONE, 0.5)
    assert slope.rounding == SAFETY * np.nextafter(0, 1) / 0.5


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_the_least_step_is_far_above_the_digits_of_x(x):
    assert near(lambda x: x[0], x).least == 2**12 * np.finfo(float).eps


@pytest.mark.parametrize(("length", "last", "step"), [(1, 2**-4, 2**-4), (100, 2**-13, 2**-7)])
def test_where_values_are_coarse_the_step_is_as_large_as_x_allows(length, last, step):
    """It grows by eights while 128 of them stay within 1, the size where x is 0."""
    found = Near(lambda x: np.round(100 * x[0]) / 100, np.zeros(1), length * ONE, 1e-7)
    assert found.step == step
    assert found.along.rounding == SAFETY * found.noise / (last * length)


@pytest.mark.parametrize("slope", [3.0, -3.0])
def test_what_is_accurate_enough_is_relative_to_the_slope(slope):
    assert near(lambda x: slope * x[0], 1.0).enough == pytest.approx(3e-7, rel=1e-12)


def test_what_is_accurate_enough_of_a_constant_is_above_zero():
    assert near(lambda x: 5.0 + 0 * x[0], 1.0).enough > 0


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_noise_of_rounding_is_found_at_every_size_of_x(size):
    """A tenth of x may pass before the value changes."""
    grain = 0.1 * size
    found = near(lambda x: np.round(x[0] / grain) * grain, 1.02 * size)
    assert grain / 12 <= found.noise <= grain


def test_the_noise_is_at_least_that_of_the_last_rounding_of_the_values():
    """Where f is small at x, but not one step away."""
    found = near(lambda x: x[0] ** 3)
    assert found.noise < 1e-30
    slope = found.extrapolated(ONE, 0.25)
    assert slope.rounding == SAFETY * np.finfo(float).eps / 4 * 1.0 / 0.25


@pytest.mark.parametrize("kink", [1e-2, 1e-3, 1e-5])
def test_steps_shrink_until_no_kink_is_within(kink):
    points = []

    def f(x):
        points.append(x[0])
        return abs(x[0] - kink)

    found = near(f)
    found.step, points[:] = 2.0**-3, []
    slope = found.slope(ONE)
    assert slope.value == pytest.approx(-1, abs=1e-9)
    assert slope.error() <= 1e-9
    assert len(points) == 6 * np.ceil(np.log(4 * found.step / kink) / np.log(4) + 1)


def test_steps_shrink_no_further_than_helps():
    """At the kink itself, only until rounding alone would be as large as the error."""
    points = []

    def f(x):
        points.append(x[0])
        return np.round(abs(x[0]) * 1e4) / 1e4

    found = near(f, 0.0)
    found.step, points[:] = 2.0**-3, []
    slope = found.slope(ONE)
    assert (slope.value, slope.kink) == (pytest.approx(0, abs=1e-9), pytest.approx(2, rel=0.01))
    assert len(points) <= 6 * 8


def test_the_step_stays_within_the_size_of_x():
    """In single precision the least error would lie beyond the domain of the logarithm."""
    x = np.array([1, 2, 3], np.float32)

    def f(x):
        if x.dtype == np.float64:
            raise TypeError
        return np.float32(100) + np.log(x).sum()

    found = Near(f, x, np.array([1.0, -0.5, 1.5]), 1e-9)
    assert found.step <= norm(x) / 8
    for k in range(3):
        slope = found.slope(np.eye(3, dtype=np.float32)[k])
        assert abs(slope.value - 1 / x[k]) <= slope.error()


def test_values_that_differ_in_the_last_digits_are_one_value():
    values = iter(1 + np.finfo(float).eps * np.resize([0, 3, 7], 1000))
    near(lambda x: next(values) + x[0])
    values = iter(1 + np.finfo(float).eps * np.resize([0, 3, 700], 1000))
    with pytest.raises(ValueError, match="for one x, needs one value"):
        near(lambda x: next(values) + x[0])


def test_a_norm_beyond_squares():
    assert norm(np.array([[3e200, 0.0], [4e200, 0.0]])) == pytest.approx(5e200, rel=1e-15)
    assert norm(np.array(-2.0)) == 2
