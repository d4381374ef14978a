"""Cells of one's own: those of the page "Write a cell", weights of PyTorch, and planted faults.

The cells are the page's, as a reader runs it. Their judge is HIPS autograd on the textbook's
formulas, which are written here once more, sequence by sequence and parameter by parameter.
"""

import contextlib
import io
import re
from pathlib import Path
from threading import Lock

import autograd
import autograd.numpy as anp
import jupytext
import numpy as np
import pytest
from oracle import agree, difference, sigmoid

import bptt

PAGE = Path(__file__).parents[2] / "book" / "write-a-cell.md"
TOLERANCE = 1e-12


def defined():
    """What the page defines, run from its first cell to its last."""
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in jupytext.read(PAGE, fmt="md:myst").cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, PAGE.name, "exec"), names)
    return names


OWN = defined()
CELLS = {
    "Relu": OWN["Relu"](),
    "Leaky": OWN["Leaky"](0.3),
    "MinimalGated": OWN["MinimalGated"](),
    "LRU": OWN["LRU"](),
    "RealLRU": OWN["RealLRU"](),
    "Peephole": OWN["Peephole"](),
    "Linear": OWN["Linear"](),
}
cells = pytest.mark.parametrize("name", CELLS)


def textbook(name, W, U, b, x, s):
    """One step of the textbook: rows are sequences, and gates are cut from stacked rows."""
    n = W.shape[1]
    h, c = s[:, :n], s[:, -n:]

    def block(k):
        return b[k * n : (k + 1) * n]

    def present(k):
        return anp.dot(x, U[k * n : (k + 1) * n].T) + block(k)

    def past(k):
        return anp.dot(h, W[k * n : (k + 1) * n].T)

    if name == "Relu":
        a = past(0) + present(0)
        return anp.where(a > 0, a, 0 * a)
    if name == "Leaky":
        return 0.7 * h + 0.3 * anp.tanh(past(0) + present(0))
    if name == "MinimalGated":
        f = sigmoid(past(0) + present(0))
        return (1 - f) * h + f * anp.tanh(present(1) + f * past(1))
    if name == "LRU":
        return block(1) * h + present(0)
    if name == "RealLRU":
        by_h = block(2) * h - block(3) * c + present(0)
        return anp.concatenate([by_h, block(3) * h + block(2) * c + present(1)], axis=1)
    if name == "Peephole":
        i = sigmoid(past(0) + present(0) + block(4) * c)
        f = sigmoid(past(1) + present(1) + block(5) * c)
        new = f * c + i * anp.tanh(past(2) + present(2))
        o = sigmoid(past(3) + present(3) + block(6) * new)
        return anp.concatenate([o * anp.tanh(new), new], axis=1)
    return past(0) + present(0)


def problem(name, T=7, B=3, d=2, n=4, seed=0):
    """Random parameters, inputs, states and derivatives of a loss."""
    cell, rng = CELLS[name], np.random.default_rng(seed)
    params = bptt.init(cell, d, n, rng=rng)
    x, s0 = rng.uniform(-1, 1, (T, B, d)), rng.uniform(-1, 1, (B, cell.parts * n))
    return cell, params, x, s0, rng.standard_normal((T, B, n))


def judged(name, params, x, s0, dh):
    """The gradients of the textbook's formulas."""

    def loss(W, U, b, x, s0):
        s, total = s0, 0.0
        for x_t, dh_t in zip(x, dh, strict=True):
            s = textbook(name, W, U, b, x_t, s)
            total = total + anp.sum(dh_t * s[:, : W.shape[1]])
        return total

    return bptt.Gradients(*autograd.grad(loss, argnum=(0, 1, 2, 3, 4))(*params, x, s0))


@cells
@pytest.mark.parametrize("seed", range(5))
def test_the_cells_of_the_page_are_right(name, seed):
    found = bptt.check_cell(CELLS[name], np.random.default_rng(seed))
    assert found == f"{CELLS[name]}: right to 1e-12 by the complex step"


@cells
@pytest.mark.parametrize(("T", "B", "n"), [(7, 3, 4), (1, 1, 1), (4, 1, 5)])
def test_every_way_to_the_gradient_is_that_of_the_textbook(name, T, B, n):
    cell, params, x, s0, dh = problem(name, T, B, n=n)
    expected, run = judged(name, params, x, s0, dh), bptt.unroll(cell, params, x, s0)
    for _ in range(2):  # a cell that keeps its table hands it over again
        agree(bptt.backward(run, dh), expected, TOLERANCE)
    agree(bptt.truncated(run, dh, T), expected, TOLERANCE)
    few = bptt.checkpointed(cell, params, x, lambda t, h: dh[t], s0, checkpoints=2, segment=2)
    agree(few, expected, TOLERANCE)
    alone = bptt.ParameterGradients(*expected[:3])
    agree(bptt.rtrl(run, dh), alone, TOLERANCE)
    by_lag = bptt.summands(run, dh)[:3]
    agree(bptt.ParameterGradients(*(a.sum(axis=0) for a in by_lag)), alone, TOLERANCE)
    agree(bptt.backward(run, dh), expected, TOLERANCE)


@cells
def test_every_precision_is_kept(name):
    cell, params, x, s0, dh = problem(name)
    expected = bptt.backward(bptt.unroll(cell, params, x, s0), dh)
    for dtype, tol in ((np.float32, 1e-5), (np.complex128, 1e-13)):
        low = params._make(a.astype(dtype) for a in params)
        run = bptt.unroll(cell, low, x.astype(dtype), s0.astype(dtype))
        table = run.partials(slice(None)).p
        assert run.s.dtype == dtype
        assert table.dtype in (dtype, bool)  # the slopes of Relu and Linear are 0 or 1
        for a, b in zip(bptt.backward(run, dh.astype(dtype)), expected, strict=True):
            assert a.dtype == dtype
            assert difference(a, b) <= tol


