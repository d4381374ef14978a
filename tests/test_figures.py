"""The drawing functions: what stands on the axes, and that nothing else is touched."""

import importlib
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch
from numpy.testing import assert_allclose, assert_array_equal

from bptt.figures import RADIUS, STEP, gradients_by_lag, unrolled_network


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


@pytest.fixture(autouse=True)
def style_is_left_alone():
    keys = set(mpl.rcParams) - {"backend"}  # resolved at its first reading
    before = {key: mpl.rcParams[key] for key in keys}
    yield
    assert {key: mpl.rcParams[key] for key in keys} == before


def texts(ax):
    return [text.get_text() for text in ax.texts]


def arrows(ax):
    """The arrows as (from, to, colour, width), in node coordinates (step, row)."""
    found = []
    for patch in ax.patches:
        if isinstance(patch, FancyArrowPatch):
            start, end = np.array(patch._posA_posB)
            along = (end - start) / np.hypot(*(end - start)) * RADIUS
            nodes = [(round(x / STEP, 9), round(y, 9)) for x, y in (start - along, end + along)]
            found.append((*nodes, patch.get_edgecolor(), patch.get_linewidth()))
    return found


@pytest.mark.parametrize("T", [1, 2, 5])
def test_network_has_every_node_once_in_its_place(ax, T):
    unrolled_network(ax, T)
    nodes = {f"$h_{{{t}}}$": (STEP * t, 1) for t in range(T + 1)}
    nodes |= {f"$x_{{{t}}}$": (STEP * t, 0) for t in range(1, T + 1)}
    nodes |= {f"$y_{{{t}}}$": (STEP * t, 2) for t in range(1, T + 1)}
    drawn = {text.get_text(): text.get_position() for text in ax.texts if "_" in text.get_text()}
    assert drawn == nodes
    circles = [patch.center for patch in ax.patches if isinstance(patch, Circle)]
    assert sorted(circles) == sorted(nodes.values())


@pytest.mark.parametrize("T", [1, 2, 5])
def test_network_has_three_arrows_a_step_in_three_colours(ax, T):
    unrolled_network(ax, T)
    W, U, V = (mpl.colors.to_rgba(color) for color in ("C0", "C1", "C2"))
    expected = set()
    for t in range(1, T + 1):
        expected |= {((t - 1, 1), (t, 1), W), ((t, 0), (t, 1), U), ((t, 1), (t, 2), V)}
    assert {arrow[:3] for arrow in arrows(ax)} == expected
    assert len(arrows(ax)) == 3 * T
    assert [texts(ax).count(f"${weight}$") for weight in "WUV"] == [T, T, T]
    assert len({width for *_, width in arrows(ax)}) == 1


def test_network_weights_stand_beside_their_arrows_in_their_colour(ax):
    unrolled_network(ax, 1)
    labels = {text.get_text(): text for text in ax.texts if "_" not in text.get_text()}
    assert [labels[f"${weight}$"].get_color() for weight in "WUV"] == ["C0", "C1", "C2"]
    x, y = labels["$W$"].get_position()
    assert x == pytest.approx(STEP / 2)
    assert 1 < y < 1.3
    x, y = labels["$U$"].get_position()
    assert STEP - 0.3 < x < STEP
    assert y == pytest.approx(0.5)


def test_network_names_stand_in_the_middle_of_their_circles(ax):
    unrolled_network(ax, 2)
    circles = [patch for patch in ax.patches if isinstance(patch, Circle)]
    assert {circle.radius for circle in circles} == {RADIUS}
    assert {circle.get_facecolor()[3] for circle in circles} == {0}  # the page shows through
    assert {(text.get_ha(), text.get_va()) for text in ax.texts} == {("center", "center")}


def test_network_is_drawn_in_the_colour_of_the_text():
    with mpl.rc_context({"text.color": "white"}):  # of a dark style
        ax = Figure().subplots()
        unrolled_network(ax, 2)
    circles = [patch for patch in ax.patches if isinstance(patch, Circle)]
    assert {circle.get_edgecolor() for circle in circles} == {(1, 1, 1, 1)}
    assert {text.get_color() for text in ax.texts if "_" in text.get_text()} == {"white"}


