"""``python -m experiments [NAME …] [--jobs N]``: run what is not stored yet."""

import argparse
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from .runner import Experiment, run


def known() -> dict[str, Experiment]:
    """Every experiment of every module of this package, by name."""
    modules = [name for _, name, _ in iter_modules([str(Path(__file__).parent)])]
    return {
        value.name: value
        for name in modules
        if name not in ("__main__", "runner")
        for value in vars(import_module(f"experiments.{name}")).values()
        if isinstance(value, Experiment)
    }


def main() -> None:
    """Run the experiments named, or all."""
    experiments = known()
    parser = argparse.ArgumentParser(prog="experiments", description="Run what is not stored yet.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(experiments) or "none")
    parser.add_argument(
        "--jobs", type=int, default=-1, help="processes; -1, the default: all cores"
    )
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(experiments):
        parser.error(
            f"no experiment {', '.join(sorted(unknown))}; there are {', '.join(experiments)}"
        )
    run([experiments[name] for name in chosen.names or experiments], chosen.jobs)


if __name__ == "__main__":
    main()