@cells
def test_a_complex_run_has_the_derivative_of_the_gradient(name):
    """The complex step through backward, against autograd twice: a Hessian-vector product."""
    cell, params, x, s0, dh = problem(name, T=4)
    rng = np.random.default_rng(1)
    along = params._make(rng.standard_normal(a.shape) for a in params)
    moved = params._make(a + 1e-100j * v for a, v in zip(params, along, strict=True))
    ours = bptt.backward(bptt.unroll(cell, moved, x, s0), dh)

    def slope(*parameters):
        gradients = judged(name, parameters, x, s0, dh)
        return sum(anp.sum(v * g) for v, g in zip(along, gradients, strict=False))

    expected = autograd.grad(slope, argnum=(0, 1, 2))(*params)
    for a, b in zip(ours, expected, strict=False):
        assert abs(a.imag / 1e-100 - b).max() <= TOLERANCE * max(1, abs(b).max())


def test_what_a_cell_is_checked_with_has_one_precision():
    seen = []

    def noted(*arrays):
        seen.append({a.dtype.name for a in arrays})

    class Noting(type(CELLS["Leaky"])):
        def step(self, *arrays):
            noted(*arrays)
            super().step(*arrays)

        def partials(self, *arrays):
            noted(*arrays)
            return super().partials(*arrays)

    bptt.check_cell(Noting(0.3), np.random.default_rng(0))
    assert {len(names) for names in seen} == {1}
    assert set.union(*seen) == {"float32", "float64", "complex128"}


def test_what_a_cell_is_checked_with_is_drawn_as_the_docstring_says():
    seen = []

    class Noting(OWN["IndRNN"]):
        def step(self, before, p, q, s, kept):
            if s.dtype == float:
                seen.append([a.copy() for a in (before, p, q)])
            np.tanh(q[1] * before[0] + q[0], out=s[0])

        def partials(self, before, s, kept):
            slope = 1 - s[0] ** 2
            return bptt.Partials.of([[0 * slope, kept[1] * slope]], [[slope, before[0] * slope]])

    bptt.check_cell(Noting(), np.random.default_rng(0), n=9)
    far = next(given for given in seen if abs(given[1]).max() > 5)
    for (before, p, q), limit in ((seen[0], 1), (far, 10)):
        drawn = np.concatenate([before, p, q[:1]])
        assert abs(drawn).max() <= limit
        assert drawn.min() < -limit / 2
        assert drawn.max() > limit / 2
        assert ((q[1] > 0) & (q[1] < 1)).all()
        assert (q[1] == q[1][0]).all()  # a parameter is the same for all sequences
    near = [before for before, p, q in seen if abs(before).max() < 1.1]
    assert all(np.unique(before).size > 1 for before in near)  # nothing is tried at rest alone
    assert max(abs(before).max() for before, p, q in seen if before.shape[1] == 2) < 1.001


def complex_problem():
    rng = np.random.default_rng(3)
    T, B, d, n = 9, 2, 3, 4
    lam = rng.uniform(0.3, 1, n) * np.exp(2j * np.pi * rng.random(n))
    U, b = (rng.standard_normal((2, *shape)).T @ [1, 1j] for shape in ((d, n), (n,)))
    W, x = np.zeros((n, n), complex), rng.standard_normal((T, B, d))
    s0 = rng.standard_normal((B, n, 2)) @ [1, 1j]
    return bptt.Params(W, U, np.concatenate([b, lam])), x, s0, rng.standard_normal((2, T, B, n))


def test_complex_eigenvalues_have_the_gradient_of_a_real_loss():
    """For L = sum(u Re h + v Im h^2), autograd returns dL/dRe - i dL/dIm, as the page does."""
    params, x, s0, (u, v) = complex_problem()
    run = bptt.unroll(CELLS["LRU"], params, x, s0)
    dh = u - 1j * (2 * v * run.h[1:].imag)

    def loss(W, U, b, s0):
        h, total = s0, 0.0
        for t in range(len(x)):
            h = textbook("LRU", W, U, b, x[t], h)
            total = total + anp.sum(u[t] * anp.real(h) + v[t] * anp.imag(h) ** 2)
        return total

    expected = autograd.grad(loss, argnum=(0, 1, 2, 3))(*params, s0)
    ours = bptt.backward(run, dh)
    for a, b in zip((ours.W, ours.U, ours.b, ours.s0), expected, strict=True):
        assert abs(a - b).max() <= TOLERANCE * max(1, abs(b).max())
    for other in (bptt.rtrl(run, dh), bptt.truncated(run, dh, len(x))):
        assert difference(other.b, ours.b) <= TOLERANCE
    assert difference(bptt.summands(run, dh).b.sum(axis=0), ours.b) <= TOLERANCE


# Weights of PyTorch, by the formulas of its documentation


def torch_problem(gates):
    """The four arrays of torch.nn.LSTM or GRU, an input and a state, by the names of PyTorch."""
    rng, T, B, d, n = np.random.default_rng(11), 6, 3, 2, 4
    shapes = {"weight_ih": (gates * n, d), "weight_hh": (gates * n, n)}
    shapes |= {"bias_ih": (gates * n,), "bias_hh": (gates * n,)}
    weights = {name: rng.uniform(-1, 1, shape) for name, shape in shapes.items()}
    x, s0 = rng.standard_normal((T, B, d)), rng.uniform(-1, 1, (B, n * (2 if gates == 4 else 1)))
    return weights, x, s0, rng.standard_normal((T, B, n))