@pytest.mark.parametrize("k", [1, 3, 4])
def test_network_path_is_every_later_use_of_the_weights(ax, k):
    unrolled_network(ax, 4, path_from=k)
    widths = {arrow[:2]: arrow[3] for arrow in arrows(ax)}
    thin, bold = min(widths.values()), max(widths.values())
    assert thin < bold
    path = {((t - 1, 1), (t, 1)) for t in range(k, 5)}
    assert {ends for ends, width in widths.items() if width == bold} == path


def test_network_fits_its_axes_and_fills_them(ax):
    unrolled_network(ax, 3)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    for margin in (-left, right - 3 * STEP, -bottom, top - 2):
        assert RADIUS < margin < 2 * RADIUS
    assert ax.get_aspect() == 1
    assert not ax.axison


def test_positive_norms_are_one_line_on_a_log_axis(ax):
    norms = 0.5 ** np.arange(6.0)
    gradients_by_lag(ax, norms)
    (line,) = ax.lines
    assert_array_equal(line.get_xdata(), np.arange(6))
    assert_array_equal(line.get_ydata(), norms)
    assert ax.get_yscale() == "log"
    assert texts(ax) == []
    assert ax.get_xlabel() == "lag: steps back in time"
    assert ax.get_ylabel() == "norm of the summand"
    assert line.get_marker() == "o"  # one small dot for each lag
    assert line.get_markersize() < mpl.rcParams["lines.markersize"]
    assert_allclose(ax.get_xticks(), np.round(ax.get_xticks()), atol=0)


def test_zeros_break_the_line_and_are_crosses_on_the_lower_edge(ax):
    gradients_by_lag(ax, np.array([1.0, 0.0, 2.0, 0.0]), label="w")
    line, crosses = ax.lines
    assert_array_equal(line.get_ydata(), [1, np.nan, 2, np.nan])
    assert_array_equal(crosses.get_xdata(), [1, 3])
    assert crosses.get_marker() == "x"
    assert crosses.get_color() == line.get_color()
    to_pixels = crosses.get_transform().transform
    lower_edge = ax.transAxes.transform((0, 0))[1]
    for lag in (1, 3):
        x, y = to_pixels((lag, crosses.get_ydata()[0]))
        assert y == pytest.approx(lower_edge)
        assert x == pytest.approx(ax.transData.transform((lag, 1))[0])
    name, zero = ax.texts
    assert name.get_text().strip() == "w"
    assert name.get_position() == (2, 2.0)
    assert zero.get_text() == "zero (w)"
    assert zero.get_position()[0] == 1


@pytest.mark.parametrize("norms", [[0.5, 4.0, 2.0, 1.0], [0.5, 4.0, 0.0, 1.0, 0.0]])
def test_the_label_stands_beside_the_last_point_above_zero_in_its_colour(ax, norms):
    ax.plot([1], [1])  # so that the next colour is not the first
    gradients_by_lag(ax, np.array(norms), label="w")
    name = ax.texts[0]
    assert name.get_position() == (3, 1.0)
    assert name.get_text() == "  w"  # not on the point
    assert (name.get_ha(), name.get_va()) == ("left", "center")
    assert name.get_color() == ax.lines[1].get_color() != ax.lines[0].get_color()


def test_a_zero_is_a_whole_cross_and_named_within_the_axes(ax):
    gradients_by_lag(ax, np.array([1.0, 0.0]))
    assert not ax.lines[1].get_clip_on()  # half of it is below the edge
    (name,) = ax.texts
    place = name.get_transform().transform(name.get_position())
    assert 0 < ax.transAxes.inverted().transform(place)[1] < 0.1


