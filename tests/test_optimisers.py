"""Optimisers and clipping: against loops written by hand, and at the ends of the range."""

import pickle
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import bptt
from bptt import Network

NETWORK = bptt.init_network(bptt.GRU, 2, 3, 5, rng=np.random.default_rng(0))

# Clipping


def test_clip_by_norm():
    gradients = bptt.Gradients(np.array([[3.0]]), np.array([[0.0]]), np.array([4.0]))
    for limit in (5, 5.0, 6.5):
        kept = bptt.clip_by_norm(gradients, limit)
        assert all(a is b for a, b in zip(kept, gradients, strict=True))
    short = bptt.clip_by_norm(gradients, 1)
    assert type(short) is bptt.Gradients
    assert_allclose(np.concatenate([a.ravel() for a in short[:3]]), [0.6, 0, 0.8], rtol=1e-15)
    assert short.x is short.s0 is None
    assert all((a == 0).all() for a in bptt.clip_by_norm(gradients, 0)[:3])
    zero = Network(*(np.zeros(2) for _ in range(5)))
    assert all(a is b for a, b in zip(bptt.clip_by_norm(zero, 1.0), zero, strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, complex])
@pytest.mark.parametrize("size", [1e-30, 1e-21, 1e-16, 1.0, 1e16, 1e30])
def test_clip_by_norm_where_squares_leave_the_range(dtype, size):
    size = size if dtype == np.float32 else size**10
    unit = np.random.default_rng(0).normal(size=12)
    unit = (unit / np.sqrt((unit**2).sum())).astype(dtype)
    gradients = Network(*(size * part for part in np.split(unit, [2, 3, 5, 9])))
    short = bptt.clip_by_norm(gradients, size / 2)
    assert short.W.dtype == dtype
    assert_allclose(np.concatenate(short), size / 2 * unit, rtol=2e-6)
    kept = bptt.clip_by_norm(gradients, size * (1 + 1e-6))
    assert all(a is b for a, b in zip(kept, gradients, strict=True))


def test_clip_by_value():
    """Entries keep their order but not their ratio; it may even ascend (chapter 12)."""
    gradients = bptt.Params(np.array([[10.0]]), np.array([[-9.5]]), np.array([-0.4]))
    cut = bptt.clip_by_value(gradients, 1)
    assert type(cut) is bptt.Params
    assert [float(a.item()) for a in cut] == [1.0, -1.0, -0.4]
    assert_array_equal(bptt.clip_by_value(gradients, 9.7).W, [[9.7]])
    assert_array_equal(bptt.clip_by_value(gradients, 10).W, [[10.0]])


# Optimisers


def path(optimiser, gradients, start=2.0):
    """One parameter through given gradients."""
    network = Network(*(np.array([start]) for _ in range(5)))
    moments, seen = optimiser.start(network), []
    for g in gradients:
        network, moments = optimiser.step(network, Network(*(np.array([g]),) * 5), moments)
        assert len({float(a.item()) for a in network}) == 1
        seen.append(float(network.V.item()))
    assert moments.updates == len(gradients)
    return np.array(seen)


G = [0.5, -2.0, 3.0, 0.25, -1.0, 7.0]


def test_gradient_descent():
    assert_allclose(path(bptt.sgd(0.1), G), 2 - 0.1 * np.cumsum(G), rtol=1e-14)
    sums = [sum(0.9 ** (k - j) * G[j] for j in range(k + 1)) for k in range(6)]
    assert_allclose(path(bptt.sgd(0.1, 0.9), G), 2 - 0.1 * np.cumsum(sums), rtol=1e-14)
    start = bptt.sgd(0.1).start(NETWORK)
    assert start.updates == 0
    assert [(len(s), all((a == 0).all() for a in s)) for s in start.sums] == [(5, True)]


def test_adam():
    """Algorithm 1 of Kingma and Ba, its bias corrected as a weighted mean over all gradients."""
    rate, b1, b2, eps = 0.1, 0.8, 0.95, 0.3
    found, theta = path(bptt.adam(rate, b1, b2, eps), G), 2.0
    for k, ours in enumerate(found):
        age = np.arange(k, -1, -1)
        m = np.average(G[: k + 1], weights=b1**age)
        v = np.average(np.square(G[: k + 1]), weights=b2**age)
        theta -= rate * m / (np.sqrt(v) + eps)
        assert ours == pytest.approx(theta, rel=1e-13)
    start = bptt.adam().start(NETWORK)
    assert start.updates == 0
    assert [all((a == 0).all() for a in s) for s in start.sums] == [True, True]


