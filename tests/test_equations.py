"""``verified``: what passes, the line it prints, and what it refuses."""

import re

import numpy as np
import pytest
import sympy
from oracle import problem

import bptt
from bptt import EquationFails, verified

a, b = sympy.symbols("a b")


def printed(capsys, *sides, tol=1e-12, **options):
    verified("eq-name", *sides, tol=tol, **options)
    return capsys.readouterr().out


def refused(*sides, tol=1e-12, error=EquationFails, **options):
    with pytest.raises(error) as raised:
        verified("eq-name", *sides, tol=tol, **options)
    return str(raised.value)


# What passes


def test_it_prints_one_line_and_returns_nothing(capsys):
    assert verified("eq-name", 1.0, 1.0, tol=0) is None
    captured = capsys.readouterr()
    assert captured.out == "eq-name checked: largest relative difference 0.0e+00\n"
    assert captured.err == ""


def test_the_difference_is_relative_to_the_largest_entry_of_both_sides(capsys):
    left, right = np.array([[1.0, -3.0], [0.5, 0.0]]), np.array([[1.0, -4.0], [0.25, 0.0]])
    line = "eq-name checked: largest relative difference 2.5e-01\n"
    assert printed(capsys, left, right, tol=0.25) == line
    assert printed(capsys, right, left, tol=0.25) == line
    assert "fails by 2.5e-01, tol 2.4e-01" in refused(left, right, tol=0.24)
    assert printed(capsys, 1e6 * left, 1e6 * right, tol=0.25) == line


def test_zero_equals_zero(capsys):
    line = "eq-name checked: largest relative difference 0.0e+00\n"
    assert printed(capsys, np.zeros(3), np.zeros(3), tol=0) == line
    assert "fails by 1.0e+00" in refused(np.zeros(3), np.full(3, 1e-300), tol=0.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128, np.int8, np.uint8])
def test_numbers_of_any_kind(capsys, dtype):
    line = "eq-name checked: largest relative difference 0.0e+00\n"
    assert printed(capsys, np.arange(4, dtype=dtype), [0, 1, 2, 3] * np.ones(4)) == line
    assert printed(capsys, dtype(3), 3) == line


def test_complex_sides_differ_by_their_distance(capsys):
    line = printed(capsys, 3 + 4j, 2.4 + 3.2j, tol=0.25)
    assert line == "eq-name checked: largest relative difference 2.0e-01\n"


@pytest.mark.parametrize("large", [2**53 + 1, -(2**53) - 1, np.uint64(2**64 - 1)])
def test_integers_that_floats_cannot_hold(large):
    verified("eq-name", 2**53, 2**53, tol=0)
    for sides in ((large, 1), ([1, 1], [1, large])):
        with pytest.raises(ValueError, match=r"^eq-name.*: got an integer beyond 2\*\*53"):
            verified("eq-name", *sides, tol=0)


def test_small_integers_do_not_wrap_around():
    assert "fails by 2.0e+00" in refused(np.int8(-127), np.int8(127), tol=0.5)
    assert "left is 2, right is 1" in refused(np.uint8(2), np.uint8(1), tol=0, relation="<=")
    verified("eq-name", np.uint8(1), np.uint8(2), tol=0, relation="<=")


def test_lists_are_compared_item_by_item(capsys):
    left = [np.ones(2), (1.0, np.full((2, 2), 2.0))]
    right = (np.ones(2), [1.1, np.full((2, 2), 2.0)])
    line = "eq-name checked in 3 cases: largest relative difference 9.1e-02\n"
    assert printed(capsys, left, right, tol=0.1) == line
    message = refused(left, right, tol=0.09)
    assert message == (
        "eq-name, case 2 of 3: left == right fails by 9.1e-02, tol 9.0e-02; "
        "at () left is 1, right is 1.1"
    )
    # One case has no number, even as a list.
    assert printed(capsys, [1.0], [1.0]) == "eq-name checked: largest relative difference 0.0e+00\n"


def test_a_list_against_an_array_is_one_case(capsys):
    """The difference is then relative to the largest entry of all: 0.1 of 10, not 0.1 of 0.2."""
    line = "eq-name checked: largest relative difference 1.0e-02\n"
    assert printed(capsys, [0.1, 10.0], np.array([0.2, 10.0]), tol=0.1) == line
    assert printed(capsys, np.array([0.2, 10.0]), (0.1, 10.0), tol=0.1) == line


