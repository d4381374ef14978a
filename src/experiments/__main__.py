"""``python -m experiments [NAME …] [--jobs N]``: run what is not stored yet."""

import argparse
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from .runner import Experiment, run, stored

NO_EXPERIMENTS = ("__main__", "digest", "on_dask", "runner")


def known() -> dict[str, Experiment]:
    """Every experiment of every module of this package, by name; each name belongs to one."""
    found: dict[str, Experiment] = {}
    for _, module, _ in iter_modules([str(Path(__file__).parent)]):
        if module not in NO_EXPERIMENTS:
            for value in vars(import_module(f"experiments.{module}")).values():
                if isinstance(value, Experiment) and found.setdefault(value.name, value) != value:
                    raise ValueError(f"{module}: a second experiment of the name {value.name}")
    return found


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
        there = ", ".join(experiments) or "none"
        parser.error(f"no experiment {', '.join(sorted(unknown))}; there are {there}")
    wanted = [experiments[name] for name in chosen.names or experiments]
    run(wanted, chosen.jobs)
    for experiment in wanted:
        rows = stored(experiment)
        minutes = sum(row.seconds for row in rows) / 60
        print(f"{experiment.name}: {len(rows)} rows, {minutes:.1f} minutes of one core")


if __name__ == "__main__":
    main()
