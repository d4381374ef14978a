"""What the benchmarks share: the processor's name, and the memory that a call takes."""

import platform
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any


def processor() -> str:
    """The processor's own name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def peak(call: Callable[[], Any]) -> tuple[int, Any]:
    """The most memory that the call takes at any time beyond what there was; what it returns."""
    tracemalloc.start()
    result = call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most, result