def test_the_defaults_of_adam():
    assert bptt.adam().name == "adam(0.001, 0.9, 0.999, 1e-08, until=None)"
    assert_array_equal(path(bptt.adam(), G), path(bptt.adam(1e-3, 0.9, 0.999, 1e-8), G))
    assert path(bptt.adam(), [1e-3])[0] == pytest.approx(2 - 1e-3, abs=1e-7)
    assert path(bptt.adam(), [1e-8])[0] == pytest.approx(2 - 0.5e-3, abs=1e-9)


RULES = [bptt.sgd, bptt.adagrad, bptt.rmsprop, bptt.adam]


@pytest.mark.parametrize("rule", RULES)
def test_a_rate_that_fades(rule):
    steps = -np.diff(path(rule(0.1), [1.0] * 6), prepend=2.0)
    faded = -np.diff(path(rule(0.1, until=4), [1.0] * 6), prepend=2.0)
    assert_allclose(faded, steps * [1, 0.75, 0.5, 0.25, 0, 0], rtol=1e-12, atol=1e-15)


def test_optimisers_say_what_they_are():
    names = [
        rule(rate, **others).name
        for rule in RULES
        for rate in (0.1, 0.2)
        for others in ({}, {"until": 7})
    ]
    names += [bptt.sgd(0.1, 0.5).name, bptt.adam(0.1, 0.5).name, bptt.adam(0.1, 0.9, 0.5).name]
    names += [bptt.adam(0.1, epsilon=0.5).name, bptt.adagrad(0.1, 0.5).name]
    names += [bptt.rmsprop(0.1, 0.5).name, bptt.rmsprop(0.1, 0.9, 0.5).name]
    assert len(set(names)) == len(names)
    assert bptt.sgd(1, np.float32(0.5), until=np.int64(3)).name == "sgd(1.0, 0.5, until=3)"
    assert bptt.adam(1, 0, 0, 1).name == "adam(1.0, 0.0, 0.0, 1.0, until=None)"
    assert bptt.adagrad().name == "adagrad(0.01, 1e-08, until=None)"
    assert bptt.rmsprop(until=3).name == "rmsprop(0.001, 0.9, 1e-08, until=3)"


def test_a_parameter_without_any_gradient_stays_where_it_is():
    network = NETWORK
    zeros = network._replace(**{key: 0 * a for key, a in network._asdict().items()})
    tiny = np.finfo(float).tiny ** 0.5
    for rule in (
        bptt.adam(0.1, epsilon=tiny),
        bptt.adagrad(0.1, tiny),
        bptt.rmsprop(0.1, 0.5, tiny),
    ):
        after, _ = rule.step(network, zeros, rule.start(network))
        assert all(np.array_equal(a, b) for a, b in zip(after, network, strict=True))


def test_optimisers_keep_the_precision():
    for dtype in (np.float32, np.float64):
        network = bptt.init_network(bptt.GRU, 1, 2, 2, rng=np.random.default_rng(0), dtype=dtype)
        for optimiser in (bptt.sgd(0.1, 0.9), *(rule(0.1, until=5) for rule in RULES)):
            after, moments = optimiser.step(network, network, optimiser.start(network))
            arrays = [*after, *(a for total in moments.sums for a in total)]
            assert {a.dtype for a in arrays} == {np.dtype(dtype)}
            assert {a.dtype for a in bptt.clip_by_norm(network, 0.01)} == {np.dtype(dtype)}


def test_adagrad():
    """Figure 1 of Duchi, Hazan and Singer, its matrices diagonal: one root for each parameter."""
    found, theta, total = path(bptt.adagrad(0.1, 0.3), G), 2.0, 0.0
    for ours, g in zip(found, G, strict=True):
        total += g**2
        theta -= 0.1 * g / (np.sqrt(total) + 0.3)
        assert ours == pytest.approx(theta, rel=1e-14)
    assert_array_equal(path(bptt.adagrad(), G), path(bptt.adagrad(1e-2, 1e-8), G))


def test_rmsprop():
    """Each gradient over the root of a mean of squares in which old ones fade."""
    found, theta = path(bptt.rmsprop(0.1, 0.8, 0.3), G), 2.0
    for k, ours in enumerate(found):
        weights = 0.2 * 0.8 ** np.arange(k, -1, -1)
        theta -= 0.1 * G[k] / (np.sqrt((weights * np.square(G[: k + 1])).sum()) + 0.3)
        assert ours == pytest.approx(theta, rel=1e-14)
    assert_array_equal(path(bptt.rmsprop(), G), path(bptt.rmsprop(1e-3, 0.9, 1e-8), G))


