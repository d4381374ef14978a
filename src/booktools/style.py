"""The look of every figure of the book: one call in a chapter's first cell."""

import matplotlib as mpl
from cycler import cycler
from matplotlib_inline.backend_inline import set_matplotlib_formats

from .palette import COLOURS

INK, GREY, BLUE, VERMILLION, GREEN, PURPLE = (
    COLOURS[name][0] for name in ("ink", "grey", "blue", "vermillion", "green", "purple")
)


def use() -> None:
    """Draw figures as SVG in the notebook, in the book's colours, alike on every run."""
    mpl.use("module://matplotlib_inline.backend_inline")
    set_matplotlib_formats("svg", metadata={"Date": None}, bbox_inches="tight")
    mpl.rcParams.update(
        {
            "svg.hashsalt": "book",
            "svg.fonttype": "path",
            "mathtext.fontset": "cm",
            "figure.figsize": (7, 3.4),
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "text.color": INK,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.prop_cycle": cycler(color=[BLUE, VERMILLION, GREEN, PURPLE, GREY]),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "font.size": 11,
            "lines.linewidth": 1.8,
            "legend.frameon": False,
        }
    )