def test_gradients_are_compared_field_by_field_and_two_nones_say_nothing(capsys):
    p = problem("LSTM", T=4, B=2, d=3, n=2)
    run = p.run()
    line = printed(capsys, bptt.rtrl(run, p.dh), bptt.rtrl(run, p.dh), tol=0)
    assert line == "eq-name checked in 3 cases: largest relative difference 0.0e+00\n"
    line = printed(capsys, bptt.backward(run, p.dh), bptt.truncated(run, p.dh, 4))
    assert line.startswith("eq-name checked in 5 cases: largest relative difference ")
    refused(bptt.backward(run, p.dh), bptt.truncated(run, p.dh, 3))
    for sides in ((bptt.backward(run, p.dh), bptt.rtrl(run, p.dh)), (1.0, None), (None, 1.0)):
        assert "object" in refused(list(sides), list(sides)[::-1], error=TypeError)


# Inequalities


def test_an_inequality_prints_its_smallest_margin(capsys):
    line = printed(capsys, [1.0, np.array([2.0, 3.0])], [2.0, np.array([2.5, 9.0])], relation="<=")
    assert line == "eq-name checked in 2 cases: smallest margin 5.0e-01\n"


def test_an_inequality_has_no_tolerance(capsys):
    line = printed(capsys, 1.0, 1.0, tol=0.5, relation="<=")
    assert re.fullmatch(r"eq-name checked: smallest margin -?0\.0e\+00\n", line)
    message = refused(np.array([1.0, 2.25]), np.array([1.0, 2.0]), tol=0.5, relation="<=")
    assert message == (
        "eq-name: left <= right fails by 2.5e-01, tol 5.0e-01; at (1,) left is 2.25, right is 2"
    )


# Expressions


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((a + b) ** 2, a**2 + 2 * a * b + b**2),
        (sympy.cosh(a) ** 2 - sympy.sinh(a) ** 2, 1),
        (1, sympy.cosh(a) ** 2 - sympy.sinh(a) ** 2),
        (sympy.diff(sympy.tanh(a), a), 1 - sympy.tanh(a) ** 2),
        (sympy.Matrix([[a, 0], [b, a]]) ** 2, sympy.Matrix([[a**2, 0], [2 * a * b, a**2]])),
        (sympy.Integer(3), 3),
    ],
)
def test_expressions_must_simplify_to_zero(capsys, left, right):
    assert printed(capsys, left, right, tol=0) == "eq-name checked: equal as expressions\n"


def test_expressions_that_differ(capsys):
    assert refused((a + b) ** 2, a**2 + b**2, tol=0) == (
        "eq-name: left minus right is 2*a*b, not zero"
    )
    left, right = sympy.Matrix([[a, 0]]), sympy.Matrix([[a, b]])
    assert refused(left, right, tol=0) == (
        "eq-name: left minus right is Matrix([[0, -b]]), not zero"
    )
    assert refused([a, a], [a, b], tol=0).startswith("eq-name, case 2 of 2: left minus right is ")
    assert capsys.readouterr().out == ""


def test_expressions_and_numbers_in_one_line(capsys):
    line = printed(capsys, [a + a, 1.0], [2 * a, 1.5], tol=0.5)
    assert line == "eq-name checked in 2 cases: largest relative difference 3.3e-01\n"
    line = printed(capsys, [a + a, a], [2 * a, a], tol=0)
    assert line == "eq-name checked in 2 cases: equal as expressions\n"


@pytest.mark.parametrize(
    ("left", "right", "found"),
    [
        (sympy.nan, a, "got nan and a, needs finite expressions"),
        (sympy.oo, sympy.oo, "got oo and oo, needs finite expressions"),
        (sympy.oo, a, "got oo and a, needs finite expressions"),
        (-sympy.oo, a, "got -oo and a, needs finite expressions"),
        (a, sympy.oo, "got a and oo, needs finite expressions"),
        (sympy.zoo, a, "got zoo and a, needs finite expressions"),
        (sympy.Matrix([[a]]), sympy.Matrix([[a, a]]), "needs one shape"),
        (sympy.Matrix([[a]]), a, "needs one shape"),
        (a, sympy.Matrix([[a]]), "needs one shape"),
    ],
)
def test_expressions_that_cannot_be_compared(left, right, found):
    message = refused(left, right, tol=0, error=ValueError)
    assert message.startswith("eq-name: got ")
    assert message.endswith(found)


def test_expressions_have_no_inequality():
    message = refused(a, a + 1, tol=0, relation="<=", error=TypeError)
    assert message == "eq-name: got expressions and relation '<=', needs numbers"


# What fails, and how it says so