def torch_states(weight_ih, weight_hh, bias_ih, bias_hh, x, s0):
    """The hidden states h_1 ... h_T, gate by gate, with both biases of each."""
    n = weight_hh.shape[1]
    h, c, hidden = s0[:, :n], s0[:, -n:], []
    for x_t in x:
        present = anp.dot(x_t, weight_ih.T) + bias_ih
        past = anp.dot(h, weight_hh.T) + bias_hh
        if len(weight_hh) == 4 * n:
            i, f, g, o = anp.split(present + past, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * anp.tanh(g)
            h = sigmoid(o) * anp.tanh(c)
        else:
            (r, z, new), (r_h, z_h, new_h) = (anp.split(a, 3, axis=1) for a in (present, past))
            z = sigmoid(z + z_h)
            h = (1 - z) * anp.tanh(new + sigmoid(r + r_h) * new_h) + z * h
        hidden.append(h)
    return anp.stack(hidden)


def torch_gradients(weights, x, s0, dh):
    def loss(*arguments):
        return anp.sum(dh * torch_states(*arguments))

    return autograd.grad(loss, argnum=[*range(6)])(*weights.values(), x, s0)


def loaded(cell, weights):
    """PyTorch's arrays as Params: both biases are one, but for that inside the product with r."""
    b, n = weights["bias_ih"] + weights["bias_hh"], weights["weight_hh"].shape[1]
    if cell == bptt.TORCH_GRU:
        b[-n:] = weights["bias_ih"][-n:]
        b = np.concatenate([b, weights["bias_hh"][-n:]])
    return bptt.Params(weights["weight_hh"], weights["weight_ih"], b)


@pytest.mark.parametrize("cell", [bptt.LSTM, bptt.TORCH_GRU], ids=repr)
def test_weights_of_pytorch_give_its_outputs_and_gradients(cell):
    weights, x, s0, dh = torch_problem(cell.gates)
    run = bptt.unroll(cell, loaded(cell, weights), x, s0)
    assert difference(run.h[1:], torch_states(*weights.values(), x, s0)) <= TOLERANCE
    U, W, b_ih, b_hh, by_x, by_s0 = torch_gradients(weights, x, s0, dh)
    ours, n = bptt.backward(run, dh), s0.shape[1]
    expected = b_ih
    if cell == bptt.TORCH_GRU:
        expected = np.concatenate([b_ih, b_hh[-n:]])
        assert difference(b_ih[:-n], b_hh[:-n]) <= TOLERANCE
        assert difference(b_ih[-n:], b_hh[-n:]) > 0.1
    agree(ours, bptt.Gradients(W, U, expected, by_x, by_s0), TOLERANCE)


# Faults, each in a cell that is right without it


def wrong(parent="Leaky", **changed):
    """A cell of the page with attributes or methods changed, that its name tells."""
    made = type("Wrong", (type(CELLS[parent]),), changed)
    return made(0.3) if parent == "Leaky" else made()


def entries(parent, change):
    """``partials`` with its two tables changed."""

    def partials(self, before, s, kept):
        p, q = type(CELLS[parent]).partials(self, before, s, kept)
        return change(p, q)

    return partials


def changed_step(parent, change):
    """``step``, and then ``change`` of its arguments."""

    def step(self, before, p, q, s, kept):
        type(CELLS[parent]).step(self, before, p, q, s, kept)
        change(before, p, q, s, kept)

    return step


def times(part, column, factor, table=0):
    """One column of a table multiplied."""

    def change(*tables):
        made = [None if a is None else a.copy() for a in tables]
        made[table][..., part, column, :] *= factor
        return bptt.Partials(*made)

    return change


def swapped(p, q):
    return bptt.Partials(p[..., [1, 0, 2], :], q[..., [1, 0], :])


def random_step(before, p, q, s, kept, rng=np.random.default_rng(0)):  # noqa: B008
    s += rng.uniform(0, 1, s.shape)


def add_one_before(before, p, q, s, kept):
    before += 1


def mean_over(axis):
    def change(before, p, q, s, kept):
        s -= s.mean(axis=axis, keepdims=True)

    return change


def unwritten(self, before, p, q, s, kept):
    q[:4] = np.tanh(p + q[:4])
    s[0] = q[0]


def keeps_one(self, before, p, q, s, kept):
    np.tanh(p + q, out=kept[:1])
    s[...] = 0.7 * before + 0.3 * kept[:1]


def stale(self, before, s, kept):
    if "table" not in vars(self):
        self.table = type(CELLS["Leaky"]).partials(self, before, s, kept)
    return self.table


def random_partials(p, q, rng=np.random.default_rng(0)):  # noqa: B008
    return bptt.Partials(p + rng.uniform(0, 1, p.shape), q)


def first_step_of_many(p, q):
    return bptt.Partials(np.concatenate([p[:1]] * len(p)), q)


D = "partials of {}: {}, the derivative of part {} with respect to {}, is {} where {} is right at"
NUMBER = r"-?[\d.]+(e-\d+)?"
STATE = "part {} of the state before"


def by(entry, part, what, claimed=NUMBER, right=NUMBER, cell=r"WRONG.*"):
    """The message about one derivative, as a pattern."""
    return D.format(cell, re.escape(entry), part, what, claimed, right) + r" unit [012]$"


LEAKY_STEP, LEAKY = r"step of WRONG\(a=0.3\): ", r"partials of WRONG\(a=0.3\): "


def fills(which):
    """``partials`` that writes into one of its arguments."""

    def partials(self, *given):
        given[which].fill(0)
        return type(CELLS["Leaky"]).partials(self, *given)

    return partials


def leaves_it(self, before, p, q, s, kept):
    type(CELLS["Leaky"]).step(self, before, p, q, s, kept)
    self.left = s[0]


def in_single(self, before, s, kept):
    table = type(CELLS["Leaky"]).partials(self, before, s, kept)
    return bptt.Partials(table.p.astype(np.float32).astype(s.dtype))


FAULTS = {
    "p of another shape": (
        {"partials": entries("Leaky", lambda p, q: bptt.Partials(p[0]))},
        ValueError,
        LEAKY + r"got p of shape \(2, 1, 2, 3\), needs \(1, 2, 1, 2, 3\)",
    ),
    "a column missing": (
        {"partials": entries("Leaky", lambda p, q: bptt.Partials(p[..., :1, :]))},
        ValueError,
        LEAKY + r"got p of shape \(1, 2, 1, 1, 3\), needs \(1, 2, 1, 2, 3\)",
    ),
    "a table of own parameters missing": (
        {"parent": "LRU", "partials": entries("LRU", lambda p, q: bptt.Partials(p))},
        ValueError,
        r"partials of WRONG: got q of shape None, needs \(1, 2, 1, 2, 3\)",
    ),
    "a column of own parameters missing": (
        {"parent": "LRU", "partials": entries("LRU", lambda p, q: bptt.Partials(p, q[..., :1, :]))},
        ValueError,
        r"partials of WRONG: got q of shape \(1, 2, 1, 1, 3\), needs \(1, 2, 1, 2, 3\)",
    ),
    "q missing where it differs from p": (
        {
            "parent": "MinimalGated",
            "partials": entries("MinimalGated", lambda p, q: bptt.Partials(p)),
        },
        bptt.WrongCell,
        by("q, None and so as p,[0][1]", 0, r"U x \+ b of gate 1"),
    ),
    "q wrong": (
        {
            "parent": "MinimalGated",
            "partials": entries("MinimalGated", times(0, 1, 1.001, table=1)),
        },
        bptt.WrongCell,
        by("q[0][1]", 0, r"U x \+ b of gate 1"),
    ),
    "a sign": (
        {"partials": entries("Leaky", times(0, 0, -1))},
        bptt.WrongCell,
        by("p[0][0]", 0, "W h of gate 0", claimed="-" + NUMBER),
    ),
    "a factor near 1": (
        {"partials": entries("Leaky", times(0, 0, 1 + 1e-9))},
        bptt.WrongCell,
        by("p[0][0]", 0, "W h of gate 0"),
    ),
    "an entry that is not a number": (
        {"partials": entries("Leaky", times(0, 1, np.nan))},
        bptt.WrongCell,
        LEAKY[:-2] + ", in a run of float64: not finite$",
    ),
    "a direct term that is not what it should be": (
        {"partials": entries("Leaky", times(0, 1, 0.3 / 0.7))},
        bptt.WrongCell,
        by("p[0][1]", 0, STATE.format(0), r"0\.3", r"0\.7"),
    ),
    "a direct term forgotten": (
        {"direct": 0, "partials": entries("Leaky", lambda p, q: bptt.Partials(p[..., :1, :]))},
        bptt.WrongCell,
        by("no column", 0, STATE.format(0), "0", r"0\.7"),
    ),
    "the other part is the direct one": (
        {
            "parent": "RealLRU",
            "direct": 1,
            "partials": entries("RealLRU", lambda p, q: bptt.Partials(p[..., :3, :], q)),
        },
        bptt.WrongCell,
        by("no column", 0, STATE.format(0), "0"),
    ),
    "gates transposed": (
        {"parent": "MinimalGated", "partials": entries("MinimalGated", swapped)},
        bptt.WrongCell,
        by("p[0][0]", 0, "W h of gate 0"),
    ),
    "parts transposed": (
        {
            "parent": "RealLRU",
            "partials": entries("RealLRU", lambda p, q: bptt.Partials(p[..., ::-1, :, :], q)),
        },
        bptt.WrongCell,
        by("p[0][2]", 0, STATE.format(0)),
    ),
    "the order wrong": (
        {"parent": "MinimalGated", "order": (1, 0)},
        bptt.WrongCell,
        by("p[0][0]", 0, "W h of gate 0"),
    ),
    "an order that is none": (
        {"parent": "MinimalGated", "order": (0, 0)},
        ValueError,
        r"order of WRONG: got \(0, 0\), needs each of 0 … 1 once",
    ),
    "an order that is a number": (
        {"parent": "MinimalGated", "order": 5},
        TypeError,
        "order of WRONG: got int, needs Sequence",
    ),
    "an order that is an array": (
        {"parent": "MinimalGated", "order": np.arange(2)},
        TypeError,
        "order of WRONG: got ndarray, needs Sequence",
    ),
    "an order of orders": (
        {"parent": "MinimalGated", "order": ((0, 1),)},
        ValueError,
        r"order of WRONG: got shape \(1, 2\), needs \(gates\)",
    ),
    "an order of names": (
        {"parent": "MinimalGated", "order": ("f", 0)},
        TypeError,
        "order of WRONG: got dtype <U.*, needs integer",
    ),
    "direct that is None": (
        {"direct": None},
        TypeError,
        r"direct of WRONG\(a=0.3\): got None, needs an integer from 0 to 1",
    ),
    "an attribute that cannot be copied": (
        {"parent": "Relu", "__init__": lambda self: setattr(self, "lock", Lock())},
        TypeError,
        "cell: got WRONG, needs one that deepcopy can copy: cannot pickle",
    ),
    "a scale that the step does not know": (
        {"scale": (-1.0,)},
        bptt.WrongCell,
        by("p[0][0]", 0, "W h of gate 0", right="-" + NUMBER),
    ),
    "a scale that is a number": (
        {"scale": 1.0},
        ValueError,
        r"scale of WRONG\(a=0.3\): got shape \(\), needs \(gates\)",
    ),
    "a scale of names": (
        {"scale": ("one",)},
        TypeError,
        r"scale of WRONG\(a=0.3\): got dtype <U3, needs ",
    ),
    "an own parameter's derivative missing": (
        {"parent": "Peephole", "partials": entries("Peephole", times(1, 5, 0, table=1))},
        bptt.WrongCell,
        by("q[1][5]", 1, "own parameter 1", claimed="0"),
    ),
    "kept too small for q": (
        {"parent": "MinimalGated", "kept": 1},
        ValueError,
        "kept of WRONG: got 1, needs an integer from 2 to inf",
    ),
    "no kept, but more rows of q than of s": (
        {"parent": "MinimalGated", "kept": 0},
        ValueError,
        "kept of WRONG: got 0, needs an integer from 2 to inf",
    ),
    "kept too small for parameters of its own": (
        {"parent": "LRU", "kept": 1},
        ValueError,
        "kept of WRONG: got 1, needs an integer from 2 to inf",
    ),
    "kept too small for the step": (
        {"parent": "MinimalGated", "kept": 2},
        ValueError,
        r"not enough values to unpack \(expected 3, got 2\)",
    ),
    "kept too large": (
        {"kept": 2, "step": keeps_one},
        bptt.WrongCell,
        LEAKY_STEP + r"does not write all of kept\[1\], or writes nan$",
    ),
    "a part not written": (
        {"parent": "Peephole", "step": unwritten},
        bptt.WrongCell,
        r"step of WRONG: does not write all of s\[1\], or writes nan$",
    ),
    "before written to": (
        {"step": changed_step("Leaky", add_one_before)},
        bptt.WrongCell,
        LEAKY_STEP + "writes into before$",
    ),
    "other units looked at": (
        {"step": changed_step("Leaky", mean_over(2))},
        bptt.WrongCell,
        LEAKY_STEP + "one unit changes another$",
    ),
    "other sequences looked at": (
        {"step": changed_step("Leaky", mean_over(1))},
        bptt.WrongCell,
        LEAKY_STEP + "one sequence changes another$",
    ),
    "a random step": (
        {"step": changed_step("Leaky", random_step)},
        bptt.WrongCell,
        LEAKY_STEP + "other numbers at a second call$",
    ),
    "random derivatives": (
        {"partials": entries("Leaky", random_partials)},
        bptt.WrongCell,
        LEAKY + "other numbers at a second call$",
    ),
    "a cache of another run": (
        {"partials": stale},
        bptt.WrongCell,
        LEAKY + "other numbers after another call$",
    ),
    "one step's derivatives for all": (
        {"partials": entries("Leaky", first_step_of_many)},
        bptt.WrongCell,
        LEAKY + "other numbers for one step than for many$",
    ),
    "double precision in single": (
        {"partials": entries("Leaky", lambda p, q: bptt.Partials(p.astype(float)))},
        TypeError,
        LEAKY[:-2] + ", in a run of float32: got dtype float64, needs float32$",
    ),
    "the state before written to": (
        {"partials": fills(0)},
        bptt.WrongCell,
        LEAKY + "writes into before$",
    ),
    "the state written to": (
        {"partials": fills(1)},
        bptt.WrongCell,
        LEAKY + "writes into s$",
    ),
    "no Partials": (
        {"partials": entries("Leaky", lambda p, q: p)},
        TypeError,
        LEAKY.replace(": ", "") + ": got ndarray, needs Partials",
    ),
    "tables that are no Partials": (
        {"partials": entries("MinimalGated", lambda p, q: (p, q)), "parent": "MinimalGated"},
        TypeError,
        "partials of WRONG: got tuple, needs Partials",
    ),
    "nothing handed over": (
        {"partials": entries("Leaky", lambda p, q: None)},
        TypeError,
        LEAKY.replace(": ", "") + ": got NoneType, needs Partials",
    ),
    "entries that are no table": (
        {"partials": entries("Leaky", lambda p, q: bptt.Partials([[p[..., 0, :], 0.7]]))},
        TypeError,
        r"a table in partials of WRONG\(a=0.3\): got list, needs ndarray",
    ),
    "what is kept written to": (
        {"partials": fills(2)},
        bptt.WrongCell,
        LEAKY + "writes into kept$",
    ),
    "what step has left in the cell": (
        {
            "step": leaves_it,
            "partials": lambda self, before, s, kept: bptt.Partials.of(
                [[0 * s[0] + self.left, 0.7]]
            ),
        },
        bptt.WrongCell,
        LEAKY + "needs what step has left in it: 'Wrong' object has no attribute 'left'$",
    ),
    "single precision inside": (
        {"partials": in_single},
        bptt.WrongCell,
        by("p[0][0]", 0, "W h of gate 0", *2 * [r"0\.\d{14,}"]),
    ),
    "more direct parts than parts": (
        {"direct": 2},
        ValueError,
        r"direct of WRONG\(a=0.3\): got 2, needs an integer from 0 to 1",
    ),
    "no part": (
        {"parts": 0},
        ValueError,
        r"parts of WRONG\(a=0.3\): got 0, needs an integer from 1 to inf",
    ),
    "own parameters, less than none": (
        {"own": -1},
        ValueError,
        r"own of WRONG\(a=0.3\): got -1, needs an integer from 0 to inf",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault):
    changed, error, message = FAULTS[fault]
    with pytest.raises(error, match="^" + message) as caught:
        bptt.check_cell(wrong(**changed), np.random.default_rng(0))
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["parts", "direct", "scale", "kept"])
def test_a_missing_attribute_is_named(missing):
    parent = type(CELLS["Relu"])
    members = {name: getattr(parent, name) for name in ("step", "partials")}
    for name in ("parts", "direct", "scale", "kept"):
        if name != missing:
            members[name] = getattr(parent, name)
    with pytest.raises(AttributeError, match=f"'Wrong' object has no attribute '{missing}'"):
        bptt.check_cell(type("Wrong", (bptt.Cell,), members)(), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"cell": type(bptt.GRU)}, TypeError, "cell: got the class GRUCell, needs Cell"),
        ({"rng": 0}, TypeError, "rng: got int, needs Generator"),
        ({"n": 0}, ValueError, "n: got 0, needs an integer from 1 to inf"),
    ],
)
def test_arguments_that_do_not_fit_are_named(given, error, message):
    arguments = {"cell": bptt.ELMAN, "rng": np.random.default_rng(0), **given}
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        bptt.check_cell(**arguments)


