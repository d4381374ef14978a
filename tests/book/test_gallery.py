"""The gallery of programs: it runs, each of its checks notices mistakes, and each program holds at
other sizes, too, beside formulas that the page does not share.
"""

import contextlib
import io
import re
from pathlib import Path

import autograd
import autograd.numpy as anp
import jupytext
import numpy as np
import oracle
import pytest

import bptt

PAGE = Path(__file__).parents[2] / "book" / "gallery.md"
ENTRY = re.compile(r"(.+): largest relative difference (\S+)")
SAYS = r"largest relative difference|shapes differ|not exactly zero"
ENTRIES = """\
Two stacked layers
Both directions
Different lengths
Embedding
Tied weights
Closed loop
Penalty
Memory cell
Learned initial state
Padded, and one by one
Padded, and by the textbook
The mean over all steps
Last states
Jacobian-vector
Vector-Jacobian
Hessian-vector
PyTorch's weights, ELMAN
PyTorch's weights, LSTM
PyTorch's weights, TORCH_GRU
Two biases
The function that was descended""".splitlines()

PROGRAM = [cell for cell in jupytext.read(PAGE, fmt="md:myst").cells if cell.cell_type == "code"]
CELLS = [cell.source for cell in PROGRAM]


def run(source, names):
    """The lines that a cell prints, executed in these names."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, PAGE.name, "exec"), names)
    return printed.getvalue().splitlines()


@pytest.fixture(scope="module")
def before():
    """The names before each cell of the page and after the last, and the lines that it prints."""
    names, lines, snapshots = {"__name__": "gallery"}, [], []
    for source in CELLS:
        snapshots.append(dict(names))
        lines += run(source, names)
    return [*snapshots, names], lines


@pytest.fixture(scope="module")
def page(before):
    """The programs of the page by their names."""
    return before[0][-1]


def test_each_entry_agrees(before):
    found = [match for line in before[1] if (match := ENTRY.fullmatch(line))]
    assert [match[1] for match in found] == ENTRIES
    assert all(float(match[2]) <= 1e-10 for match in found)


def test_what_else_the_page_prints(before):
    others = [line for line in before[1] if not ENTRY.fullmatch(line)]
    assert others[1:] == ["512 of 512 answers are right"]
    assert others[0].startswith("counts: got False at the last step of sequence 1")


def test_programs_are_short():
    shown = [cell.source.splitlines() for cell in PROGRAM if not cell.metadata.get("tags")]
    programs = [lines for lines in shown if any(line.startswith("def ") for line in lines)]
    assert len(programs) >= 14
    assert max(sum(map(bool, lines)) for lines in programs) <= 14


# What goes wrong in each kind of program, as it stands on the page and as it would be wrong.
PLANTED = [
    ("dh = found[-1].x", "dh = 2 * found[-1].x"),
    ("return found[::-1]", "return found"),
    ("x = runs[-1].h[1:]", "x = runs[-1].h[:-1]"),
    ("turned(dh_back, lengths)", "dh_back"),
    ("g.x + turned(g_back.x, lengths)", "g.x + g_back.x"),
    ("t < lengths, lengths - 1 - t, t", "t < len(a), len(a) - 1 - t, t"),
    ("np.add.at(dE, tokens, g.x)  # dE", "dE[tokens] += g.x  # dE"),
    ("np.add.at(dE, tokens, g.x)  # as", "pass  # as"),
    ("dE = np.tensordot(dz, h, axes", "dE = 0 * np.tensordot(dz, h, axes"),
    ("dy_t = dy_t + dx", "dy_t = dy_t + 0"),
    ("@ run.h[-1], g.x[0], g.s0", "@ run.h[-1], g.x[0], 0 * g.s0"),
    ("dV + dy_t.T @ run.h[-1]", "dV + dy_t.T @ run.h[0]"),
    ("dh = 2 * alpha * h", "dh = alpha * h"),
    ("dh[:-1] -= 2", "dh[:-1] += 2"),
    ("ds[..., dc.shape[2]:] = dc", "ds[..., : dc.shape[2]] = dc"),
    ("s0=g.s0.sum(axis=0)", "s0=g.s0.mean(axis=0)"),
    ("x[:len(sequence), r] = sequence", "x[-len(sequence) :, r] = sequence"),
    (
        "return backward(unroll(cell, params, x, s0), dh)",
        "return backward(unroll(cell, params, x, s0), dh + 1e-3)",
    ),
    ("ds[lengths, np.arange", "ds[lengths - 1, np.arange"),
    ("s0=g.s0 + ds[0]", "s0=g.s0"),
    ("return along(states, run.params, v)", "return 2 * along(states, run.params, v)"),
    ("return Params(*backward(run, u)[:3])", "return Params(*backward(run, 0.999 * u)[:3])"),
    ("batch, cross_entropy).gradients", "batch, cross_entropy, window=2).gradients"),
    ("b_ih[:added] + b_hh[:added]", "b_ih[:added]"),
    (
        "np.concatenate([both, b_ih[added:], b_hh[added:]])",
        "np.concatenate([both, b_hh[added:], b_ih[added:]])",
    ),
    ("np.concatenate([g.b[:added], g.b[len(g.W):]])", "g.b[: len(g.W)]"),
    ("a - rate * found[name]", "a - rate / 2 * found[name]"),
    ("backward_stack(runs, dz @ stack.V)", "backward_stack(runs, -dz @ stack.V)"),
]


@pytest.mark.parametrize(("right", "wrong"), PLANTED, ids=lambda text: text[:30])
def test_each_check_notices_a_mistake(before, right, wrong):
    (first,) = (k for k, source in enumerate(CELLS) if right in source)
    assert CELLS[first].count(right) == 1
    check = next(k for k in range(first, len(CELLS)) if "agree(" in CELLS[k])
    for source, stop in (
        (right, contextlib.nullcontext()),
        (wrong, pytest.raises(AssertionError, match=SAYS)),
    ):
        names = dict(before[0][first])
        with stop:
            for k in range(first, check + 1):
                run(CELLS[k].replace(right, source), names)


def close(ours, reference):
    for a, b in zip(ours, reference, strict=True):
        assert oracle.difference(a, b) <= 1e-10


def states(name, params, x, s0=None):
    """s_1 … s_T of the test's own textbook."""
    T, parts = len(x), oracle.PARTS[name]
    if s0 is None:
        s0 = np.zeros((x.shape[1], parts * params[0].shape[1]))
    return anp.stack(oracle.states(name, *([a] * T for a in params), x, s0)[1:])