@pytest.mark.parametrize("rule", RULES)
def test_optimisers_pickle(rule):
    optimiser = rule(0.1, until=9)
    again = pickle.loads(pickle.dumps(optimiser))
    assert again.name == optimiser.name
    assert_array_equal(path(again, G), path(optimiser, G))


def test_optimisers_and_clipping_modify_nothing():
    given = pickle.dumps(NETWORK)
    bptt.clip_by_norm(NETWORK, 1e-3)
    bptt.clip_by_value(NETWORK, 1e-3)
    for rule in RULES:
        optimiser = rule(0.1)
        _, moments = optimiser.step(NETWORK, NETWORK, optimiser.start(NETWORK))
        kept = pickle.dumps(moments)
        optimiser.step(NETWORK, NETWORK, moments)
        assert pickle.dumps(moments) == kept
    assert pickle.dumps(NETWORK) == given


@pytest.mark.parametrize("rule", [bptt.adagrad, bptt.rmsprop, bptt.adam])
def test_an_epsilon_that_the_precision_does_not_hold(rule):
    single = Network(*(a.astype(np.float32) for a in NETWORK))
    optimiser = rule(0.1, epsilon=1e-46)
    optimiser.step(NETWORK, NETWORK, optimiser.start(NETWORK))
    with pytest.raises(ValueError, match=r"^epsilon: ") as raised:
        optimiser.step(single, single, optimiser.start(single))
    assert str(raised.value) == (
        "epsilon: got 1e-46, needs 1.0842021724855044e-19 or more in float32"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", [bptt.adagrad, bptt.rmsprop, bptt.adam])
def test_steps_are_no_longer_where_squares_vanish(rule, dtype):
    """With the least epsilon: a thousandth of a square, as Adam adds, is 0 below 0.008 of it."""
    least = float(np.finfo(dtype).tiny ** 0.5)
    optimiser, start = rule(0.1, epsilon=least), params(0, 0, 0, dtype=dtype)
    mean = {bptt.rmsprop: 0.1**0.5}.get(rule, 1)
    for g in np.geomspace(1e-12, 1, 50) * least:
        given = params(g, g, g, dtype=dtype)
        after, _ = optimiser.step(start, given, optimiser.start(start))
        assert_allclose(after.W, -0.1 * g / (mean * g + least), rtol=0.01)
    with pytest.raises(ValueError, match=rf"^epsilon: got .*, needs {least} or more in "):
        rule(0.1, epsilon=least / 2).step(start, start, optimiser.start(start))


class Stack(NamedTuple):
    layers: tuple[bptt.Params, ...]
    V: np.ndarray
    scale: np.ndarray


def stack(rng, dtype=np.float64):
    layers = tuple(bptt.init(bptt.GRU, d, 3, rng=rng, dtype=dtype) for d in (2, 3))
    return Stack(layers, rng.normal(size=(2, 3)).astype(dtype), np.array(0.5, dtype))


def flat(tree):
    return np.concatenate(
        [np.ravel(a) for p in tree.layers for a in p] + [*map(np.ravel, tree[1:])]
    )


@pytest.mark.parametrize("rule", RULES)
def test_parameters_nest(rule):
    """Layers in a tuple, and numbers without axes: what moves is as if it lay in one array."""
    rng, optimiser = np.random.default_rng(0), rule(0.1)
    found, by = stack(rng), [stack(rng) for _ in range(3)]
    line = bptt.Params(flat(found), np.ones(1), np.ones(1))
    moments, of_line = optimiser.start(found), optimiser.start(line)
    for g in by:
        found, moments = optimiser.step(found, g, moments)
        line, of_line = optimiser.step(line, bptt.Params(flat(g), *np.ones((2, 1))), of_line)
    assert type(found) is Stack
    assert [type(layer) for layer in found.layers] == [bptt.Params] * 2
    assert_allclose(flat(found), line.W, rtol=1e-15)


def test_each_running_sum_is_its_own():
    first, second = bptt.adam().start(NETWORK).sums
    assert not any(np.shares_memory(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("rule", [*(rule(0.1) for rule in RULES), bptt.sgd(0.1, until=10)])
def test_numpys_counts_leave_float32_as_it_is(rule):
    """As of a rule of one's own, or read from a file."""
    at = rule.start(HALF)._replace(updates=np.int64(3))
    after, at = rule.step(HALF, HALF, at)
    assert after.W.dtype == at.sums[0].W.dtype == np.float32
    expected, _ = rule.step(HALF, HALF, rule.start(HALF)._replace(updates=3))
    assert after.W.tobytes() == expected.W.tobytes()


SMALL = bptt.Params(np.ones((3, 3)), np.ones((3, 1)), np.ones(3))
HALF = bptt.Params(*(a.astype(np.float32) for a in SMALL))
ALL_FIVE = bptt.Gradients(*SMALL, np.ones(1), np.ones(1))
FORMS = "W float64(3, 3), U float64(3, 1), b float64(3,)"


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("gradients", "got"),
    [
        (HALF, FORMS.replace("64", "32")),
        (SMALL._replace(b=np.ones((3, 1))), FORMS.replace("(3,)", "(3, 1)")),
        (ALL_FIVE, f"{FORMS}, x float64(1,), s0 float64(1,)"),
        (tuple(SMALL), "0 float64(3, 3), 1 float64(3, 1), 2 float64(3,)"),
        (SMALL.W, " float64(3, 3)"),
    ],
)
def test_gradients_have_the_forms_of_the_parameters(rule, gradients, got):
    start = rule(0.1).start(SMALL)
    with pytest.raises(ValueError, match=r"^gradients: ") as raised:
        rule(0.1).step(SMALL, gradients, start)
    assert str(raised.value) == f"gradients: got {got}, needs {FORMS}"


@pytest.mark.parametrize("rule", RULES)
def test_moments_are_moments(rule):
    with pytest.raises(TypeError, match=r"^moments: got NoneType, needs Moments$"):
        rule(0.1).step(SMALL, SMALL, None)


@pytest.mark.parametrize("rule", RULES)
def test_moments_are_those_of_the_rule_and_the_parameters(rule):
    other = bptt.sgd(0.1) if rule is bptt.adam else bptt.adam()
    for moments in (other.start(SMALL), rule(0.1).start(HALF)):
        with pytest.raises(ValueError, match=r"^sums of moments: got 0 W .*, needs 0 W float64"):
            rule(0.1).step(SMALL, SMALL, moments)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [int, complex, object, np.float16])
def test_parameters_are_real(rule, dtype):
    given = bptt.Params(*(a.astype(dtype) for a in SMALL))
    with pytest.raises(TypeError, match=r"^parameters: ") as raised:
        rule(0.1).step(given, given, rule(0.1).start(given))
    got = f"parameters: got dtype {given.W.dtype}, needs float32 or float64"
    assert str(raised.value) == got


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "other", [lambda a: a.tolist(), lambda a: a.astype(a.dtype.newbyteorder("S"))]
)
def test_optimisers_take_lists_and_both_byte_orders(rule, other):
    expected = rule(0.1).step(SMALL, SMALL, rule(0.1).start(SMALL))
    given = bptt.Params(*map(other, SMALL))
    start = rule(0.1).start(given)
    found = rule(0.1).step(given, given, start._replace(sums=list(start.sums)))
    for a, b in zip(
        (*found[0], *found[1].sums[0]), (*expected[0], *expected[1].sums[0]), strict=True
    ):
        assert a.dtype.isnative
        assert_array_equal(a, b)


