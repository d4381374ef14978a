"""Bad input: every public function, every argument, and a message that helps.

Each message names the argument, what it got and what it needs: all of it is compared.
"""

import inspect
import itertools
import re

import numpy as np
import oracle
import pytest

import bptt

T, B, d, n, m = 5, 3, 2, 4, 3
P = oracle.problem("LSTM", T, B, d, n)
RUN = P.run()
NETWORK = bptt.Network(*P.params, np.linspace(-1, 1, m * n).reshape(m, n), np.linspace(0, 1, m))
BATCH = bptt.Batch(P.x, np.arange(T * B).reshape(T, B) % m, np.arange(T * B).reshape(T, B) % 4 > 0)
FLOATS = "float32 or float64 or complex128"
REALS = "float32 or float64"


def unroll(W, U, b, **others):
    return bptt.unroll(params=bptt.Params(W, U, b), **others)


def checkpointed(W, U, b, **others):
    return bptt.checkpointed(params=bptt.Params(W, U, b), **others)


def of_run(function, **options):
    return function, {"unrolled": RUN, "dh": P.dh, **options}


def predict(cell, W, U, b, V, c, **others):
    return bptt.predict(cell, bptt.Network(W, U, b, V, c), **others)


def loss_and_gradients(cell, W, U, b, V, c, x, target, counts, **others):
    network, batch = bptt.Network(W, U, b, V, c), bptt.Batch(x, target, counts)
    return bptt.loss_and_gradients(cell, network, batch, **others)


def fit(cell, W, U, b, V, c, **others):
    return bptt.fit(cell, bptt.Network(W, U, b, V, c), **others)


def descent(parameters, batch, state):
    return 0.0, parameters


def square(x):
    return (x * x).sum()


Z, LABELS = np.linspace(-1, 1, 24).reshape(2, 3, 4), np.array([[0, 1, 2], [3, 0, 3]])
POINT = np.linspace(-1, 1, 6).reshape(2, 3)
GOOD = {
    "init": (bptt.init, {"cell": bptt.LSTM, "d": d, "n": n, "rng": None, "dtype": np.float64}),
    "unroll": (unroll, {"cell": P.cell, **P.params._asdict(), "x": P.x, "s0": P.s0}),
    "backward": of_run(bptt.backward, ds=P.s0),
    "checkpointed": (
        checkpointed,
        {
            **{"cell": P.cell, **P.params._asdict(), "x": P.x, "s0": P.s0},
            **{"dh": lambda steps, h: h, "checkpoints": 2, "segment": 2},
        },
    ),
    "rtrl": of_run(bptt.rtrl),
    "summands": of_run(bptt.summands, max_lag=2),
    "truncated": of_run(bptt.truncated, window=2),
    "sensitivity": (bptt.sensitivity, {"unrolled": RUN}),
    "jacobians": (bptt.jacobians, {"unrolled": RUN}),
    "softmax": (bptt.softmax, {"z": Z}),
    "cross_entropy": (bptt.cross_entropy, {"z": Z, "target": LABELS}),
    "mean_squared_error": (bptt.mean_squared_error, {"y": Z, "target": Z + 1}),
    "central_difference": (bptt.central_difference, {"f": square, "x": POINT, "eps": 1e-5}),
    "complex_step": (bptt.complex_step, {"f": square, "x": POINT}),
    "check": (
        bptt.check,
        {"f": square, "x": POINT, "gradient": 2 * POINT, "rtol": 1e-6, "atol": 1e-6, "rng": None},
    ),
    "init_network": (
        bptt.init_network,
        {"cell": bptt.LSTM, "d": d, "n": n, "m": m, "rng": None, "dtype": np.float64},
    ),
    "predict": (predict, {"cell": P.cell, **NETWORK._asdict(), "x": P.x, "s0": P.s0}),
    "loss_and_gradients": (
        loss_and_gradients,
        {
            **{"cell": P.cell, **NETWORK._asdict(), **BATCH._asdict()},
            **{"loss": bptt.cross_entropy, "s0": P.s0, "window": 2},
        },
    ),
    "last": (bptt.last, {"run": RUN, "lengths": np.array([5, 0, 2])}),
    "sgd": (bptt.sgd, {"rate": 0.1, "momentum": 0.9, "until": 10}),
    "adam": (
        bptt.adam,
        {"rate": 0.1, "decay": 0.9, "decay_of_squares": 0.99, "epsilon": 1e-8, "until": 10},
    ),
    "adagrad": (bptt.adagrad, {"rate": 0.1, "epsilon": 1e-8, "until": 10}),
    "rmsprop": (bptt.rmsprop, {"rate": 0.1, "decay": 0.9, "epsilon": 1e-8, "until": 10}),
    "clip_by_norm": (bptt.clip_by_norm, {"gradients": NETWORK, "limit": 0.1}),
    "clip_by_value": (bptt.clip_by_value, {"gradients": NETWORK, "limit": 0.1}),
    "fit": (
        fit,
        {
            **{"cell": P.cell, **NETWORK._asdict(), "sample": [BATCH], "loss": bptt.cross_entropy},
            **{"optimiser": bptt.sgd(0.1), "steps": 2, "rng": None, "clip": None, "window": 3},
            **{"criterion": None, "every": 1, "carry": False, "checkpoint": None},
            **{"resume": False, "progress": False, "clip_value": None},
        },
    ),
    "descend": (
        bptt.descend,
        {
            **{"function": descent, "parameters": NETWORK, "sample": [None]},
            **{"optimiser": bptt.sgd(0.1), "steps": 2, "rng": None, "clip": None},
            **{"clip_value": None, "criterion": None, "every": 1, "carry": False},
            **{"checkpoint": None, "resume": False, "progress": False},
        },
    ),
    "check_cell": (bptt.check_cell, {"cell": P.cell, "rng": None, "n": 3}),
    "verified": (
        bptt.verified,
        {"label": "eq-name", "left": POINT, "right": POINT, "tol": 0.0, "relation": "=="},
    ),
}


