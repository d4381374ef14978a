"""How time and memory of each way to a gradient grow with the steps T and the units n.

``python benchmarks/growth.py``. Times are CPU seconds of one thread, medians over rounds in which
all calls take turns; memory is the peak that a call adds. What counts is how they grow: times
differ between machines. Chapter 8 reads and plots the result, ``benchmarks/results/growth.json``.
"""

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # before NumPy is loaded

import datetime
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import peak, processor

import bptt

ROUNDS = 5
SLOW = 2.0  # seconds; calls that take longer sit out every second round
RESULT = Path(__file__).parent / "results" / "growth.json"

# What grows, from the first size to the last, by factors of 2; what stays as it is.
CASES = {
    "backward": {
        "T": ((512, 16384), {"B": 1, "n": 64, "d": 8}),
        "n": ((128, 2048), {"B": 16, "T": 16, "d": 8}),
    },
    "summands": {
        "T": ((256, 4096), {"B": 1, "n": 64, "d": 8}),
        "n": ((64, 1024), {"B": 16, "T": 16, "d": 8}),
    },
    "rtrl": {
        "T": ((16, 512), {"B": 1, "n": 32, "d": 8}),
        "n": ((48, 768), {"B": 1, "T": 1, "d": 1}),
    },
    "sensitivity": {
        "T": ((16, 512), {"B": 1, "n": 32, "d": 8}),
        "n": ((32, 512), {"B": 1, "T": 1, "d": 1}),
    },
}


def contracted(run: bptt.Unrolled, dh: np.ndarray) -> np.ndarray:
    """The gradient by W from the total derivative of every state."""
    gradient: np.ndarray = np.tensordot(dh, bptt.sensitivity(run)[1:], axes=3)
    return gradient


WAYS = {
    "backward": bptt.backward,
    "summands": bptt.summands,
    "rtrl": bptt.rtrl,
    "sensitivity": contracted,
}


def problem(T: int, B: int, n: int, d: int) -> tuple[bptt.Unrolled, np.ndarray]:
    """A plain network's run in float32, so that the largest tables stay within a few gigabytes.

    W is orthogonal and the inputs are small, so that no summand vanishes: some processors are many
    times slower with numbers below the normal range.
    """
    rng = np.random.default_rng(0)
    params = bptt.init(bptt.ELMAN, d, n, rng=rng, dtype=np.float32)
    params = params._replace(W=np.linalg.qr(params.W)[0], b=0 * params.b)
    x, dh = (rng.standard_normal((T, B, size)).astype(np.float32) for size in (d, n))
    return bptt.unroll(bptt.ELMAN, params, x / 1000), dh


def seconds(call: Callable[[], object]) -> float:
    """CPU time, in which a neighbour's load counts less than on the wall clock."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def main() -> None:
    rows = []
    for way, axes in CASES.items():
        for axis, ((first, last), fixed) in axes.items():
            sizes = [first * 2**k for k in range((last // first).bit_length())]
            rows += [{"way": way, "axis": axis, **fixed, axis: size} for size in sizes]
    times: list[list[float]] = [[] for _ in rows]
    for repeat in range(ROUNDS + 1):
        for row, own in zip(rows, times, strict=True):
            run, dh = problem(*(row[axis] for axis in ("T", "B", "n", "d")))

            def call(way: str = row["way"], run: bptt.Unrolled = run, dh: np.ndarray = dh) -> None:
                WAYS[way](run, dh)

            if repeat == 0:
                row["bytes"], _ = peak(call)  # and the first round warms up
            elif repeat % 2 or own[0] < SLOW:
                # a call that is over soon is repeated, since its time has more noise
                own.append(min(seconds(call) for _ in range(5 if row["bytes"] < 1e7 else 1)))
        print(f"round {repeat} of {ROUNDS}", flush=True)
    for row, own in zip(rows, times, strict=True):
        row["seconds"] = float(f"{statistics.median(own):.3g}")
        print(*row.values())
    result = {
        "machine": processor(),
        "system": platform.system(),
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "threads": 1,
        "cell": "ELMAN",
        "dtype": "float32",
        "clock": "CPU time of the process",
        "rounds": ROUNDS,
        "rows": rows,
    }
    RESULT.parent.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1)
    RESULT.write_text(text + "\n")


if __name__ == "__main__":
    main()
