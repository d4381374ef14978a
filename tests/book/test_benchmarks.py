"""Memory as it is stored for the chapter on it is that of the present code: a part, once more."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

import bptt

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STORED = json.loads((BENCHMARKS / "results" / "memory.json").read_text())


@pytest.fixture
def memory(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr("os.environ", {})  # which it sets for a process of its own
    spec = importlib.util.spec_from_file_location("memory", BENCHMARKS / "memory.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("measuring")
    return module


@pytest.mark.parametrize(("checkpoints", "segment"), [(20, None), (200, None), (20, 16)])
def test_memory_is_what_is_stored(memory, checkpoints, segment):
    trade = STORED["trade-off"]
    params, x, dh = memory.problem(bptt.ELMAN, trade["steps"])

    def call():
        return bptt.checkpointed(
            *(bptt.ELMAN, params, x, lambda t, h: dh[t]), checkpoints=checkpoints, segment=segment
        )

    call()  # what the first call ever makes is not counted
    (stored,) = (size for *by, size in trade["checkpointed"] if by == [checkpoints, segment])
    # what Python itself has for a while may be there or not: some 30 kB
    assert memory.beyond(call) == pytest.approx(stored, rel=0.05, abs=40_000)
