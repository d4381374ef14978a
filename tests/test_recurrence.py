"""The product rule through time, against autograd, the complex step and itself.

The figures: at most 1e-10 relative against HIPS autograd, 1e-12 against the complex step, and
1e-12 between the ways that the package itself computes one gradient.
"""

import tracemalloc

import autograd
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import SETTINGS, agree, difference, problem, problems

import bptt
from bptt import recurrence

AUTOGRAD, OWN = 1e-10, 1e-12
cells = pytest.mark.parametrize("name", list(oracle.CELLS))


def without(gradients, *names):
    """The gradients with these set to None, as functions that do not compute them return."""
    return gradients._replace(**dict.fromkeys(names))


def by_complex_step(p):
    """Every gradient of the loss by the complex step through the forward run alone."""

    def loss(k, moved):
        parts = [*p.params, p.x, p.s0]
        parts[k] = moved
        run = bptt.unroll(p.cell, bptt.Params(*parts[:3]), *parts[3:])
        return (p.dh * run.h[1:]).sum()

    values = (*p.params, p.x, p.s0)
    return bptt.Gradients(
        *(bptt.complex_step(lambda a, k=k: loss(k, a), value) for k, value in enumerate(values))
    )


# init


@cells
def test_init_has_the_shapes_and_the_spread_of_its_docstring(name):
    params = bptt.init(oracle.CELLS[name], 3, 16, rng=np.random.default_rng(5))
    rows = 16 * oracle.GATES[name]
    assert [a.shape for a in params] == [(rows, 16), (rows, 3), (rows,)]
    assert isinstance(params, bptt.Params)
    for a in params:
        assert a.dtype == np.float64
        assert -0.25 <= a.min() < 0 < a.max() <= 0.25
    # Of 256 uniform draws or more, none in the outer tenth has probability 0.9**256 = 2e-12.
    assert params.W.min() < -0.225
    assert params.W.max() > 0.225


def test_init_draws_from_rng_and_rounds_for_float32():
    def draw(seed, dtype=np.float64):
        return bptt.init(bptt.LSTM, 2, 3, rng=np.random.default_rng(seed), dtype=dtype)

    for a, b, other, single in zip(draw(1), draw(1), draw(2), draw(1, np.float32), strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, other)
        assert single.dtype == np.float32
        assert np.array_equal(single, a.astype(np.float32))


# unroll


@cells
def test_unroll_runs_the_textbook_formulas(name):
    @SETTINGS
    @given(problems(name))
    def same_states(p):
        run, T, n = p.run(), len(p.x), p.dh.shape[2]
        expected = np.stack(oracle.states(name, *([a] * T for a in p.params), p.x, p.s0))
        assert run.s.dtype == np.float64
        assert difference(run.s, expected) <= OWN
        assert np.array_equal(run.s[0], p.s0)
        assert run.h.shape == (T + 1, p.x.shape[1], n)
        assert np.array_equal(run.h, run.s[..., :n])
        assert run.cell is p.cell
        for own, taken in zip((*run.params, run.x), (*p.params, p.x), strict=True):
            assert np.array_equal(own, taken)
            assert not np.may_share_memory(own, taken)

    same_states()


@cells
def test_unroll_starts_from_zeros_if_no_state_is_given(name):
    p = problem(name, T=4, B=2, d=3, n=5)
    run = bptt.unroll(p.cell, p.params, p.x)
    explicit = bptt.unroll(p.cell, p.params, p.x, np.zeros_like(p.s0))
    assert np.array_equal(run.s, explicit.s)


@cells
def test_unroll_goes_on_where_another_run_stopped(name):
    p = problem(name, T=7, B=2, d=3, n=4)
    whole = p.run()
    first = bptt.unroll(p.cell, p.params, p.x[:3], p.s0)
    second = bptt.unroll(p.cell, p.params, p.x[3:], first.s[-1])
    assert difference(np.concatenate([first.s, second.s[1:]]), whole.s) <= OWN


@cells
def test_lists_are_taken_as_float64_arrays(name):
    p = problem(name, T=3, B=2, d=2, n=2)
    lists = bptt.Params(*(a.tolist() for a in p.params))
    run = bptt.unroll(p.cell, lists, p.x.tolist(), p.s0.tolist())
    assert np.array_equal(run.s, p.run().s)
    agree(bptt.backward(run, p.dh.tolist()), bptt.backward(p.run(), p.dh), 0)


# Every gradient against autograd and the complex step


@cells
def test_backward_agrees_with_autograd(name):
    @SETTINGS
    @given(problems(name))
    def agrees(p):
        agree(bptt.backward(p.run(), p.dh), oracle.gradients(p), AUTOGRAD)

    agrees()


