"""What a run owns, what a cell is known by, and numbers at the edge of their range."""

import importlib
import pickle
import re
import sys
from collections import deque
from types import SimpleNamespace

import numpy as np
import oracle
import pytest
from oracle import agree, problem

import bptt
from bptt._identity import ByParameters

cells = pytest.mark.parametrize("name", list(oracle.CELLS))
WAYS = {
    "backward": bptt.backward,
    "rtrl": bptt.rtrl,
    "summands": bptt.summands,
    "truncated": lambda run, dh: bptt.truncated(run, dh, 3),
}
ways = pytest.mark.parametrize("way", list(WAYS))

# What a run owns


@cells
@ways
@pytest.mark.parametrize("which", ["W", "U", "b", "x", "s0"])
def test_what_is_changed_after_the_run_does_not_reach_its_gradients(name, way, which):
    p = problem(name, T=5, B=2, d=3, n=4)
    given = {**p.params._asdict(), "x": p.x, "s0": p.s0}
    given = {key: value.copy() for key, value in given.items()}
    params = bptt.Params(*(given[key] for key in "WUb"))
    run = bptt.unroll(p.cell, params, given["x"], given["s0"])
    given[which] -= 0.5
    agree(WAYS[way](run, p.dh), WAYS[way](p.run(), p.dh), 0)


def test_a_run_cannot_be_written_to():
    run = problem("LSTM", T=3, B=2, d=2, n=2).run()
    for a in (*run.params, run.x, run.s, run.h, run.kept):
        with pytest.raises(ValueError, match="read-only"):
            a += 1


class Caching(bptt.Cell):
    """The linear network h_t = W h_{t-1} + U x_t + b, which makes its table once and keeps it."""

    parts, direct, scale, kept = 1, 0, (1.0,), 0

    def __init__(self):
        self.table = None

    def step(self, before, p, q, s, kept):
        np.add(p, q, out=s)

    def partials(self, before, s, kept):
        if self.table is None:
            self.table = bptt.Partials.of([[np.ones_like(s[0])]])
        return self.table


@ways
def test_a_table_that_a_cell_keeps_is_never_written_to(way):
    _, params, x, s0, dh = problem("ELMAN", T=1, B=2, d=3, n=4)
    x, dh = np.repeat(x, 5, axis=0), np.repeat(dh, 5, axis=0)
    if way == "rtrl":  # asks for one step at a time
        cell = Caching()
        run = bptt.unroll(cell, params, x[:1], s0)
        x, dh = x[:1], dh[:1]
    run = bptt.unroll(Caching(), params, x, s0)
    first, second = WAYS[way](run, dh), WAYS[way](run, dh)
    agree(second, first, 0)
    assert (run.cell.table.p == 1).all()


# What a cell is known by


class Leaky(bptt.Cell):
    parts, direct, scale, kept = 1, 1, (1.0,), 1

    def __init__(self, leak, at="h"):
        self.leak, self.at, self.asked = leak, at, []

    def step(self, before, p, q, s, kept):
        np.tanh(p + q, out=kept)
        s[...] = (1 - self.leak) * before + self.leak * kept

    def partials(self, before, s, kept):
        return bptt.Partials.of([[self.leak * (1 - kept[0] ** 2), 1 - self.leak]])


class Renaming(Leaky):
    def __init__(self, leak):
        self.a = leak


class Hiding(type(bptt.ELMAN)):
    def __init__(self, leak):
        self._leak, self._last = leak, object()


