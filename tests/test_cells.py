"""What one step does: PyTorch's documented formulas, known limits, and cells of one's own."""

import copy

import numpy as np
import oracle
import pytest
from oracle import difference, problem

import bptt
from bptt import recurrence

ROUNDING = 1e-14  # of numbers near 1 after a handful of operations
cells = pytest.mark.parametrize("name", list(oracle.CELLS))


def test_cells_say_their_name_and_their_sizes():
    for name, cell in oracle.CELLS.items():
        assert isinstance(cell, bptt.Cell)
        assert repr(cell) == name
        assert (cell.gates, cell.parts) == (oracle.GATES[name], oracle.PARTS[name])


# PyTorch's parameters: weight_ih_l0 and weight_hh_l0 stack the gates' rows, and each gate has two
# biases. The steps below are those of the documentation of torch.nn.RNN, LSTM and GRU, one named
# matrix for each gate; PyTorch itself is not needed.

TORCH_GATES = {"ELMAN": "h", "LSTM": "ifgo", "GRU": "rzn"}


def torch_state_dict(name, d, n, rng):
    """One matrix and vector for each gate: by input (W_i, b_i) and by hidden state (W_h, b_h)."""
    weights = {}
    for gate in TORCH_GATES[name]:
        weights["W_i" + gate] = rng.uniform(-1, 1, (n, d))
        weights["W_h" + gate] = rng.uniform(-1, 1, (n, n))
        weights["b_i" + gate] = rng.uniform(-1, 1, n)
        weights["b_h" + gate] = rng.uniform(-1, 1, n)
    if name == "GRU":
        # It stands inside the product with r, where the package has no bias.
        weights["b_hn"] = np.zeros(n)
    return weights


def torch_steps(name, weights, x, state):
    """h_1 … h_T of one sequence."""

    h, c, hidden = state[0], state[-1], []
    for x_t in x:
        past = {g: weights["W_h" + g] @ h + weights["b_h" + g] for g in TORCH_GATES[name]}
        present = {g: weights["W_i" + g] @ x_t + weights["b_i" + g] for g in TORCH_GATES[name]}
        sigmoid = {g: 1 / (1 + np.exp(-past[g] - present[g])) for g in past}
        if name == "ELMAN":
            h = np.tanh(past["h"] + present["h"])
        elif name == "LSTM":
            c = sigmoid["f"] * c + sigmoid["i"] * np.tanh(past["g"] + present["g"])
            h = sigmoid["o"] * np.tanh(c)
        else:
            new = np.tanh(present["n"] + sigmoid["r"] * past["n"])
            h = (1 - sigmoid["z"]) * new + sigmoid["z"] * h
        hidden.append(h)
    return np.stack(hidden)


@cells
def test_weights_of_pytorch_can_be_loaded(name):
    T, B, d, n, rng = 6, 3, 2, 4, np.random.default_rng(11)
    weights = torch_state_dict(name, d, n, rng)
    weight_ih, weight_hh, bias_ih, bias_hh = (
        np.concatenate([weights[kind + gate] for gate in TORCH_GATES[name]])
        for kind in ("W_i", "W_h", "b_i", "b_h")
    )
    x, state = rng.standard_normal((T, B, d)), rng.standard_normal((oracle.PARTS[name], B, n))
    params = bptt.Params(W=weight_hh, U=weight_ih, b=bias_ih + bias_hh)
    run = bptt.unroll(oracle.CELLS[name], params, x, np.concatenate(list(state), axis=1))
    for m in range(B):
        expected = torch_steps(name, weights, x[:, m], state[:, m])
        assert difference(run.h[1:, m], expected) <= ROUNDING


# Limits that need no reference


def constant(name, biases=None, T=5, B=2, n=3):
    """A run with zero weights, so that each gate's bias alone acts; its first state is random."""
    gates = TORCH_GATES[name]
    b = np.concatenate([np.full(n, (biases or {}).get(gate, 0.0)) for gate in gates])
    params = bptt.Params(np.zeros((len(gates) * n, n)), np.zeros((len(gates) * n, 1)), b)
    s0 = np.random.default_rng(3).uniform(-1, 1, (B, oracle.PARTS[name] * n))
    return bptt.unroll(oracle.CELLS[name], params, np.ones((T, B, 1)), s0), s0


