"""Checking a cell of one's own: what its step writes, and each of its partial derivatives."""

from contextlib import suppress
from copy import deepcopy

import numpy as np
from numpy.random import Generator

from ._arguments import Array, array, instance, number
from .cells import Cell, Partials
from .gradcheck import central_difference, complex_step
from .lags import summands, truncated
from .recurrence import Params, Unrolled, backward, init, unroll
from .tangents import rtrl

JUDGES = {1e-12: "the complex step", 1e-6: "central differences"}  # by the error allowed


class WrongCell(AssertionError):
    """A cell that does not do what :class:`Cell` says; the message names what, and where.

    Example:
        >>> import bptt
        >>> issubclass(bptt.WrongCell, AssertionError)
        True
    """


@np.errstate(all="ignore")  # as in a run
def check_cell(cell: Cell, rng: Generator, *, n: int = 3) -> str:
    """Whether a cell of one's own is right; returns how its derivatives were judged.

    Looks at its attributes; at what ``step`` writes, and that it acts on each unit of each sequence
    alone; at each derivative in ``partials``, and that no other call changes it; and that all ways
    to the gradients agree. They are judged to 1e-12 by the complex step or, if ``step`` is not
    analytic, to 1e-6 by central differences, relative to the larger of 1 and the right value.

    Args:
        cell (Cell): Tried with states in (-1, 1) and parameters of its own in (0, 1).
        rng (numpy.random.Generator): Draws the points.
        n (int, optional): Units, if the cell is made for a number of them.
    Raises:
        WrongCell: With what is wrong: of a derivative which one, its value and the right one.
        TypeError, ValueError: If an argument, an attribute or a table does not fit.
    Example:
        >>> import bptt, numpy as np
        >>> bptt.check_cell(bptt.GRU, np.random.default_rng(0))
        'GRU: right to 1e-12 by the complex step'
    """
    instance("cell", cell, Cell)
    instance("rng", rng, Generator)
    _check_attributes(cell)
    fresh, B, k, shared = deepcopy(cell), 2, cell.parts, 2 * cell.gates + cell.parts
    z, others = rng.uniform(-1, 1, (2, shared + cell.own, B, number("n", n, 1)))
    for rows in (z, others):
        rows[shared:] = abs(rows[shared:, :1])  # own parameters: the same for all sequences
    _check_step(cell, z, others)

    (one, _), (other, _) = _step(cell, z), _step(cell, others)
    numbers = f"partials of {cell}: other numbers"
    table = _table(one)
    _same(_table(one), table, f"{numbers} at a second call")
    _same(_table(other), _table(other._replace(cell=fresh)), f"{numbers} after another call")
    tol = _check_derivatives(one, z, table)
    for dtype in (np.float32, np.complex128)[: 2 if tol == 1e-12 else 1]:
        _table(_step(cell, z.astype(dtype))[0])

    params = init(cell, 2, n, rng=rng)
    params.b[cell.gates * n :] = z[shared:, 0].ravel()
    x, s0, dh = (rng.uniform(-1, 1, shape) for shape in ((3, B, 2), (B, k * n), (3, B, n)))
    run = unroll(cell, params, x, s0)
    alone = np.concatenate([_table(run, slice(t, t + 1)) for t in range(3)])
    _same(alone, _table(run), f"{numbers} for one step than for many", 1e-12)

    def along(i: int) -> Array:
        def loss(a: Array) -> Array:
            moved = [*point[:i], a, *point[i + 1 :]]
            return (dh * unroll(cell, Params(*moved[:3]), *moved[3:]).h[1:]).sum()

        return (complex_step if tol == 1e-12 else central_difference)(loss, point[i])

    point, by_lag = [*params, x, s0], summands(run, dh)[:3]
    ours = backward(run, dh)
    for way, gradients, error in (
        ("the forward run", map(along, range(5)), tol),
        ("truncated", truncated(run, dh, 3), 1e-12),
        ("rtrl", rtrl(run, dh)[:3], 1e-12),
        ("summands", [a.sum(axis=0) for a in by_lag], 1e-12),
    ):
        for name, a, b in zip(ours._fields, ours, gradients, strict=False):
            _same(a, b, f"{cell}: backward and {way} differ in {name}", error)
    return f"{cell}: right to {tol} by {JUDGES[tol]}"


def _near(left: Array, right: Array, tol: float) -> Array:
    return abs(left - right) <= tol * np.maximum(1, abs(right))


def _same(left: Array, right: Array, fault: str, tol: float = 0.0) -> None:
    if left.shape != right.shape or not _near(left, right, tol).all():
        raise WrongCell(fault)


def _check_attributes(cell: Cell) -> None:
    gates = array(f"scale of {cell}", cell.scale, "gates", "fdi").size
    parts = number(f"parts of {cell}", cell.parts, 1)
    number(f"direct of {cell}", cell.direct * 1, 0, parts)  # True is 1
    rows = gates + number(f"own of {cell}", cell.own, 0)
    number(f"kept of {cell}", cell.kept, 0 if rows == parts and not cell.kept else rows)
    if sorted(cell.order or range(gates)) != [*range(gates)]:
        raise ValueError(f"order of {cell}: got {cell.order}, needs each of 0 … {gates - 1} once")