@pytest.mark.parametrize(
    ("factor", "values"),
    [
        (1.001, r"0\.7007 where 0\.7 is right"),
        (1 / 3, r"0\.233333 where 0\.7 is right"),
        (1 + 1e-9, r"0\.7000000007(0+\d)? where 0\.7(0{14}\d)? is right"),
    ],
)
def test_as_many_digits_are_shown_as_tell_the_values_apart(factor, values):
    cell = wrong(partials=entries("Leaky", times(0, 1, factor)))
    with pytest.raises(bptt.WrongCell, match=f", is {values} at unit "):
        bptt.check_cell(cell, np.random.default_rng(0))


def test_a_shortcut_that_is_wrong_is_named():
    class Wrong(type(bptt.LSTM)):
        def _chained(self, before, s, kept):
            table, through = super()._chained(before, s, kept)
            return table, 1.01 * through

    with pytest.raises(bptt.WrongCell, match=r"^WRONG: backward and truncated differ in W$"):
        bptt.check_cell(Wrong(), np.random.default_rng(0))


def test_a_shortcut_that_is_wrong_at_its_second_use_is_named():
    class Wrong(type(bptt.LSTM)):
        used = 0

        def _chained(self, before, s, kept):
            self.used += 1
            table, through = super()._chained(before, s, kept)
            return table, (1 if self.used == 1 else 1.01) * through

    fault = r"^WRONG\(used=2\): backward and a second backward differ in W$"
    with pytest.raises(bptt.WrongCell, match=fault):
        bptt.check_cell(Wrong(), np.random.default_rng(0))