def call(name, **changed):
    function, arguments = GOOD[name]
    arguments = {**arguments, **changed}
    if "rng" in arguments and "rng" not in changed:
        arguments["rng"] = np.random.default_rng(0)
    return function(**arguments)


def raises(name, argument, value, error, got, needs):
    """The call raises exactly ``error``, and its message is ``argument: got …, needs …``."""
    with pytest.raises(error) as raised:
        call(name, **{argument: value})
    assert type(raised.value) is error
    assert re.fullmatch(f"{re.escape(argument)}: got {got}, needs {needs}", str(raised.value))


def exactly(name, argument, value, error, got, needs):
    raises(name, argument, value, error, re.escape(got), re.escape(needs))


@pytest.mark.parametrize("name", list(GOOD))
def test_the_good_arguments_are_good(name, capsys):
    call(name)
    if name == "verified":
        assert "eq-name checked" in capsys.readouterr().out


def test_every_public_function_is_here():
    public = {name for name in bptt.__all__ if inspect.isfunction(getattr(bptt, name))}
    assert set(GOOD) == public


# Arrays: dtype, NaN, infinity, rows of different length

ARRAYS = [
    *[
        (name, argument, FLOATS)
        for name in ("unroll", "checkpointed")
        for argument in ("W", "U", "b", "x", "s0")
    ],
    *[
        (name, argument, FLOATS)
        for name in ("predict", "loss_and_gradients")
        for argument in ("W", "U", "b", "V", "c")
    ],
    *[("fit", argument, REALS) for argument in ("W", "U", "b", "V", "c")],
    *[(name, a, FLOATS) for name in ("predict", "loss_and_gradients") for a in ("x", "s0")],
    ("backward", "ds", FLOATS),
    *[(name, "dh", FLOATS) for name in ("backward", "rtrl", "summands", "truncated")],
    *[("softmax", "z", FLOATS), ("cross_entropy", "z", FLOATS)],
    *[("mean_squared_error", "y", FLOATS), ("mean_squared_error", "target", FLOATS)],
    *[("central_difference", "x", REALS), ("complex_step", "x", "float64")],
    *[("check", "x", REALS), ("check", "gradient", REALS)],
]
arrays = pytest.mark.parametrize(("name", "argument", "needs"), ARRAYS)


def good(name, argument):
    return GOOD[name][1][argument]


@arrays
@pytest.mark.parametrize(
    "dtype", ["int64", "uint8", "bool", "object", "float16", "complex64", "<U32"]
)
def test_arrays_of_another_dtype(name, argument, needs, dtype):
    value = good(name, argument).astype(dtype)
    exactly(name, argument, value, TypeError, f"dtype {dtype}", needs)


@arrays
def test_arrays_that_are_none_at_all(name, argument, needs):
    for value in ("text", {}, object()):
        got = f"dtype {np.asarray(value).dtype}"
        exactly(name, argument, value, TypeError, got, needs)
    if argument not in ("s0", "ds"):  # None is their default
        exactly(name, argument, None, TypeError, "dtype object", needs)