LONG = np.linspace(0, 1, 9)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (bptt.ELMAN, "ELMAN"),
        (bptt.TORCH_GRU, "TORCH_GRU"),
        (Leaky(0.2), "LEAKY(leak=0.2, at='h')"),
        (Leaky(np.float64(0.2), "s"), "LEAKY(leak=0.2, at='s')"),
        (Leaky(np.array([0.5, 1.0])), "LEAKY(leak=[0.5, 1.0], at='h')"),
        (Leaky(LONG[:8]), f"LEAKY(leak={LONG[:8].tolist()}, at='h')"),
        (
            Leaky([1, (LONG[:1], "a"), {"b": LONG[:2]}]),
            "LEAKY(leak=[1, (array([0.]), 'a'), {'b': array([0.   , 0.125])}], at='h')",
        ),
        (Leaky(bptt.Params(LONG[:1], 1, 2)), "LEAKY(leak=Params(W=array([0.]), U=1, b=2), at='h')"),
        (Renaming(0.2), "RENAMING(a=0.2)"),
        (Caching(), "CACHING"),
        (Hiding(0.2), "HIDING(leak=0.2)"),
    ],
)
def test_a_cell_says_its_name_and_parameters(cell, words):
    assert repr(cell) == words
    assert pickle.loads(pickle.dumps(cell)) == cell
    assert hash(pickle.loads(pickle.dumps(cell))) == hash(cell)


def test_what_is_no_cell_is_named_by_its_class():
    class Plain(ByParameters):
        def __init__(self, a):
            self.a = a

    assert repr(Plain(1)) == "Plain(a=1)"
    assert Plain(1) == Plain(1) != Plain(2)


def test_a_long_parameter_is_told_by_its_hash():
    assert repr(Leaky(LONG)).startswith("LEAKY(leak=float64(9,)#")
    assert len(repr(Leaky(LONG))) == len("LEAKY(leak=float64(9,)#0123456789abcdef, at='h')")


HELD = (
    lambda a: [a],
    lambda a: (a, 1),
    lambda a: {"a": a},
    lambda a: [({"a": a},)],
    lambda a: bptt.Params(a, 0, 0),
    lambda a: deque([a]),
    lambda a: SimpleNamespace(a=np.resize(a, 2000)),  # which NumPy would print with dots
)


def test_cells_are_equal_by_class_and_parameters():
    moved = LONG.copy()
    moved[4] = np.nextafter(moved[4], 1)
    different = [
        bptt.ELMAN, bptt.GRU, bptt.TORCH_GRU, Leaky(0.2), Leaky(0.9), Leaky(0.2, "s"), Leaky(LONG),
        Leaky(moved), Leaky(LONG.astype(np.float32)), Renaming(0.2), Renaming(0.9),
        *(Leaky(held(a)) for a in (LONG, moved, LONG[3:6], moved[3:6]) for held in HELD),
    ]  # fmt: skip
    listed = Leaky([np.arange(30) / -7])
    words = repr(listed)
    own = {"precision": 2, "linewidth": 40, "sign": "+", "formatter": {"float": lambda a: "a"}}
    with np.printoptions(**own):  # the reader's own
        assert repr(listed) == words
        for k, a in enumerate(different):
            for j, b in enumerate(different):
                assert (a == b) == (j == k)
    assert len({hash(cell) for cell in different}) == len(different)
    used = Leaky(0.2)
    used.asked.append(7)
    assert used == Leaky(0.2)  # what is no parameter does not count
    assert len({Leaky(0.2), Leaky(0.2), Leaky(0.9)}) == 2
    assert Leaky(0.2) != "LEAKY(leak=0.2, at='h')"


# The edge of the range


class Doubling(Caching):
    """Explodes: every state is more than twice the one before."""

    def step(self, before, p, q, s, kept):
        s[...] = 3 * before + np.abs(p + q)


