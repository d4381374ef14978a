"""Figures that more than one chapter draws, on the axes and in the style of the caller."""

from typing import Any

import numpy as np

from ._arguments import Array, array, instance, number

try:
    from matplotlib.axes import Axes
    from matplotlib.patches import Circle, FancyArrowPatch
    from matplotlib.ticker import MaxNLocator
except ModuleNotFoundError as error:
    raise ImportError("needs matplotlib: pip install 'product-rule-in-rnns[figures]'") from error

RADIUS, STEP = 0.27, 1.4  # of a node, and between two steps; rows are 1 apart


def unrolled_network(ax: Axes, T: int, *, path_from: int | None = None) -> None:
    """The recurrent network as a chain of T steps: inputs below, states, outputs above.

    Draws on Matplotlib's ``ax``, without ticks and frame; the width of a page holds 6 steps. From
    step ``path_from`` on, if given, W is bold: the summand of lag T - ``path_from``. Raises
    TypeError or ValueError for T below 1 and steps outside 1 … T.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> from bptt.figures import unrolled_network
        >>> unrolled_network(plt.figure().gca(), 3, path_from=2)
    """
    instance("ax", ax, Axes)
    T = number("T", T, 1)
    k = T + 1 if path_from is None else number("path_from", path_from, 1, T)

    def node(name: str, t: int, row: int) -> Array:
        text = ax.text(STEP * t, row, f"${name}_{{{t}}}$", ha="center", va="center")
        ax.add_patch(Circle((STEP * t, row), RADIUS, fill=False, color=text.get_color()))
        return np.array([STEP * t, row])

    def arrow(start: Array, end: Array, weight: str, color: str, width: float = 1.2) -> None:
        gap = RADIUS * (end - start) / np.hypot(*(end - start))
        style: Any = {"arrowstyle": "-|>", "mutation_scale": 12, "linewidth": width}
        ax.add_patch(FancyArrowPatch(start + gap, end - gap, color=color, **style))
        x, y = (start + end) / 2 + 0.6 * np.array([-gap[1], gap[0]])
        ax.text(x, y, f"${weight}$", color=color, ha="center", va="center")

    before = node("h", 0, 1)
    for t in range(1, T + 1):
        state = node("h", t, 1)
        arrow(before, state, "W", "C0", 3.0 if t >= k else 1.2)
        arrow(node("x", t, 0), state, "U", "C1")
        arrow(state, node("y", t, 2), "V", "C2")
        before = state
    ax.set(xlim=(-0.4, STEP * T + 0.4), ylim=(-0.4, 2.4), aspect="equal")
    ax.set_axis_off()


def gradients_by_lag(ax: Axes, norms: Array, *, label: str = "", color: Any = None) -> None:
    """Norms of summands by how far back they reach, on a logarithmic axis; adds one line to ``ax``.

    Takes ``norms`` (lags,), finite and from 0: such an axis has no place for zero, so that a zero
    breaks the line and is a cross on the lower edge. The ``label`` stands beside the last point
    above zero, and beside the first zero; ``color`` is the next of the cycle if not given. Raises
    TypeError or ValueError if an argument does not fit.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> from bptt.figures import gradients_by_lag
        >>> gradients_by_lag(plt.figure().gca(), [1.0, 0.5, 0.25, 0.0], label="half")
    """
    instance("ax", ax, Axes)
    norms = array("norms", norms, "lags", "fd")
    if norms.min() < 0:
        raise ValueError(f"norms: got {norms.min()} at ({norms.argmin()},), needs 0 or more")
    lags, zero = np.arange(len(norms)), norms == 0
    ax.set(yscale="log", xlabel="lag: steps back in time", ylabel="norm of the summand")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    (line,) = ax.plot(lags, np.where(zero, np.nan, norms), "o-", markersize=4, color=color)
    color = line.get_color()
    if label and not zero.all():
        ax.text(lags[~zero][-1], norms[~zero][-1], f"  {label}", va="center", color=color)
    if zero.any():
        edge: Any = {"transform": ax.get_xaxis_transform(), "color": color, "clip_on": False}
        ax.plot(lags[zero], np.zeros(zero.sum()), "x", **edge)
        ax.text(lags[zero][0], 0.03, f"zero ({label})" if label else "zero", **edge)
