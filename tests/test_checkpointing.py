"""Checkpointing: the same gradients, as few repeated steps as possible, and little memory.

The figures: at most 1e-12 relative against the gradients of the whole run; the number of steps
equals that of an exhaustive search over all schedules; 1/20 of the memory at 100,000 steps.
"""

import contextlib
import functools
import math
import tracemalloc
import weakref

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import SETTINGS, agree, difference, problem, problems

import bptt
from bptt import checkpointing

OWN = 1e-12
cells = pytest.mark.parametrize("name", list(oracle.CELLS))


def checkpointed(p, cell=None, dh=None, **options):
    dh = dh or (lambda steps, h: p.dh[steps])
    return bptt.checkpointed(cell or p.cell, p.params, p.x, dh, p.s0, **options)


def counting(cell):
    """A cell like this one that counts its steps."""

    class Counting(type(cell)):
        steps = 0

        def step(self, *arguments):
            self.steps += 1
            super().step(*arguments)

    return Counting()


@functools.cache
def least(steps, places):
    """Fewest repeated steps to go back over so many, by trying every place for the next state."""
    if steps == 1:
        return 0
    if places == 1:
        return sum(range(steps))
    return min(j + least(steps - j, places - 1) + least(j, places) for j in range(1, steps))


# What the last state receives from a run that goes on


@cells
def test_split_runs_chain(name):
    @SETTINGS
    @given(problems(name), st.data())
    def chains(p, data):
        cut = data.draw(st.integers(0, len(p.x) - 1))
        whole, run = bptt.backward(p.run(), p.dh), p.run()
        later = bptt.unroll(p.cell, p.params, p.x[cut:], run.s[cut])
        late = bptt.backward(later, p.dh[cut:])
        if cut == 0:
            agree(late, whole, 0)
            return
        early = bptt.unroll(p.cell, p.params, p.x[:cut], p.s0)
        first = bptt.backward(early, p.dh[:cut], late.s0)
        sums = (a + b for a, b in zip(first[:3], late, strict=False))
        agree(bptt.Gradients(*sums, np.concatenate([first.x, late.x]), first.s0), whole, OWN)

    chains()


@cells
def test_backward_with_ds_agrees_with_the_complex_step(name):
    @SETTINGS
    @given(problems(name))
    def agrees(p):
        ds = np.random.default_rng(1).standard_normal(p.s0.shape)

        def loss(k, moved):
            parts = [*p.params, p.x, p.s0]
            parts[k] = moved
            run = bptt.unroll(p.cell, bptt.Params(*parts[:3]), *parts[3:])
            return (p.dh * run.h[1:]).sum() + (ds * run.s[-1]).sum()

        values = (*p.params, p.x, p.s0)
        expected = (
            bptt.complex_step(lambda a, k=k: loss(k, a), value) for k, value in enumerate(values)
        )
        before = ds.copy()
        agree(bptt.backward(p.run(), p.dh, ds), bptt.Gradients(*expected), OWN)
        assert np.array_equal(ds, before)

    agrees()


def test_a_complex_ds_makes_the_gradients_complex():
    p = problem("LSTM", T=3, B=2, d=2, n=3)
    found = bptt.backward(p.run(), p.dh, 1j * p.s0)
    for a, b in zip(found, bptt.backward(p.run(), p.dh), strict=True):
        assert a.dtype == np.complex128
        assert a.imag.any()
        assert difference(a.real, b) <= OWN


# The gradients


@cells
def test_the_gradients_are_those_of_the_whole_run(name):
    @SETTINGS
    @given(problems(name, T=25), st.integers(1, 27), st.none() | st.integers(1, 27))
    def agrees(p, checkpoints, segment):
        found = checkpointed(p, checkpoints=checkpoints, segment=segment)
        agree(found, bptt.backward(p.run(), p.dh), OWN)

    agrees()


@cells
def test_the_first_state_is_zero_if_none_is_given(name):
    p = problem(name, T=8, B=2, d=3, n=4)
    dh = lambda steps, h: p.dh[steps]  # noqa: E731
    found = bptt.checkpointed(p.cell, p.params, p.x, dh, checkpoints=2)
    agree(found, checkpointed(p._replace(s0=np.zeros_like(p.s0)), checkpoints=2), 0)