@pytest.mark.parametrize("state", ["warn", "raise", "ignore"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_state_out_of_range_is_told_with_its_step(state, dtype):
    _, params, x, s0, _ = problem("ELMAN", T=1000, B=2, d=3, n=4).astype(dtype)
    with np.errstate(all=state), pytest.raises(bptt.OutOfRange) as raised:
        bptt.unroll(Doubling(), params, x, s0)
    said = str(raised.value).rsplit(" ", 1)
    name = np.dtype(dtype).name
    assert said[0] == f"s: DOUBLING comes to numbers too large for {name} at step"
    with np.errstate(all="ignore"):
        finite = bptt.unroll(Doubling(), params, x[: int(said[1]) - 1], s0)
    assert isinstance(raised.value, FloatingPointError)
    assert abs(finite.s[-1]).max() > np.finfo(dtype).max / 30


def test_states_whose_sum_alone_is_out_of_range_are_fine():
    params = bptt.Params(np.zeros((4, 4)), np.ones((4, 1)), np.zeros(4))
    run = bptt.unroll(Caching(), params, np.full((3, 2, 1), 1e308))
    assert (run.h[1:] == 1e308).all()


@cells
@ways
def test_underflow_is_no_error(name, way):
    p = problem(name, T=400, B=1, d=1, n=2, gain=0.001).astype(np.float32)
    dh = 0 * p.dh
    dh[-1] = 1e-30
    window = {"truncated": lambda run, dh: bptt.truncated(run, dh, 400)}
    way = window.get(way, WAYS[way])
    expected = way(p.run(), dh)
    with np.errstate(all="raise"):
        agree(way(p.run(), dh), expected, 0)
        bptt.jacobians(p.run())
        bptt.sensitivity(p.run())


@cells
def test_underflow_in_the_derivatives_of_a_step_is_no_error(name):
    _, params, x, s0, _ = problem(name, T=3, B=1, d=1, n=2)
    params = bptt.Params(*(1e-200 * a for a in params))
    run = bptt.unroll(oracle.CELLS[name], params, x, 1e-200 * s0)
    with np.errstate(all="raise"):
        run.partials(slice(None))
        bptt.jacobians(run)


@ways
@pytest.mark.parametrize("state", ["warn", "raise", "ignore"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_a_gradient_out_of_range_is_told(way, state, dtype):
    params = bptt.Params(*(np.full(shape, 10, dtype) for shape in ((1, 1), (1, 1), 1)))
    x = np.zeros((400, 1, 1), dtype)
    run = bptt.unroll(bptt.ELMAN, params._replace(b=0 * params.b), x)
    whole = {"truncated": lambda run, dh: bptt.truncated(run, dh, 400)}
    said = rf"^gradient with respect to [Wb]: got numbers too large for {np.dtype(dtype)}$"
    with np.errstate(all=state), pytest.raises(bptt.OutOfRange, match=said):
        whole.get(way, WAYS[way])(run, x + 1)


@pytest.mark.parametrize("way", ["backward", "truncated"])
def test_a_gradient_by_the_inputs_out_of_range_is_told(way):
    params = bptt.Params(np.zeros((1, 1)), np.full((1, 1), 1e200), np.zeros(1))
    x = np.zeros((3, 1, 1))
    run = bptt.unroll(bptt.ELMAN, params, x)
    with pytest.raises(bptt.OutOfRange, match=r"^gradient with respect to x: got numbers too"):
        WAYS[way](run, x + 1e200)


def test_checkpointed_tells_both_kinds():
    _, params, x, s0, _ = problem("ELMAN", T=1000, B=2, d=3, n=4)
    with pytest.raises(bptt.OutOfRange, match=r"^s: DOUBLING"):
        bptt.checkpointed(Doubling(), params, x, lambda steps, h: h, s0, checkpoints=3)


# A loss on all parts of the state


@cells
def test_a_loss_on_every_state(name):
    p = problem(name, T=6, B=2, d=3, n=4)
    ds = np.random.default_rng(2).standard_normal(p.run().s[1:].shape)

    def loss(k, moved):
        parts = [*p.params, p.x, p.s0]
        parts[k] = moved
        run = bptt.unroll(p.cell, bptt.Params(*parts[:3]), *parts[3:])
        return (p.dh * run.h[1:]).sum() + (ds * run.s[1:]).sum()

    values = (*p.params, p.x, p.s0)
    expected = [bptt.complex_step(lambda a, k=k: loss(k, a), v) for k, v in enumerate(values)]
    for given in (ds, ds.tolist()):
        agree(bptt.backward(p.run(), p.dh, given), bptt.Gradients(*expected), 1e-12)


def test_a_loss_on_every_state_over_several_blocks(monkeypatch):
    p = problem("LSTM", T=9, B=2, d=3, n=4)
    ds = np.random.default_rng(2).standard_normal(p.run().s[1:].shape)
    whole = bptt.backward(p.run(), p.dh, ds)
    monkeypatch.setattr(importlib.import_module("bptt.recurrence"), "BLOCK", 2 * 4 * 4 * 2)
    agree(bptt.backward(p.run(), p.dh, ds), whole, 1e-13)


# Tables that do not fit


@pytest.mark.parametrize(
    ("cell", "table", "said"),
    [
        ("ELMAN", lambda t: t._replace(p=t.p[..., 0, :]), "p of shape (5, 2, 1, 4), needs"),
        ("ELMAN", lambda t: t._replace(p=t.p[:0]), "p of shape (0, 2, 1, 1, 4), needs"),
        ("ELMAN", lambda t: t._replace(p=None), "p of shape None, needs"),
        ("ELMAN", lambda t: t._replace(q=t.p[..., :2]), "q of shape (5, 2, 1, 1, 2), needs"),
        ("GRU", lambda t: t._replace(p=t.p[..., :3, :]), "p of shape (5, 2, 1, 3, 4), needs"),
        ("TORCH_GRU", lambda t: t._replace(q=None), "q of shape None, needs (5, 2, 1, 4, 4)"),
        ("TORCH_GRU", lambda t: t._replace(q=t.p[..., :3, :]), "q of shape (5, 2, 1, 3, 4)"),
    ],
)
@ways
def test_tables_of_the_wrong_shape_are_named(cell, table, said, way):
    kind = type(getattr(bptt, cell))
    spoilt = type(
        kind.__name__, (kind,), {"partials": lambda self, *a: table(kind.partials(self, *a))}
    )
    rng = np.random.default_rng(0)
    run = bptt.unroll(spoilt(), bptt.init(spoilt(), 3, 4, rng=rng), np.ones((5, 2, 3)))
    with pytest.raises(ValueError, match=f"^partials of {cell}: got ") as raised:
        WAYS[way](run, np.ones((5, 2, 4)))
    if way != "rtrl":  # which asks for one step at a time
        assert said in str(raised.value)


def test_a_table_of_another_kind_is_named():
    class Pair(Caching):
        def partials(self, before, s, kept):
            return tuple(super().partials(before, s, kept))

    _, params, x, s0, dh = problem("ELMAN", T=3, B=2, d=3, n=4)
    with pytest.raises(TypeError, match=r"^partials of PAIR: got tuple, needs Partials$"):
        bptt.backward(bptt.unroll(Pair(), params, x, s0), dh)


@pytest.mark.parametrize(("gates", "own", "kept"), [(2, 0, 1), (2, 0, 0), (1, 0, -1), (1, 1, 1)])
def test_too_little_room_for_q_is_named(gates, own, kept):
    more = {"scale": (1.0,) * gates, "own": own, "kept": kept}
    narrow = type("Narrow", (Caching,), more)()
    params = bptt.init(narrow, 2, 3, rng=np.random.default_rng(0))
    said = rf"^kept of NARROW: got {kept}, needs {gates + own} or more, for q$"
    with pytest.raises(ValueError, match=said):
        bptt.unroll(narrow, params, np.ones((4, 1, 2)))


def test_rows_of_b_below_the_gates_are_named():
    params = bptt.init(bptt.TORCH_GRU, 2, 3, rng=np.random.default_rng(0))
    said = r"^b: got shape \(9,\), needs \(\(gates\+own\)\*n=12\)$"
    with pytest.raises(ValueError, match=said):
        bptt.unroll(bptt.TORCH_GRU, params._replace(b=params.b[:9]), np.ones((4, 1, 2)))


def test_steps_that_are_no_slice_are_named():
    with pytest.raises(TypeError, match=r"^steps: got int, needs slice$"):
        problem("ELMAN", T=3, B=2, d=2, n=2).run().partials(2)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ([[[1.0]]], "p: got numbers alone, needs an array (..., n), such as ones like h"),
        ([[[LONG, 1], [LONG]]], "p: got rows of length [2, 1], needs one length, from 1"),
        ([[]], "p: got rows of length [], needs one length, from 1"),
        ([[[LONG]], [[]]], "q: got rows of length [0], needs one length, from 1"),
    ],
)
def test_entries_that_make_no_table_are_named(tables, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        bptt.Partials.of(*tables)


@pytest.mark.parametrize(
    ("entry", "error", "said"),
    [
        (np.ones((2, 3)), ValueError, "p and q: got shapes [(9,), (2, 3)], needs one (..., n)"),
        (None, TypeError, "p[0][1]: got dtype object, needs float32"),
        (np.ma.array(LONG, mask=LONG > 0), TypeError, "p[0][1]: got a masked array, needs one"),
    ],
)
def test_entries_that_are_no_numbers_or_do_not_fit_are_named(entry, error, said):
    with pytest.raises(error, match=f"^{re.escape(said)}"):
        bptt.Partials.of([[LONG, entry]])


def test_a_function_that_can_be_imported_is_known_by_its_name():
    """In another process, too; all others are told apart by where they are."""

    class By(Leaky):
        def __init__(self, function):
            self.function = function

    assert repr(By(np.linalg.norm)) == "BY(function=numpy.linalg.norm)"
    assert repr(By(problem)) == "BY(function=oracle.problem)"
    assert repr(By(Leaky.step)) == f"BY(function={__name__}.Leaky.step)"
    assert By(problem) == By(problem) != By(agree)
    assert By(lambda a: a) != By(lambda a: -a)
    assert By(LONG.max) != By(np.ndarray.max)


class Root(Caching):
    def step(self, before, p, q, s, kept):
        np.sqrt(p + q, out=s)


class Steep(Caching):
    def partials(self, before, s, kept):
        return bptt.Partials(1e200 * super().partials(before, s, kept).p)


def test_nan_is_not_called_too_large():
    params = bptt.Params(np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1))
    with pytest.raises(bptt.OutOfRange, match=r"^s: ROOT.* comes to nan at step 2$"):
        bptt.unroll(Root(), params, np.array([1.0, -1.0]).reshape(2, 1, 1))


def test_derivatives_beyond_the_range_are_told():
    params, x = bptt.Params(np.full((1, 1), 2.0), np.ones((1, 1)), np.zeros(1)), np.zeros((9, 1, 1))
    run = bptt.unroll(Caching(), params, np.zeros((1040, 1, 1)), np.full((1, 1), 1e-5))
    with pytest.raises(bptt.OutOfRange, match=r"^sensitivity: got numbers too large for float64$"):
        bptt.sensitivity(run)
    run = bptt.unroll(Steep(), params._replace(W=1e200 * params.W), x)
    with pytest.raises(bptt.OutOfRange, match=r"^jacobians: got numbers too large for float64$"):
        bptt.jacobians(run)


@pytest.mark.parametrize("rows", [5, [LONG, 1.0]])
def test_a_table_has_rows(rows):
    with pytest.raises(TypeError, match=r"^q: got .*, needs a row of entries for each part$"):
        bptt.Partials.of([[LONG]], rows)


def test_entries_make_a_table():
    entry, row = np.arange(24.0).reshape(2, 3, 4), np.arange(4.0)
    table = bptt.Partials.of([[entry, 0.5], [row, 0]], [[1.0], [2.0 * entry]])
    assert table.p.shape == (2, 3, 2, 2, 4)
    assert np.array_equal(table.p[..., 0, 0, :], entry)
    assert (table.p[..., 0, 1, :] == 0.5).all()
    assert (table.p[..., 1, 0, :] == row).all()
    assert not table.p[..., 1, 1, :].any()
    assert np.array_equal(table.q[..., 1, 0, :], 2 * entry)
    assert bptt.Partials.of([[entry.astype(np.float32), 1]]).p.dtype == np.float32
    assert bptt.Partials.of([[entry.astype(np.float32), np.float64(0.5)]]).p.dtype == np.float32
    assert bptt.Partials.of([[entry, 1j]]).p.dtype == complex
    assert bptt.Partials.of([[entry]]).q is None
    numbers = bptt.Partials.of([[row.astype(np.float32)]], [[1, 0.5]]).q
    assert (numbers.shape, numbers.dtype) == ((1, 2, 4), np.float32)
    assert np.array_equal(numbers[0], [[1] * 4, [0.5] * 4])


# Arguments


@pytest.mark.parametrize("length", [20, 2000, 2001, 10**5])
def test_ragged_rows_are_printed_up_to_two_thousand_characters(length):
    rows = [[1], [0, "x" * (length - len(repr([[1], [0, ""]])))]]
    assert len(repr(rows)) == length
    params = problem("ELMAN", 1, 1, 1, 1).params
    with pytest.raises(ValueError, match=r"^x: got ") as raised:
        bptt.unroll(bptt.ELMAN, params, rows)
    shown = repr(rows) if length <= 2000 else f"{repr(rows)[:2000]} …"
    assert str(raised.value) == f"x: got {shown}, needs rows of one length"


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_arrays_of_the_other_byte_order_keep_their_precision(dtype):
    params, x = problem("ELMAN", 1, 1, 1, 1).params, np.ones((1, 1, 1), dtype)
    params = bptt.Params(*(a.astype(dtype) for a in params))
    run = bptt.unroll(bptt.ELMAN, params, x.astype(x.dtype.newbyteorder("S")))
    assert (run.x.dtype, run.s.dtype) == (x.dtype, x.dtype)


@pytest.mark.parametrize("dtype", ["float32", float, np.dtype("f4"), "d", np.float32])
def test_precisions_by_any_of_their_names(dtype):
    W = bptt.init(bptt.GRU, 2, 3, rng=np.random.default_rng(0), dtype=dtype).W
    assert W.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", [None, "half", np.float16, int, "no such", object(), ">f8"])
def test_other_precisions_are_refused(dtype):
    with pytest.raises(TypeError, match=r"^dtype: got .*, needs float32 or float64$"):
        bptt.init(bptt.GRU, 2, 3, rng=np.random.default_rng(0), dtype=dtype)


def test_what_was_made_before_bptt_was_loaded_again_is_named():
    before = {name: module for name, module in sys.modules.items() if name.startswith("bptt")}
    p = problem("ELMAN", T=3, B=2, d=2, n=2)
    try:
        for name in before:
            del sys.modules[name]
        again = importlib.import_module("bptt")
        with pytest.raises(TypeError) as raised:
            again.unroll(again.ELMAN, p.params, p.x)
        said = "params: got Params from before bptt was loaded again, needs Params"
        assert str(raised.value) == said
        with pytest.raises(TypeError, match=r"^cell: got ElmanCell from before bptt was loaded ag"):
            again.unroll(bptt.ELMAN, p.params, p.x)
    finally:
        for name in [name for name in sys.modules if name.startswith("bptt")]:
            del sys.modules[name]
        sys.modules.update(before)
    with pytest.raises(TypeError, match=r"^params: got tuple, needs Params$"):
        bptt.unroll(bptt.ELMAN, tuple(p.params), p.x)