def test_a_zero_does_not_move_the_limits_of_the_positive_norms(ax):
    gradients_by_lag(ax, np.array([1.0, 1e-3]))
    limits = ax.get_ylim()
    other = Figure().subplots()
    gradients_by_lag(other, np.array([1.0, 1e-3, 0.0]))
    assert_allclose(other.get_ylim(), limits, rtol=1e-12)


def test_nothing_but_zeros_is_drawn_and_named(ax):
    gradients_by_lag(ax, np.zeros(3), label="w")
    assert_array_equal(ax.lines[1].get_xdata(), [0, 1, 2])
    assert texts(ax) == ["zero (w)"]


def test_zeros_without_a_label_are_still_named(ax):
    gradients_by_lag(ax, np.array([1.0, 0.0], np.float32))
    assert texts(ax) == ["zero"]


def test_a_second_call_adds_a_line_in_the_next_colour_or_the_one_given(ax):
    for norms, color in ((np.ones(2), None), (np.ones(3), None), (np.array([1.0, 0]), "#123456")):
        gradients_by_lag(ax, norms, color=color)
    assert [line.get_color() for line in ax.lines][:2] == [
        entry["color"] for entry in list(mpl.rcParams["axes.prop_cycle"])[:2]
    ]
    assert {line.get_color() for line in ax.lines[2:]} == {ax.texts[0].get_color()} == {"#123456"}


def test_inputs_are_not_modified(ax):
    norms = np.array([1.0, 0.0])
    norms.flags.writeable = False
    gradients_by_lag(ax, norms)
    assert_array_equal(norms, [1, 0])


@pytest.mark.parametrize(
    "draw",
    [lambda ax: unrolled_network(ax, 3), lambda ax: gradients_by_lag(ax, np.array([1.0, 0]))],
)
def test_drawings_can_be_set(ax, draw, tmp_path):
    draw(ax)
    ax.figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("T", "path_from", "error", "message"),
    [
        (0, None, ValueError, "T: got 0, needs"),
        (2.0, None, TypeError, "T: got 2.0, needs"),
        (True, None, TypeError, "T: got True, needs"),
        (3, 0, ValueError, "path_from: got 0, needs"),
        (3, 4, ValueError, "path_from: got 4, needs an integer from 1 to 3"),
        (3, 1.5, TypeError, "path_from: got 1.5, needs"),
    ],
)
def test_network_names_the_wrong_argument(ax, T, path_from, error, message):
    with pytest.raises(error, match=message):
        unrolled_network(ax, T, path_from=path_from)
    assert not ax.patches


@pytest.mark.parametrize(
    ("norms", "error", "message"),
    [
        (np.ones((2, 2)), ValueError, r"norms: got shape \(2, 2\), needs \(lags\)"),
        (1.0, ValueError, r"norms: got shape \(\), needs \(lags\)"),
        (np.ones(0), ValueError, "norms: got shape .*needs at least one"),
        (np.array([1, 2]), TypeError, "norms: got dtype int64, needs float32 or float64"),
        (np.array([1j]), TypeError, "norms: got dtype complex128, needs"),
        (np.array([1.0, np.nan]), ValueError, r"norms: got nan at \(1,\), needs finite"),
        (np.array([1.0, np.inf]), ValueError, r"norms: got inf at \(1,\), needs finite"),
        (np.array([1.0, 2.0, -3.0]), ValueError, r"norms: got -3.0 at \(2,\), needs 0 or more"),
    ],
)
def test_gradients_name_the_wrong_argument(ax, norms, error, message):
    with pytest.raises(error, match=message):
        gradients_by_lag(ax, norms)
    assert not ax.lines


@pytest.mark.parametrize(
    "draw", [lambda ax: unrolled_network(ax, 1), lambda ax: gradients_by_lag(ax, np.ones(1))]
)
def test_axes_must_be_axes(draw):
    with pytest.raises(TypeError, match="ax: got Figure, needs Axes"):
        draw(Figure())


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    monkeypatch.delitem(sys.modules, "bptt.figures")
    with pytest.raises(ImportError, match=r"^needs matplotlib: pip install .*\[figures\]'$"):
        importlib.import_module("bptt.figures")