@cells
@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_other_precisions(name, dtype):
    p = problem(name, T=11, B=2, d=2, n=3).astype(dtype)
    tol = 2e-6 if dtype == np.float32 else OWN
    agree(checkpointed(p, checkpoints=2), bptt.backward(p.run(), p.dh), tol)


@pytest.mark.parametrize("which", ["W", "U", "b", "x", "s0"])
def test_the_complex_step_goes_through(which):
    """A Hessian times a direction; only one argument is complex, and dh is real."""
    p = problem("GRU", T=9, B=2, d=2, n=3)
    values = {**p.params._asdict(), "x": p.x, "s0": p.s0}
    values[which] = values[which] + 1e-100j
    q = oracle.Problem(
        "GRU", bptt.Params(*(values[key] for key in "WUb")), *map(values.get, ("x", "s0")), p.dh
    )
    found, whole = checkpointed(q, checkpoints=2), bptt.backward(q.run(), p.dh)
    agree(found, whole, OWN)
    for a, b in zip(found, whole, strict=True):
        assert difference(a.imag, b.imag) <= OWN


def test_lists_are_taken_as_arrays():
    p = problem("LSTM", T=5, B=2, d=2, n=2)
    lists = bptt.Params(*(a.tolist() for a in p.params))
    dh = p.dh.tolist()
    found = bptt.checkpointed(
        p.cell, lists, p.x.tolist(), lambda steps, h: dh[steps], p.s0.tolist(), checkpoints=2
    )
    agree(found, checkpointed(p, checkpoints=2), 0)


@cells
def test_nothing_given_is_written_or_handed_back(name):
    p = problem(name, T=7, B=2, d=2, n=3)
    given_ = (*p.params, p.x, p.s0, p.dh)
    for a in given_:
        a.setflags(write=False)
    before = [a.tobytes() for a in given_]
    found = checkpointed(p, checkpoints=2)
    for a in found:
        a += 1
    assert [a.tobytes() for a in given_] == before


# What dh is called with


@pytest.mark.parametrize(("T", "checkpoints", "segment"), [(10, 2, None), (11, 3, 2), (5, 1, 9)])
def test_dh_sees_each_segment_once_the_last_first(T, checkpoints, segment):
    p, calls = problem("LSTM", T=T, B=2, d=2, n=3), []
    run = p.run()

    def dh(steps, h):
        calls.append(range(T)[steps])
        assert difference(h, run.h[1:][steps]) <= OWN
        assert not h.flags.writeable
        return p.dh[steps]

    checkpointed(p, dh=dh, checkpoints=checkpoints, segment=segment)
    assert [t for steps in reversed(calls) for t in steps] == list(range(T))
    lengths = [len(steps) for steps in calls]
    assert set(lengths[:-1]) <= {segment or math.ceil(T / (checkpoints + 1))}
    assert lengths[-1] <= max(lengths)


def test_a_loss_of_the_states_is_backpropagated():
    """The loss is half the sum of all h squared, so dh is h, here the very view."""
    p = problem("GRU", T=9, B=2, d=2, n=3)
    found = checkpointed(p, dh=lambda steps, h: h, checkpoints=3)
    agree(found, bptt.backward(p.run(), p.run().h[1:]), OWN)


def test_an_error_in_dh_comes_through():
    p = problem("GRU", T=9, B=2, d=2, n=3)
    with pytest.raises(ZeroDivisionError):
        checkpointed(p, dh=lambda steps, h: 1 / 0, checkpoints=3)


# Steps that are run


@pytest.mark.parametrize("checkpoints", [1, 2, 3, 4, 5, 8, 40])
def test_single_steps_are_repeated_as_seldom_as_possible(checkpoints):
    for T in (*range(1, 25), 45):
        p = problem("ELMAN", T=T, B=1, d=1, n=1)
        cell = counting(p.cell)
        checkpointed(p, cell, checkpoints=checkpoints, segment=1)
        assert cell.steps == T + least(T, checkpoints)


