"""Checking a cell of one's own: what its step writes, and each of its partial derivatives."""

from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

from ._arguments import Array, OutOfRange, array, instance, number
from ._differences import Function
from .cells import Cell, Partials
from .lags import summands, truncated
from .recurrence import Params, Unrolled, backward, init, unroll
from .tangents import rtrl

EXACT, ROUGH = 1e-12, 1e-6
SINGLE = 2**29 * EXACT  # as far above the rounding of float32 as EXACT above that of float64
JUDGES = {EXACT: "1e-12 by the complex step", ROUGH: "1e-6 by central differences"}


class WrongCell(AssertionError):
    """A cell that does not do what :class:`Cell` says; the message names what, and where."""


@np.errstate(all="ignore")  # as in a run
def check_cell(cell: Cell, rng: Generator, *, n: int = 3) -> str:
    """Whether a cell of one's own is right; returns how its derivatives were judged.

    Checks its attributes; what ``step`` writes, and that it acts on each unit of each sequence
    alone; each derivative in ``partials``, and that no other call changes it; and that all ways
    to the gradients agree. Derivatives are judged to 1e-12 by the complex step or, if ``step`` is
    not analytic, to 1e-6 by central differences, relative to the larger of 1 and the right value.
    In float32 they are judged to 5e-4; and if ``step`` is analytic, ``partials`` has to be, too.

    Takes a cell; ``rng``, which draws the points; and n, if the cell needs a given number of units.
    States, W h and U x + b are drawn from (-1, 1), and parameters of the cell's own from (0, 1).
    Derivatives are tried again with the former from (-10, 10), as a cell may cut off there, and
    again with the latter negative; if it fails then, or its numbers are too large in float32 or in
    three steps, the report says so. Raises WrongCell, which says what is wrong: of a derivative
    which one, its value and the right one; TypeError or ValueError if an argument, an attribute or
    a table does not fit, or the cell cannot be copied; AttributeError if an attribute is missing;
    OutOfRange if one step from (-1, 1) comes to infinity.

    Example:
        >>> import bptt, numpy as np
        >>> bptt.check_cell(bptt.GRU, np.random.default_rng(0))
        'GRU: right to 1e-12 by the complex step'
    """
    instance("cell", cell, Cell)
    instance("rng", rng, Generator)
    _check_attributes(cell)
    try:
        fresh = deepcopy(cell)
    except Exception as error:  # whatever its attributes have against it
        raise TypeError(f"cell: got {cell}, needs one that deepcopy can copy: {error}") from error
    shared = 2 * cell.gates + cell.parts
    z, others = rng.uniform(-1, 1, (2, shared + cell.own, 2, number("n", n, 1)))
    for rows in (z, others):
        rows[shared:] = abs(rows[shared:, :1])  # own parameters: the same for all sequences
    (one, written), (other, _) = _step(cell, z), _step(cell, others)
    _same(_step(cell, z)[1], written, f"step of {cell}: other numbers at a second call")
    for axis, each, moving in ((1, "sequence", shared), (2, "unit", len(z))):
        for i in range(z.shape[axis]):
            moved, elsewhere = z.copy(), partial(np.delete, obj=i, axis=axis)
            moved[:moving].swapaxes(0, axis)[i] = others[:moving].swapaxes(0, axis)[i]
            fault = f"step of {cell}: one {each} changes another"
            _same(elsewhere(_step(cell, moved)[1]), elsewhere(written), fault)

    table, numbers = _table(one), f"partials of {cell}: other numbers"
    _same(_table(one), table, f"{numbers} at a second call")
    try:
        unstepped = _table(other._replace(cell=fresh))
    except Exception as error:  # of whatever is not there
        raise WrongCell(f"partials of {cell}: needs what step has left in it: {error}") from error
    _same(_table(other), unstepped, f"{numbers} after another call")
    try:
        _table(_step(cell, z.repeat(25, axis=1))[0])
    except Exception as error:  # of whatever has the size of another batch
        raise WrongCell(f"{cell}: fails with another number of sequences: {error}") from error
    tol, unseen = _check_derivatives(cell, z, table[0]), ""
    for where, check in {"in float32": _check_single, "over several steps": _check_run}.items():
        try:
            check(cell, z, rng)
        except OutOfRange as error:
            unseen += f"; not tried {where}: {error}"
    if tol == EXACT:
        _check_analytic(cell, z)
    large, negative = rng.uniform(-10, 10, (len(z), 50, z.shape[2])), z.copy()
    large[shared:], negative[shared:] = z[shared:, :1], -z[shared:]
    for what, far in {"large numbers": large, "negative parameters of its own": negative}.items():
        try:
            run = _step(cell, far)[0]
        except Exception as error:  # outside its domain, where it raises what it likes
            unseen += f"; not tried with {what}, where it fails: {error}"
            continue
        tol = max(tol, _check_derivatives(cell, far, _table(run)[0], f" with {what}"))
    return f"{cell}: right to {JUDGES[tol]}{unseen}"


