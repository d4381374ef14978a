"""How long `unroll` and `backward` take, beside the matrix products that they cannot do without.

``python benchmarks/backward.py``. The two are timed in turn, in one run and on one thread each; the
ratio of their medians is what counts, since times differ between machines.
"""

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # before NumPy is loaded

import statistics
import time
from collections.abc import Callable

import numpy as np

import bptt

T, B, n, d = 50, 32, 64, 32
REPEATS = 31


def products(run: bptt.Unrolled, dh: np.ndarray) -> None:
    """The matrix products of a forward and a backward run, and nothing else."""
    (W, U, _), h, x = run.params, run.h[:-1].reshape(T * B, n), run.x.reshape(T * B, d)
    dp = np.repeat(dh, run.cell.gates, axis=2).reshape(T * B, len(W))
    x @ U.T
    for step in range(T):
        run.h[step] @ W.T
        dp[step * B : (step + 1) * B] @ W
    dp.T @ h
    dp.T @ x
    dp @ U


def medians(*calls: Callable[[], object]) -> list[float]:
    """The median time of each call, in milliseconds; the calls take turns."""
    times: list[list[float]] = [[] for _ in calls]
    for repeat in range(REPEATS + 1):
        for call, own in zip(calls, times, strict=True):
            begun = time.perf_counter()
            call()
            if repeat:  # the first round warms up
                own.append(1e3 * (time.perf_counter() - begun))
    return [statistics.median(own) for own in times]


def main() -> None:
    print(f"T = {T}, B = {B}, n = {n}, d = {d}; medians of {REPEATS}, one thread")
    print("cell   dtype     forward  backward  products  ratio")
    for cell in (bptt.ELMAN, bptt.LSTM, bptt.GRU):
        for dtype in (np.float32, np.float64):
            rng = np.random.default_rng(0)
            params = bptt.init(cell, d, n, rng=rng, dtype=dtype)
            x = rng.standard_normal((T, B, d)).astype(dtype)
            dh = rng.standard_normal((T, B, n)).astype(dtype)
            run = bptt.unroll(cell, params, x)
            forward, backward, bare = medians(
                lambda cell=cell, params=params, x=x: bptt.unroll(cell, params, x),
                lambda run=run, dh=dh: bptt.backward(run, dh),
                lambda run=run, dh=dh: products(run, dh),
            )
            ratio = (forward + backward) / bare
            name = np.dtype(dtype).name
            print(f"{cell!r:6} {name}  {forward:7.2f}  {backward:8.2f}  {bare:8.2f}  {ratio:5.2f}")


if __name__ == "__main__":
    main()