@cells
@pytest.mark.parametrize("checkpoints", [1, 2, 3, 7, 16, 30, 31, 50])
def test_by_default_all_but_the_last_segment_is_run_twice(name, checkpoints):
    for T in (1, 2, 16, 30, 31):
        p = problem(name, T=T, B=2, d=2, n=2)
        cell = counting(p.cell)
        checkpointed(p, cell, checkpoints=checkpoints)
        assert cell.steps == 2 * T - math.ceil(T / (checkpoints + 1))


@pytest.mark.parametrize("segment", [2, 3, 5])
def test_segments_are_repeated_as_seldom_as_possible(segment):
    for parts in range(1, 16):
        p = problem("ELMAN", T=parts * segment, B=1, d=1, n=1)
        for checkpoints in (1, 2, 3):
            cell = counting(p.cell)
            checkpointed(p, cell, checkpoints=checkpoints, segment=segment)
            assert cell.steps == segment * (parts + least(parts, checkpoints))


@pytest.mark.parametrize(("s", "r"), [(1, 4), (2, 3), (3, 3), (4, 2), (5, 1), (2, 7)])
def test_no_step_is_run_more_often_than_the_theorem_says(s, r, monkeypatch):
    runs = []

    def unroll(cell, params, x, s0):
        runs.extend(x[:, 0, 0])
        return bptt.unroll(cell, params, x, s0)

    monkeypatch.setattr(checkpointing, "unroll", unroll)
    for T, most in ((math.comb(s + r, s), r + 1), (math.comb(s + r, s) + 1, r + 2)):
        p = problem("ELMAN", T=T, B=1, d=1, n=1)
        p = p._replace(x=np.arange(T * 1.0).reshape(T, 1, 1))
        runs.clear()
        checkpointed(p, checkpoints=s, segment=1)
        assert np.bincount(np.array(runs, int)).max() == most


# Memory


@pytest.mark.parametrize(
    ("T", "checkpoints", "segment"),
    [(12, 3, None), (60, 5, None), (60, 1, 1), (60, 2, 1), (60, 4, 1), (60, 4, 7), (3, 9, 1)],
)
def test_so_many_states_are_kept_and_no_more(T, checkpoints, segment, monkeypatch):
    seen, alive = [], []

    def look():
        alive.append(len({id(a) for ref in seen if (a := ref()) is not None}))

    def unroll(cell, params, x, s0):
        # every state that is kept is run from at once, so that none is missed
        seen.append(weakref.ref(s0))
        look()
        return bptt.unroll(cell, params, x, s0)

    def dh(steps, h):
        look()
        return h

    monkeypatch.setattr(checkpointing, "unroll", unroll)
    p = problem("LSTM", T=T, B=2, d=2, n=2)
    checkpointed(p, dh=dh, checkpoints=checkpoints, segment=segment)
    # the first state, which the caller holds, and the one that is run from
    assert max(alive) <= checkpoints + 1
    assert max(alive) == min(checkpoints + 1, T)


def peak(p, checkpoints, sweeps):
    """The most memory at once in so many sweeps, beyond the inputs and the gradients by inputs."""

    class Enough(Exception):
        pass

    def dh(steps, h):
        nonlocal sweeps
        if not sweeps:
            raise Enough
        sweeps -= 1
        return p.dh[steps]

    tracemalloc.start()
    with contextlib.suppress(Enough):
        checkpointed(p, dh=dh, checkpoints=checkpoints)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - p.x.nbytes


@cells
def test_inputs_are_not_copied(name):
    """Beside their gradients, which are as long, the call holds less than a quarter of them."""
    p = problem(name, T=2048, B=1, d=256, n=2)
    checkpointed(p, checkpoints=31)  # what the first call ever makes
    assert peak(p, 31, sweeps=33) < 0.25 * p.x.nbytes


@cells
def test_memory_is_at_its_peak_in_the_second_sweep(name):
    """Nearly all checkpoints are kept then, and the gradients of the first sweep are added up."""
    p = problem(name, T=1024, B=1, d=1, n=64)
    second, all_ = (peak(p, 31, sweeps) for sweeps in (2, 32))
    assert second > 31 * p.s0.nbytes
    assert all_ <= 1.02 * second


def test_a_hundred_thousand_steps_need_a_twentieth_of_the_memory():
    """Tracing slows the run down, so that only the first sweeps are run."""
    p = problem("ELMAN", T=100_000, B=1, d=1, n=64)
    states = p.dh.nbytes  # the least that a run without checkpoints keeps
    assert peak(p, 316, 3) <= states / 20


