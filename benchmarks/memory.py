"""How much memory `checkpointed` takes, how much longer it runs, and a training on it.

``python benchmarks/memory.py``. Writes ``benchmarks/results/memory.json``, which chapter 10 reads.
Memory is the most that Python and NumPy have allocated at once beyond the inputs and the gradients
that are returned, by tracemalloc, in runs of their own, since tracing is slow. Times are those of
the processor, medians of runs that take turns; what counts is their ratio, since times differ
between machines.
"""

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # before NumPy is loaded

import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import peak, processor

import bptt

RESULT = Path(__file__).parent / "results" / "memory.json"
T, n, d = 100_000, 64, 8  # of the long runs
REPEATS = 3
WINDOW, UPDATES = 1000, 12  # of the training


def beyond(function: Callable[[], bptt.Gradients]) -> int:
    """Bytes allocated at once beyond what there is before, and beyond the gradients returned."""
    most, gradients = peak(function)
    return most - sum(a.nbytes for a in gradients if a is not None)


def problem(cell: bptt.Cell, steps: int) -> tuple:
    rng = np.random.default_rng(0)
    params, x = bptt.init(cell, d, n, rng=rng), rng.standard_normal((steps, 1, d))
    dh = rng.standard_normal((steps, 1, n))
    return params, x, dh


def against_the_whole(cell: bptt.Cell, steps: int) -> dict:
    """Memory and time with checkpoints, about the square root of the steps, and without."""
    params, x, dh = problem(cell, steps)
    checkpoints = math.isqrt(steps)

    def whole() -> bptt.Gradients:
        return bptt.backward(bptt.unroll(cell, params, x), dh)

    def in_segments() -> bptt.Gradients:
        return bptt.checkpointed(cell, params, x, lambda t, h: dh[t], checkpoints=checkpoints)

    times: dict[str, list[float]] = {"whole": [], "checkpointed": []}
    for _ in range(REPEATS):
        for name, call in (("whole", whole), ("checkpointed", in_segments)):
            begun = time.process_time()
            call()
            times[name].append(time.process_time() - begun)
    seconds = {name: statistics.median(own) for name, own in times.items()}
    differences = [
        float(abs(a - b).max() / abs(b).max()) for a, b in zip(in_segments(), whole(), strict=True)
    ]
    return {
        "cell": repr(cell),
        "T": steps,
        "checkpoints": checkpoints,
        "bytes": {"whole": beyond(whole), "checkpointed": beyond(in_segments)},
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "time ratio": round(seconds["checkpointed"] / seconds["whole"], 3),
        "largest difference": max(differences),
    }


def trade_off(steps: int = 8_000) -> dict:
    """Peak memory of a plain network by checkpoints and segment, and of the whole run."""
    cell = bptt.ELMAN
    params, x, dh = problem(cell, steps)

    def bytes_of(checkpoints: int, segment: int | None, T: int = steps) -> int:
        options = {"checkpoints": checkpoints, "segment": segment}
        return beyond(
            lambda: bptt.checkpointed(cell, params, x[:T], lambda t, h: dh[:T][t], **options)
        )

    choices = [(k, None) for k in (5, 10, 20, 50, 100, 200, 500, 1000, 2000)]
    choices += [(k, 16) for k in (3, 5, 10, 20, 50)]
    return {
        "steps": steps,
        "two steps": bytes_of(1, None, 2),  # what does not grow: gradients and the like
        "whole": beyond(lambda: bptt.backward(bptt.unroll(cell, params, x), dh)),
        "checkpointed": [[k, segment, bytes_of(k, segment)] for k, segment in choices],
    }


def slow_average(steps: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise, and the sum of its last WINDOW values over the square root of WINDOW."""
    x = rng.standard_normal((steps, 1, 1))
    sums = np.concatenate([np.zeros((1, 1, 1)), np.cumsum(x, axis=0)])
    past = np.maximum(0, np.arange(1, steps + 1) - WINDOW)
    return x, (sums[1:] - sums[past]) / np.sqrt(WINDOW)


def leaky(units: int) -> bptt.Params:
    """Units that forget at rates from 10 to 3000 steps, and at first do not see each other."""
    tau = np.geomspace(10, 3000, units)
    return bptt.Params(np.diag(1 - 1 / tau), 0.3 / np.sqrt(tau)[:, None], np.zeros(units))


def training() -> dict:
    """Adam on the mean squared error at every step of one sequence of T steps."""
    x, y = slow_average(T, np.random.default_rng(0))
    values = [*leaky(n), np.zeros((1, n))]
    rates = (1e-5, 1e-5, 1e-5, 0.1)  # the read-out learns fast, the recurrence slowly
    first, second = ([np.zeros_like(a) for a in values] for _ in range(2))
    losses, seconds, by_V = [], [], np.zeros((1, n))

    def dh(steps: slice, h: np.ndarray) -> np.ndarray:
        nonlocal by_V
        error = h @ values[3].T - y[steps]
        losses[-1] += float((error * error).sum() / T)
        dz = 2 * error / T
        by_V = by_V + dz.reshape(1, -1) @ h.reshape(-1, n)
        return dz @ values[3]

    def gradients() -> bptt.Gradients:
        nonlocal by_V
        by_V = np.zeros((1, n))
        losses.append(0.0)
        params = bptt.Params(*values[:3])
        return bptt.checkpointed(bptt.ELMAN, params, x, dh, checkpoints=math.isqrt(T))

    for k in range(1, UPDATES + 1):
        begun = time.process_time()
        g = gradients()
        seconds.append(time.process_time() - begun)
        for i, by in enumerate((*g[:3], by_V)):
            first[i] = 0.9 * first[i] + 0.1 * by
            second[i] = 0.999 * second[i] + 0.001 * by * by
            size = np.sqrt(second[i] / (1 - 0.999**k)) + 1e-8
            values[i] = values[i] - rates[i] * first[i] / (1 - 0.9**k) / size
        print(f"update {k:2}: loss {losses[-1]:.4f}", file=sys.stderr)
    memory = beyond(gradients)  # and the loss after the last update

    # the same gradient, if nothing passes from one piece of a hundred steps to the one before
    run, exact = bptt.unroll(bptt.ELMAN, bptt.Params(*values[:3]), x), gradients().W
    by_h = 2 / T * (run.h[1:] @ values[3].T - y) @ values[3]
    pieces = [slice(k, k + 100) for k in range(0, T, 100)]
    cut = sum(
        bptt.backward(bptt.unroll(bptt.ELMAN, run.params, x[p], run.s[p.start]), by_h[p]).W
        for p in pieces
    )
    return {
        "T": T,
        "window": WINDOW,
        "losses": losses[: UPDATES + 1],
        "bytes": memory,
        "seconds for an update": round(statistics.median(seconds), 3),
        "error if cut every 100 steps": float(np.linalg.norm(cut - exact) / np.linalg.norm(exact)),
    }


def main() -> None:
    result = {
        "machine": processor(),
        "system": platform.system(),
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "n": n,
        "d": d,
        "runs": [against_the_whole(cell, T) for cell in (bptt.ELMAN, bptt.LSTM, bptt.GRU)],
        "trade-off": trade_off(),
        "training": training(),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    for row in result["runs"]:
        share = row["bytes"]["whole"] / row["bytes"]["checkpointed"]
        print(f"{row['cell']:6} memory 1/{share:.0f}, time {row['time ratio']:.2f}")


if __name__ == "__main__":
    main()