@arrays
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_arrays_with_nan_or_infinity(name, argument, needs, bad):
    for where in ((0,) * good(name, argument).ndim, (-1,) * good(name, argument).ndim):
        value = good(name, argument).copy()
        value[where] = bad
        place = tuple(int(i) % size for i, size in zip(where, value.shape, strict=True))
        exactly(name, argument, value, ValueError, f"{bad} at {place}", "finite numbers")


IN_BATCHES = [(name, a) for name in ("loss_and_gradients", "fit") for a in BATCH._fields]


def of_batch(name, argument, value):
    """What ``call`` changes so that the value is in the batch."""
    if name == "fit" and argument in BATCH._fields:
        return {"sample": [BATCH._replace(**{argument: value})]}
    return {argument: value}


@pytest.mark.parametrize(
    ("name", "argument"), [*((name, argument) for name, argument, _ in ARRAYS), *IN_BATCHES]
)
def test_masks_are_not_lost(name, argument):
    value = getattr(BATCH, argument) if (name, argument) in IN_BATCHES else good(name, argument)
    masked = np.ma.masked_array(value, value == value.flat[-1])
    for given in (masked, [*np.atleast_1d(masked)], [value[0], (masked[0], np.ma.masked)]):
        with pytest.raises(TypeError) as raised:
            call(name, **of_batch(name, argument, given))
        needs = "needs one without a mask: .filled(...)"
        assert str(raised.value) == f"{argument}: got a masked array, {needs}"


@pytest.mark.parametrize("value", [P.x.astype(t) for t in (complex, "<U32", object, "M8[s]", "f2")])
def test_what_training_does_not_convert(value):
    with pytest.raises(TypeError, match=r"^x: got ") as raised:
        call("fit", sample=[BATCH._replace(x=value)])
    needs = "float32 or float64 or integer or bool"
    assert str(raised.value) == f"x: got dtype {value.dtype}, needs {needs}"


@pytest.mark.parametrize(("name", "argument"), IN_BATCHES)
def test_rows_of_different_length_in_a_batch(name, argument):
    value = [*getattr(BATCH, argument).tolist(), [1.0]]
    with pytest.raises(ValueError, match=f"^{argument}: got .*, needs rows of one length$"):
        call(name, **of_batch(name, argument, value))


@arrays
def test_rows_of_different_length(name, argument, needs):
    value = [*np.atleast_2d(good(name, argument)).tolist(), [1.0]]
    with pytest.raises(
        ValueError, match=f"^{argument}: got .*, needs rows of one length$"
    ) as raised:
        call(name, **{argument: value})
    assert repr(value) in str(raised.value)


@pytest.mark.parametrize("name", ["complex_step"])
def test_the_complex_step_needs_double_precision(name):
    exactly(name, "x", POINT.astype(np.float32), TypeError, "dtype float32", "float64")
    exactly(name, "x", POINT.astype(complex), TypeError, "dtype complex128", "float64")


@pytest.mark.parametrize(("name", "argument"), [("central_difference", "x"), ("check", "gradient")])
def test_differences_are_real(name, argument):
    exactly(name, argument, POINT.astype(complex), TypeError, "dtype complex128", REALS)


# Arrays: rank, sizes, emptiness

