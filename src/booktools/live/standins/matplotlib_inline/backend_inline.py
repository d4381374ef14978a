"""A backend of Matplotlib: figures become SVG and wait for the cell that drew them to end."""

import io
from typing import Any

from matplotlib import pyplot
from matplotlib.backends.backend_svg import FigureCanvasSVG as FigureCanvas
from matplotlib.backends.backend_svg import FigureManagerSVG as FigureManager

__all__ = ["FigureCanvas", "FigureManager", "drawn", "set_matplotlib_formats", "show"]

options: dict[str, Any] = {}
waiting: list[str] = []


def set_matplotlib_formats(*formats: str, **given: Any) -> None:
    """What ``savefig`` is given; the format is SVG in any case."""
    options.update(given)


def show(*args: Any, **kwargs: Any) -> None:
    """Draw what is open, in its order."""
    for number in pyplot.get_fignums():
        waiting.append(svg(pyplot.figure(number)))
    pyplot.close("all")


def svg(figure: Any) -> str:
    sink = io.StringIO()
    figure.savefig(sink, format="svg", **options)
    return sink.getvalue()


def drawn() -> list[str]:
    """The figures of the cell that has ended."""
    show()
    found = waiting[:]
    waiting.clear()
    return found
