"""Chapter 14, learning to remember: exclusive or in time, as in 1990 and by Adam.

"1990" comes as close to the source as our networks can: logistic outputs, squared errors, steepest
descent without error through time. Weights change after 30 bits, not after each.
"""

from typing import Any

import numpy as np

from bptt.cells import ELMAN
from bptt.network import Batch, init_network, predict
from bptt.optimisers import adam, sgd
from bptt.readout import cross_entropy, softmax
from bptt.tasks import TemporalXOR
from bptt.training import fit

from .remembering import measured
from .runner import Experiment


def logistic(z: Any) -> Any:
    """The output units of the sources of 1990 and 1997."""
    return 1 / (1 + np.exp(-z))


def half_squares(z: Any, target: Any) -> Any:
    """The loss of these sources: half the sum of squared errors of logistic outputs."""
    y = logistic(z)
    error = y - np.eye(z.shape[-1])[target]
    return (error * error).sum() / 2, error * y * (1 - y)


def xor(seed: int, way: str) -> dict[str, Any]:
    """Elman's bits: by his procedure, or by all summands and Adam on short streams."""
    rng, test = np.random.default_rng(seed), TemporalXOR(1200)
    if way == "1990":  # two units, no error through time, 600 passes through 3,000 bits
        network = init_network(ELMAN, 1, 2, 2, rng=rng)
        stream = TemporalXOR(3001).sample(rng, 1)
        parts = [Batch(*(a[t : t + 30] for a in stream)) for t in range(0, 3000, 30)]
        fitted = fit(
            ELMAN,
            network,
            parts,
            half_squares,
            sgd(0.05),
            steps=60_000,
            rng=rng,
            window=1,
            carry=True,
            progress=False,
        )
        outputs = logistic
    else:
        network, outputs = init_network(ELMAN, 1, 5, 2, rng=rng), softmax
        fitted = fit(
            ELMAN,
            network,
            lambda rng: TemporalXOR(300).sample(rng, 10),
            cross_entropy,
            adam(0.01),
            steps=600,
            rng=rng,
            clip=1.0,
            progress=False,
        )
    batch = test.sample(np.random.default_rng([seed, 1]), 50)
    y = outputs(predict(ELMAN, fitted.network, batch.x))
    phases = test.by_phase(y, batch)
    curve = (test.misses(y, batch)[:, :, 1] ** 2).mean(axis=1)
    return measured(fitted, phases=phases, curve=curve[:35].round(4)) | {
        "solved": bool(phases[2] < 0.025),  # a tenth of what guessing costs
        "right": test.right(y, batch).mean(),
    }


XOR = Experiment("remembering-xor", xor, [{"way": "Adam"}, {"way": "1990"}], range(5))
