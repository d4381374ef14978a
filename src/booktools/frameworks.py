"""Stored results of the programs in ``examples/``, which need PyTorch and JAX, as no build does.

``python -m booktools.frameworks in_pytorch in_jax`` runs them, where both are installed (``make
examples``), and stores what their ``results()`` return beside a hash of their code.
"""

import hashlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any

SHARED = "problem.py"


class StaleResults(RuntimeError):
    """Results of other code than there is now."""


def code(program: Path) -> str:
    """A hash of a program and of what it shares with the others."""
    texts = (program.read_bytes(), program.with_name(SHARED).read_bytes())
    return hashlib.sha256(b"\0".join(text.replace(b"\r\n", b"\n") for text in texts)).hexdigest()


def stored(folder: str, name: str) -> dict[str, Any]:
    """What a program returned, arrays as nested lists of numbers.

    Raises:
        StaleResults: If the program has changed since, or has never run.
    """
    program, file = Path(folder, f"{name}.py"), Path(folder, "results", f"{name}.json")
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if found.pop("code", None) != code(program):
        raise StaleResults(f"{program}: has changed since its results were stored: make examples")
    return dict(found)


def plain(value: Any) -> Any:
    """A result as JSON holds it, to the last digit."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value if isinstance(value, str | int | float) else value.tolist()


def main() -> None:
    """Run the programs named and store their results."""
    folder = Path("examples").resolve()
    sys.path.insert(0, str(folder))
    for name in sys.argv[1:]:
        program = folder / f"{name}.py"
        results = {"code": code(program)} | plain(runpy.run_path(str(program))["results"]())
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(v)}" for key, v in results.items())
        target = folder / "results" / f"{name}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8", newline="\n")
        print(f"{target.relative_to(folder.parent)}: {len(results) - 1} results")


if __name__ == "__main__":
    main()