SHAPES = [
    ("unroll", "W", P.params.W[0], "(4,)", "(gates*n, n)"),
    ("unroll", "W", P.params.W[None], "(1, 16, 4)", "(gates*n, n)"),
    ("unroll", "W", P.params.W[:12], "(12, 4)", "(4 n, n) for LSTM"),
    ("unroll", "W", P.params.W.T, "(4, 16)", "(4 n, n) for LSTM"),
    ("unroll", "U", P.params.U[:, 0], "(16,)", "(gates*n=16, d)"),
    ("unroll", "U", P.params.U[None], "(1, 16, 2)", "(gates*n=16, d)"),
    ("unroll", "U", P.params.U[1:], "(15, 2)", "(gates*n=16, d)"),
    ("unroll", "U", P.params.U.T, "(2, 16)", "(gates*n=16, d)"),
    ("unroll", "b", P.params.b[0], "()", "(gates*n=16)"),
    ("unroll", "b", P.params.b[:, None], "(16, 1)", "(gates*n=16)"),
    ("unroll", "b", P.params.b[:4], "(4,)", "(gates*n=16)"),
    ("unroll", "x", P.x[0], "(3, 2)", "(T, B, d=2)"),
    ("unroll", "x", P.x[None], "(1, 5, 3, 2)", "(T, B, d=2)"),
    ("unroll", "x", P.x[..., :1], "(5, 3, 1)", "(T, B, d=2)"),
    ("unroll", "s0", P.s0[0], "(8,)", "(B=3, k*n=8)"),
    ("unroll", "s0", P.s0[None], "(1, 3, 8)", "(B=3, k*n=8)"),
    ("unroll", "s0", P.s0[:2], "(2, 8)", "(B=3, k*n=8)"),
    ("unroll", "s0", P.s0[:, :n], "(3, 4)", "(B=3, k*n=8)"),
    ("backward", "ds", P.s0[0], "(8,)", "(B=3, k*n=8)"),
    ("backward", "ds", P.s0[None], "(1, 3, 8)", "(B=3, k*n=8)"),
    ("backward", "ds", P.s0[:1], "(1, 8)", "(B=3, k*n=8)"),
    ("backward", "ds", P.s0[:, :n], "(3, 4)", "(B=3, k*n=8)"),
    ("checkpointed", "x", P.x[..., :1], "(5, 3, 1)", "(T, B, d=2)"),
    ("checkpointed", "x", P.x[:0], "(0, 3, 2)", "at least one entry on each axis"),
    *[
        (name, "dh", value, shape, "(T=5, B=3, n=4)")
        for name in ("backward", "rtrl", "summands", "truncated")
        for value, shape in (
            (P.dh[0], "(3, 4)"),
            (P.dh[None], "(1, 5, 3, 4)"),
            (P.dh[1:], "(4, 3, 4)"),
            (P.dh[:0], "(0, 3, 4)"),
            (P.dh[:, :1], "(5, 1, 4)"),
            (P.dh[..., :1], "(5, 3, 1)"),
            (RUN.s[1:], "(5, 3, 8)"),
        )
    ],
    *[
        (name, argument, value, shape, needs)
        for name in ("predict", "loss_and_gradients", "fit")
        for argument, value, shape, needs in (
            ("W", P.params.W[0, 0], "()", "(gates*n, n)"),
            ("W", P.params.W[:12], "(12, 4)", "(4 n, n) for LSTM"),
            ("b", P.params.b[:4], "(4,)", "(gates*n=16)"),
            ("V", NETWORK.V[0], "(4,)", "(m, n)" if name == "fit" else "(m, n=4)"),
            ("V", NETWORK.V.T, "(4, 3)", "(m, n=4)"),
            ("V", NETWORK.V[:0], "(0, 4)", "at least one entry on each axis"),
            ("c", NETWORK.c[0], "()", "(m)" if name == "fit" else "(m=3)"),
            ("c", NETWORK.c[:2], "(2,)", "(m=3)"),
        )
    ],
    *[
        (name, argument, value, shape, needs)
        for name in ("predict", "loss_and_gradients")
        for argument, value, shape, needs in (
            ("x", P.x[..., :1], "(5, 3, 1)", "(T, B, d=2)"),
            ("s0", P.s0[:2], "(2, 8)", "(B=3, k*n=8)"),
        )
    ],
    ("last", "lengths", np.array([5, 2]), "(2,)", "(B=3)"),
    ("last", "lengths", 2, "()", "(B=3)"),
    ("loss_and_gradients", "target", BATCH.target[1:], "(4, 3)", "(5, 3), and m if real"),
    ("loss_and_gradients", "target", BATCH.target.T, "(3, 5)", "(5, 3), and m if real"),
    ("loss_and_gradients", "target", 1, "()", "(5, 3), and m if real"),
    ("softmax", "z", 1.0, "()", "(..., m)"),
    ("cross_entropy", "z", 1.0, "()", "(..., m)"),
    ("cross_entropy", "target", LABELS[0], "(3,)", "(2, 3), as z without m"),
    ("cross_entropy", "target", LABELS[None], "(1, 2, 3)", "(2, 3), as z without m"),
    ("cross_entropy", "target", LABELS.T, "(3, 2)", "(2, 3), as z without m"),
    ("cross_entropy", "target", np.ones((2, 3, 4)), "(2, 3, 4)", "(2, 3), as z without m"),
    ("mean_squared_error", "target", Z[0], "(3, 4)", "(2, 3, 4), as y"),
    ("mean_squared_error", "target", Z[..., :1], "(2, 3, 1)", "(2, 3, 4), as y"),
    ("check", "gradient", POINT[0], "(3,)", "(2, 3), as x"),
    ("check", "gradient", POINT.T, "(3, 2)", "(2, 3), as x"),
    *[
        (name, argument, value[:0], str(value[:0].shape), "at least one entry on each axis")
        for name, argument, value in (
            ("unroll", "W", P.params.W),
            ("unroll", "x", P.x),
            ("softmax", "z", Z),
            ("cross_entropy", "z", Z),
            ("cross_entropy", "target", LABELS),
            ("mean_squared_error", "y", Z),
            ("mean_squared_error", "target", Z),
            ("central_difference", "x", POINT),
            ("complex_step", "x", POINT),
            ("check", "x", POINT),
            ("check", "gradient", POINT),
        )
    ],
    ("unroll", "x", P.x[:, :0], "(5, 0, 2)", "at least one entry on each axis"),
    ("unroll", "U", P.params.U[:, :0], "(16, 0)", "at least one entry on each axis"),
    ("softmax", "z", Z[..., :0], "(2, 3, 0)", "at least one entry on each axis"),
]