def test_elman_without_weights_forgets_at_once():
    run, _ = constant("ELMAN", {"h": 0.7})
    assert difference(run.h[1:], np.full((5, 2, 3), np.tanh(0.7))) <= ROUNDING
    assert not bptt.jacobians(run).any()


def test_lstm_without_weights_halves_its_cell_state():
    run, s0 = constant("LSTM")
    for t in range(1, 6):
        c = s0[:, 3:] / 2**t
        assert difference(run.s[t], np.concatenate([np.tanh(c) / 2, c], axis=1)) <= ROUNDING


def test_lstm_with_an_open_forget_gate_carries_its_cell_state_unchanged():
    run, s0 = constant("LSTM", {"f": 1e3, "i": -1e3})
    assert np.array_equal(run.s[1:, :, 3:], np.broadcast_to(s0[:, 3:], (5, 2, 3)))
    carried = bptt.jacobians(run)[:, :, 3:, 3:]
    assert np.array_equal(carried, np.broadcast_to(np.eye(3), carried.shape))


def test_gru_without_weights_halves_its_state():
    run, s0 = constant("GRU")
    for t in range(1, 6):
        assert difference(run.h[t], s0 / 2**t) <= ROUNDING


def test_gru_with_an_open_update_gate_keeps_its_state():
    run, s0 = constant("GRU", {"z": 1e3, "n": 0.5})
    assert difference(run.h[1:], np.broadcast_to(s0, (5, 2, 3))) <= ROUNDING


def test_gru_with_a_shut_update_gate_takes_the_new_state():
    run, _ = constant("GRU", {"z": -1e3, "n": 0.5})
    assert difference(run.h[1:], np.full((5, 2, 3), np.tanh(0.5))) <= ROUNDING


@cells
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_pre_activations_saturate_without_overflow(name, dtype):
    p = problem(name, T=4, B=2, d=3, n=4, gain=1e30).astype(dtype)
    run = p.run()
    assert np.isfinite(run.s).all()
    assert abs(run.h[1:]).max() > 0.5
    for a in bptt.backward(run, p.dh):
        assert np.isfinite(a).all()


@cells
@pytest.mark.parametrize("size", [1e2, 1e3, 1e30])
def test_saturated_gates_are_0_or_1_in_a_complex_run_too(name, size):
    """There the exponential must not overflow: 1/(1 + inf) is 0 for real numbers only."""
    shut = {gate: -size for gate in "iforz" if gate in TORCH_GATES[name]}
    run, s0 = constant(name, {**shut, "f": size})
    params = run.params._replace(b=run.params.b + 1e-100j)
    s = bptt.unroll(run.cell, params, run.x, s0).s
    assert difference(s.real, run.s) <= ROUNDING
    assert np.isfinite(s).all()


@pytest.mark.parametrize("size", [87, 100, 400])
def test_a_gate_that_is_nearly_shut_is_the_same_in_a_complex_run(size):
    params = bptt.Params(np.zeros((4, 1)), np.zeros((4, 1)), np.array([-size, -size, 1.0, 0.0]))

    def run(b):
        return bptt.unroll(bptt.LSTM, params._replace(b=b), np.ones((1, 1, 1)), [[0.0, 0.5]])

    assert difference(run(params.b + 0j).s, run(params.b).s) <= ROUNDING
    by_b = bptt.complex_step(lambda b: run(b).h[1:].sum(), params.b)
    assert difference(bptt.backward(run(params.b), np.ones((1, 1, 1))).b, by_b) <= ROUNDING


@cells
def test_partial_derivatives_are_the_same_for_one_step_or_many(name):
    run = problem(name, T=4, B=3, d=2, n=5).run()
    every, parts = run.partials(slice(None)), oracle.PARTS[name]
    states = [s.reshape(3, parts, 5).swapaxes(0, 1) for s in run.s]
    for t in range(4):
        one = run.cell.partials(states[t], states[t + 1], run.kept[t])
        for a, b in zip(every, one, strict=True):
            assert (a is None and b is None) or np.array_equal(a[t], b)


# A cell of one's own: the recurrence asks nothing but one step and its partial derivatives