# What else a right cell may be


class Softplus(bptt.Cell):
    """A step that refuses complex numbers."""

    parts, direct, scale, kept = 1, 0, (1.0,), 1

    def step(self, before, p, q, s, kept):
        kept += p
        np.logaddexp(0, kept, out=s)

    def partials(self, before, s, kept):
        return bptt.Partials.of([[1 / (1 + np.exp(-kept[0]))]])


class Softsign(Softplus):
    """A step that lets complex numbers pass, and is not analytic."""

    def step(self, before, p, q, s, kept):
        kept += p
        np.divide(kept, 1 + abs(kept), out=s)

    def partials(self, before, s, kept):
        return bptt.Partials.of([[1 / (1 + abs(kept[0])) ** 2]])


@pytest.mark.parametrize("kind", [Softplus, Softsign])
def test_a_step_that_is_not_analytic_is_judged_by_differences(kind):
    found = bptt.check_cell(kind(), np.random.default_rng(0))
    assert found == f"{kind.__name__.upper()}: right to 1e-6 by central differences"

    class Wrong(kind):
        def partials(self, before, s, kept):
            return bptt.Partials(1.0001 * super().partials(before, s, kept).p)

    with pytest.raises(bptt.WrongCell, match=by("p[0][0]", 0, "W h of gate 0", cell="WRONG")):
        bptt.check_cell(Wrong(), np.random.default_rng(0))