@pytest.mark.parametrize(("name", "argument", "value", "shape", "needs"), SHAPES)
def test_arrays_of_the_wrong_rank_or_size(name, argument, value, shape, needs):
    exactly(name, argument, value, ValueError, f"shape {shape}", needs)


def test_targets_and_inputs_of_different_length():
    with pytest.raises(ValueError, match=r"^counts: ") as raised:
        call("loss_and_gradients", x=P.x[1:])
    assert str(raised.value) == "counts: got shape (5, 3), needs (4, 3), as x without d"


@pytest.mark.parametrize("value", [BATCH.counts.astype(int), BATCH.counts * 1.0, None])
def test_counts_are_bool(value):
    got = f"dtype {np.asarray(value).dtype}"
    exactly("loss_and_gradients", "counts", value, TypeError, got, "bool")


def test_some_step_counts():
    value = np.zeros_like(BATCH.counts)
    exactly("loss_and_gradients", "counts", value, ValueError, "no step that is True", "one")


@pytest.mark.parametrize(("cell", "other"), list(itertools.permutations(oracle.CELLS, 2)))
def test_parameters_of_another_cell(cell, other):
    p = oracle.problem(other, T, B, d, n)
    rows = oracle.GATES[other] * n
    needs = rf"\({oracle.GATES[cell]} n, n\) for {cell}"
    with pytest.raises(ValueError, match=rf"^W: got shape \({rows}, 4\), needs {needs}$"):
        bptt.unroll(oracle.CELLS[cell], p.params, p.x)


# One precision

PRECISIONS = [
    *[
        (
            "unroll",
            argument,
            ", ".join(
                f"{a} float{32 if a == argument else 64}" for a in ("W", "U", "b", "x", "s0")
            ),
        )
        for argument in ("W", "U", "b", "x", "s0")
    ],
    *[
        (name, "dh", "dh float32, run float64")
        for name in ("backward", "rtrl", "summands", "truncated")
    ],
    ("backward", "ds", "ds float32, run float64"),
    ("mean_squared_error", "y", "y float32, target float64"),
    ("mean_squared_error", "target", "y float64, target float32"),
]


@pytest.mark.parametrize(("name", "argument", "got"), PRECISIONS)
def test_float32_does_not_meet_float64(name, argument, got):
    names = ", ".join(part.split()[0] for part in got.split(", "))
    with pytest.raises(TypeError) as raised:
        call(name, **{argument: good(name, argument).astype(np.float32)})
    assert str(raised.value) == f"{names}: got {got}, needs one precision for all"


def test_float32_does_not_meet_complex128():
    p = P.astype(np.float32)
    got = r"^dh, run: got dh complex128, run float32, needs one precision for all$"
    with pytest.raises(TypeError, match=got):
        bptt.backward(p.run(), P.dh.astype(complex))
    got = r"got W float32, .*, s0 complex128, needs one precision for all$"
    with pytest.raises(TypeError, match=got):
        bptt.unroll(p.cell, p.params, p.x, P.s0.astype(complex))


# Things that are no arrays