# Errors, beside those in test_arguments


def wrong(p, dh, **options):
    with pytest.raises((TypeError, ValueError)) as raised:
        checkpointed(p, dh=dh, checkpoints=2, **options)
    return type(raised.value), str(raised.value)


P = problem("LSTM", T=8, B=2, d=2, n=3)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.zeros((3, 2, 4)), ValueError, "got shape (3, 2, 4), needs (steps=3, B=2, n=3)"),
        (np.zeros((3, 1, 3)), ValueError, "got shape (3, 1, 3), needs (steps=3, B=2, n=3)"),
        (np.zeros((8, 2, 3)), ValueError, "got shape (8, 2, 3), needs (steps=3, B=2, n=3)"),
        (np.zeros((2, 3)), ValueError, "got shape (2, 3), needs (steps=3, B=2, n=3)"),
        (0.0, ValueError, "got shape (), needs (steps=3, B=2, n=3)"),
        (None, TypeError, "got dtype object, needs float64"),
        (np.zeros((3, 2, 3), int), TypeError, "got dtype int64, needs float64"),
        (np.zeros((3, 2, 3), np.float32), TypeError, "got dtype float32, needs float64"),
        (np.zeros((3, 2, 3), complex), TypeError, "got dtype complex128, needs float64"),
        (np.full((3, 2, 3), np.nan), ValueError, "got nan at (0, 0, 0), needs finite numbers"),
    ],
)
def test_what_dh_returns_must_fit(value, error, message):
    assert wrong(P, lambda steps, h: value) == (error, f"dh(slice(5, 8), h): {message}")


def test_what_dh_returns_in_a_run_of_another_precision():
    single, double = P.astype(np.float32), P.astype(complex)
    name = "dh(slice(5, 8), h): got dtype"
    assert wrong(single, lambda steps, h: P.dh[steps]) == (
        TypeError,
        f"{name} float64, needs float32",
    )
    assert wrong(double, lambda steps, h: single.dh[steps]) == (
        TypeError,
        f"{name} float32, needs float64 or complex128",
    )


@pytest.mark.parametrize("state", ["warn", "raise", "ignore"])
@pytest.mark.parametrize(
    ("W", "U", "x", "dh", "T"),
    [
        (2, 2, 0, 1, 200),  # explodes from step to step
        (0.5, 1e-30, 1e30, 1e10, 3),  # is too large at once
        (0, 0, 1, 3e38, 2),  # is the sum over segments
    ],
)
def test_a_gradient_out_of_range_is_told(W, U, x, dh, T, state):
    W, U, x, dh = (np.full((len_, 1, 1), a, "f") for a, len_ in ((W, 1), (U, 1), (x, T), (dh, T)))
    params = bptt.Params(W[0], U[0], np.zeros(1, "f"))
    said = r"^gradient with respect to \w: got numbers too large for float32$"
    with np.errstate(all=state), pytest.raises(bptt.OutOfRange, match=said):
        bptt.checkpointed(bptt.ELMAN, params, x, lambda at, h: dh[at], checkpoints=3, segment=1)


def test_a_wrong_segment_is_named():
    message = wrong(P, lambda steps, h: h * (np.nan if steps.start == 0 else 1))[1]
    assert message == "dh(slice(0, 2), h): got nan at (0, 0, 0), needs finite numbers"


def test_dh_cannot_write_to_the_states():
    with pytest.raises(ValueError, match="read-only"):
        checkpointed(P, dh=lambda steps, h: h.fill(0), checkpoints=2)


def test_a_bad_input_is_found_before_the_first_step():
    p = P._replace(x=P.x.copy())
    p.x[6, 1, 0] = np.inf
    cell = counting(p.cell)
    with pytest.raises(ValueError, match=r"^x: got inf at \(6, 1, 0\), needs finite numbers$"):
        checkpointed(p, cell, checkpoints=2)
    with pytest.raises(TypeError, match=r"^checkpoints: got 1.5, needs an integer from 1 to inf$"):
        checkpointed(P, cell, checkpoints=1.5)
    assert cell.steps == 0
