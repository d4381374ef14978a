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
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

UNDER_ERRSTATE = m.FunctionDef(
    decorators=[m.Decorator(m.Call(m.Attribute(m.Name("np"), m.Name("errstate"))))]
)
leaves_out = MutationVisitor._skip_node_and_children


def _leaves_out(self: MutationVisitor, node: cst.CSTNode) -> bool:
    return not m.matches(node, UNDER_ERRSTATE) and leaves_out(self, node)


MutationVisitor._skip_node_and_children = _leaves_out  # type: ignore[method-assign]


def table() -> str:
    """How many mutants of each module were tried and how many of them noticed; then the others."""
    lines = []
    for path in sorted(walk_mutatable_files()):
        results = SourceFileMutationData(path=path)
        results.load()
        codes = {name: code for name, code in results.exit_code_by_key.items() if code is not None}
        missed = [f"    {name}: {said}" for name, code in codes.items() if (said := _missed(code))]
        if tried := len(codes):
            noticed = tried - len(missed)
            lines += [f"{path.stem:15} {noticed:5} of {tried:5} {noticed / tried:7.1%}", *missed]
    return "\n".join(lines)


def _missed(code: int) -> str:
    """What mutmut says of a mutant, if no test noticed it."""
    said = status_by_exit_code[code]
    return "" if said in ("killed", "timeout", "segfault") else said


if __name__ == "__main__":
    cli(["run", *sys.argv[1:]], standalone_mode=False)
    print(table())
