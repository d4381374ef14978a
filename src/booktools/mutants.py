"""Mutants of the package, small changes of its code that its tests should notice: ``make mutants``.

mutmut leaves out functions that have a decorator, lest it run twice. That is no harm to those under
``np.errstate``, among them nearly all that compute a derivative, so they count here.
"""

import sys

import libcst as cst
from libcst import matchers as m
from mutmut.__main__ import cli
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.stats import collect_stat
from mutmut.utils.file_utils import walk_mutatable_files

UNDER_ERRSTATE = m.FunctionDef(
    decorators=[m.Decorator(m.Call(m.Attribute(m.Name("np"), m.Name("errstate"))))]
)
leaves_out = MutationVisitor._skip_node_and_children


def _leaves_out(self: MutationVisitor, node: cst.CSTNode) -> bool:
    return not m.matches(node, UNDER_ERRSTATE) and leaves_out(self, node)


MutationVisitor._skip_node_and_children = _leaves_out  # type: ignore[method-assign]


def table() -> str:
    """How many mutants of each module were tried, and how many of them noticed."""
    lines = []
    for path in sorted(walk_mutatable_files()):
        results = SourceFileMutationData(path=path)
        results.load()
        found = collect_stat(results)
        if tried := found.total - found.not_checked:
            noticed = found.killed + found.timeout + found.segfault
            lines.append(f"{path.stem:15} {noticed:5} of {tried:5} {noticed / tried:7.1%}")
    return "\n".join(lines)


if __name__ == "__main__":
    cli(["run", *sys.argv[1:]], standalone_mode=False)
    cli(["results"], standalone_mode=False)
    print(table())
