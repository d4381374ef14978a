"""A user's program, for type checkers: every public name, its results used as users use them.

``make check`` reads it with mypy --strict and pyright; tests/typing/test_program.py runs it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import bptt
from bptt.figures import gradients_by_lag, unrolled_network

Array = NDArray[Any]
T, B, d, n, m = 6, 4, 3, 5, 2


class Relu(bptt.Cell):
    """A cell of one's own."""

    parts, direct, scale, kept = 1, False, (1.0,), 0

    def step(self, before: Array, p: Array, q: Array, s: Array, kept: Array) -> None:
        np.maximum(0, p[0] + q[0], out=s)

    def partials(self, before: Array, s: Array, kept: Array) -> bptt.Partials:
        return bptt.Partials.of([[(s[0] > 0).astype(s.dtype)]])


def recurrence(cell: bptt.Cell, rng: np.random.Generator) -> None:
    params = bptt.init(cell, d, n, rng=rng)
    assert_type(params, bptt.Params)
    x = rng.standard_normal((T, B, d))
    run = bptt.unroll(cell, params, x)
    assert_type(run, bptt.Unrolled)
    assert_type(run.h, Array)
    dh = np.zeros_like(run.h[1:])
    dh[-1] = run.h[-1]

    gradients = bptt.backward(run, dh)
    assert_type(gradients, bptt.Gradients)
    print(gradients.W.shape, gradients.b.sum(), gradients.x.shape, abs(gradients.s0).max())
    smaller = bptt.Params(params.W - 0.1 * gradients.W, params.U, params.b - gradients.b)
    print(smaller._replace(W=smaller.W / 2).W.dtype)
    further = bptt.unroll(cell, params, x, s0=run.s[-1])
    before = bptt.backward(run, dh, bptt.backward(further, dh).s0)

    others: list[bptt.Gradients] = [
        before,
        bptt.rtrl(run, dh),
        bptt.truncated(run, dh, window=2),
        bptt.checkpointed(cell, params, x, lambda steps, h: dh[steps], checkpoints=2),
    ]
    by_lag = bptt.summands(run, dh, max_lag=3)
    assert_type(by_lag, bptt.ParameterGradients)
    print(np.linalg.norm(by_lag.W, axis=(1, 2)), [g.U.shape for g in others])
    assert_type(bptt.jacobians(run), Array)
    assert_type(bptt.sensitivity(run), Array)
    partials = run.partials(slice(0, 2))
    print(partials.p.shape, None if partials.q is None else partials.q.shape)
    print(cell.gates, cell.parts, repr(cell), run.kept.shape)


def losses(rng: np.random.Generator) -> None:
    z, labels = rng.standard_normal((B, m)), rng.integers(0, m, B)
    loss, dz = bptt.cross_entropy(z, labels)
    assert_type(dz, Array)
    error, dy = bptt.mean_squared_error(bptt.softmax(z), np.eye(m)[labels])
    print(f"{loss:.3f} {float(error):.3f}", dz.shape, dy.shape)
    of_lists = bptt.cross_entropy([[0.0, 0.0]], [1]), bptt.mean_squared_error([3.0], [1.0])
    print(bptt.softmax([0.0, 0.0]), of_lists)


def checks(rng: np.random.Generator) -> None:
    def f(x: Array) -> Any:
        return (np.sin(x) * x).sum()

    x = rng.standard_normal((2, 3))
    gradient = bptt.complex_step(f, x)
    assert_type(gradient, Array)
    print(abs(gradient - bptt.central_difference(f, x)).max() < 1e-6)
    report = bptt.check(f, x, gradient, rng=rng)
    assert_type(report, bptt.Report)
    print(report)
    try:
        bptt.check(f, x, -gradient, rng=rng, rtol=1e-3)
    except (bptt.GradientMismatch, bptt.CannotJudge) as mismatch:
        print(mismatch)
    bptt.verified("eq-derivative", gradient, np.sin(x) + x * np.cos(x), tol=1e-12)
    bptt.verified("eq-bounded", [np.sin(x), 0.5], [np.ones_like(x), 1], tol=0, relation="<=")
    try:
        bptt.verified("eq-wrong", 1, 2, tol=1e-12)
    except bptt.EquationFails as fails:
        print(fails)
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            bptt.predict(bptt.ELMAN, large(rng), np.ones((T, B, d)))
        except (bptt.OutOfRange, FloatingPointError) as out:
            print(out)


def large(rng: np.random.Generator) -> bptt.Network:
    """A network whose outputs no float can hold."""
    network = bptt.init_network(bptt.ELMAN, d, n, m, rng=rng)
    assert_type(network, bptt.Network)
    return network._replace(V=np.full_like(network.V, 1e308), b=np.ones_like(network.b))


