"""What a cell shows beside its last value."""

from collections.abc import Callable
from typing import Any

shown: list[Callable[[Any], None]] = []  # by the runner: what shows a value


class Markdown:
    """A text in Markdown."""

    def __init__(self, data: str) -> None:
        self.data = data

    def _repr_markdown_(self) -> str:
        return self.data


def display(*values: Any) -> None:
    for value in values:
        shown[-1](value)