def _check_step(cell: Cell, z: Array, others: Array) -> None:
    (_, once), shared = _step(cell, z), 2 * cell.gates + cell.parts
    _same(_step(cell, z)[1], once, f"step of {cell}: other numbers at a second call")
    for axis, (each, rows) in enumerate({"sequence": shared, "unit": len(z)}.items(), 1):
        for i in range(z.shape[axis]):
            here, moved = (slice(None),) * axis + (i,), z.copy()
            moved[:rows][here] = others[:rows][here]
            _, wrote = _step(cell, moved)
            wrote[here] = once[here]
            _same(wrote, once, f"step of {cell}: one {each} changes another")


def _step(cell: Cell, z: Array) -> tuple[Unrolled, Array]:
    """One step as a run, laid in memory as one, from rows of p, of the state before and of q; and
    the rows it writes, of s and of what it keeps.
    """
    gates, k, (_, B, n) = cell.gates, cell.parts, z.shape
    s, kept = (np.full(shape, np.nan, z.dtype) for shape in ((2, B, k * n), (1, cell.kept, B, n)))
    before, after = s.reshape(2, B, k, n).swapaxes(1, 2)
    p, before[...], q = np.split(z, [gates, gates + k])
    order, scale = [*(cell.order or range(gates))], np.array(cell.scale, z.dtype)[:, None, None]
    place = (kept[0] if cell.kept else after)[: len(q)]
    place[...] = np.concatenate([(scale * q[:gates])[order], q[gates:]])
    cell.step(before, (scale * p)[order], place, after, kept[0])
    _same(before, z[gates : gates + k], f"step of {cell}: writes into before")
    for name, rows in (("s", after), ("kept", kept[0])):  # NaN is not the same as itself
        for i, row in enumerate(rows):
            _same(row, row, f"step of {cell}: does not write all of {name}[{i}]")
    return Unrolled(cell, Params(*z[:3]), z, s, kept), np.concatenate([after, kept[0]])


def _table(run: Unrolled, steps: slice = slice(None)) -> Array:
    """A copy of the cell's tables, the columns of q beside those of p."""
    arrays = run._at(steps)
    for a in arrays:
        a.flags.writeable = False
    got = run.cell.partials(*arrays)
    instance(f"partials of {run.cell}", got, Partials)
    tables = [a for a in run._fitting(got, steps) if a is not None]
    for a in tables:
        if np.result_type(a, run.s) != run.s.dtype:
            raise TypeError(f"partials of {run.cell}: got dtype {a.dtype}, needs {run.s.dtype}")
    columns = np.concatenate(tables, axis=-2, dtype=run.s.dtype)
    _same(columns, columns, f"partials of {run.cell}: not finite")
    return columns


def _check_derivatives(run: Unrolled, z: Array, table: Array) -> float:
    """Compare each with a step along a row of z; 0 if the table has no column for it."""
    cell, gates, k, direct = run.cell, run.cell.gates, run.cell.parts, run.cell.direct
    p, beside, q = np.split(table[0].transpose(2, 1, 0, 3), [gates, gates + direct])
    none, by_q = np.zeros((k - direct, *p.shape[1:])), "q" if len(q) else "q, None and so as p,"
    claimed = np.concatenate([p, none, beside, q if len(q) else p])
    right, tol = _derivatives(cell, z, 1e-6), 1e-6
    with suppress(Exception):  # of a step that complex numbers do not pass
        exact = _derivatives(cell, z, 1e-100j)
        if _near(exact, right, tol).all():
            right, tol = exact, 1e-12
    near = _near(claimed, right, tol)
    row, part, _, unit = at = np.unravel_index(np.argmin(near), near.shape)
    states = [f"part {i} of the state before" for i in range(k)]
    names = [(f"p[{part}][{i}]", f"p of gate {i}") for i in range(gates)]
    names += [("no column", state) for state in states[: k - direct]]
    names += [(f"p[{part}][{i}]", state) for i, state in enumerate(states[k - direct :], gates)]
    names += [(f"{by_q}[{part}][{i}]", f"q of gate {i}") for i in range(gates)]
    names += [(f"q[{part}][{gates + i}]", f"own parameter {i}") for i in range(cell.own)]
    fault = (
        f"partials of {cell}: {names[row][0]}, the derivative of part {part} with respect to "
        f"{names[row][1]}, is {claimed[at]:.6g} where {right[at]:.6g} is right at unit {unit}"
    )
    _same(claimed, right, fault, tol)
    return tol


def _derivatives(cell: Cell, z: Array, eps: complex) -> Array:
    """Of each part of s with respect to each row of z, (rows, k, B, n)."""
    moves = eps * np.eye(len(z))[:, :, None, None]
    ends = [[_step(cell, z + way * move)[1][: cell.parts] for way in (1, -1)] for move in moves]
    return np.stack([(ahead - behind) / (2 * eps) for ahead, behind in ends]).real