def grad(loss, *arrays):
    return autograd.grad(loss, tuple(range(len(arrays))))(*arrays)


SIZES = [(1, 1, 1, 1), (9, 4, 3, 5), (3, 1, 5, 2)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("order", ["ELMAN LSTM GRU", "GRU GRU", "LSTM"])
def test_stacks_of_any_height(page, order, size):
    (T, B, d, n), names, rng = size, order.split(), np.random.default_rng(1)
    widths = [d, *range(n, n + len(names))]
    layers = [
        bptt.init(oracle.CELLS[name], below, above, rng=rng)
        for name, below, above in zip(names, widths[:-1], widths[1:], strict=True)
    ]
    x, dh = rng.standard_normal((T, B, d)), rng.standard_normal((T, B, widths[-1]))

    def loss(x, *arrays):
        for k, name in enumerate(names):
            x = states(name, arrays[3 * k : 3 * k + 3], x)[..., : widths[k + 1]]
        return anp.sum(dh * x)

    cells = [oracle.CELLS[name] for name in names]
    runs = page["unroll_stack"](list(zip(cells, layers, strict=True)), x)
    found = page["backward_stack"](runs, dh)
    flat = [a for layer in layers for a in layer]
    close([found[0].x, *(a for g in found for a in g[:3])], grad(loss, x, *flat))


@pytest.mark.parametrize("name", oracle.CELLS)
@pytest.mark.parametrize("lengths", [[5, 5], [1, 6, 2, 6], [4], [1]])
def test_both_directions_with_lengths(page, name, lengths):
    rng, lengths, (d, n) = np.random.default_rng(2), np.array(lengths), (2, 3)
    T, B, cell = max(lengths) + 1, len(lengths), oracle.CELLS[name]
    ahead, back = (bptt.init(cell, d, n, rng=rng) for _ in range(2))
    x, dh = rng.standard_normal((T, B, d)), rng.standard_normal((T, B, 2 * n))
    dh[np.arange(T)[:, None] >= lengths] = 0

    def loss(x, *arrays):
        total = 0.0
        for r, L in enumerate(lengths):
            for params, step, side in ((arrays[:3], 1, 0), (arrays[3:], -1, n)):
                h = states(name, params, x[:L, r : r + 1][::step])[::step, 0, :n]
                total = total + anp.sum(h * dh[:L, r, side : side + n])
        return total

    runs, h = page["unroll_both_ways"](cell, ahead, back, x, lengths)
    g, g_back, dx = page["backward_both_ways"](runs, dh, lengths)
    assert (h * dh).sum() == pytest.approx(loss(x, *ahead, *back), rel=1e-10)
    close([dx, *g[:3], *g_back[:3]], grad(loss, x, *ahead, *back))


@pytest.mark.parametrize("name", oracle.CELLS)
def test_embedded_and_tied(page, name):
    rng, cell, (T, B, n, m) = np.random.default_rng(3), oracle.CELLS[name], (8, 2, 4, 3)
    E, params = rng.standard_normal((m, n)), bptt.init(cell, n, n, rng=rng)
    tokens, target = rng.integers(m, size=(2, T, B))
    dh = rng.standard_normal((T, B, n))

    def loss(E, *params):
        z = anp.dot(states(name, params, E[tokens])[..., :n], E.T)
        y = anp.exp(z) / anp.sum(anp.exp(z), axis=2, keepdims=True)
        return -anp.mean(anp.log(y[(*np.indices((T, B)), target)]))

    value, dE, g = page["tied"](cell, params, E, tokens, target)
    assert value == pytest.approx(loss(E, *params), rel=1e-12)
    close([dE, *g[:3]], grad(loss, E, *params))
    dE, g = page["embed"](cell, params, E, tokens, dh)
    close(
        [dE, *g[:3]],
        grad(lambda E, *p: anp.sum(dh * states(name, p, E[tokens])[..., :n]), E, *params),
    )


@pytest.mark.parametrize("name", oracle.CELLS)
@pytest.mark.parametrize("size", SIZES)
def test_closed_loops(page, name, size):
    (T, B, d, n), rng, cell = size, np.random.default_rng(4), oracle.CELLS[name]
    params, V = bptt.init(cell, d, n, rng=rng), rng.standard_normal((d, n))
    x, s0 = rng.standard_normal((B, d)), rng.standard_normal((B, n * cell.parts))
    dy = rng.standard_normal((T, B, d))

    def loss(W, U, b, V, x, s):
        total = 0.0
        for t in range(T):
            s = oracle.step(name, W, U, b, x, s)
            x = anp.dot(s[:, :n], V.T)
            total = total + anp.sum(dy[t] * x)
        return total

    runs = page["closed_loop"](cell, params, V, x, s0, T)
    found = page["backward_closed_loop"](runs, V, dy)
    close(found, grad(loss, *params, V, x, s0))


def test_losses_on_c_and_last_states_and_a_learned_first(page):
    p = oracle.problem("LSTM", 6, 3, 2, 4, seed=5)
    run, lengths = p.run(), np.array([0, 6, 3])

    def on_c(s0, *params):
        return anp.sum(p.dh * states("LSTM", params, p.x, s0)[..., 4:])

    g = page["backward_from_c"](run, p.dh)
    close([g.s0, *g[:3]], grad(on_c, p.s0, *p.params))
    dlast = np.random.default_rng(5).standard_normal((3, 8))

    def on_last(x, s0, *params):
        s = anp.concatenate([s0[None], states("LSTM", params, x, s0)])
        return sum(anp.sum(dlast[r] * s[L, r]) for r, L in enumerate(lengths))

    g = page["backward_from_last"](run, lengths, dlast)
    close([g.x, g.s0, *g[:3]], grad(on_last, p.x, p.s0, *p.params))
    g = page["from_learned_state"](p.cell, p.params, p.x, p.s0[0], p.dh)

    def learned(s0, *params):
        s = states("LSTM", params, p.x, anp.stack([s0, s0, s0]))
        return anp.sum(p.dh * s[..., :4])

    close([g.s0, *g[:3]], grad(learned, p.s0[0], *p.params))


@pytest.mark.parametrize("T", [1, 2, 6])
def test_penalties(page, T):
    h = np.random.default_rng(10).standard_normal((T, 3, 4))

    def penalised(h):
        return 0.2 * anp.sum(h * h) + 5 * sum(anp.sum((h[t] - h[t - 1]) ** 2) for t in range(1, T))

    value, dh = page["penalty"](h, 0.2, 5.0)
    assert value == pytest.approx(penalised(h), rel=1e-13)
    close([dh], grad(penalised, h))


@pytest.mark.parametrize("name", oracle.CELLS)
@pytest.mark.parametrize("fill", [0.0, 1e3, -7.0])
def test_padding_of_any_kind_changes_no_gradient(page, name, fill):
    rng, cell, lengths = np.random.default_rng(6), oracle.CELLS[name], [3, 8, 1, 5]
    sequences = [rng.standard_normal((L, 2)) for L in lengths]
    x, found, counts = page["padded"](sequences, fill)
    assert found.tolist() == counts.sum(axis=0).tolist() == lengths
    assert (x[~counts] == fill).all()
    params = bptt.init(cell, 2, 4, rng=rng)
    dh = rng.standard_normal((8, 4, 4)) * counts[..., None]
    ours = bptt.backward(bptt.unroll(cell, params, x), dh)
    assert not ours.x[~counts].any()
    alone = [
        bptt.backward(
            bptt.unroll(cell, params, sequence[:, None]), np.ascontiguousarray(dh[:L, r : r + 1])
        )
        for r, (L, sequence) in enumerate(zip(lengths, sequences, strict=True))
    ]
    for k in range(3):
        assert oracle.difference(ours[k], sum(g[k] for g in alone)) <= 1e-12
    for r, g in enumerate(alone):
        assert oracle.difference(ours.x[: lengths[r], r], g.x[:, 0]) <= 1e-12
        assert oracle.difference(ours.s0[r : r + 1], g.s0) <= 1e-12


@pytest.mark.parametrize("name", oracle.CELLS)
def test_products_along_a_direction(page, name):
    p = oracle.problem(name, 5, 2, 3, 4, seed=7)
    rng, run, n = np.random.default_rng(7), p.run(), 4
    v = bptt.Params(*(rng.standard_normal(a.shape) for a in p.params))

    def inner(*params):
        return anp.sum(p.dh * states(name, params, p.x, p.s0)[..., :n])

    slope = sum(map(np.vdot, grad(inner, *p.params), v))
    by_columns = (p.dh * page["jacobian_vector"](run, v)).sum()
    by_rows = sum(map(np.vdot, page["vector_jacobian"](run, p.dh), v))
    assert by_columns == pytest.approx(slope, rel=1e-10)
    assert by_rows == pytest.approx(slope, rel=1e-10)


@pytest.mark.parametrize("name", oracle.CELLS)
def test_hessians_times_a_direction(page, name):
    rng, cell, (T, B, d, n, m) = np.random.default_rng(8), oracle.CELLS[name], (4, 2, 1, 3, 3)
    network = bptt.init_network(cell, d, n, m, rng=rng)
    v = bptt.Network(*(rng.standard_normal(a.shape) for a in network))
    target, counts = rng.integers(m, size=(T, B)), np.arange(T)[:, None] < [4, 2]
    x = rng.standard_normal((T, B, d))

    def loss(*network):
        z = anp.dot(states(name, network[:3], x)[..., :n], network[3].T) + network[4]
        y = anp.exp(z) / anp.sum(anp.exp(z), axis=2, keepdims=True)
        return -anp.mean(anp.log(y[(*np.indices((T, B)), target)])[counts])

    def slope(*network):
        gradients = autograd.grad(loss, tuple(range(5)))(*network)
        return sum(anp.sum(g * v_k) for g, v_k in zip(gradients, v, strict=True))

    batch = bptt.Batch(x, target, counts)
    close(page["hessian_vector"](cell, network, batch, v), grad(slope, *network))


def torch_states(name, x, W_hh, W_ih, b_ih, b_hh):
    """Hidden states, unit by unit, of torch.nn.RNN, LSTM and GRU as they are documented."""
    n, rows = W_hh.shape[1], []
    h = c = np.zeros((x.shape[1], n))
    for x_t in x:
        i = [anp.dot(x_t, a.T) + b for a, b in zip(blocks(W_ih, n), blocks(b_ih, n), strict=True)]
        p = [anp.dot(h, a.T) + b for a, b in zip(blocks(W_hh, n), blocks(b_hh, n), strict=True)]
        if name == "ELMAN":
            h = anp.tanh(i[0] + p[0])
        elif name == "LSTM":
            new = oracle.sigmoid(i[0] + p[0]) * anp.tanh(i[2] + p[2])
            c = oracle.sigmoid(i[1] + p[1]) * c + new
            h = oracle.sigmoid(i[3] + p[3]) * anp.tanh(c)
        else:
            r, z = oracle.sigmoid(i[0] + p[0]), oracle.sigmoid(i[1] + p[1])
            new = anp.tanh(i[2] + r * p[2])
            h = new + z * (h - new)
        rows.append(h)
    return anp.stack(rows)


def blocks(rows, n):
    return [rows[k : k + n] for k in range(0, len(rows), n)]


NAMES = "weight_hh_l{}", "weight_ih_l{}", "bias_ih_l{}", "bias_hh_l{}"
TORCH = {"ELMAN": bptt.ELMAN, "LSTM": bptt.LSTM, "GRU": bptt.TORCH_GRU}


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("layer", [0, 1])
def test_weights_from_pytorch_and_gradients_to_it(page, name, layer):
    rng, cell, (T, B, d, n) = np.random.default_rng(9), TORCH[name], (6, 2, 3, 4)
    rows, keys = cell.gates * n, [key.format(layer) for key in NAMES]
    shapes = (rows, n), (rows, d), (rows,), (rows,)
    state = {key: rng.standard_normal(s) for key, s in zip(keys, shapes, strict=True)}
    x, dh = rng.standard_normal((T, B, d)), rng.standard_normal((T, B, n))
    run = bptt.unroll(cell, page["from_torch"](cell, state, layer), x)
    found = page["to_torch"](cell, bptt.backward(run, dh), layer)
    arrays = [state[key] for key in keys]
    close([run.h[1:]], [torch_states(name, x, *arrays)])
    assert sorted(found) == sorted(keys)
    close(
        [found[key] for key in keys],
        grad(lambda *arrays: anp.sum(dh * torch_states(name, x, *arrays)), *arrays),
    )


def test_weights_of_a_gru_are_not_for_the_gru_without_its_second_bias(page):
    with pytest.raises(ValueError, match=r"^cell: got GRU, needs TORCH_GRU"):
        page["from_torch"](bptt.GRU, {})


@pytest.mark.parametrize("rule", [bptt.sgd(0.1), bptt.sgd(0.1, 0.9), bptt.adam(0.01)])
def test_a_pair_of_biases_moves_twice(rule):
    """As the page says of gradient descent and of Adam, at each update that has one gradient."""
    g, pair = np.array([0.3, -2.0]), bptt.Params(np.zeros(1), np.zeros(2), np.zeros(2))
    moments = rule.start(pair)
    for _ in range(3):
        pair, moments = rule.step(pair, bptt.Params(np.zeros(1), g, g), moments)
    alone, moments = bptt.Params(np.zeros(1), np.zeros(1), np.zeros(2)), None
    moments = rule.start(alone)
    for _ in range(3):
        alone, moments = rule.step(alone, bptt.Params(np.zeros(1), np.zeros(1), g), moments)
    np.testing.assert_allclose(pair.U + pair.b, 2 * alone.b, rtol=1e-14)