@cells
def test_backward_agrees_with_the_complex_step(name):
    @SETTINGS
    @given(problems(name))
    def agrees(p):
        agree(bptt.backward(p.run(), p.dh), by_complex_step(p), OWN)

    agrees()


@cells
def test_rtrl_agrees_with_autograd_and_with_backward(name):
    @SETTINGS
    @given(problems(name))
    def agrees(p):
        found = bptt.rtrl(p.run(), p.dh)
        agree(found, without(oracle.gradients(p), "x", "s0"), AUTOGRAD)
        agree(found, without(bptt.backward(p.run(), p.dh), "x", "s0"), OWN)

    agrees()


@cells
def test_sensitivity_is_the_total_derivative_by_the_recurrent_weights(name):
    @SETTINGS
    @given(problems(name, T=4))
    def agrees(p):
        T, n = len(p.x), p.dh.shape[2]

        def last_hidden(W, steps):
            s = oracle.states(
                name, [W] * steps, *([a] * steps for a in p.params[1:]), p.x[:steps], p.s0
            )
            return s[-1][:, :n]

        found = bptt.sensitivity(p.run())
        assert found.dtype == np.float64
        assert not found[0].any()
        for t in range(1, T + 1):
            expected = autograd.jacobian(lambda W, t=t: last_hidden(W, t))(p.params.W)
            assert difference(found[t], expected) <= AUTOGRAD
        contracted = np.einsum("tmi,tmijl->jl", p.dh, found[1:])
        assert difference(contracted, bptt.backward(p.run(), p.dh).W) <= OWN

    agrees()


@cells
def test_jacobians_are_the_derivatives_of_one_step(name):
    @SETTINGS
    @given(problems(name, T=4))
    def agrees(p):
        found, s = bptt.jacobians(p.run()), p.run().s
        assert found.dtype == np.float64
        assert found.shape == (len(p.x), *p.s0.shape, p.s0.shape[1])
        for t, m in np.ndindex(found.shape[:2]):

            def one_step(before, t=t, m=m):
                return oracle.step(name, *p.params, p.x[t, m : m + 1], before[None])[0]

            assert difference(found[t, m], autograd.jacobian(one_step)(s[t, m])) <= AUTOGRAD

    agrees()


@cells
def test_products_of_jacobians_give_the_gradient_by_the_first_state(name):
    @SETTINGS
    @given(problems(name))
    def agrees(p):
        n, adjoint = p.dh.shape[2], np.zeros_like(p.s0)
        for J, dh in zip(bptt.jacobians(p.run())[::-1], p.dh[::-1], strict=True):
            adjoint[:, :n] += dh
            adjoint = np.einsum("mij,mi->mj", J, adjoint)
        assert difference(bptt.backward(p.run(), p.dh).s0, adjoint) <= OWN

    agrees()


@cells
def test_saturated_units_lose_no_more_than_the_rounding_of_h(name):
    p = problem(name, T=6, B=3, d=3, n=4, gain=30.0)
    expected = oracle.gradients(p)
    assert abs(p.run().h[1:]).max() > 0.999
    for ours, reference in zip(bptt.backward(p.run(), p.dh), expected, strict=True):
        assert abs(ours - reference).max() <= OWN * max(1, abs(reference).max())


# Summands and windows


@cells
def test_each_summand_collects_the_paths_of_its_lag(name):
    @SETTINGS
    @given(problems(name))
    def agrees(p):
        T, every = len(p.x), oracle.paths(p)
        lags = [[sum(a[t, t - lag] for t in range(lag, T)) for lag in range(T)] for a in every[:3]]
        agree(bptt.summands(p.run(), p.dh), bptt.Gradients(*map(np.stack, lags)), AUTOGRAD)

    agrees()


@cells
def test_summands_add_up_and_stop_at_max_lag(name):
    @SETTINGS
    @given(problems(name), st.data())
    def adds_up(p, data):
        summed = bptt.summands(p.run(), p.dh)
        total = bptt.Gradients(*(a.sum(axis=0) for a in summed[:3]))
        agree(total, without(bptt.backward(p.run(), p.dh), "x", "s0"), OWN)
        max_lag = data.draw(st.integers(0, len(p.x) - 1))
        first = bptt.Gradients(*(a[: max_lag + 1] for a in summed[:3]))
        agree(bptt.summands(p.run(), p.dh, max_lag), first, 0)

    adds_up()


