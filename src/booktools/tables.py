"""Results as tables: one call at the end of a cell, numbers as a person writes them."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

UP = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def written(x: Any, digits: int = 2) -> str:
    """A value as it stands in prose: 1,035, 0.94, 3.1 × 10⁻⁹; what is no number, as it is.

    Example:
        >>> [written(x) for x in (1035, 0.94321, 3.14e-9, 12345.6, 0.0, "none", float("nan"))]
        ['1,035', '0.94', '3.1 × 10⁻⁹', '12,346', '0', 'none', 'not a number']
        >>> written(3.14e-9, digits=1), written(-np.inf), written(True)
        ('3 × 10⁻⁹', '−∞', 'yes')
    """
    if isinstance(x, bool | np.bool_):
        return "yes" if x else "no"
    if isinstance(x, int | np.integer):
        return f"{x:,}".replace("-", "−")
    if not isinstance(x, float | np.floating):
        return str(x)
    if not np.isfinite(x):
        return "not a number" if np.isnan(x) else "∞" if x > 0 else "−∞"
    mantissa, _, exponent = f"{x:.{digits - 1}e}".partition("e")  # rounded: 0.9996 is 1.0
    power = int(exponent)
    if x and not -4 < power < 6:
        text = f"{mantissa} × 10{str(power).translate(UP)}"
    else:
        text = f"{x:,.{max(0, digits - 1 - power) if x else 0}f}"
    return text.replace("-", "−")


def percent(x: float, digits: int = 2) -> str:
    """A share: 0.8 %, 12 %, 100 %.

    Example:
        >>> percent(0.00812, digits=1), percent(0.123), percent(1)
        ('0.8 %', '12 %', '100 %')
    """
    return f"{written(100.0 * x, 3 if abs(x) >= 0.9995 else digits)} %"


def spread(values: Any, show: Callable[[Any], str] = written) -> str:
    """Of several draws, the median and in brackets the range.

    Example:
        >>> spread([0.91, 0.94, 1.02])
        '0.94 (0.91 to 1.0)'
    """
    low, middle, high = (show(f(values)) for f in (np.min, np.median, np.max))
    return f"{middle} ({low} to {high})"


class Table:
    r"""A table with a caption, for the page and for JupyterLab; the last line of a cell.

    On the page it is numbered and has a caption; ``{numref}`` refers to it by its name. Heads,
    entries and caption may hold Markdown and formulas.

    Args:
        caption (str): What the table shows, a sentence that states the finding.
        columns (mapping from head to entries): From the first, which names the rows, to the last.
            Strings stand as they are, all else as :func:`written` has it. Numbers go to the right.
        name (str): The label, such as ``tab-van-rates``.
    Raises:
        ValueError: If there is no row, or columns differ in length.
    Example:
        >>> Table("Squares grow faster.", {"$n$": [1, 10], "square": [1.0, 100.0]})
        Squares grow faster.
          $n$    square
        -----  --------
            1       1.0
           10       100
    """

    def __init__(
        self, caption: str, columns: Mapping[str, Iterable[Any]], *, name: str = ""
    ) -> None:
        entries = {head: list(column) for head, column in columns.items()}
        lengths = {head: len(column) for head, column in entries.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            raise ValueError(f"columns: got lengths {lengths}, needs one length, 1 or more")
        self.caption, self.name, self.heads = caption, name, list(entries)
        self.rows = [[written(x) for x in row] for row in zip(*entries.values(), strict=True)]
        self.sides = ["right" if numeric(column) else "left" for column in entries.values()]

    def formatted(self, form: str) -> str:
        return tabulate(
            self.rows, self.heads, tablefmt=form, disable_numparse=True, colalign=self.sides
        )

    def __repr__(self) -> str:
        return f"{self.caption}\n{self.formatted('simple')}"

    def _repr_html_(self) -> str:
        """For JupyterLab, which knows no MyST; the page takes Markdown (_config.yml)."""
        caption = f"<caption>{html.escape(self.caption)}</caption>"
        return self.formatted("html").replace("<table>", f"<table>{caption}", 1)

    def _repr_markdown_(self) -> str:
        option = f":name: {self.name}\n" if self.name else ""
        rows = self.formatted("pipe")
        return f"~~~{{table}} {self.caption}\n{option}\n{rows}\n~~~\n"  # a caption may hold `code`


def numeric(column: Sequence[Any]) -> bool:
    """Whether a column is read by its digits: numbers, or texts that begin with one."""
    return all(written(x).lstrip("−-+<>≤≥ ")[:1].isdigit() for x in column)
