"""Chapter 14, learning to remember: the tasks that are trained with Adam alone.

Every training draws fresh sequences. ``sequences`` counts those used for training; the criterion is
tested on others.
"""

from typing import Any

import numpy as np
from numpy.random import Generator

from bptt.cells import ELMAN, LSTM, Cell
from bptt.lags import summands
from bptt.network import Batch, Network, init_network, predict
from bptt.optimisers import adam
from bptt.readout import cross_entropy, mean_squared_error, softmax
from bptt.recurrence import Params, unroll
from bptt.tasks import AddingProblem, LongLag, Reber, Task, TemporalOrder
from bptt.training import Fit, fit

from .runner import Experiment

CELLS = {"ELMAN": ELMAN, "LSTM": LSTM}
SEEDS = range(5)
OPEN, SHUT = 5.0, -3.0  # biases of forget gates and of input gates that begin as a memory


def gates(network: Network, forget: float, shut: float) -> Network:
    """An LSTM whose forget and input gates begin with these biases."""
    b = network.b.reshape(4, -1).copy()
    b[0], b[1] = shut, forget
    return network._replace(b=b.ravel())


def orthogonal(network: Network, rng: Generator) -> Network:
    """A plain network with random orthogonal W and no bias: nothing vanishes at the beginning."""
    q, r = np.linalg.qr(rng.standard_normal(network.W.shape))
    return network._replace(W=q * np.sign(np.diag(r)), b=0 * network.b)


def measured(fitted: Fit, **others: Any) -> dict[str, Any]:
    """What every row holds, with the mean loss of twenty stretches of the training."""
    losses = fitted.history.losses
    stretches = [part.mean() for part in np.array_split(losses, min(20, len(losses)))]
    return {
        **{"first": losses[:5], "losses": np.round(stretches, 5)},
        **{"solved": fitted.history.solved, "diverged": fitted.history.diverged},
        **{"sequences": fitted.history.sequences, "updates": fitted.history.updates},
        **others,
    }


def learned(task: Task, cell: Cell, seed: int, outputs: Any = softmax) -> Any:
    """The task's criterion for ``fit``, on sequences of its own."""
    rng = np.random.default_rng([seed, 1])
    return lambda network: task.learned(lambda x: outputs(predict(cell, network, x)), rng)


def reber(seed: int) -> dict[str, Any]:
    """The Reber grammar by a plain network, which is then a recogniser: whom does it let in?

    Trained until 1,000 new strings of the grammar are right and accepted.
    """
    rng, task = np.random.default_rng(seed), Reber()
    others = np.random.default_rng([seed, 1])

    def judged(network: Network, batch: Batch) -> Any:
        y = softmax(predict(ELMAN, network, batch.x))
        return task.accepts(y, batch), y

    def criterion(network: Network) -> bool:
        batch = task.sample(others, 1000)
        accepted, y = judged(network, batch)
        return bool((accepted & task.right(y, batch)).all())

    fitted = fit(
        ELMAN,
        init_network(ELMAN, 7, 6, 7, rng=rng),
        lambda rng: task.sample(rng, 20),
        cross_entropy,
        adam(0.01),
        steps=1000,
        rng=rng,
        clip=1.0,
        progress=False,
        criterion=criterion,
        every=50,
    )
    strings = task.random_strings(others, 10_000)
    accepted, _ = judged(fitted.network, task.encode(strings))
    member = np.array([task.contains(string) for string in strings])
    own, _ = judged(fitted.network, task.sample(others, 2000))
    return measured(
        fitted,
        members=member.sum(),
        false_accepts=(accepted & ~member).sum(),
        false_rejects=(~own).sum(),
    )


def order(seed: int, cell: str, T: int, clip: float | None) -> dict[str, Any]:
    """Temporal order: a plain network that begins orthogonal, an LSTM that begins as a memory."""
    rng, task = np.random.default_rng(seed), TemporalOrder(T)
    network = init_network(CELLS[cell], 8, 8 if cell == "LSTM" else 32, 4, rng=rng)
    network = gates(network, OPEN, SHUT) if cell == "LSTM" else orthogonal(network, rng)
    fitted = fit(
        CELLS[cell],
        network,
        lambda rng: task.sample(rng, 20),
        cross_entropy,
        adam(0.01 if cell == "LSTM" else 0.002),
        steps=1200 if T < 100 else 600,
        rng=rng,
        clip=clip,
        progress=False,
        criterion=learned(task, CELLS[cell], seed),
        every=50,
    )
    norms = fitted.history.norms[np.isfinite(fitted.history.norms)]
    return measured(fitted, norms=np.percentile(norms, [50, 100]).round(3))