def _check_single(cell: Cell, z: Array, _: Generator) -> None:
    """Compare the table in float32 with that in float64."""
    low = z.astype(np.float32)
    got, right = _first_table(cell, low), _first_table(cell, low.astype(z.dtype))
    if (wrong := ~_near(got, right, SINGLE)).any():
        values = f"{got[wrong][0]:.6g} where {right[wrong][0]:.6g} is right"
        raise WrongCell(f"partials of {cell}, in a run of float32: {values}")


def _check_analytic(cell: Cell, z: Array) -> None:
    """Compare the table's derivatives by the complex step with differences."""
    table = partial(_first_table, cell)
    if not _told(table, z, _derivatives(table, z, 1e-100j))[0].all():
        raise WrongCell(f"partials of {cell}: not analytic, Hessian-vector products are wrong")


def _check_run(cell: Cell, z: Array, rng: Generator) -> None:
    """Compare all ways to the gradients of a run."""
    (_, B, n), gates, k = z.shape, cell.gates, cell.parts
    params = init(cell, 2, n, rng=rng)
    params.b[gates * n :] = z[2 * gates + k :, 0].ravel()
    x, s0, dh = (rng.uniform(-1, 1, shape) for shape in ((3, B, 2), (B, k * n), (3, B, n)))
    run = unroll(cell, params, x, s0)
    alone = np.concatenate([_table(run, slice(t, t + 1)) for t in range(3)])
    fault = f"partials of {cell}: other numbers for one step than for many"
    _same(alone, _table(run), fault, 1e-12)
    ours = backward(run, dh)
    for way, theirs in {
        "truncated": truncated(run, dh, 3),
        "rtrl": rtrl(run, dh)[:3],
        "summands": [a.sum(axis=0) for a in summands(run, dh)[:3]],
        "a second backward": backward(run, dh),
    }.items():
        for name, a, b in zip(ours._fields, ours, theirs, strict=False):
            _same(a, b, f"{cell}: backward and {way} differ in {name}", 1e-12)


def _near(left: Array, right: Array, tol: float, rounded: Any = 0, least: float = 1) -> Array:
    """Equal up to a tolerance; derivatives, as far as values of the step, rounded, let one see."""
    return abs(left - right) <= tol * np.maximum(least, np.maximum(abs(right), 1e-3 * abs(rounded)))


def _same(left: Array, right: Array, fault: str, tol: float = 0.0) -> None:
    if left.shape != right.shape or not _near(left, right, tol).all():
        raise WrongCell(fault)


def _check_attributes(cell: Cell) -> None:
    gates = array(f"scale of {cell}", cell.scale, "gates", "fdi").size
    parts = number(f"parts of {cell}", cell.parts, 1)
    direct = cell.direct * 1 if isinstance(cell.direct, bool | np.bool_) else cell.direct
    number(f"direct of {cell}", direct, 0, parts)
    rows = gates + number(f"own of {cell}", cell.own, 0)
    number(f"kept of {cell}", cell.kept, 0 if rows == parts and not cell.kept else rows)
    order = range(gates) if cell.order is None else cell.order
    instance(f"order of {cell}", order, Sequence)
    if sorted(array(f"order of {cell}", order, "gates", "i")) != [*range(gates)]:
        raise ValueError(f"order of {cell}: got {cell.order}, needs each of 0 … {gates - 1} once")


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
            if np.isinf(row).any():
                raise OutOfRange(f"step of {cell}: numbers too large for {z.dtype} in {name}[{i}]")
            _same(row, row, f"step of {cell}: does not write all of {name}[{i}], or writes nan")
    return Unrolled(cell, Params(*z[:3]), z, s, kept), np.concatenate([after, kept[0]])


