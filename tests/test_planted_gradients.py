"""One fault planted in each of 200 gradients, and 200 right ones: what ``check`` makes of them."""

import numpy as np
import pytest
from oracle import problem

import bptt

FIELDS = ("W", "U", "b", "x", "s0")
FAULTS = ("dropped term", "sign", "zero", "factor 1.01", "transposed")
CASES = range(200)


def case(k):
    """Problem k and its loss as a function of one of its arrays; every choice meets every other."""
    rng = np.random.default_rng(k)
    size = int(rng.integers(2, 4))  # units, inputs and sequences, so that everything is square
    p = problem(("ELMAN", "LSTM", "GRU")[k % 3], 4, size, size, size, seed=k)
    p = p.astype((np.float32, np.float64)[k % 2])
    dtype, field, scale = p.x.dtype, FIELDS[k // 5 % 5], 10.0 ** rng.integers(-6, 7)
    dh = dtype.type(scale) * p.dh

    def loss(value):
        params = p.params._replace(**{field: value} if field in p.params._fields else {})
        x, s0 = (value if field == name else getattr(p, name) for name in ("x", "s0"))
        return (dh * bptt.unroll(p.cell, params, x, s0).h[1:]).sum()

    at = getattr(p.params if field in p.params._fields else p, field)
    gradients = bptt.backward(p.run(), dh)
    return p, field, dh, loss, at, getattr(gradients, field), rng


def spoilt(fault, k):
    """The gradient of case k with a fault: in one entry, or as a wrong formula makes it."""
    p, field, dh, _, _, right, rng = case(k)
    wrong = right.copy()
    if fault == "dropped term":
        window = int(rng.integers(1, 4))
        wrong = getattr(bptt.truncated(p.run(), dh, window), field)
    elif fault == "transposed" and wrong.ndim > 1:
        n = p.params.W.shape[1]
        squares = wrong.reshape(-1, n, wrong.shape[-1])[..., :n]
        squares[:] = squares.transpose(0, 2, 1).copy()
    elif fault == "transposed":
        wrong = wrong[::-1].copy()
    else:
        wrong.flat[rng.integers(wrong.size)] *= {"sign": -1, "zero": 0, "factor 1.01": 1.01}[fault]
    return wrong


def outcome(k, gradient):
    _, _, _, loss, at, _, _ = case(k)
    try:
        return bptt.check(loss, at, gradient, rng=np.random.default_rng(k))
    except (bptt.GradientMismatch, bptt.CannotJudge) as error:
        return error


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_noticed_or_smaller_than_the_report_says_it_could_see(fault):
    noticed = 0
    for k in CASES[FAULTS.index(fault) :: len(FAULTS)]:
        right, wrong = case(k)[5], spoilt(fault, k)
        found = outcome(k, wrong)
        if isinstance(found, bptt.Report):
            assert abs(wrong.astype(float) - right).max() <= found.resolution, k
        noticed += isinstance(found, bptt.GradientMismatch)
    assert noticed >= 30  # of 40: most are large enough to see, also in single precision


def test_no_right_gradient_is_accused_and_few_cannot_be_judged():
    found = [outcome(k, case(k)[5]) for k in CASES]
    assert not any(isinstance(answer, bptt.GradientMismatch) for answer in found)
    refused = [k for k in CASES if isinstance(found[k], bptt.CannotJudge)]
    assert len(refused) <= 10
    assert all(case(k)[0].x.dtype == np.float32 for k in refused)
