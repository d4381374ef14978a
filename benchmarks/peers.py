"""`unroll` and `backward` beside PyTorch, JAX and the bare calls of NumPy: ``make bench``.

``python benchmarks/peers.py LSTM "float32 B=1"`` measures again only the rows whose labels hold all
words of one of the arguments, and ``--missing`` only those that are not stored; the other rows
stay, if they are of the same code, machine and versions.

One run measures all in turn, on one thread and one core each; the medians go to
``benchmarks/results/peers.json``. What counts is their ratio: times differ between machines. They
are processor times, which other programs do not lengthen; on one thread, that is how long a call
takes. With ``--threads 2`` or more, each may use so many, and the clock on the wall counts; the
medians go to ``peers-2.json``, which no chapter reads: it asks for a machine that does nothing
else. Before it is timed, each peer must give the gradients of ours.
"""

# ruff: noqa: E402 -- how many threads there are is said before the peers are loaded
import argparse
import os

parser = argparse.ArgumentParser()
parser.add_argument("rows", nargs="*", help="words of the labels of rows; all rows if none")
parser.add_argument("--missing", action="store_true", help="only rows that are not stored")
parser.add_argument("--threads", type=int, default=1, help="for each peer; 1 if not given")
options = parser.parse_args()
THREADS = str(options.threads)

# Threads are said before the peers load: OpenBLAS (NumPy), OpenMP and MKL (PyTorch), XLA.
os.environ.update(OPENBLAS_NUM_THREADS=THREADS, OMP_NUM_THREADS=THREADS, MKL_NUM_THREADS=THREADS)
os.environ.update(JAX_PLATFORMS="cpu")
if options.threads == 1:
    os.environ.update(XLA_FLAGS="--xla_cpu_multi_thread_eigen=false")
if hasattr(os, "sched_setaffinity"):  # and as many cores, so that no other thread can help
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.threads :])

import datetime
import hashlib
import itertools
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
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
if options.threads > 1:
    RESULTS = RESULTS.with_name(f"peers-{THREADS}.json")
clock = time.process_time if options.threads == 1 else time.perf_counter
SIZES = [(100, 1, 100, 50), (50, 32, 64, 32), (100, 64, 256, 64), (200, 16, 512, 128)]
SIZES += [(1000, 8, 128, 32)]
SECONDS, ROUNDS = 8, (3, 101)  # for each row: how long to go on, and how often at least and at most

Call = Callable[[], Any]


def by_ours(cell: bptt.Cell, params: bptt.Params, x: Any, s0: Any, dh: Any) -> Call:
    """The forward run and all gradients: W, U, b, x, s0."""
    return lambda: bptt.backward(bptt.unroll(cell, params, x, s0), dh)


def by_torch(
    cell: bptt.Cell, params: bptt.Params, x: Any, s0: Any, dh: Any, onednn: bool = True
) -> Call:
    """The same by PyTorch's layer; its second bias is zero. oneDNN has a kernel for a whole layer,
    which PyTorch calls for the LSTM in float32 alone.
    """
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
        with nullcontext() if onednn else torch.backends.mkldnn.flags(enabled=False):
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
    """The matrix products that nobody can do without, and nothing else."""
    return bare(cell, params, x, dh, [], [])


def by_calls(cell: bptt.Cell, params: bptt.Params, x: Any, s0: Any, dh: Any) -> Call:
    """These, and the calls of NumPy that the formulas ask for at each step: no view is made, no
    table, and every array is at hand. Without compiled code of one's own, it hardly goes faster.
    """
    return bare(cell, params, x, dh, *STEPS[repr(cell)])


# For each call at a step, forward and backward: the function, and on how many gates it acts.
LOGISTIC = np.exp, np.add, np.reciprocal
STEPS: dict[str, tuple[list[tuple[Any, int]], list[tuple[Any, int]]]] = {
    "ELMAN": ([(np.add, 1), (np.tanh, 1)], [(np.multiply, 1), (np.add, 1)]),
    "LSTM": (
        [(np.add, 4), *((f, 3) for f in LOGISTIC), (np.tanh, 1)]
        + [(f, 1) for f in (np.multiply, np.multiply, np.add, np.tanh, np.multiply)],
        [(np.multiply, 1), (np.add, 1), (np.multiply, 4), (np.multiply, 1), (np.add, 1)],
    ),
    "GRU": (
        [(np.add, 2), *((f, 2) for f in LOGISTIC)]
        + [(f, 1) for f in (np.multiply, np.add, np.tanh, np.subtract, np.multiply, np.add)],
        [(np.multiply, 3), (np.multiply, 1), (np.add, 1), (np.add, 1)],
    ),
}