def test_a_failure_names_label_tolerance_entry_and_both_values(capsys):
    left = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    right = left.copy()
    right[0, 1], right[1, 0] = 2.1, 4.3
    assert refused(left, right) == (
        "eq-name: left == right fails by 5.0e-02, tol 1.0e-12; at (1, 0) left is 4, right is 4.3"
    )
    assert capsys.readouterr().out == ""
    assert issubclass(EquationFails, AssertionError)


BUGS = {
    "transposed": lambda g: g._replace(W=g.W.T),
    "one entry": lambda g: g._replace(b=g.b + 1e-9 * (np.arange(4) == 2)),
    "sign": lambda g: g._replace(U=-g.U),
    "left out": lambda g: g._replace(x=np.zeros_like(g.x)),
    "scaled": lambda g: g._replace(s0=g.s0 * (1 + 1e-11)),
}


@pytest.mark.parametrize("bug", list(BUGS))
def test_planted_bugs_are_noticed(bug):
    p = problem("ELMAN", T=5, B=2, d=3, n=4)
    right = bptt.truncated(p.run(), p.dh, 5)
    verified("eq-name", bptt.backward(p.run(), p.dh), right, tol=1e-12)
    refused(BUGS[bug](bptt.backward(p.run(), p.dh)), right)


@pytest.mark.parametrize("sides", [([None], [None]), ([[None, None]], ((None, None),))])
def test_nothing_to_compare_is_no_check(sides, capsys):
    message = refused(*sides, error=ValueError)
    assert message == "eq-name: got nothing to compare, needs at least one pair"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("left", "right", "error", "found"),
    [
        ([1.0], [1.0, 2.0], ValueError, "got 1 and 2 items, needs as many"),
        ([], [], ValueError, "got 0 and 0 items, needs as many"),
        ([1.0, [2.0, 3.0]], [1.0, [2.0]], ValueError, "got 2 and 1 items, needs as many"),
        (np.ones(2), np.ones(3), ValueError, "got shapes (2,) and (3,), needs one shape"),
        (np.ones((1, 3)), np.ones(3), ValueError, "got shapes (1, 3) and (3,), needs one shape"),
        (1.0, np.ones(1), ValueError, "got shapes () and (1,), needs one shape"),
    ],
)
def test_sides_of_different_structure(left, right, error, found):
    assert refused(left, right, error=error) == f"eq-name: {found}"


@pytest.mark.parametrize("relation", ["==", "<="])
@pytest.mark.parametrize(
    ("side", "error", "found"),
    [
        (np.nan, ValueError, r"got nan at \(\), needs finite numbers"),
        (np.array([1.0, -np.inf]), ValueError, r"got -inf at \(1,\), needs finite numbers"),
        (
            np.empty((0, 2)),
            ValueError,
            r"got shape \(0, 2\), needs at least one entry on each axis",
        ),
        (np.array([True]), TypeError, r"got dtype bool, needs .*float64.* or integer"),
        (np.array(["x"]), TypeError, r"got dtype <U1, needs .*float64.* or integer"),
        (np.array([1.0], object), TypeError, r"got dtype object, needs .*float64.* or integer"),
        (None, TypeError, r"got dtype object, needs .*float64.* or integer"),
    ],
)
def test_sides_that_are_no_finite_numbers(side, error, found, relation):
    for sides in ((side, np.ones(1)), (np.ones(1), side)):
        assert re.fullmatch(f"eq-name: {found}", refused(*sides, relation=relation, error=error))
        message = refused([1.0, sides[0]], [1.0, sides[1]], relation=relation, error=error)
        assert re.fullmatch(f"eq-name, case 2 of 2: {found}", message)


@pytest.mark.parametrize("state", ["ignore", "warn", "raise"])
@pytest.mark.parametrize("right", [-1 - 1j, 0.5 + 0.5j])
def test_complex_numbers_whose_absolute_value_is_not_finite(right, state):
    with np.errstate(all=state):
        message = refused(1.7e308 * (1 + 1j), 1.7e308 * right, error=ValueError)
    assert message == "eq-name, absolute value: got inf at (), needs finite numbers"


@pytest.mark.parametrize("state", ["ignore", "warn", "raise"])
def test_a_difference_beyond_the_range_fails(state):
    with np.errstate(all=state):
        assert "== right fails by inf" in refused(1.7e308, -1.7e308)
        assert "<= right fails by inf" in refused(1.7e308, -1.7e308, relation="<=")
        verified("eq-name", -1.7e308, 1.7e308, tol=0, relation="<=")


def test_complex_numbers_have_no_order():
    assert refused(1j, 2j, relation="<=", error=TypeError) == (
        "eq-name: got dtype complex128, needs float32 or float64 or integer"
    )