def adding(seed: int, begin: str) -> dict[str, Any]:
    """The adding problem by an LSTM that begins as a memory, or with the usual small weights."""
    rng, task = np.random.default_rng(seed), AddingProblem()
    network = init_network(LSTM, 2, 8, 1, rng=rng)
    if begin == "memory":
        network = gates(network, OPEN, SHUT)
    steps = 2000 if begin == "memory" else 400
    fitted = fit(
        LSTM,
        network,
        lambda rng: task.sample(rng, 20),
        mean_squared_error,
        adam(0.01, until=2000),
        steps=steps,
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


def norms_by_lag(cell: Cell, network: Network, batch: Batch) -> list[float]:
    """The norm of the summand of dL/dU at each lag, for the squared error of the batch."""
    run = unroll(cell, Params(*network[:3]), batch.x)
    dz = np.zeros((*batch.counts.shape, len(network.V)))
    z = run.h[1:] @ network.V.T + network.c
    _, dz[batch.counts] = mean_squared_error(z[batch.counts], batch.target[batch.counts])
    U = summands(run, dz @ network.V).U
    return [float(f"{np.linalg.norm(part):.3g}") for part in U]


def lag(seed: int, way: str, p: int) -> dict[str, Any]:
    """The noise-free long lag. There are two sequences; both make a batch, and the whole test.

    "added" is the remedy of 1997: when the error no longer falls, four new memory cells join.
    """
    rng, task = np.random.default_rng(seed), LongLag(p)
    rows = task.sample(rng, 50)
    columns = [int(np.flatnonzero(rows.target[-1] == end)[0]) for end in (p - 1, p)]
    both = Batch(*(a[:, columns] for a in rows))
    cell = ELMAN if way == "ELMAN" else LSTM

    def train(network: Network, rate: float, steps: int) -> Fit:
        return fit(
            cell,
            network,
            [both],
            cross_entropy,
            adam(rate),
            steps=steps,
            rng=rng,
            clip=1.0,
            progress=False,
            criterion=lambda net: bool(task.right(outputs(net), both).all()),
            every=50,
        )

    def outputs(network: Network) -> Any:
        return softmax(predict(cell, network, both.x))

    network = init_network(cell, p + 1, 16, p + 1, rng=rng)
    before = 0
    if way == "added":
        first = train(network, 0.03, 300)
        network, before = with_memory(first.network, 4, rng), first.history.sequences
    fitted = train(network, 0.01, 2500 if way == "ELMAN" else 1000)
    worst = task.misses(outputs(fitted.network), both).max(axis=(1, 2))
    states = unroll(cell, Params(*fitted.network[:3]), both.x).s
    apart = [float(f"{x:.3g}") for x in np.abs(states[:, 0] - states[:, 1]).max(axis=-1)]
    total = fitted.history.sequences + before
    others = {"worst before": worst[:-1].max(), "worst": worst[-1], "apart": apart}
    return measured(fitted, **others) | {"sequences": total}


def with_memory(network: Network, k: int, rng: Generator) -> Network:
    """An LSTM with k more cells, which forget nothing and write little; the old ignore them."""
    (m, n), d = network.V.shape, network.U.shape[1]
    W, U = (rng.uniform(-0.2, 0.2, (4, n + k, size)) for size in (n + k, d))
    b, V = np.zeros((4, n + k)), rng.uniform(-0.2, 0.2, (m, n + k))
    W[:, :n], U[:, :n], b[:, :n] = 0, network.U.reshape(4, n, d), network.b.reshape(4, n)
    W[:, :n, :n], V[:, :n] = network.W.reshape(4, n, n), network.V
    b[0, n:], b[1, n:] = SHUT, 8
    return Network(W.reshape(-1, n + k), U.reshape(-1, d), b.ravel(), V, network.c)


REBER = Experiment("remembering-reber", reber, [{}], SEEDS)
ORDER = Experiment(
    "remembering-order",
    order,
    [
        {"cell": "LSTM", "T": 100, "clip": 1.0},
        *({"cell": "ELMAN", "T": T, "clip": clip} for T in (30, 100) for clip in (1.0, None)),
    ],
    SEEDS,
)
ADDING = Experiment("remembering-adding", adding, [{"begin": "memory"}, {"begin": "small"}], SEEDS)
LAG = Experiment(
    "remembering-lag",
    lag,
    [
        *({"way": "ELMAN", "p": p} for p in (4, 10, 100)),
        *({"way": way, "p": 100} for way in ("LSTM", "added")),
    ],
    SEEDS,
)