def bare(cell: Any, params: bptt.Params, x: Any, dh: Any, forward: Any, backward: Any) -> Call:
    """The products of a run and its gradients, and these elementwise calls at each step."""
    (T, B, d), (rows, n) = x.shape, params.W.shape
    h, x = dh.reshape(T * B, n), x.reshape(T * B, d)
    dp = np.repeat(dh, cell.gates, axis=2)
    Wt, Ut, p, by_h = params.W.T.copy(), params.U.T.copy(), dp[0].copy(), dh[0].copy()
    a, b, out = (np.ones((4, B, n), dh.dtype) for _ in range(3))

    def ready(calls: Any) -> Any:
        return [(f, (*(a[:k], b[:k])[: f.nin], out[:k])) for f, k in calls]

    forward, backward = ready(forward), ready(backward)

    def call() -> None:
        x @ Ut
        for t in range(T):
            np.dot(dh[t], Wt, out=p)
            for f, arrays in forward:
                f(*arrays)
        for t in range(T):
            np.dot(dp[t], params.W, out=by_h)
            for f, arrays in backward:
                f(*arrays)
        flat = dp.reshape(T * B, rows)
        flat.T @ h, flat.T @ x, flat @ params.U

    return call


def medians(calls: list[Call]) -> list[float]:
    """The median time of each call, in seconds; the calls take turns."""
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + SECONDS
    while len(times[0]) < ROUNDS[0] or (time.perf_counter() < end and len(times[0]) < ROUNDS[1]):
        for call, own in zip(calls, times, strict=True):
            begun = clock()
            call()
            own.append(clock() - begun)
    return [float(f"{statistics.median(own):.4g}") for own in times]


def row(cell: bptt.Cell, dtype: Any, T: int, B: int, n: int, d: int) -> dict[str, Any]:
    """The times of one cell, precision and size, after a check that the gradients agree."""
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
    calls = {"ours": ours, "torch": peers[0], "jax": peers[1]}
    calls |= {"products": by_products(*problem), "calls": by_calls(*problem)}
    if (cell, dtype) == (bptt.LSTM, np.float32):
        calls["torch without oneDNN"] = by_torch(*problem, onednn=False)
    times = medians(list(calls.values()))
    sizes = {"cell": repr(cell), "dtype": np.dtype(dtype).name, "T": T, "B": B, "n": n, "d": d}
    return sizes | dict(zip(calls, times, strict=True))


def about() -> dict[str, Any]:
    """What the times depend on, and nothing that names the machine."""
    system = platform.system()
    if system == "Linux":
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    versions |= {"torch": torch.__version__, "jax": jax.__version__}
    modules = ("_arguments", "cells", "recurrence")
    code = b"".join(Path(bptt.__file__).with_name(f"{m}.py").read_bytes() for m in modules)
    return {
        "machine": {"cpu": processor(), "cores": os.cpu_count(), "os": system},
        "versions": versions,
        "threads": options.threads,
        "code": hashlib.sha256(code).hexdigest()[:16],
    }


def stored(now: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows that hold for what there is now, by label."""
    if not RESULTS.exists():
        return {}
    found = json.loads(RESULTS.read_text())
    if any(found.get(key) != value for key, value in now.items()):
        return {}
    return {label(**row): row for row in found["rows"]}


def label(cell: Any, dtype: str, T: int, B: int, n: int, d: int, **_: Any) -> str:
    return f"{cell!s:5} {dtype} T={T} B={B} n={n} d={d}"


def store(now: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Written after each row, so that a run that is stopped can be completed."""
    date = {"date": datetime.datetime.now(datetime.UTC).date().isoformat()}
    lines = ",\n".join(f"  {json.dumps(r)}" for r in rows)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(f'{json.dumps(now | date, indent=1)[:-2]},\n "rows": [\n{lines}\n ]\n}}\n')


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", "TF32")  # of other hardware, when oneDNN is set aside
    for dtype in (np.float32, np.float64):
        # OpenBLAS prefetches from all of its buffer, which is slow until a large product maps it.
        np.ones((1000, 1000), dtype) @ np.ones((1000, 1000), dtype)
    cells, dtypes = (bptt.ELMAN, bptt.LSTM, bptt.GRU), (np.float32, np.float64)
    problems = {
        label(cell, np.dtype(dtype).name, *size): (cell, dtype, *size)
        for cell, dtype, size in itertools.product(cells, dtypes, SIZES)
    }
    now = about()
    rows = stored(now)
    print(f"{'':45}     ours  of torch  of jax  of products  of calls")
    for name, problem in problems.items():
        wanted = any(set(words.split()) <= set(name.split()) for words in options.rows or [""])
        if not wanted or (options.missing and name in rows):
            continue
        print(f"{name:45}", end="", flush=True)
        rows[name] = row(*problem)
        store(now, [rows[key] for key in problems if key in rows])
        ours, *others = (rows[name][key] for key in ("ours", "torch", "jax", "products", "calls"))
        ratios = [ours / other for other in others]
        print(f"{1e3 * ours:8.2f} ms  {'     '.join(f'{r:5.2f}' for r in ratios)}", flush=True)
    print(f"{len(rows)} of {len(problems)} rows stored")
    for peer in ("torch", "jax"):
        ratios = [r["ours"] / r[peer] for r in rows.values()]
        mean, wins = statistics.geometric_mean(ratios), sum(ratio <= 1 for ratio in ratios)
        print(f"of {peer}: mean {mean:.2f}, {wins} at most 1, the largest {max(ratios):.2f}")


if __name__ == "__main__":
    main()