@cells
def test_truncated_keeps_the_paths_inside_the_window(name):
    @SETTINGS
    @given(problems(name), st.data())
    def agrees(p, data):
        window = data.draw(st.integers(1, len(p.x) + 1))
        found = bptt.truncated(p.run(), p.dh, window)
        agree(found, oracle.first_lags(p, window), AUTOGRAD)
        summed = bptt.summands(p.run(), p.dh)
        first = bptt.Gradients(*(a[:window].sum(axis=0) for a in summed[:3]))
        agree(without(found, "x", "s0"), first, OWN)

    agrees()


@cells
def test_truncated_is_backward_over_sub_runs(name):
    """By inputs and first state: each loss goes back alone through the steps that it may reach."""
    p, window = problem(name, T=9, B=2, d=3, n=4), 4
    run = p.run()
    x, s0 = np.zeros_like(p.x), np.zeros_like(p.s0)
    for t in range(9):
        first = max(0, t + 1 - window)
        part = bptt.unroll(p.cell, p.params, p.x[first : t + 1], run.s[first])
        dh = np.zeros((t + 1 - first, 2, 4))
        dh[-1] = p.dh[t]
        alone = bptt.backward(part, dh)
        x[first : t + 1] += alone.x
        if first == 0:
            s0 += alone.s0
    found = bptt.truncated(run, p.dh, window)
    assert difference(found.x, x) <= OWN
    assert difference(found.s0, s0) <= OWN


@cells
def test_a_window_over_all_steps_keeps_everything(name):
    p = problem(name, T=5, B=2, d=3, n=4)
    whole = bptt.backward(p.run(), p.dh)
    for window in (5, 6, 1000, np.int64(5)):
        agree(bptt.truncated(p.run(), p.dh, window), whole, OWN)
    assert difference(bptt.truncated(p.run(), p.dh, 4).W, whole.W) > 1e-6


@cells
def test_one_step_has_one_summand_and_every_way_gives_it(name):
    p = problem(name, T=1, B=3, d=2, n=4)
    run, whole = p.run(), bptt.backward(p.run(), p.dh)
    agree(whole, oracle.gradients(p), AUTOGRAD)
    parameters = without(whole, "x", "s0")
    agree(bptt.rtrl(run, p.dh), parameters, OWN)
    agree(bptt.truncated(run, p.dh, 1), whole, OWN)
    lag_0 = bptt.Gradients(*(a[None] for a in parameters[:3]))
    agree(bptt.summands(run, p.dh), lag_0, OWN)
    agree(bptt.summands(run, p.dh, 0), lag_0, OWN)


def test_elman_with_numbers_is_the_source_derivation():
    """d h_3 / d w, four summands by hand: n = 1, and the derivative of tanh is 1 - h**2."""
    p = problem("ELMAN", T=3, B=1, d=1, n=1, seed=3)
    w, h = p.params.W[0, 0], p.run().h[:, 0, 0]
    D = np.concatenate([[np.nan], 1 - h[1:] ** 2])
    by_hand = [D[3] * h[2], D[3] * w * D[2] * h[1], D[3] * w * D[2] * w * D[1] * h[0]]
    dh = np.zeros((3, 1, 1))
    dh[2] = 1
    assert difference(bptt.summands(p.run(), dh).W[:, 0, 0], by_hand) <= OWN
    through_h0 = D[3] * w * D[2] * w * D[1] * w
    assert difference(bptt.backward(p.run(), dh).s0[0, 0], through_h0) <= OWN


# Properties

WAYS = {
    "backward": bptt.backward,
    "rtrl": bptt.rtrl,
    "summands": bptt.summands,
    "truncated": lambda run, dh: bptt.truncated(run, dh, 3),
}
ways = pytest.mark.parametrize("way", list(WAYS))


def compare(left, right, tol):
    agree(left, right, tol)
    assert left.W.any()


@cells
@ways
def test_gradients_are_linear_in_dh(name, way):
    p, f = problem(name, T=5, B=2, d=3, n=4), WAYS[way]
    other = np.random.default_rng(9).standard_normal(p.dh.shape)
    one, two = f(p.run(), p.dh), f(p.run(), other)
    both = bptt.Gradients(
        *(None if a is None else 3 * a - 2 * b for a, b in zip(one, two, strict=True))
    )
    compare(f(p.run(), 3 * p.dh - 2 * other), both, OWN)
    for zero in f(p.run(), 0 * p.dh):
        assert zero is None or not zero.any()


