"""The training of the chapter on second derivatives: its task and its Gauss-Newton product."""

from itertools import islice

import numpy as np
import pytest

from bptt import ELMAN, Batch, central_difference, init_network, predict, softmax
from experiments.second_derivatives import (
    SOLVED,
    curvature,
    first_order,
    flat,
    hessian_free,
    like,
    problem,
)


@pytest.fixture
def small():
    """A network of three units, four sequences of the task, a direction."""
    rng = np.random.default_rng(0)
    network = init_network(ELMAN, 1, 3, 2, rng=rng)
    batch = Batch(*(a[:, :4] for a in problem(0, 5)[1]))
    return network, batch, rng.standard_normal(flat(network).size)


def test_the_bit_comes_first_and_is_asked_for_last():
    network, batch = problem(3, 12)
    np.testing.assert_array_equal(batch.x[0, :, 0] > 0, batch.target[-1] == 1)
    assert set(batch.x[0].ravel()) == {-1.0, 1.0}
    assert batch.counts.sum(axis=0).tolist() == [1] * 64
    assert batch.counts[-1].all()
    assert 0.25 < batch.x[1:].std() < 0.35
    assert network.W.shape == (16, 16)


def test_a_row_of_numbers_and_a_network_are_one_another(small):
    network, _, v = small
    np.testing.assert_array_equal(flat(like(network, v)), v)
    assert [a.shape for a in like(network, v)] == [a.shape for a in network]


@pytest.mark.parametrize("damping", [0.0, 0.7])
def test_the_gauss_newton_product_is_that_of_the_matrix_from_differences(small, damping):
    network, batch, v = small
    z = predict(ELMAN, network, batch.x)[-1]
    matrix = damping * np.eye(len(v))
    for r in range(len(z)):
        rows = [
            central_difference(
                lambda row, r=r, k=k: predict(ELMAN, like(network, row), batch.x)[-1, r, k],
                flat(network),
            )
            for k in range(2)
        ]
        y = softmax(z[r])
        matrix += np.transpose(rows) @ (np.diag(y) - np.outer(y, y)) @ rows / len(z)
    np.testing.assert_allclose(curvature(network, batch, v, damping), matrix @ v, atol=1e-8)


def test_what_is_spent_is_counted_in_gradients():
    network, batch = problem(2, 30)
    spent = [so_far for _, so_far in islice(first_order(network, batch, "SGD", 1.0), 3)]
    assert spent == [1, 2, 3]
    steps = hessian_free(network, batch, 0.1)
    (first, one), (second, spent) = next(steps), next(steps)
    products = (spent - 2 - 1 / 3) / (4 / 3)  # two gradients, a forward run, and so many products
    assert one == 1
    assert products == pytest.approx(round(products))
    assert 1 <= round(products) <= 25
    assert SOLVED < second < first