def _table(run: Unrolled, steps: slice = slice(None)) -> Array:
    """A copy of the cell's tables, the columns of q beside those of p."""
    arrays = run._at(steps)
    given = [a.copy() for a in arrays]
    got, fault, dtype = run.cell.partials(*given), f"partials of {run.cell}", run.s.dtype
    for name, before, after in zip(("before", "s", "kept"), arrays, given, strict=True):
        _same(before, after, f"{fault}: writes into {name}")
    instance(fault, got, Partials)
    tables = [a for a in got if a is not None]
    for a in tables:
        instance(f"a table in {fault}", a, np.ndarray)
        if np.result_type(a, run.s) != dtype:
            raise TypeError(f"{fault}, in a run of {dtype}: got dtype {a.dtype}, needs {dtype}")
    run._fitting(got, steps)
    columns = np.concatenate(tables, axis=-2, dtype=dtype)
    _same(columns, columns, f"{fault}, in a run of {dtype}: not finite")
    return columns


def _first_table(cell: Cell, z: Array) -> Array:
    return _table(_step(cell, z)[0])[0]


def _check_derivatives(cell: Cell, z: Array, table: Array, where: str = "") -> float:
    """Compare each column with steps along its row of z; where there is no column, with 0. Returns
    how exactly that could be told.
    """
    gates, k, direct = cell.gates, cell.parts, cell.direct
    p, beside, q = np.split(table.transpose(2, 1, 0, 3), [gates, gates + direct])
    none, by_q = np.zeros((k - direct, *p.shape[1:])), "q" if len(q) else "q, None and so as p,"
    claimed = np.concatenate([p, none, beside, q if len(q) else p])

    def state(z: Array) -> Array:
        return _step(cell, z)[1][:k]

    (near, right), tol = _told(state, z, claimed), ROUGH
    with suppress(Exception):  # of a step that complex numbers do not pass
        exact = _derivatives(state, z, 1e-100j)
        if _told(state, z, exact, least=0)[0].all():
            near, right, tol = _near(claimed, exact, EXACT, state(z)), exact, EXACT
    row, part, _, unit = at = tuple(map(int, np.unravel_index(np.argmin(near), near.shape)))
    names = [(f"p[{part}][{i}]", f"W h of gate {i}") for i in range(gates)]
    for i, column in enumerate(range(gates + direct - k, gates + direct)):
        entry = "no column" if column < gates else f"p[{part}][{column}]"
        names.append((entry, f"part {i} of the state before"))
    blocks = [f"U x + b of gate {i}" for i in range(gates)]
    blocks += [f"own parameter {i}" for i in range(cell.own)]
    names += [(f"{by_q}[{part}][{i}]", what) for i, what in enumerate(blocks)]
    if not near.all():
        if not cell.kept:  # the place of s has held q
            p, before, s = (a.copy() for a in np.split(z, [gates, gates + k]))
            cell.step(before, p, s, s, s[:0])
            left = ~near.all(axis=(0, 2, 3)) & (s == z[gates + k :]).all(axis=(1, 2))
            if left.any():
                raise WrongCell(f"step of {cell}: does not write into s[{np.argmax(left)}]")
        digits = 6 if abs(claimed[at] - right[at]) > 1e-4 * abs(right[at]) else 16
        raise WrongCell(
            f"partials of {cell}: {names[row][0]}, the derivative of part {part} with respect to "
            f"{names[row][1]}, is {claimed[at]:.{digits}g} where {right[at]:.{digits}g} is right "
            f"at unit {unit}{where}"
        )
    return tol


def _told(function: Function, z: Array, slopes: Array, least: float = 1) -> tuple[Array, Array]:
    """Where slopes agree with central differences, near poles with those of smaller steps; and the
    former. Values that are smaller than z may come from sums of numbers like the others of them.
    """
    at, (right, closer) = function(z), (_derivatives(function, z, eps) for eps in (1e-6, 1e-8))
    rounded = np.maximum(abs(at), abs(at).max(axis=(-2, -1), keepdims=True).clip(0, abs(z).max()))
    near = _near(slopes, right, ROUGH, rounded, least)
    return near | _near(slopes, closer, ROUGH, 0, least), right


def _derivatives(function: Function, z: Array, eps: complex) -> Array:
    """Of a function of z with respect to each row of z, (rows, *shape of its value)."""
    moves = eps * np.eye(len(z))[:, :, None, None]
    ends = [(function(z + move), function(z - move)) for move in moves]
    return np.stack([(ahead - behind) / (2 * eps) for ahead, behind in ends]).real
