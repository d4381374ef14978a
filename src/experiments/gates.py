"""Does the bias of the forget gate decide whether an LSTM learns to remember?

Temporal order with 50 to 55 symbols: the first of the two that matter is 40 or more steps from the
end. A run is solved when each output is within 0.3 of the target, the source's criterion, for all
of 500 sequences that it is not trained on.
"""

from typing import Any

import numpy as np

from bptt.cells import LSTM
from bptt.network import Network, init_network, predict
from bptt.optimisers import adam
from bptt.readout import cross_entropy, softmax
from bptt.tasks import TemporalOrder
from bptt.training import fit

from .runner import Experiment, Row

TASK = TemporalOrder(50)
UNITS, BATCH, UPDATES, EVERY = 10, 20, 500, 25


def untrained(seed: int, bias: float) -> Network:
    """The LSTM before training: the usual random numbers, but for the forget gates' bias."""
    rng = np.random.default_rng(seed)
    network = init_network(LSTM, TASK.d, UNITS, TASK.m, rng=rng)
    network.b[UNITS : 2 * UNITS] = bias
    return network


def trained(row: Row) -> Network:
    """The LSTM of a stored row after training; its numbers have five decimals."""
    return Network(*map(np.array, row.measured["network"]))


def train(seed: int, bias: float) -> dict[str, Any]:
    """One training; updates are counted in steps of 25."""
    test = TASK.sample(np.random.default_rng([seed, 1]), 500)

    def solved(network: Network) -> bool:
        return bool(TASK.right(softmax(predict(LSTM, network, test.x)), test).all())

    network, history, *_ = fit(
        LSTM,
        untrained(seed, bias),
        lambda rng: TASK.sample(rng, BATCH),
        cross_entropy,
        adam(0.01),
        steps=UPDATES,
        rng=np.random.default_rng([seed, 2]),
        clip=1.0,
        criterion=solved,
        every=EVERY,
        progress=False,
    )
    return {
        "first": history.losses[:3],
        "solved": history.solved,
        "updates": history.updates,
        "last": history.losses[-EVERY:].mean(),
        "network": [a.round(5) for a in network],
    }


FORGET_BIAS = Experiment(
    "forget-bias", train, [{"bias": float(bias)} for bias in (0, 1, 2, 5)], range(5)
)
