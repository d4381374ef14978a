"""Execute a chapter, and plant an error into one side of each of its checks.

``python plant.py chapter.md``. Prints the label of every check that does not notice. Cells that
lead to no check, such as those of most figures, are left out.
"""

import ast
import contextlib
import io
import sys

import jupytext
import matplotlib as mpl
import myst_nb
import numpy as np

import bptt
import experiments
from booktools import style
from booktools.checks import changed, needs, verifies

SIZE = 1e-5  # of the planted error, relative to the largest entry of both sides
unnoticed = []
verified = bptt.verified


def planted(left, right):
    """The left side with an error in its first number that is not None."""
    if isinstance(left, list | tuple):
        k = next(k for k, side in enumerate(left) if side is not None)
        return [*left[:k], planted(left[k], right[k]), *left[k + 1 :]]
    if hasattr(left, "free_symbols") or hasattr(right, "free_symbols"):
        return left + 1 if not hasattr(left, "shape") else left.applyfunc(lambda entry: entry + 1)
    left = np.asarray(np.array(left) * 1.0)
    left.flat[abs(left).argmax()] += SIZE * (max(abs(left).max(), np.max(np.abs(right))) or 1)
    return left


def spoilt(label, left, right, *, tol, relation="=="):
    """What the chapter calls in place of ``verified``: the true check, then a spoilt one."""
    verified(label, left, right, tol=tol, relation=relation)
    sides = (planted(left, right), right) if relation == "==" else (right, left)
    try:
        verified(label, *sides, tol=tol, relation=relation)
    except bptt.EquationFails:
        return
    unnoticed.append(label)


def as_stored(experiment, seed, *, stop=None, **setting):
    """What the row holds: to train again is the build's check, and takes minutes."""
    (row,) = [r for r in experiments.stored(experiment) if (r.seed, r.setting) == (seed, setting)]
    return row.measured


def leading_to_checks(sources):
    """The cells that check, and those that these need. Which random numbers are drawn is free."""
    trees = [ast.parse(source) for source in sources]
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    checkers = {function.name for function in functions if verifies(function)}
    wanted, kept = set(), []
    for source, tree in zip(reversed(sources), reversed(trees), strict=True):
        taken, left = needs(source)
        may_change = set().union(left, *map(changed, tree.body))
        if verifies(tree) or may_change & wanted or taken & checkers:
            wanted = (wanted - left) | taken
            kept.append(source)
    return kept[::-1]


def main():
    """Run the cells of the chapter as a plain program, without figures and glue."""
    mpl.use("agg")
    bptt.verified, bptt.equations.verified = spoilt, spoilt
    experiments.repeat = as_stored
    style.use = lambda: None
    myst_nb.glue = lambda *_, **__: None
    names = {"__name__": "__main__", "get_ipython": lambda: None, "display": lambda *_: None}
    cells = jupytext.read(sys.argv[1], fmt="md:myst").cells
    with contextlib.redirect_stdout(io.StringIO()):
        for source in leading_to_checks([c.source for c in cells if c.cell_type == "code"]):
            exec(compile(source, sys.argv[1], "exec"), names)
    print("\n".join(unnoticed))


if __name__ == "__main__":
    main()