def training(rng: np.random.Generator, folder: Path) -> None:
    network = bptt.init_network(bptt.LSTM, d, n, m, rng=rng, dtype=np.float32)

    def sample(rng: np.random.Generator) -> bptt.Batch:
        x = rng.standard_normal((T, B, d)).astype(np.float32)
        return bptt.Batch(x, (x[..., 0] > 0).astype(int), np.ones((T, B), bool))

    def solved(network: bptt.Network) -> bool:
        batch = sample(np.random.default_rng(1))
        z = bptt.predict(bptt.LSTM, network, batch.x)
        return bool((z.argmax(axis=-1) == batch.target).mean() > 0.9)

    descent = bptt.loss_and_gradients(bptt.LSTM, network, sample(rng), bptt.cross_entropy)
    assert_type(descent, bptt.Descent)
    print(float(descent.loss), bptt.clip_by_value(descent.gradients, 0.1).W.max())
    print(descent.state.shape)
    assert_type(bptt.clip_by_norm(network, 1.0), bptt.Network)

    optimisers: list[bptt.Optimiser] = [bptt.sgd(0.1, 0.9), bptt.adagrad(0.1), bptt.rmsprop(0.1)]
    optimisers.append(bptt.adam(1e-2, until=20))
    for optimiser in optimisers:
        moments = optimiser.start(network)
        assert_type(moments, bptt.Moments)
        network, moments = optimiser.step(network, descent.gradients, moments)
        print(optimiser.name, moments.updates)

    done = bptt.fit(
        bptt.LSTM,
        network,
        sample,
        bptt.cross_entropy,
        optimisers[-1],
        steps=20,
        rng=rng,
        clip=1.0,
        window=3,
        criterion=solved,
        every=10,
        checkpoint=folder / "fit.npz",
        progress=False,
    )
    assert_type(done, bptt.Fit)
    assert_type(done.history, bptt.History)
    done.history.plot(Figure().subplots())
    print(done.history.losses[-1], done.history.updates, done.history.solved, done.network.V.shape)
    batches = [sample(rng) for _ in range(3)]
    again = bptt.fit(
        bptt.LSTM, done.network, batches, bptt.cross_entropy, bptt.sgd(0.1), steps=3, rng=rng,
        carry=True, resume=False, progress=False,
    )  # fmt: skip
    print(again.history.diverged, again.state.shape, again.moments.sums[0].W.shape)

    def squares(at: bptt.Params, batch: float, state: object) -> tuple[float, bptt.Params]:
        return sum(float((a * a).sum()) for a in at), bptt.Params(*(2 * a for a in at))

    try:
        found = bptt.descend(
            squares, bptt.Params(*np.ones((3, 1))), [0.0], optimisers[0], steps=2, rng=rng,
            clip_value=1.0, progress=False,
        )  # fmt: skip
    except bptt.Interrupted as stop:
        found = stop.fit
    assert_type(found, bptt.Fit)
    run = bptt.unroll(bptt.LSTM, bptt.Params(*done.network[:3]), batches[0].x)
    print(bptt.last(run, np.array([2, 3, T, T])).shape, bptt.last(run, [2, 3, T, T]).shape)


def tasks(rng: np.random.Generator) -> Iterator[bptt.Batch]:
    every: list[bptt.Task] = [
        bptt.TemporalXOR(T=9),
        bptt.LongLag(p=5),
        bptt.AddingProblem(T=20),
        bptt.TemporalOrder(T=20),
        bptt.Reber(embedded=True),
    ]
    for task in every:
        batch = task.sample(rng, B)
        y = np.full((*batch.counts.shape, task.m), 0.5)
        print(task.d, task.right(y, batch).all(), task.error(y, batch).shape)
        yield batch
    grammar = bptt.Reber()
    string = grammar.string(rng)
    print(string, grammar.contains(string), grammar.may_follow(grammar.encode([string])).shape)


def figures(rng: np.random.Generator) -> None:
    left, right = Figure().subplots(1, 2)
    unrolled_network(left, 4, path_from=2)
    gradients_by_lag(right, np.abs(rng.standard_normal(5)), label="summands", color="C1")


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    print(bptt.__version__, len(bptt.__all__))
    try:
        assert_type(bptt.check_cell(Relu(), rng), str)
    except bptt.WrongCell as wrong:
        print(wrong)
    for cell in (bptt.ELMAN, bptt.LSTM, bptt.GRU, bptt.TORCH_GRU, Relu()):
        recurrence(cell, rng)
    losses(rng)
    checks(rng)
    training(rng, folder)
    print([batch.x.shape for batch in tasks(rng)])
    figures(rng)