class Capped(type(CELLS["Relu"])):
    """Its partials do not know of the cap."""

    def step(self, before, p, q, s, kept):
        np.clip(p + q, 0, 6, out=s)


class Unsigned(OWN["IndRNN"]):
    """Takes the parameter without its sign, its partials do not."""

    def step(self, before, p, q, s, kept):
        s[0] = np.maximum(0, np.where(q[1] < 0, -q[1], q[1]) * before[0] + q[0])


class Logarithmic(type(CELLS["LRU"])):
    """Right, and defined for positive parameters alone."""

    def step(self, before, p, q, s, kept):
        s[0] = np.log(q[1]) * before[0] + q[0]

    def partials(self, before, s, kept):
        return bptt.Partials.of([[0, np.log(kept[1])]], [[1, before[0] / kept[1]]])


class Exponential(bptt.Cell):
    """Right, with values beside which differences say nothing of small derivatives."""

    parts, direct, scale, kept = 1, 1, (1.0,), 1

    def step(self, before, p, q, s, kept):
        kept += p
        s[0] = np.exp(kept[0]) + before[0]

    def partials(self, before, s, kept):
        return bptt.Partials.of([[np.exp(kept[0]), 1]])


class Near(bptt.Cell):
    """Right, and refuses what is far out or below zero."""

    parts, direct, scale, own, kept = 1, 1, (1.0,), 1, 2

    def step(self, before, p, q, s, kept):
        if abs(p).max() > 6:
            raise ValueError("too far")
        if (q[1].real < 0).any():
            raise ValueError("below zero")
        np.tanh(p + q[:1], out=kept[:1])
        kept[1] = np.sqrt(q[1])
        s[0] = kept[0] + kept[1] * before[0]

    def partials(self, before, s, kept):
        slope = 1 - kept[0] ** 2
        return bptt.Partials.of([[slope, kept[1]]], [[slope, before[0] / (2 * kept[1])]])


