"""``python -m experiments.on_dask [ADDRESS]``: the same on a Dask cluster; needs ``distributed``.

Without an address, on a cluster of this machine's cores. The workers need the same checkout,
installed there by ``pip install -e .[book]``.
"""

import sys
from collections.abc import Sequence

from distributed import Client
from joblib import parallel_config

from .__main__ import known
from .runner import Experiment, run


def run_on_dask(experiments: Sequence[Experiment], address: str | None = None) -> None:
    """Run what has no fresh row yet on the cluster at this address."""
    with Client(address), parallel_config(backend="dask"):
        run(experiments)


if __name__ == "__main__":
    run_on_dask(list(known().values()), *sys.argv[1:2])