class LeakyCell(bptt.Cell):
    """h_t = h_{t-1} / 4 + 3/4 tanh(W h_{t-1} + U x_t + b); notes how many steps are asked for."""

    parts, direct, scale, kept = 1, True, (1.0,), 1

    def __init__(self):
        self.asked = []

    def step(self, before, p, q, s, kept):
        np.tanh(p + q, out=kept)
        s[...] = before / 4 + 0.75 * kept[0]

    def partials(self, before, s, kept):
        self.asked.append(s.shape[1])
        return bptt.Partials.of([[0.75 * (1 - kept[0] ** 2), 0.25]])


class WholeLSTM(type(bptt.LSTM)):
    """The chain rule inside a step left to its table, as a cell of one's own leaves it."""

    def partials(self, before, s, kept):
        return super().partials(before, s, kept)


def test_the_chain_rule_inside_a_step_can_be_left_to_the_recurrence():
    p = problem("LSTM", T=7, B=2, d=3, n=4)
    run, whole = p.run(), bptt.unroll(WholeLSTM(), p.params, p.x, p.s0)
    oracle.agree(bptt.backward(whole, p.dh), bptt.backward(run, p.dh), 1e-13)
    (table, none), through = bptt.LSTM._chained(*run._at(slice(None)))
    assert (table.shape, none, through.shape) == ((7, 2, 1, 5, 4), None, (7, 2, 4))
    c, o = run.s[1:, :, 4:], table[..., 0, 3, :]
    assert difference(run.partials(slice(None)).p[..., 0, 3, :], o) == 0
    assert difference(through * np.tanh(c), run.h[1:] * (1 - np.tanh(c) ** 2)) <= ROUNDING


class DoubledLSTM(type(bptt.LSTM)):
    """A wrong one: its derivatives, and no shortcut of its parent's, are what must be used."""

    def partials(self, before, s, kept):
        return bptt.Partials(2 * super().partials(before, s, kept).p)


class Doubling:
    def partials(self, before, s, kept):
        return bptt.Partials(2 * super().partials(before, s, kept).p)


class MixedLSTM(Doubling, type(bptt.LSTM)):
    pass


class AssignedLSTM(type(bptt.LSTM)):
    pass


class OwnLSTM(type(bptt.LSTM)):
    def __init__(self):
        self.partials = DoubledLSTM().partials


AssignedLSTM.partials = DoubledLSTM().partials


@pytest.mark.parametrize("kind", [DoubledLSTM, MixedLSTM, AssignedLSTM, OwnLSTM])
def test_partials_are_never_passed_by_for_the_shortcut_of_a_parent(kind):
    p = problem("LSTM", T=7, B=2, d=3, n=4)
    doubled = bptt.unroll(kind(), p.params, p.x, p.s0)
    oracle.agree(bptt.backward(doubled, p.dh), bptt.truncated(doubled, p.dh, 7), 1e-13)
    assert difference(bptt.backward(doubled, p.dh).W, bptt.backward(p.run(), p.dh).W) > 0.1


@pytest.mark.parametrize(
    "function",
    [
        bptt.backward,
        bptt.rtrl,
        bptt.summands,
        lambda run, dh: bptt.truncated(run, dh, 3),
        lambda run, dh: bptt.sensitivity(run),
        lambda run, dh: bptt.jacobians(run),
    ],
)
def test_partial_derivatives_are_computed_once_for_each_step(function):
    leaky, (_, params, x, s0, dh) = LeakyCell(), problem("ELMAN", T=7, B=2, d=3, n=4)
    function(bptt.unroll(leaky, params, x, s0), dh)
    assert sum(leaky.asked) == 7


@pytest.mark.parametrize(
    ("block", "lengths"), [(0, [1] * 7), (8, [1] * 7), (24, [1, 3, 3]), (56, [7]), (1000, [7])]
)
def test_backward_holds_the_tables_of_one_block_of_steps(block, lengths, monkeypatch):
    """One gate of one step has B n = 8 numbers; the blocks are taken from the end."""
    monkeypatch.setattr(recurrence, "BLOCK", block)
    leaky, (_, params, x, s0, dh) = LeakyCell(), problem("ELMAN", T=7, B=2, d=3, n=4)
    bptt.backward(bptt.unroll(leaky, params, x, s0), dh)
    assert leaky.asked == lengths


