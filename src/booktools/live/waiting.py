"""Imports that wait: a cell that only imports Matplotlib need not load 14 MB for it.

An import of a package that has not been loaded waits until a cell uses one of the names that it
binds, and what concerns such names alone, as ``style.use()`` does, waits with it.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import resolve_name
from typing import NamedTuple

from booktools.checks import names


def imported(nodes: Iterable[ast.AST], package: str = "__main__") -> Iterator[str]:
    """What these import, in a module of this package: of ``from a import b`` a and a.b."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


class Waiting(NamedTuple):
    """A statement that waits, with the name of its cell and the packages for which it waits."""

    statement: ast.stmt
    file: str
    packages: set[str]


class Imports:
    """What of the cells so far waits for a package.

    ``needs`` says of each of the book's own modules which packages it imports; ``there`` names the
    packages that can be had.
    """

    def __init__(self, needs: Mapping[str, list[str]], there: Iterable[str]) -> None:
        self.needs, self.there = needs, {*there}
        self.loaded: set[str] = set()
        self.waiting: list[Waiting] = []

    def missing(self, statement: ast.AST) -> set[str]:
        """The packages that a statement imports, of those that are not loaded and can be."""
        found: set[str] = set()
        for module in imported(ast.walk(statement)):
            found |= {*self.needs.get(module, []), module.partition(".")[0]}
        return found & self.there - self.loaded

    def packages_of(self, read: set[str], waiting: list[Waiting]) -> set[str]:
        """The packages for which these names wait."""
        found: set[str] = set()
        for one in waiting:
            if names(one.statement)[1] & read:
                found |= one.packages
        return found

    def split(self, tree: ast.Module, file: str) -> tuple[list[ast.stmt], list[Waiting], set[str]]:
        """What a cell does now, what of it waits, and the packages that it needs now.

        A cell that uses what it would leave to wait does all of it now.
        """
        now, later = list[ast.stmt](), list[Waiting]()
        for statement in tree.body:
            read, _ = names(statement)
            asked = self.packages_of(read, later)
            if isinstance(statement, ast.Import | ast.ImportFrom) and self.missing(statement):
                later.append(Waiting(statement, file, self.missing(statement)))
            elif not asked:
                now.append(statement)
            elif isinstance(statement, ast.Expr) and read <= bound_by(later):
                later.append(Waiting(statement, file, asked))
            else:
                now, later = list(tree.body), []
                break
        packages: set[str] = set()
        for statement in now:
            packages |= self.missing(statement)
            packages |= self.packages_of(names(statement)[0], self.waiting)
        return now, later, packages

    def wanted(self, tree: ast.Module) -> list[str]:
        """The packages that have to be loaded before a cell runs."""
        return sorted(self.split(tree, "")[2])

    def begin(self, tree: ast.Module, file: str) -> list[tuple[ast.stmt, str]]:
        """What runs now, each with the name of its cell: first what need wait no more."""
        now, later, _ = self.split(tree, file)
        ready = [one for one in self.waiting if one.packages <= self.loaded]
        self.waiting = [one for one in self.waiting if not one.packages <= self.loaded] + later
        return [*((one.statement, one.file) for one in ready), *((one, file) for one in now)]


def bound_by(waiting: list[Waiting]) -> set[str]:
    """The names to which what waits will give a value."""
    return {name for one in waiting for name in names(one.statement)[1]}