@cells
@ways
def test_sequences_of_a_batch_do_not_see_each_other(name, way):
    p, f = problem(name, T=5, B=3, d=2, n=4), WAYS[way]
    alone = []
    for m in range(3):
        rows = slice(m, m + 1)
        run = bptt.unroll(p.cell, p.params, p.x[:, rows], p.s0[rows])
        assert difference(run.s, p.run().s[:, rows]) <= OWN
        alone.append(f(run, p.dh[:, rows]))
    W, U, b = (sum(a[k] for a in alone) for k in range(3))
    x = s0 = None
    if alone[0].x is not None:
        x = np.concatenate([a.x for a in alone], axis=1)
        s0 = np.concatenate([a.s0 for a in alone], axis=0)
    compare(f(p.run(), p.dh), bptt.Gradients(W, U, b, x, s0), OWN)


@cells
@ways
def test_a_loss_does_not_see_later_steps(name, way):
    p, f = problem(name, T=6, B=2, d=3, n=4), WAYS[way]
    dh = p.dh.copy()
    dh[4:] = 0
    short = f(bptt.unroll(p.cell, p.params, p.x[:4], p.s0), p.dh[:4])
    long = f(p.run(), dh)
    if way == "summands":
        assert not any(a[4:].any() for a in long[:3])
        long = bptt.Gradients(*(a[:4] for a in long[:3]))
    if long.x is not None:
        assert not long.x[4:].any()
        long = long._replace(x=long.x[:4])
    compare(long, short, OWN)


@cells
def test_the_gradient_of_a_complex_run_is_not_conjugated(name):
    """The complex step through backward gives a Hessian times a direction: against autograd."""
    p = problem(name, T=4, B=2, d=2, n=3)
    n, T, rng = 3, 4, np.random.default_rng(4)
    along = rng.standard_normal(p.params.W.shape)

    def by_weights(W):
        def loss(W):
            s = oracle.states(name, [W] * T, *([a] * T for a in p.params[1:]), p.x, p.s0)
            return sum(autograd.numpy.sum(p.dh[t] * s[t + 1][:, :n]) for t in range(T))

        return autograd.grad(loss)(W)

    expected = autograd.grad(lambda W: autograd.numpy.sum(by_weights(W) * along))(p.params.W)
    eps = 1e-100
    moved = p.params._replace(W=p.params.W + 1j * eps * along)
    run = bptt.unroll(p.cell, moved, p.x, p.s0)
    assert run.s.dtype == np.complex128
    for way in WAYS.values():
        found = way(run, p.dh)
        assert {a.dtype for a in found if a is not None} == {np.dtype(np.complex128)}
    for found in (
        bptt.backward(run, p.dh).W,
        bptt.rtrl(run, p.dh).W,
        bptt.summands(run, p.dh).W.sum(axis=0),
        bptt.truncated(run, p.dh, T).W,
        np.einsum("tmi,tmijl->jl", p.dh, bptt.sensitivity(run)[1:]),
    ):
        assert difference(found.imag / eps, expected) <= AUTOGRAD
    s0 = np.zeros((2, p.s0.shape[1]), complex)
    for J, dh in zip(bptt.jacobians(run)[::-1], p.dh[::-1], strict=True):
        s0[:, :n] += dh
        s0 = np.einsum("mij,mi->mj", J, s0)
    assert difference(s0.imag, bptt.backward(run, p.dh).s0.imag) <= OWN


@cells
@pytest.mark.parametrize("which", ["U", "b", "x", "s0", "dh"])
def test_one_complex_argument_makes_the_results_complex(name, which):
    p = problem(name, T=3, B=2, d=2, n=3)
    values = {**p.params._asdict(), "x": p.x, "s0": p.s0, "dh": p.dh}
    values[which] = values[which] + 1e-100j
    params = bptt.Params(*(values[key] for key in "WUb"))
    run = bptt.unroll(p.cell, params, values["x"], values["s0"])
    real = p.run()
    assert difference(run.s.real, real.s) <= OWN
    for way in WAYS.values():
        for a, b in zip(way(run, values["dh"]), way(real, p.dh), strict=True):
            if a is not None:
                assert a.dtype == np.complex128
                assert difference(a.real, b) <= OWN
                assert a.imag.any()


# Blocks of steps


@cells
def test_blocks_of_any_length_give_the_same_gradient(name, monkeypatch):
    p = problem(name, T=7, B=2, d=3, n=4)
    monkeypatch.setattr(recurrence, "BLOCK", 10**9)
    one_block = bptt.backward(p.run(), p.dh)
    agree(one_block, oracle.gradients(p), AUTOGRAD)
    rows = 2 * 4 * oracle.GATES[name]
    for block in (0, 1, rows, 2 * rows, 3 * rows, 4 * rows, 7 * rows - 1, 7 * rows, 10 * rows):
        monkeypatch.setattr(recurrence, "BLOCK", block)
        agree(bptt.backward(p.run(), p.dh), one_block, OWN)