@pytest.mark.parametrize(
    ("name", "argument", "value", "got", "needs"),
    [
        ("init", "cell", "LSTM", "str", "Cell"),
        ("init", "cell", type(bptt.LSTM), "the class LSTMCell", "Cell"),
        ("init", "rng", 5, "int", "Generator"),
        ("init", "rng", np.random, "the module numpy.random", "Generator"),
        ("check_cell", "cell", type(bptt.LSTM), "the class LSTMCell", "Cell"),
        ("check_cell", "rng", 5, "int", "Generator"),
        ("unroll", "cell", None, "NoneType", "Cell"),
        ("checkpointed", "cell", None, "NoneType", "Cell"),
        *[
            ("checkpointed", "dh", value, got, "Callable")
            for value, got in ((P.dh, "ndarray"), (None, "NoneType"))
        ],
        ("check", "rng", None, "NoneType", "Generator"),
        *[
            (name, "cell", value, got, "Cell")
            for name in ("init_network", "predict", "loss_and_gradients", "fit")
            for value, got in (("LSTM", "str"), (None, "NoneType"))
        ],
        *[
            (name, "rng", value, got, "Generator")
            for name in ("init_network", "fit", "descend")
            for value, got in (
                (5, "int"),
                (np.random, "the module numpy.random"),
                (None, "NoneType"),
            )
        ],
        *[
            (name, "loss", value, got, "Callable")
            for name in ("loss_and_gradients", "fit")
            for value, got in (("text", "str"), (None, "NoneType"))
        ],
        *[
            (name, "gradients", value, got, "a NamedTuple of arrays")
            for name in ("clip_by_norm", "clip_by_value")
            for value, got in ((P.x, "ndarray"), (None, "NoneType"), ([P.x], "list"))
        ],
        *[
            row
            for name in ("fit", "descend")
            for row in (
                (name, "optimiser", 0.1, "float", "Optimiser"),
                (name, "criterion", True, "bool", "Callable"),
            )
        ],
        ("descend", "function", NETWORK, "Network", "Callable"),
        ("descend", "parameters", [P.x], "list", "a NamedTuple of arrays"),
        ("last", "run", RUN.s, "ndarray", "Unrolled"),
        ("fit", "sample", [tuple(BATCH)], "tuple", "Batch"),
        ("fit", "sample", lambda rng: None, "NoneType", "Batch"),
        *[
            (name, argument, value, got, "bool")
            for name in ("fit", "descend")
            for argument in ("carry", "resume", "progress")
            for value, got in ((1, "int"), (None, "NoneType"), (np.True_, "bool"))
        ],
        *[
            (name, "unrolled", value, got, "Unrolled")
            for name in ("backward", "rtrl", "summands", "truncated", "sensitivity", "jacobians")
            for value, got in ((RUN.h, "ndarray"), (tuple(RUN), "tuple"), (None, "NoneType"))
        ],
        *[
            (name, "f", value, got, "Callable")
            for name in ("central_difference", "complex_step", "check")
            for value, got in ((3.0, "float"), (POINT, "ndarray"), (None, "NoneType"))
        ],
    ],
)
def test_objects_of_another_type(name, argument, value, got, needs):
    exactly(name, argument, value, TypeError, got, needs)


def test_params_must_be_params():
    with pytest.raises(TypeError) as raised:
        bptt.unroll(P.cell, tuple(P.params), P.x)
    assert str(raised.value) == "params: got tuple, needs Params"


@pytest.mark.parametrize("name", ["predict", "loss_and_gradients", "fit"])
def test_a_network_must_be_a_network(name):
    function = getattr(bptt, name)
    arguments = {k: v for k, v in GOOD[name][1].items() if k not in {*"WUbVc", *BATCH._fields}}
    arguments |= {"predict": {"x": P.x}, "loss_and_gradients": {"batch": BATCH}, "fit": {}}[name]
    with pytest.raises(TypeError) as raised:
        function(**arguments, network=P.params)
    assert str(raised.value) == "network: got Params, needs Network"


def test_a_batch_must_be_a_batch():
    with pytest.raises(TypeError) as raised:
        bptt.loss_and_gradients(P.cell, NETWORK, tuple(BATCH), bptt.cross_entropy)
    assert str(raised.value) == "batch: got tuple, needs Batch"


@pytest.mark.parametrize("value", [None, 3, [], BATCH.x])
def test_samples(value):
    got, needs = repr(value), "a function or batches, one at least"
    for name in ("fit", "descend"):
        exactly(name, "sample", value, TypeError, got, needs)


def test_where_checkpoints_are(tmp_path):
    for value, got in ((3, "int"), (True, "bool")):
        exactly("fit", "checkpoint", value, TypeError, got, "a path")
    for value in (tmp_path, tmp_path / "no" / "file"):
        for path in (value, str(value)):
            needs = "a file in a folder that exists"
            exactly("fit", "checkpoint", path, ValueError, str(path), needs)


