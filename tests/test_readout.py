"""The losses and their gradients, against autograd, the complex step and what is known of them."""

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import SETTINGS, difference

import bptt
from bptt import OutOfRange

AUTOGRAD, OWN = 1e-10, 1e-12
shapes = st.lists(st.integers(1, 4), min_size=0, max_size=3).map(tuple)
seeds = st.integers(0, 2**32 - 1)


def logits(rows, m, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3, (*rows, m)), rng.integers(0, m, rows)


def textbook_softmax(z):
    return anp.exp(z) / anp.sum(anp.exp(z), axis=-1, keepdims=True)


def textbook_cross_entropy(z, target):
    """The mean over the rows, one row after the other."""
    y = textbook_softmax(z)
    rows = list(np.ndindex(target.shape))
    return -sum(anp.log(y[(*row, target[row])]) for row in rows) / len(rows)


@SETTINGS
@given(shapes, st.integers(1, 5), seeds)
def test_softmax_is_the_textbook_formula(rows, m, seed):
    z, _ = logits(rows, m, seed)
    y = bptt.softmax(z)
    assert y.dtype == np.float64
    assert difference(y, textbook_softmax(z)) <= OWN
    assert (y > 0).all()
    assert difference(y.sum(axis=-1), np.ones(rows)) <= OWN
    assert difference(bptt.softmax(z + 7.5), y) <= OWN


@SETTINGS
@given(shapes, st.integers(1, 5), seeds)
def test_cross_entropy_and_its_gradient(rows, m, seed):
    z, target = logits(rows, m, seed)
    loss, dz = bptt.cross_entropy(z, target)
    assert np.shape(loss) == ()
    assert abs(loss - textbook_cross_entropy(z, target)) <= OWN * max(1, abs(loss))
    if m == 1:  # one class only: no loss, and nothing to learn
        assert loss == 0
        assert not dz.any()
    else:
        expected = autograd.grad(textbook_cross_entropy)(z, target)
        assert dz.dtype == np.float64
        assert difference(dz, expected) <= AUTOGRAD
        assert (
            difference(dz, bptt.complex_step(lambda a: bptt.cross_entropy(a, target)[0], z)) <= OWN
        )


@SETTINGS
@given(shapes, seeds)
def test_mean_squared_error_and_its_gradient(shape, seed):
    rng = np.random.default_rng(seed)
    y, target = rng.standard_normal(shape), rng.standard_normal(shape)
    loss, dy = bptt.mean_squared_error(y, target)

    def textbook(y):
        return anp.mean((y - target) ** 2)

    assert np.shape(loss) == ()
    assert abs(loss - textbook(y)) <= OWN * loss
    assert difference(dy, autograd.grad(textbook)(y)) <= AUTOGRAD
    assert (
        difference(dy, bptt.complex_step(lambda a: bptt.mean_squared_error(a, target)[0], y)) <= OWN
    )


@pytest.mark.parametrize("m", [1, 2, 7, 1000])
def test_equal_logits_lose_ln_m(m):
    loss, dz = bptt.cross_entropy(np.full((3, 2, m), 4.0), np.zeros((3, 2), int))
    assert abs(loss - np.log(m)) <= OWN
    expected = np.full((3, 2, m), 1 / m)
    expected[..., 0] -= 1
    assert abs(dz - expected / 6).max() <= OWN


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_logits_do_not_overflow(dtype):
    largest = np.finfo(dtype).max / 4
    z = np.array([[largest, -largest, 0], [-largest, -largest, -largest]], dtype)
    assert np.array_equal(bptt.softmax(z), np.array([[1, 0, 0], [1, 1, 1] / dtype(3)], dtype))
    right, _ = bptt.cross_entropy(z[:1], np.array([0]))
    wrong, dz = bptt.cross_entropy(z[:1], np.array([1]))
    assert (right, wrong) == (0, 2 * largest)
    assert np.array_equal(dz, [[1, -1, 0]])


def test_small_losses_keep_their_digits():
    """With two classes the loss is ln(1 + e^-a) = e^-a to first order."""
    loss, _ = bptt.cross_entropy(np.array([[30.0, 0.0]]), np.array([0]))
    # 1 + e^-30 is rounded to a multiple of 2.2e-16.
    assert abs(loss - np.exp(-30)) <= 2.3e-16