@pytest.mark.parametrize("seed", range(5))
def test_what_a_cell_does_far_out_and_below_zero_is_tried(seed):
    with pytest.raises(bptt.WrongCell, match=r"is 1 where 0 is right at .* with large numbers$"):
        bptt.check_cell(Capped(), np.random.default_rng(seed))
    with pytest.raises(bptt.WrongCell, match=r" with negative parameters of its own$"):
        bptt.check_cell(Unsigned(), np.random.default_rng(seed))
    found = bptt.check_cell(Logarithmic(), np.random.default_rng(seed))
    assert found == (
        "LOGARITHMIC: right to 1e-12 by the complex step; not tried with negative parameters of "
        "its own, where it fails: step of LOGARITHMIC: does not write all of s[0], or writes nan"
    )
    found = bptt.check_cell(Exponential(), np.random.default_rng(seed))
    assert found == "EXPONENTIAL: right to 1e-12 by the complex step"


class Of(bptt.Cell):
    """h_t = f(W h_{t-1} + U x_t + b), with the slope f'."""

    parts, direct, scale, kept = 1, 0, (1.0,), 1

    def __init__(self, f, slope):
        self.f, self.slope = f, slope

    def __repr__(self):
        return "OF"

    def step(self, before, p, q, s, kept):
        kept += p
        s[...] = self.f(kept)

    def partials(self, before, s, kept):
        return bptt.Partials.of([[self.slope(kept[0]).astype(s.dtype)]])


def rough(a, h=1e-6):
    """The slope of softplus by differences that single precision does not have."""
    return (np.logaddexp(0, a + h) - np.logaddexp(0, a - h)) / (2 * h)


def untidy(a):
    return np.tanh(a + 1e-30j).imag / 1e-30


WRONG_OF = {
    "a square without its phase": (np.tanh, lambda a: 1 - abs(np.tanh(a)) ** 2, "not analytic"),
    "a complex step inside": (np.tanh, untidy, "not analytic"),
    "nearly linear": (lambda a: a + 0.001 * a * a, lambda a: 1 + 0.002 * a.real, "not analytic"),
    "differences": (lambda a: np.logaddexp(0, a), rough, "in a run of float32: 0.* is right$"),
}


@pytest.mark.parametrize("fault", WRONG_OF)
@pytest.mark.parametrize("seed", range(3))
def test_derivatives_hold_in_a_run_of_every_precision(fault, seed):
    f, slope, message = WRONG_OF[fault]
    with pytest.raises(bptt.WrongCell, match=f"^partials of OF[:,] {message}"):
        bptt.check_cell(Of(f, slope), np.random.default_rng(seed))


def test_a_complex_step_that_misses_a_small_slope_is_not_believed():
    small = Of(lambda a: 1e-7 * abs(a), lambda a: 1e-7 * np.sign(a.real))
    for cell in (small, Of(small.f, lambda a: 0 * a)):  # as 1 is large beside 1e-7
        found = bptt.check_cell(cell, np.random.default_rng(0))
        assert found == "OF: right to 1e-6 by central differences"


@pytest.mark.parametrize("seed", [46, 149, 163])
def test_a_step_is_judged_beside_a_pole(seed):
    for f, slope, judge in (
        (lambda a: 1 / a, lambda a: -1 / a**2, "1e-12 by the complex step"),
        (lambda a: 1 / abs(a), lambda a: -np.sign(a) / a**2, "1e-6 by central differences"),
    ):
        found = bptt.check_cell(Of(f, slope), np.random.default_rng(seed))
        assert found == f"OF: right to {judge}"


def test_steep_and_saturated_slopes_are_right_as_far_as_they_are_rounded():
    steep = Of(lambda a: np.tanh(20 * a), lambda a: 20 * (1 - np.tanh(20 * a) ** 2))
    for seed in (0, 2, 202, 222):
        found = bptt.check_cell(steep, np.random.default_rng(seed))
        assert found == "OF: right to 1e-12 by the complex step"


class Unwritten(type(CELLS["Relu"])):
    """Binds the name of s, whose place holds q."""

    def step(self, before, p, q, s, kept):
        s = np.maximum(0, p + q)  # noqa: F841


class HalfWritten(bptt.Cell):
    parts, direct, scale, kept = 2, 1, (1.0, 1.0), 0

    def step(self, before, p, q, s, kept):
        s[0] = np.tanh(p[0] + q[0]) + 0.5 * before[1] + p[1] + q[1]

    def partials(self, before, s, kept):
        slope = 1 - (s[0] - s[1]) ** 2
        return bptt.Partials.of([[slope, 1, 0.5], [0 * slope, 1, 0.5]])


class Passing(HalfWritten):
    """Right: its second part is what the step finds there."""

    def step(self, before, p, q, s, kept):
        s[0] = p[0] + before[1]

    def partials(self, before, s, kept):
        return bptt.Partials.of([[np.ones_like(s[0]), 0, 1], [0, 0, 0]], [[0, 0], [0, 1]])