@pytest.mark.parametrize("clip", [bptt.clip_by_norm, bptt.clip_by_value])
@pytest.mark.parametrize("limit", [0.1, 100])
def test_clipping_takes_lists_and_loses_no_mask(clip, limit):
    given = bptt.Params(*(a.tolist() for a in SMALL))
    assert pickle.dumps(clip(given, limit)) == pickle.dumps(clip(SMALL, limit))
    masked = SMALL._replace(b=np.ma.masked_array([1.0, 1.0, 1e30], [0, 0, 1]))
    with pytest.raises(TypeError, match=r"^gradients b: got a masked array, needs one without"):
        clip(masked, limit)


def test_clipping_nests():
    whole = stack(np.random.default_rng(0))
    size = np.sqrt((flat(whole) ** 2).sum())
    assert_allclose(flat(bptt.clip_by_norm(whole, size / 3)), flat(whole) / 3, rtol=1e-14)
    assert_array_equal(flat(bptt.clip_by_value(whole, 0.1)), flat(whole).clip(-0.1, 0.1))
    assert type(bptt.clip_by_value(whole, 0.1)) is Stack


# Clipping at the ends of the range


def params(*values, dtype):
    return bptt.Params(*(np.array([value], dtype) for value in values))


@pytest.mark.parametrize(
    ("dtype", "size", "limit"),
    [
        (np.float32, 1e38, 1e-8),
        (np.float32, 1e38, 1e-30),
        (np.float32, 3e38, 1e38),
        (np.float32, 1e-30, 1e-38),
        (np.float64, 1e308, 1e-8),
        (np.float64, 1e308, 1e-300),
        (np.float64, 1e-200, 1e-300),
        (complex, 1e308, 1e-300),
    ],
)
@pytest.mark.parametrize("then", ["raise", "warn"])
def test_clip_by_norm_to_a_tiny_part(dtype, size, limit, then):
    """3, 0 and 4 fifths of the limit; the factor alone would be 0 in the precision."""
    given = params(0.6 * size, 0, -0.8 * size, dtype=dtype)
    with np.errstate(all=then):
        short = bptt.clip_by_norm(given, limit)
    assert {a.dtype for a in short} == {np.dtype(dtype)}
    expected = params(0.6 * limit, 0, -0.8 * limit, dtype=dtype)
    assert_allclose(np.concatenate(short), np.concatenate(expected), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_gradients_at_the_end_of_the_range(dtype):
    """Each square, and in float32 the norm itself, is more than the precision holds."""
    size = float(np.finfo(dtype).max) / {np.float32: 100, np.float64: 1000}[dtype]
    given = bptt.Params(np.full(70_000, size, dtype), *np.zeros((2, 1), dtype))
    short = bptt.clip_by_norm(given, 1.0)
    assert_allclose(short.W, 70_000**-0.5, rtol=1e-6 if dtype == np.float32 else 1e-14)
    assert_array_equal(bptt.clip_by_norm(given, 0).W, np.zeros(70_000))


def test_underflow_is_no_error():
    with np.errstate(all="raise"):
        short = bptt.clip_by_norm(params(1e300, 1e-300, 0, dtype=float), 1.0)
        tiny = params(1e-300, 1e-200, 0, dtype=float)
        for rule in RULES:
            after, _ = rule(0.1).step(tiny, tiny, rule(0.1).start(tiny))
            assert np.isfinite(np.concatenate(after)).all()
    assert_allclose(np.concatenate(short), [1, 0, 0], rtol=1e-15, atol=0)


def test_no_gradients_have_no_norm():
    none = bptt.Gradients(None, None, None)
    assert bptt.clip_by_norm(none, 1.0) == bptt.clip_by_value(none, 1.0) == none
    empty = params(0, 0, 0, dtype=float)._replace(U=np.zeros((2, 0)))
    for clip in (bptt.clip_by_norm, bptt.clip_by_value):
        assert [a.shape for a in clip(empty, 1.0)] == [(1,), (2, 0), (1,)]


@pytest.mark.parametrize("limit", [1e39, 1e-46, 0, 1.0])
def test_clip_by_value_at_limits_out_of_the_range(limit):
    with np.errstate(all="raise"):
        cut = bptt.clip_by_value(params(-3e38, 1e-45, 2, dtype=np.float32), limit)
    expected = {1e39: [-3e38, 1e-45, 2], 1e-46: [0, 0, 0], 0: [0, 0, 0], 1.0: [-1, 1e-45, 1]}[limit]
    assert_array_equal(np.concatenate(cut), np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("clip", "dtypes", "needs"),
    [
        (bptt.clip_by_norm, ["int8", "int64", "float16", "bool", "object"], True),
        (bptt.clip_by_value, ["int8", "int64", "float16", "bool", "object", "complex128"], False),
    ],
)
def test_clipping_of_other_numbers(clip, dtypes, needs):
    needs = "float32 or float64" + " or complex128" * needs
    for dtype in dtypes:
        given = bptt.Params(np.ones(1), np.ones(1).astype(dtype), np.ones(1))
        with pytest.raises(TypeError, match=r"^gradients U: ") as raised:
            clip(given, 1.0)
        assert str(raised.value) == f"gradients U: got dtype {dtype}, needs {needs}"
    with pytest.raises(TypeError, match=r"^gradients: got type, needs a NamedTuple of arrays$"):
        clip(bptt.Params, 1.0)
    nested = stack(np.random.default_rng(0))._replace(layers=(bptt.Params(*np.ones((3, 1), int)),))
    with pytest.raises(TypeError, match=r"^gradients layers 0 W: got dtype int64, needs "):
        clip(nested, 1.0)
