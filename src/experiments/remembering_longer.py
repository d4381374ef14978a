"""Chapter 14, learning to remember: the adding problem, with as many sequences as in 1997."""

from typing import Any

import numpy as np

from bptt.cells import LSTM
from bptt.network import init_network, predict
from bptt.optimisers import adam
from bptt.readout import mean_squared_error
from bptt.tasks import AddingProblem
from bptt.training import fit

from .remembering import OPEN, SHUT, gates, learned, measured, norms_by_lag
from .runner import Experiment


def adding(seed: int, stop: int = 3700) -> dict[str, Any]:
    """By an LSTM that begins as a memory; the rate falls to zero over 74,000 sequences."""
    rng, task = np.random.default_rng(seed), AddingProblem()
    network = gates(init_network(LSTM, 2, 8, 1, rng=rng), OPEN, SHUT)
    fitted = fit(
        LSTM,
        network,
        lambda rng: task.sample(rng, 20),
        mean_squared_error,
        adam(0.01, until=3700),
        steps=stop,
        rng=rng,
        clip=1.0,
        progress=False,
        criterion=learned(task, LSTM, seed, lambda z: z),
        every=50,
    )
    batch = task.sample(np.random.default_rng([seed, 2]), 2560)
    y = predict(LSTM, fitted.network, batch.x)
    lags = norms_by_lag(LSTM, fitted.network, task.sample(rng, 20))
    return measured(fitted, wrong=(~task.right(y, batch)).sum(), lags=lags)


LONGER = Experiment("remembering-longer", adding, [{}], range(5))