def test_a_part_that_is_not_written_where_q_was_is_named():
    for cell, part in ((Unwritten(), 0), (HalfWritten(), 1)):
        with pytest.raises(bptt.WrongCell, match=rf"^step of .*: does not write into s\[{part}\]$"):
            bptt.check_cell(cell, np.random.default_rng(0))
    assert bptt.check_cell(Passing(), np.random.default_rng(0)).endswith("by the complex step")

    class Wrong(Passing):
        def partials(self, *given):
            return times(0, 0, 1.01)(*super().partials(*given))

    with pytest.raises(bptt.WrongCell, match=by("p[0][0]", 0, "W h of gate 0")):
        bptt.check_cell(Wrong(), np.random.default_rng(0))


class Buffered(type(CELLS["Relu"])):
    """Has room for as many sequences as it saw first."""

    def __init__(self):
        self.room = {}

    def step(self, before, p, q, s, kept):
        room = self.room.setdefault(p.dtype, np.empty_like(p))
        np.maximum(0, np.add(p, q, out=room), out=s)


def test_another_number_of_sequences_is_tried():
    fault = "^BUFFERED: fails with another number of sequences: operands could not be broadcast"
    with pytest.raises(bptt.WrongCell, match=fault):
        bptt.check_cell(Buffered(), np.random.default_rng(0))


def test_numbers_too_large_are_told():
    steep = Of(lambda a: np.exp(10 * a), lambda a: 10 * np.exp(10 * a))
    assert bptt.check_cell(steep, np.random.default_rng(0)) == (
        "OF: right to 1e-12 by the complex step; not tried over several steps: s: OF comes to "
        "numbers too large for float64 at step 2"
    )
    steeper = Of(lambda a: 0 * a + 1e39 * a, lambda a: 0 * a + 1e39)
    with pytest.raises(bptt.OutOfRange, match=r"^step of OF: numbers too large for float64 in s\["):
        bptt.check_cell(Of(lambda a: np.exp(1e6 * abs(a)), abs), np.random.default_rng(0))
    found = bptt.check_cell(steeper, np.random.default_rng(0))
    assert "; not tried in float32: step of OF: numbers too large for float32 in s[0]" in found


def test_all_that_is_not_tried_is_told():
    steep = Of(lambda a: np.exp(100 * a), lambda a: 100 * np.exp(100 * a))
    said = "OF: .*; not tried in float32: .*; not tried over several steps: .*; not tried with "
    found = bptt.check_cell(steep, np.random.default_rng(0))
    assert re.fullmatch(said + "large numbers, where it fails: .*", found)
    fails = "where it fails"
    assert bptt.check_cell(Near(), np.random.default_rng(0)) == (
        f"NEAR: right to 1e-12 by the complex step; not tried with large numbers, {fails}: too far;"
        f" not tried with negative parameters of its own, {fails}: below zero"
    )


def test_values_in_single_precision_are_told():
    each = np.array([1, 2, 3])
    cell = Of(lambda a: each * a, lambda a: each * (2.0 if a.dtype == np.float32 else 1.0) + 0 * a)
    with pytest.raises(bptt.WrongCell, match=r"^partials of OF, .*: 2 where 1 is right$"):
        bptt.check_cell(cell, np.random.default_rng(0))


def test_derivatives_are_right_to_a_tolerance():
    def moved(by, offset=0):
        return Of(lambda a: offset + np.tanh(a), lambda a: 1 - np.tanh(a) ** 2 + by(a))

    right = "OF: right to 1e-12 by the complex step"
    assert bptt.check_cell(moved(lambda a: 5e-13), np.random.default_rng(0)) == right
    by_steps = moved(lambda a: 1e-14 * len(a))  # as rounding may depend on how many there are
    assert bptt.check_cell(by_steps, np.random.default_rng(0)) == right
    beside = moved(lambda a: 5e-10, offset=1e6)  # of which float64 has no more digits
    assert bptt.check_cell(beside, np.random.default_rng(0)) == right
    for wrong in (moved(lambda a: 1.5e-12), moved(lambda a: 1e-11, offset=100)):
        with pytest.raises(bptt.WrongCell, match=r"^partials of OF: p\[0\]\[0\], "):
            bptt.check_cell(wrong, np.random.default_rng(0))


def test_attributes_may_be_of_other_kinds_that_mean_the_same():
    leaky = [{"direct": True}, {"direct": np.True_}, {"scale": (1,)}, {"scale": np.ones(1, "f4")}]
    for cell in (*(wrong(**changed) for changed in leaky), wrong("Relu", direct=False)):
        found = bptt.check_cell(cell, np.random.default_rng(0))
        assert found.endswith(": right to 1e-12 by the complex step")


@pytest.mark.parametrize("n", [1, 2])
def test_a_cell_is_checked_with_few_units(n):
    found = bptt.check_cell(bptt.GRU, np.random.default_rng(0), n=n)
    assert found == "GRU: right to 1e-12 by the complex step"


def test_a_cell_may_be_made_for_a_number_of_units():
    leaks = np.linspace(0.1, 0.9, 5, dtype=np.float32)  # which single precision keeps
    cell = OWN["Leaky"](leaks)
    assert bptt.check_cell(cell, np.random.default_rng(0), n=5).endswith("the complex step")
    with pytest.raises(ValueError, match="broadcast"):
        bptt.check_cell(cell, np.random.default_rng(0))


@pytest.mark.parametrize("cell", [bptt.ELMAN, bptt.LSTM, bptt.GRU, bptt.TORCH_GRU], ids=repr)
def test_the_cells_of_the_package_are_right(cell):
    assert bptt.check_cell(cell, np.random.default_rng(0)) == (
        f"{cell}: right to 1e-12 by the complex step"
    )