LAID = {
    "column by column": np.asfortranarray,
    "with gaps": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: a[..., ::-1].copy()[..., ::-1],
}


@pytest.mark.parametrize("laid", LAID.values(), ids=LAID)
def test_a_table_may_lie_in_memory_as_it_likes(laid):
    class Laid(LeakyCell):
        def partials(self, before, s, kept):
            return bptt.Partials(laid(super().partials(before, s, kept).p))

    _, params, x, s0, dh = problem("ELMAN", T=7, B=2, d=3, n=4)
    plain, laid = (
        bptt.backward(bptt.unroll(cell, params, x, s0), dh) for cell in (LeakyCell(), Laid())
    )
    assert all(np.array_equal(a, b) for a, b in zip(plain, laid, strict=True))


class Keeping(type(bptt.ELMAN)):
    """Keeps its derivative at each step, and hands out a view of it."""

    kept = 1

    def step(self, before, p, q, s, kept):
        np.tanh(p + q, out=s)
        np.subtract(1, s * s, out=kept)

    def partials(self, before, s, kept):
        return bptt.Partials(kept[0][..., None, None, :])


def test_a_table_may_be_a_view_of_what_the_run_keeps():
    _, params, x, s0, dh = problem("ELMAN", T=7, B=2, d=3, n=4)
    run = bptt.unroll(Keeping(), params, x, s0)
    kept, expected = run.kept.copy(), bptt.backward(bptt.unroll(bptt.ELMAN, params, x, s0), dh)
    for same in (run, run, copy.deepcopy(run)):
        oracle.agree(bptt.backward(same, dh), expected, 1e-13)
        assert np.array_equal(same.kept, kept)


def test_derivatives_by_q_may_be_a_view_of_those_by_p():
    class Shared(LeakyCell):
        def partials(self, before, s, kept):
            p = super().partials(before, s, kept).p
            return bptt.Partials(p, p[..., :1, :])

    _, params, x, s0, dh = problem("ELMAN", T=7, B=2, d=3, n=4)
    plain, shared = (
        bptt.backward(bptt.unroll(cell, params, x, s0), dh) for cell in (LeakyCell(), Shared())
    )
    oracle.agree(shared, plain, 1e-13)


def test_a_cell_of_ones_own_has_every_derivative():
    leaky, (_, params, x, s0, dh) = LeakyCell(), problem("ELMAN", T=5, B=2, d=3, n=4)
    assert (repr(leaky), leaky.gates) == ("LEAKY", 1)
    run = bptt.unroll(leaky, params, x, s0)
    for t in range(5):
        a = run.h[t] @ params.W.T + x[t] @ params.U.T + params.b
        assert difference(run.h[t + 1], run.h[t] / 4 + 0.75 * np.tanh(a)) <= ROUNDING

    def loss(**changed):
        arguments = {**params._asdict(), "x": x, "s0": s0, **changed}
        moved = bptt.Params(*(arguments.pop(key) for key in "WUb"))
        return (dh * bptt.unroll(leaky, moved, **arguments).h[1:]).sum()

    values = {**params._asdict(), "x": x, "s0": s0}
    expected = bptt.Gradients(
        **{
            key: bptt.complex_step(lambda a, key=key: loss(**{key: a}), value)
            for key, value in values.items()
        }
    )
    parameters = expected._replace(x=None, s0=None)
    oracle.agree(bptt.backward(run, dh), expected, 1e-12)
    oracle.agree(bptt.truncated(run, dh, 5), expected, 1e-12)
    oracle.agree(bptt.rtrl(run, dh), parameters, 1e-12)
    summed = (a.sum(axis=0) for a in bptt.summands(run, dh)[:3])
    oracle.agree(bptt.Gradients(*summed), parameters, 1e-12)
    contracted = np.einsum("tmi,tmijl->jl", dh, bptt.sensitivity(run)[1:])
    assert difference(contracted, expected.W) <= 1e-12
    adjoint = np.zeros_like(s0)
    for J, dh_t in zip(bptt.jacobians(run)[::-1], dh[::-1], strict=True):
        adjoint = np.einsum("mij,mi->mj", J, adjoint + dh_t)
    assert difference(adjoint, expected.s0) <= 1e-12