@pytest.mark.parametrize("name", ["clip_by_norm", "clip_by_value"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gradients_are_finite(name, bad):
    for field in NETWORK._fields:
        values = getattr(NETWORK, field).copy()
        values.flat[-1] = bad
        got = f"a norm of {abs(bad)}"
        gradients = NETWORK._replace(**{field: values})
        exactly(name, "gradients", gradients, ValueError, got, "finite numbers")


@pytest.mark.parametrize("name", ["init", "init_network"])
@pytest.mark.parametrize("dtype", [int, np.float16, complex, object, "text", None, POINT])
def test_init_in_another_dtype(name, dtype):
    exactly(name, "dtype", dtype, TypeError, repr(dtype), "float32 or float64")


# Numbers

INTEGERS = [
    ("init", "d", 0, "1 to inf"),
    ("init", "n", 0, "1 to inf"),
    ("check_cell", "n", 0, "1 to inf"),
    ("summands", "max_lag", -1, "0 to 4"),
    ("summands", "max_lag", T, "0 to 4"),
    ("checkpointed", "checkpoints", 0, "1 to inf"),
    ("checkpointed", "checkpoints", -1, "1 to inf"),
    ("checkpointed", "segment", 0, "1 to inf"),
    ("checkpointed", "segment", -2, "1 to inf"),
    ("truncated", "window", 0, "1 to inf"),
    ("truncated", "window", -3, "1 to inf"),
    *[
        (name, argument, value, "1 to inf")
        for name, arguments in (
            ("init_network", "dnm"),
            ("loss_and_gradients", ["window"]),
            ("fit", ["window", "steps", "every"]),
            ("descend", ["steps", "every"]),
            *[(name, ["until"]) for name in ("sgd", "adagrad", "rmsprop", "adam")],
        )
        for argument in arguments
        for value in (0, -1)
    ],
]


@pytest.mark.parametrize(("name", "argument", "value", "interval"), INTEGERS)
def test_integers_out_of_range(name, argument, value, interval):
    for number in (value, np.int64(value)):
        exactly(name, argument, number, ValueError, str(value), f"an integer from {interval}")


@pytest.mark.parametrize(
    ("name", "argument", "interval"), sorted({(*row[:2], row[3]) for row in INTEGERS})
)
@pytest.mark.parametrize(
    "value", [2.0, np.float64(1), True, np.bool_(1), "2", [2], np.array(2), 1j]
)
def test_integers_of_another_type(name, argument, interval, value):
    exactly(name, argument, value, TypeError, repr(value), f"an integer from {interval}")


NUMBERS = [
    ("central_difference", "eps", rf"a finite number from {np.finfo(float).tiny} to inf"),
    ("check", "rtol", "a finite number from 0 to inf"),
    ("check", "atol", "a finite number from 0 to inf"),
    ("verified", "tol", "a finite number from 0 to 0.5"),
    *[
        (name, "rate", "a finite number from 0 to inf")
        for name in ("sgd", "adagrad", "rmsprop", "adam")
    ],
    ("sgd", "momentum", "a finite number from 0 to 1"),
    *[
        (name, "epsilon", rf"a finite number from {np.finfo(float).tiny} to inf")
        for name in ("adagrad", "rmsprop", "adam")
    ],
    *[(name, "decay", "a finite number from 0 to 0.999999") for name in ("rmsprop", "adam")],
    ("adam", "decay_of_squares", "a finite number from 0 to 0.999999"),
    *[
        (name, "limit", "a finite number from 0 to inf")
        for name in ("clip_by_norm", "clip_by_value")
    ],
    *[
        (name, argument, "a finite number from 0 to inf")
        for name in ("fit", "descend")
        for argument in ("clip", "clip_value")
    ],
]
numbers = pytest.mark.parametrize(("name", "argument", "needs"), NUMBERS)


@numbers
@pytest.mark.parametrize("value", [-1, -1e-300, np.nan, np.inf, -np.inf, np.float32(-1)])
def test_numbers_out_of_range(name, argument, needs, value):
    exactly(name, argument, value, ValueError, str(value), needs)


@numbers
@pytest.mark.parametrize("value", [10**400, np.longdouble("1e4000")], ids=["int", "longdouble"])
def test_numbers_that_no_float_holds(name, argument, needs, value):
    exactly(name, argument, value, ValueError, "inf", needs)


@numbers
@pytest.mark.parametrize("value", ["1", True, 1j, POINT, np.array(0.5), [0.5]])
def test_numbers_of_another_type(name, argument, needs, value):
    exactly(name, argument, value, TypeError, repr(value), needs)


def test_a_step_of_zero():
    exactly("central_difference", "eps", 0, ValueError, "0", NUMBERS[0][2])
    exactly("central_difference", "eps", 0.0, ValueError, "0.0", NUMBERS[0][2])


@pytest.mark.parametrize(("argument", "value"), [("decay", 1), ("decay_of_squares", 1.0)])
def test_a_mean_that_forgets_nothing_has_no_size(argument, value):
    needs = "a finite number from 0 to 0.999999"
    exactly("adam", argument, value, ValueError, str(value), needs)
    exactly("sgd", "momentum", 1.5, ValueError, "1.5", "a finite number from 0 to 1")


@pytest.mark.parametrize("value", [1, 1.0, 2.5])
def test_a_tolerance_of_one_or_more_would_pass_zero_against_anything(value):
    exactly("verified", "tol", value, ValueError, str(value), NUMBERS[3][2])


# Labels


@pytest.mark.parametrize(("place", "label"), [((0, 0), -1), ((1, 2), 4), ((1, 0), 100)])
def test_labels_out_of_range(place, label):
    target = LABELS.copy()
    target[place] = label
    got, needs = f"label {label}", "labels from 0 to 3"
    exactly("cross_entropy", "target", target, ValueError, got, needs)
    with pytest.raises(ValueError, match=r"^target: got label 4, needs labels from 0 to 3$"):
        bptt.cross_entropy(Z[0, 0], 4)


@pytest.mark.parametrize("value", [LABELS * 1.0, LABELS > 0, LABELS.astype(object), None, "text"])
def test_labels_of_another_dtype(value):
    dtype = np.asarray(value).dtype
    exactly("cross_entropy", "target", value, TypeError, f"dtype {dtype}", "integer")


@pytest.mark.parametrize("value", ["", "two words", "a\nb", " ", 5, None, b"eq", ["eq"]])
def test_labels_of_equations(value):
    exactly("verified", "label", value, ValueError, repr(value), "one word")


@pytest.mark.parametrize("value", ["<", ">=", "=", "", None, 5])
def test_relations(value):
    exactly("verified", "relation", value, ValueError, repr(value), "'==' or '<='")


@pytest.mark.parametrize("value", [[5, 6, 2], [5, -1, 2]])
def test_lengths_out_of_range(value):
    exactly("last", "lengths", value, ValueError, str(value), "integers from 0 to 5")


@pytest.mark.parametrize("value", [[5.0, 1.0, 2.0], [True, False, True], ["1", "2", "3"]])
def test_lengths_of_another_dtype(value):
    dtype = np.asarray(value).dtype
    exactly("last", "lengths", value, TypeError, f"dtype {dtype}", "integer")


# What f returns

VALUES = [
    (lambda x: x, ValueError, r"shape (2, 3)", "()"),
    (lambda x: np.ones(1), ValueError, "shape (1,)", "()"),
    (lambda x: np.nan, ValueError, "nan at ()", "finite numbers"),
    (lambda x: np.inf, ValueError, "inf at ()", "finite numbers"),
    (lambda x: 1, TypeError, "dtype int64", REALS),
    (lambda x: None, TypeError, "dtype object", REALS),
    (lambda x: 1j, TypeError, "dtype complex128", REALS),
]


def refuses(name, f, error, got, needs):
    with pytest.raises(error) as raised:
        call(name, f=f)
    place = "f near x" if name == "central_difference" else "f(x)"
    assert str(raised.value) == f"{place}: got {got}, needs {needs}"


@pytest.mark.parametrize("name", ["central_difference", "check"])
@pytest.mark.parametrize(("f", "error", "got", "needs"), VALUES)
def test_differences_need_a_finite_real_scalar(name, f, error, got, needs):
    refuses(name, f, error, got, needs)


@pytest.mark.parametrize(
    ("f", "error", "got", "needs"),
    [
        (lambda x: x, ValueError, "shape (2, 3)", "()"),
        (lambda x: complex(np.nan), ValueError, "(nan+0j) at ()", "finite numbers"),
        (lambda x: x.real.sum(), TypeError, "dtype float64", "complex128"),
        (lambda x: x.sum().astype(np.complex64), TypeError, "dtype complex64", "complex128"),
        (lambda x: None, TypeError, "dtype object", "complex128"),
    ],
)
def test_the_complex_step_needs_a_finite_complex_scalar(f, error, got, needs):
    refuses("complex_step", f, error, got, needs)