@cells
def test_a_run_over_several_blocks_agrees_with_autograd(name):
    B, n = 64, 64
    T = 3 * recurrence.BLOCK // (B * n * oracle.GATES[name]) + 1
    p = problem(name, T=T, B=B, d=3, n=n)
    agree(bptt.backward(p.run(), p.dh), oracle.gradients(p), AUTOGRAD)


@cells
def test_backward_needs_less_memory_than_the_run_itself(name, monkeypatch):
    monkeypatch.setattr(recurrence, "BLOCK", 2**12)
    p = problem(name, T=2000, B=8, d=4, n=16)
    run = p.run()
    tracemalloc.start()
    bptt.backward(run, p.dh)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert p.x.nbytes < peak < run.s.nbytes + run.kept.nbytes + run.x.nbytes


@cells
def test_a_run_and_its_gradients_need_at_most_twice_the_memory_that_they_keep(name, monkeypatch):
    """For T = 1000, B = 32, n = 256, with B n and blocks a sixteenth as large."""
    monkeypatch.setattr(recurrence, "BLOCK", recurrence.BLOCK // 16)
    p = problem(name, T=1000, B=8, d=8, n=64)
    tracemalloc.start()
    run = p.run()
    gradients = bptt.backward(run, p.dh)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    kept = sum(a.nbytes for a in (run.s, run.kept, *gradients))
    assert kept < peak < 2 * kept


# Precision and care for the inputs


def values_of(p, way):
    return WAYS[way](p.run(), p.dh)


@cells
@ways
def test_float32_stays_float32_and_is_right_to_rounding(name, way):
    p = problem(name, T=6, B=3, d=2, n=4).astype(np.float32)
    single, double = values_of(p, way), values_of(p.astype(np.float64), way)
    # Each of the 6 steps adds a few roundings of 6e-8 relative to sums of at most 18 terms.
    for a, b in zip(single, double, strict=True):
        if b is None:
            assert a is None
        else:
            assert a.dtype == np.float32
            assert difference(a, b) <= 2e-6


@cells
def test_float32_states_sensitivities_and_jacobians(name):
    p = problem(name, T=6, B=3, d=2, n=4).astype(np.float32)
    single, double = p.run(), p.astype(np.float64).run()
    zeros = bptt.unroll(p.cell, p.params, p.x)
    for a, b in (
        (single.s, double.s),
        (zeros.s, bptt.unroll(p.cell, p.astype(np.float64).params, p.x.astype(np.float64)).s),
        (bptt.sensitivity(single), bptt.sensitivity(double)),
        (bptt.jacobians(single), bptt.jacobians(double)),
    ):
        assert a.dtype == np.float32
        assert difference(a, b) <= 2e-6


LAYOUTS = {
    "C": np.copy,
    "Fortran": lambda a: a.copy(order="F"),
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "big-endian": lambda a: a.astype(">f8"),
}


@cells
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_inputs_of_any_layout_are_read_and_never_written(name, layout):
    p = problem(name, T=5, B=3, d=2, n=4)
    W, U, b, *others = (LAYOUTS[layout](a) for a in (*p.params, p.x, p.s0, p.dh))
    q = oracle.Problem(name, bptt.Params(W, U, b), *others)
    for a in (*q.params, *others):
        a.setflags(write=False)
    run = q.run()
    for a in (run.s, run.kept):
        a.setflags(write=False)
    inputs = (*q.params, *others, run.s, run.kept)
    before = [a.tobytes() for a in inputs]
    assert difference(run.s, p.run().s) <= OWN
    assert all(a.dtype.isnative for a in (*run.params, run.x, run.s))
    for way in WAYS.values():
        compare(way(run, q.dh), way(p.run(), p.dh), OWN)
    assert difference(bptt.sensitivity(run), bptt.sensitivity(p.run())) <= OWN
    assert difference(bptt.jacobians(run), bptt.jacobians(p.run())) <= OWN
    assert [a.tobytes() for a in inputs] == before


@cells
@ways
def test_results_can_be_written_without_touching_the_run(name, way):
    p = problem(name, T=3, B=2, d=2, n=2)
    run = p.run()
    arrays = (*run.params, run.x, run.s, run.kept, p.dh)
    before = [a.tobytes() for a in arrays]
    first = WAYS[way](run, p.dh)
    kept = [None if a is None else a.copy() for a in first]
    for a in first:
        if a is not None:
            a += 1
    assert [a.tobytes() for a in arrays] == before
    agree(WAYS[way](run, p.dh), bptt.Gradients(*kept), 0)
