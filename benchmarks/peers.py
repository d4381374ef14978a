"""`unroll` and `backward` beside PyTorch, JAX and the bare matrix products: ``make bench``.

One run measures all four in turn, on one thread and one core each; the medians go to
``benchmarks/results/peers.json``. What counts is their ratio: times differ between machines. They
are processor times, which other programs do not lengthen; on one thread, that is how long a call
takes. Before it is timed, each peer must give the gradients of ours.
"""

import os

# One thread for all, said before they are loaded: OpenBLAS (NumPy), OpenMP and MKL (PyTorch), XLA.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
os.environ.update(XLA_FLAGS="--xla_cpu_multi_thread_eigen=false", JAX_PLATFORMS="cpu")
if hasattr(os, "sched_setaffinity"):  # and one core, on which no other thread can help
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import datetime
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
from jax import numpy as jnp
from measuring import processor

import bptt

RESULTS = Path(__file__).parent / "results" / "peers.json"
SIZES = [(100, 1, 100, 50), (50, 32, 64, 32), (100, 64, 256, 64), (200, 16, 512, 128)]
SIZES += [(1000, 8, 128, 32)]
SECONDS, ROUNDS = 8, (3, 101)  # for each row: how long to go on, and how often at least and at most

Call = Callable[[], Any]


def by_ours(cell: bptt.Cell, params: bptt.Params, x: Any, s0: Any, dh: Any) -> Call:
    """The forward run and all gradients: W, U, b, x, s0."""
    return lambda: bptt.backward(bptt.unroll(cell, params, x, s0), dh)


def by_torch(cell: bptt.Cell, params: bptt.Params, x: Any, s0: Any, dh: Any) -> Call:
    """The same by PyTorch's layer; its second bias is zero."""
    n, d = params.W.shape[1], params.U.shape[1]
    layer = getattr(torch.nn, {"ELMAN": "RNN"}.get(repr(cell), repr(cell)))(d, n)
    layer = layer.to(torch.from_numpy(x).dtype)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.from_numpy(params.W))
        layer.weight_ih_l0.copy_(torch.from_numpy(params.U))
        layer.bias_ih_l0.copy_(torch.from_numpy(params.b))
        layer.bias_hh_l0.zero_()
    inputs = torch.from_numpy(x).requires_grad_()
    state = tuple(
        torch.from_numpy(part.copy())[None].requires_grad_()
        for part in np.split(s0, cell.parts, axis=1)
    )
    wanted = [layer.weight_hh_l0, layer.weight_ih_l0, layer.bias_ih_l0, inputs, *state]
    by_h = torch.from_numpy(dh)

    def call() -> Any:
        for a in (*wanted, layer.bias_hh_l0):
            a.grad = None
        h, _ = layer(inputs, state if len(state) > 1 else state[0])
        h.backward(by_h)
        W, U, b, by_x, *by_state = (a.grad for a in wanted)
        return W, U, b, by_x, torch.cat([a[0] for a in by_state], dim=1)

    return call


def jax_step(name: str, W: Any, s: Any, q: Any) -> Any:
    """One step of each cell, by its textbook formulas."""
    n = W.shape[1]
    p = s[:, :n] @ W.T
    if name == "ELMAN":
        s = jnp.tanh(p + q)
    elif name == "LSTM":
        i, f, g, o = jnp.split(p + q, 4, axis=1)
        c = jax.nn.sigmoid(f) * s[:, n:] + jax.nn.sigmoid(i) * jnp.tanh(g)
        s = jnp.concatenate([jax.nn.sigmoid(o) * jnp.tanh(c), c], axis=1)
    else:
        r, z = jnp.split(jax.nn.sigmoid(p[:, : 2 * n] + q[:, : 2 * n]), 2, axis=1)
        new = jnp.tanh(q[:, 2 * n :] + r * p[:, 2 * n :])
        s = (1 - z) * new + z * s
    return s, s[:, :n]


def by_jax(cell: bptt.Cell, params: bptt.Params, x: Any, s0: Any, dh: Any) -> Call:
    """The same by JAX: a scan over the steps and its vector-Jacobian product, compiled together."""

    def hidden(W: Any, U: Any, b: Any, x: Any, s0: Any) -> Any:
        return jax.lax.scan(partial(jax_step, repr(cell), W), s0, x @ U.T + b)[1]

    def run(dh: Any, *inputs: Any) -> Any:
        h, pull_back = jax.vjp(hidden, *inputs)
        return h, pull_back(dh)

    compiled, arrays = jax.jit(run), [jnp.asarray(a) for a in (dh, *params, x, s0)]
    return lambda: jax.block_until_ready(compiled(*arrays))[1]


