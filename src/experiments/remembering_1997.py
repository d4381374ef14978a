"""Chapter 14, learning to remember: the embedded Reber grammar, as in 1997 and by Adam.

"1997" comes as close to the source as our networks can: logistic outputs, squared errors, steepest
descent on line, cells without forget gates. The gradient is whole; theirs was cut at the gates.
"""

from typing import Any

import numpy as np

from bptt.cells import ELMAN, LSTM
from bptt.network import Network, init_network, predict
from bptt.optimisers import adam, sgd
from bptt.readout import cross_entropy, softmax
from bptt.tasks import Reber
from bptt.training import fit

from .remembering import measured
from .remembering_1990 import half_squares, logistic
from .runner import Experiment


def embedded(seed: int, way: str) -> dict[str, Any]:
    """The embedded Reber grammar from 256 strings; learned if those and 256 others are right."""
    rng, task = np.random.default_rng(seed), Reber(embedded=True)
    strings: dict[str, None] = {}
    train = [task.string(rng) for _ in range(256)]
    while len(strings) < 256:
        if (string := task.string(rng)) not in train:
            strings[string] = None
    everything = task.encode([*train, *strings])
    cell = ELMAN if way == "ELMAN" else LSTM
    outputs, loss, optimiser, B = softmax, cross_entropy, adam(0.01), 10
    network = init_network(cell, 7, 15 if way == "ELMAN" else 10, 7, rng=rng)
    if way == "1997":  # six cells without forget gates, on line, by steepest descent
        outputs, loss, optimiser, B = logistic, half_squares, sgd(0.5), 1
        network = init_network(LSTM, 7, 6, 7, rng=rng)
        network = Network(*(rng.uniform(-0.2, 0.2, a.shape) for a in network))
        network.W[6:12], network.U[6:12] = 0, 0
        network.b[:] = [0] * 6 + [20] * 6 + [0] * 6 + [-1, -1, -2, -2, -3, -3]
        network.c[:] = 0

    def criterion(network: Network) -> bool:
        y = outputs(predict(cell, network, everything.x))
        return bool(task.right(y, everything).all())

    fitted = fit(
        cell,
        network,
        lambda rng: task.encode([train[k] for k in rng.integers(0, 256, B)]),
        loss,
        optimiser,
        steps=20_000 // B,
        rng=rng,
        clip=None if way == "1997" else 1.0,
        criterion=criterion,
        every=500 // B,
        progress=False,
    )
    y = outputs(predict(cell, fitted.network, everything.x))
    return measured(fitted, right=task.right(y, everything).mean())


EMBEDDED = Experiment(
    "remembering-embedded",
    embedded,
    [{"way": "LSTM"}, {"way": "ELMAN"}, {"way": "1997"}],
    range(5),
)