def test_float32_stays_float32():
    rng = np.random.default_rng(2)
    z, y = rng.standard_normal((2, 5, 3, 4))
    target = rng.integers(0, 4, (5, 3))
    for ours, reference in zip(
        (
            bptt.softmax(z.astype(np.float32)),
            *bptt.cross_entropy(z.astype(np.float32), target),
            *bptt.mean_squared_error(z.astype(np.float32), y.astype(np.float32)),
        ),
        (bptt.softmax(z), *bptt.cross_entropy(z, target), *bptt.mean_squared_error(z, y)),
        strict=True,
    ):
        assert ours.dtype == np.float32
        assert reference.dtype == np.float64
        assert difference(ours, reference) <= 2e-6  # sums of 60 terms, each rounded to 6e-8


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_labels_of_any_integer_type(dtype):
    z, target = logits((4, 3), 5, seed=1)
    expected = bptt.cross_entropy(z, target)
    loss, dz = bptt.cross_entropy(z, target.astype(dtype))
    assert loss == expected[0]
    assert np.array_equal(dz, expected[1])
    lists = bptt.cross_entropy(z.tolist(), target.tolist())
    assert lists[0] == loss


def test_inputs_are_not_modified():
    z, target = logits((4, 3), 5, seed=1)
    y = np.random.default_rng(0).standard_normal(z.shape)
    inputs = (z, target, y)
    for a in inputs:
        a.setflags(write=False)
    before = [a.tobytes() for a in inputs]
    results = (bptt.softmax(z), bptt.cross_entropy(z, target)[1], bptt.mean_squared_error(z, y)[1])
    for result in results:
        result += 1
    assert [a.tobytes() for a in inputs] == before


def test_complex_logits_pass_through_softmax():
    z = np.array([0.3 + 0.2j, -1.0 + 0.7j, 0.1j])
    assert difference(bptt.softmax(z), np.exp(z) / np.exp(z).sum()) <= OWN
    loss, dz = bptt.cross_entropy(z, np.array(1))
    assert abs(loss - (np.log(np.exp(z).sum()) - z[1])) <= OWN
    assert difference(dz, np.exp(z) / np.exp(z).sum() - [0, 1, 0]) <= OWN


def the_long_way(z, target):
    """The definition: softmax and its logarithm each on their own, the target as a table."""
    right = np.arange(z.shape[-1]) == target[..., None]
    shifted = z - z.real.max(axis=-1, keepdims=True)
    of_right = shifted[right].reshape(target.shape)
    loss = (np.log(np.exp(shifted).sum(axis=-1)) - of_right).sum() / target.size
    return loss, (bptt.softmax(z) - right) / target.size


@pytest.mark.parametrize("dtype", [np.float32, np.float64, complex])
@pytest.mark.parametrize(
    "shape", [(1,), (7,), (1, 1), (5, 3), (300, 30), (4, 8000), (6, 1, 9), (2, 3, 5, 11)]
)
@pytest.mark.parametrize("layout", ["C", "F"])
def test_cross_entropy_has_the_bits_of_the_long_way(dtype, shape, layout):
    rng = np.random.default_rng(len(shape))
    for spread in (0.1, 3, 300):
        z = rng.normal(0, spread, shape).astype(dtype, order=layout)
        z += 0.1j * rng.normal(size=shape) if dtype is complex else 0
        target = np.asarray(rng.integers(0, shape[-1], shape[:-1]))
        found, right = bptt.cross_entropy(z, target), the_long_way(z, target)
        for ours, reference in zip(found, right, strict=True):
            assert ours.dtype == reference.dtype == dtype
            assert np.array_equal(ours, reference)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_out_of_range(dtype):
    huge = np.finfo(dtype).max
    message = rf"^loss: got numbers too large for {np.dtype(dtype)}$"
    for loss, z, target in (
        (bptt.cross_entropy, [[huge, -huge]], np.array([1])),
        (bptt.mean_squared_error, [[huge]], np.array([[-huge]], dtype)),
        (bptt.mean_squared_error, [[huge / 1000]], np.zeros((1, 1), dtype)),
    ):
        for then in ("raise", "warn", "ignore"):
            with np.errstate(all=then), pytest.raises(OutOfRange, match=message):
                loss(np.array(z, dtype), target)


def test_underflow_is_no_error():
    z, y = np.array([[0.0, -2000.0]]), np.array([1e-200])
    with np.errstate(all="raise"):
        assert np.array_equal(bptt.softmax(z), [[1, 0]])
        loss, dz = bptt.cross_entropy(z, np.array([0]))
        assert (loss, dz.tolist()) == (0, [[0, 0]])
        loss, dy = bptt.mean_squared_error(y, 0 * y)
        assert (loss, dy.tolist()) == (0, [2e-200])
    with np.errstate(all="raise"):
        ends = np.array([np.finfo(float).max, np.finfo(float).min])
        assert np.array_equal(bptt.softmax(ends), [1, 0])