def by_products(cell: bptt.Cell, params: bptt.Params, x: Any, s0: Any, dh: Any) -> Call:
    """The limit: the matrix products that nobody can do without, and nothing else."""
    (T, B, d), (rows, n) = x.shape, params.W.shape
    h, x = dh.reshape(T * B, n), x.reshape(T * B, d)
    dp = np.repeat(dh, cell.gates, axis=2)
    Wt, Ut, p, by_h = params.W.T.copy(), params.U.T.copy(), dp[0].copy(), dh[0].copy()

    def call() -> None:
        x @ Ut
        for t in range(T):
            np.matmul(dh[t], Wt, out=p)
        for t in range(T):
            np.matmul(dp[t], params.W, out=by_h)
        flat = dp.reshape(T * B, rows)
        flat.T @ h, flat.T @ x, flat @ params.U

    return call


def medians(calls: list[Call]) -> list[float]:
    """The median time of each call, in seconds; the calls take turns."""
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + SECONDS
    while len(times[0]) < ROUNDS[0] or (time.perf_counter() < end and len(times[0]) < ROUNDS[1]):
        for call, own in zip(calls, times, strict=True):
            begun = time.process_time()
            call()
            own.append(time.process_time() - begun)
    return [float(f"{statistics.median(own):.4g}") for own in times]


def row(cell: bptt.Cell, dtype: Any, T: int, B: int, n: int, d: int) -> dict[str, Any]:
    """The four times of one cell, precision and size, after a check that the gradients agree."""
    rng = np.random.default_rng(0)
    params = bptt.init(cell, d, n, rng=rng, dtype=dtype)
    shapes = (T, B, d), (B, cell.parts * n), (T, B, n)
    problem = cell, params, *(rng.standard_normal(shape).astype(dtype) for shape in shapes)
    ours, *peers = (by(*problem) for by in (by_ours, by_torch, by_jax))
    # Sums of T B terms are rounded some sqrt(T B) times, and each differently.
    tolerance = 10 * np.finfo(dtype).eps * (T * B) ** 0.5
    for peer in peers:
        for a, b in zip(ours(), peer(), strict=True):
            assert np.asarray(b).dtype == dtype
            assert abs(a - np.asarray(b)).max() <= tolerance * abs(a).max(), (cell, dtype, T, n)
    times = medians([ours, *peers, by_products(*problem)])
    sizes = {"cell": repr(cell), "dtype": np.dtype(dtype).name, "T": T, "B": B, "n": n, "d": d}
    return sizes | dict(zip(("ours", "torch", "jax", "products"), times, strict=True))


def machine() -> dict[str, Any]:
    """What the times depend on, and nothing that names the machine."""
    system = platform.system()
    if system == "Linux":
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return {"cpu": processor(), "cores": os.cpu_count(), "os": system}


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(1)
    for dtype in (np.float32, np.float64):
        # OpenBLAS prefetches from all of its buffer, which is slow until a large product maps it.
        np.ones((1000, 1000), dtype) @ np.ones((1000, 1000), dtype)
    rows = []
    print("cell   dtype       T   B   n   d      ours  of torch  of jax  of products")
    for cell in (bptt.ELMAN, bptt.LSTM, bptt.GRU):
        for dtype in (np.float32, np.float64):
            for size in SIZES:
                rows.append(row(cell, dtype, *size))
                *labels, ours, by_torch, by_jax, products = rows[-1].values()
                ratios = ours / by_torch, ours / by_jax, ours / products
                print("{:6} {:8} {:4} {:3} {:3} {:3}".format(*labels), end="", flush=True)
                print(f"{1e3 * ours:8.2f} ms  {'     '.join(f'{r:5.2f}' for r in ratios)}")
    for peer in ("torch", "jax"):
        ratios = [r["ours"] / r[peer] for r in rows]
        mean = statistics.geometric_mean(ratios)
        print(f"of {peer}: {mean:.2f} in the geometric mean, at most {max(ratios):.2f}")
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    versions |= {"torch": torch.__version__, "jax": jax.__version__}
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    about = {"machine": machine(), "versions": versions, "threads": 1, "date": date}
    lines = ",\n".join(f"  {json.dumps(r)}" for r in rows)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(f'{json.dumps(about, indent=1)[:-2]},\n "rows": [\n{lines}\n ]\n}}\n')


if __name__ == "__main__":
    main()
