"""Second derivatives: Hessian-free optimisation against gradient descent, counted in gradients.

A bit comes in at the first step, noise at all others, and the bit is asked for at the last. One
batch is used throughout, so that all methods see the same loss and none profits from noise.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bptt.cells import ELMAN
from bptt.network import Batch, Network, init_network, loss_and_gradients, predict
from bptt.optimisers import adam, clip_by_norm, sgd
from bptt.readout import cross_entropy, softmax

from .runner import Experiment

Array = NDArray[Any]
UNITS, SEQUENCES, NOISE = 16, 64, 0.3
SOLVED, MOST = 0.05, 1500.0
# Products with an n x n matrix in each step, in units of a gradient, which has three of them.
FORWARD, GRADIENT, CURVATURE = 1 / 3, 1.0, 4 / 3
OPTIMISERS = {"SGD": sgd, "Adam": adam}
INSIDE = 25  # the most conjugate gradients for one step
Found = Iterator[tuple[float, float]]  # the loss, and what has been spent when it is known


def problem(seed: int, T: int) -> tuple[Network, Batch]:
    """A fresh plain network and the batch."""
    rng = np.random.default_rng(seed)
    network = init_network(ELMAN, 1, UNITS, 2, rng=rng)
    bit = rng.integers(0, 2, SEQUENCES)
    x = NOISE * rng.standard_normal((T, SEQUENCES, 1))
    x[0, :, 0] = 2 * bit - 1
    counts = np.zeros((T, SEQUENCES), bool)
    counts[-1] = True
    return network, Batch(x, np.tile(bit, (T, 1)), counts)


def flat(network: Network) -> Array:
    """All parameters in one row."""
    return np.concatenate([a.ravel() for a in network])


def like(network: Network, row: Array) -> Network:
    """A row of numbers in the form of a network."""
    ends = np.cumsum([a.size for a in network])[:-1]
    return Network(*(p.reshape(a.shape) for p, a in zip(np.split(row, ends), network, strict=True)))


def curvature(network: Network, batch: Batch, v: Array, damping: float) -> Array:
    """The Gauss-Newton matrix of the loss, with ``damping`` on its diagonal, times v."""
    moved = like(network, flat(network) + 1e-100j * v)
    change = predict(ELMAN, moved, batch.x)[-1].imag / 1e-100

    def loss(z: Array, _: Array) -> tuple[float, Array]:
        y = softmax(z)
        return 0.0, y * (change - (y * change).sum(axis=1, keepdims=True)) / len(z)

    product = loss_and_gradients(ELMAN, network, batch, loss).gradients
    return flat(product) + damping * v


def first_order(network: Network, batch: Batch, name: str, rate: float) -> Found:
    """Gradient descent of some kind, clipped at norm 1."""
    optimiser, spent = OPTIMISERS[name](rate), 0.0  # type: ignore[operator]  # both take one
    moments = optimiser.start(network)
    while True:
        loss, gradients, *_ = loss_and_gradients(ELMAN, network, batch, cross_entropy)
        spent += GRADIENT
        yield loss, spent
        network, moments = optimiser.step(network, clip_by_norm(gradients, 1.0), moments)


def hessian_free(network: Network, batch: Batch, damping: float) -> Found:
    """Gauss-Newton steps by conjugate gradients, damped by the rule of Levenberg and Marquardt."""
    spent = 0.0
    while True:
        loss, gradients, *_ = loss_and_gradients(ELMAN, network, batch, cross_entropy)
        spent += GRADIENT
        yield loss, spent
        g = flat(gradients)
        step, residual = 0 * g, -g
        direction, size = residual, g @ g
        for _ in range(INSIDE):
            product = curvature(network, batch, direction, damping)
            spent += CURVATURE
            along = size / (direction @ product)
            step, residual = step + along * direction, residual - along * product
            size, before = residual @ residual, size
            if size < 1e-6 * (g @ g):
                break
            direction = residual + size / before * direction
        moved = like(network, flat(network) + step)
        z = predict(ELMAN, moved, batch.x)[-1]
        spent += FORWARD
        after = cross_entropy(z, batch.target[-1])[0]
        # For the damped model, the step solved its equations up to the residual.
        expected = 0.5 * step @ (g - residual)
        gain = (after - loss) / expected
        if gain > 0.75:
            damping /= 1.5
        elif gain < 0.25:
            damping *= 1.5
        if after < loss:
            network = moved


def train(seed: int, T: int, method: str, rate: float) -> dict[str, Any]:
    """What a method has spent, in gradients, when the loss is first below 0.05; None if never.

    The rate of ``Hessian-free`` is the damping that it begins with.
    """
    network, batch = problem(seed, T)
    found = (
        hessian_free(network, batch, rate)
        if method == "Hessian-free"
        else first_order(network, batch, method, rate)
    )
    losses: list[float] = []
    for loss, spent in found:
        losses.append(loss)
        if loss < SOLVED or spent > MOST:
            break
    solved = losses[-1] < SOLVED
    return {
        "first": losses[:3],
        "solved": solved,
        "spent": round(spent, 1) if solved else None,
        "last": float(f"{losses[-1]:.3g}"),
    }


RATES = {"Hessian-free": (1.0, 0.1, 0.01), "SGD": (10.0, 1.0, 0.1), "Adam": (0.1, 0.01, 0.001)}
METHODS = Experiment(
    "second-derivatives",
    train,
    [
        {"T": T, "method": method, "rate": rate}
        for T in (30, 60)
        for method, rates in RATES.items()
        for rate in rates
    ],
    range(10),
)
