"""What has to be checked, and which cells only check: their code alone tells, nothing is executed.

A cell that only checks stands in the line of what it checks, where the reader may unfold it, and
not in the text. Its author may decide otherwise: the tag ``teaches`` keeps a cell in the text, the
tag ``check`` takes it out. A cell with that tag that checks nothing prepares the next that does,
and goes with it.
"""

import ast
import re
import symtable
from pathlib import Path

STATEMENTS = ("theorem", "lemma", "proposition", "corollary", "property")  # of sphinx-proof
PLACES = {"check": True, "teaches": False}  # whether a cell stands in the line of its check
CHECK = re.compile(r"(?P<label>\S+) checked(?: in (?P<cases>\d+) cases)?: (?P<found>.+)")
NUMBER = re.compile(r"-?\d\.\d+e[+-]\d+")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def needs_check(label: str) -> bool:
    """Whether an equation of this label states something; others define."""
    return not label.startswith("def-")


def needs_check_of_its_own(kind: str) -> bool:
    """Whether a directive of sphinx-proof states something."""
    return kind in STATEMENTS


def describes(alt: str, address: str) -> bool:
    """Whether a text says what an image shows: not nothing, not its file's name."""
    return len(alt.split()) >= 3 and not (address and Path(address).name in alt)


def in_words(cases: str | None, found: str) -> str:
    """What a check has found, as a person writes it."""
    found = NUMBER.sub(lambda number: by_hand(float(number[0])), found)
    return found if cases is None else f"{found} ({cases}\N{NO-BREAK SPACE}cases)"


def by_hand(number: float) -> str:
    """A number of two digits as a person writes it: 0.25, 2.2 × 10⁻¹⁶."""
    if number == 0 or 0.001 <= abs(number) < 1000:
        return f"{float(f'{number:.1e}'):g}".replace("-", "−")
    digits, _, power = f"{number:.1e}".replace("-", "−", number < 0).partition("e")
    return f"{digits} × 10{str(int(power)).translate(RAISED)}"


def names(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """The names that a statement reads, and those that it gives a value, as Python's scopes go."""
    scope = symtable.symtable(ast.unparse(statement), "cell", "exec")
    read = {one.get_name() for one in scope.get_symbols() if one.is_referenced()}
    bound = {
        one.get_name() for one in scope.get_symbols() if one.is_assigned() or one.is_imported()
    }
    for one in ast.walk(statement):
        if isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Name):
            read.add(one.target.id)  # which Python's table does not say
    inner = scope.get_children()
    while inner:
        part = inner.pop()
        read |= {one.get_name() for one in part.get_symbols() if one.is_global()}
        inner += part.get_children()
    return read, bound


def needs(code: str) -> tuple[set[str], set[str]]:
    """The names that a cell takes from cells before it, and those that it leaves."""
    taken: set[str] = set()
    left: set[str] = set()
    for statement in ast.parse(code).body:
        read, bound = names(statement)
        assigns = isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign)
        taken |= (read if assigns else read - bound) - left
        left |= bound
    return taken, left


def verifies(node: ast.AST) -> bool:
    """Whether a piece of code calls ``verified``."""
    return any(
        isinstance(part, ast.Call) and ast.unparse(part.func).rpartition(".")[2] == "verified"
        for part in ast.walk(node)
    )


def changed(statement: ast.stmt) -> set[str]:
    """What a statement gives a value or may change: names, and what a method or an index is of."""
    found = names(statement)[1]
    for part in ast.walk(statement):
        target: ast.AST | None = None
        if isinstance(part, ast.Subscript | ast.Attribute) and isinstance(part.ctx, ast.Store):
            target = part.value
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            target = part.value.func
        while isinstance(target, ast.Subscript | ast.Attribute):
            target = target.value
        if isinstance(target, ast.Name):
            found.add(target.id)
    return found


def only_checks(code: str) -> bool:
    """Whether each statement of a cell calls ``verified`` or asserts, or serves one that does."""
    needed: set[str] = set()
    found = False
    for statement in reversed(ast.parse(code).body):
        if verifies(statement) or isinstance(statement, ast.Assert):
            found |= verifies(statement)
        elif not changed(statement) & needed:
            return False
        needed |= names(statement)[0]
    return found


def folded(cells: list[tuple[str, bool | None]]) -> list[bool]:
    """Of each cell, whether it stands in the line of what it checks rather than in the text.

    A cell is its code and what its author says: ``True`` for the line, ``False`` for the text.
    Otherwise a cell that only checks does, unless a later cell of the text uses what it defines:
    who reads that one must have met its names.
    """
    used: set[str] = set()
    places = []
    for code, wanted in reversed(cells):
        taken, left = needs(code)
        place = only_checks(code) and not left & used if wanted is None else wanted
        if not place:
            used = (used - left) | taken
        places.append(place)
    return places[::-1]
