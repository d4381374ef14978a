"""The explorables: their arithmetic against the package, their scripts, and which pages load them.

Node runs the arithmetic; the package, which knows nothing of it, gives the other side. What the
reader's hands do with them is tested in a browser, with the site.
"""

import gzip
import itertools
import json
import math
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from docutils import nodes
from numpy.testing import assert_allclose
from tape import TAPE

from booktools import bundle, explorables
from booktools.mathematics import node
from booktools.passage import DIGITS, LAGS, MOST, Passage, digits, use
from bptt import (
    ELMAN,
    GRU,
    LSTM,
    Params,
    backward,
    cross_entropy,
    init_network,
    jacobians,
    softmax,
    summands,
    truncated,
    unroll,
)
from bptt.cells import ElmanCell, Partials
from bptt.examples import example
from experiments import reading

ROOT = Path(__file__).parents[2]
CALL = """
globalThis.matchMedia = () => ({});
const modules = await Promise.all(process.argv.slice(1).map((file) => import(file)));
const known = Object.assign({}, ...modules);
const calls = JSON.parse(await new Response(process.stdin).text());
process.stdout.write(JSON.stringify(calls.map(([name, ...given]) => known[name](...given))));
"""


def javascript(*calls):
    """What functions of arithmetic.mjs and shared.mjs return: one [name, *arguments] for each."""
    files = [(explorables.FOLDER / f"{name}.mjs").as_uri() for name in ("arithmetic", "shared")]
    command = [str(node()), "--input-type=module", "--eval", CALL, *files]
    run = subprocess.run(
        command, input=json.dumps(calls), check=True, capture_output=True, encoding="utf-8"
    )
    return json.loads(run.stdout)


def close(found, expected):
    """Equal to 1e-12; the sizes below let no sum of at most nine terms lose more."""
    assert_allclose(np.array(found, float), expected, rtol=1e-12, atol=1e-15)


class Identity(ElmanCell):
    """The cell without its nonlinearity."""

    def step(self, before, p, q, s, kept):
        np.add(p[0], q[0], out=s)

    def partials(self, before, s, kept):
        return Partials.of([[np.ones_like(s[0])]])


class ReLU(ElmanCell):
    """The positive part."""

    def step(self, before, p, q, s, kept):
        np.maximum(p[0] + q[0], 0, out=s)

    def partials(self, before, s, kept):
        return Partials.of([[(s[0] > 0).astype(s.dtype)]])


CELLS = {"tanh": ELMAN, "identity": Identity(), "ReLU": ReLU()}


def networks(sigma, count=40):
    """Random networks of one unit, of every length; no pre-activation passes 3 in size."""
    rng = np.random.default_rng(len(sigma))
    for i in range(count):
        w, u, h0 = rng.uniform([-1.5, -1, -1], [1.5, 1, 1])
        yield {
            "sigma": sigma,
            "w": w,
            "u": u,
            "h0": h0,
            "x": list(rng.uniform(-1.5, 1.5, 1 + i % 9)),
        }


def run(network, cell, h0=None, start=0):
    """The package's run of the same network, from step ``start`` on."""
    params = Params(np.array([[network["w"]]]), np.array([[network["u"]]]), np.zeros(1))
    x = np.reshape(network["x"][start:], (-1, 1, 1))
    return unroll(cell, params, x, np.array([[network["h0"] if h0 is None else h0]]))


def last(steps):
    """The derivative with respect to the last state of a run, and to no other."""
    dh = np.zeros((steps, 1, 1))
    dh[-1] = 1
    return dh


@pytest.mark.parametrize("sigma", CELLS)
def test_states_and_summands(sigma):
    cases = list(networks(sigma))
    for network, found in zip(cases, javascript(*(["summands", c] for c in cases)), strict=True):
        unrolled = run(network, CELLS[sigma])
        dh = last(len(network["x"]))
        close(found["h"], unrolled.h[:, 0, 0])
        close(found["terms"], summands(unrolled, dh).W[:, 0, 0])
        close(sum(found["terms"]), backward(unrolled, dh).W[0, 0])


def test_the_logistic_unit_is_a_tanh_unit_in_other_coordinates():
    # g = 2 h - 1 is tanh of half the pre-activation: weights w/4 and u/2, bias w/4
    cases = list(networks("logistic"))
    for network, found in zip(cases, javascript(*(["summands", c] for c in cases)), strict=True):
        w, dh = network["w"], last(len(network["x"]))
        params = Params(np.array([[w / 4]]), np.array([[network["u"] / 2]]), np.array([w / 4]))
        x = np.reshape(network["x"], (-1, 1, 1))
        unrolled = unroll(ELMAN, params, x, np.array([[2 * network["h0"] - 1]]))
        close(found["h"], (unrolled.h[:, 0, 0] + 1) / 2)
        by_lag = summands(unrolled, dh)
        close(found["terms"], (by_lag.W[:, 0, 0] + by_lag.b[:, 0]) / 8)


@pytest.mark.parametrize("sigma", CELLS)
def test_paths_from_any_output_to_any_earlier_state_and_use_of_the_weight(sigma):
    cases, expected, calls = list(networks(sigma, 9)), [], []
    for network, forward in zip(cases, javascript(*(["unroll", c] for c in cases)), strict=True):
        h = run(network, CELLS[sigma]).h[:, 0, 0]
        for s in range(1, len(h)):
            part = {**network, "x": network["x"][:s]}
            by_lag = summands(run(part, CELLS[sigma]), last(s)).W[:, 0, 0]
            for k in range(
                s
            ):  # restart from h_k and differentiate with respect to this initial state
                restarted = run(part, CELLS[sigma], h[k], k)
                calls += [["path", forward, network["w"], s, k, False]]
                calls += [["path", forward, network["w"], s, k + 1, True]]
                expected += [backward(restarted, last(s - k)).s0[0, 0], by_lag[s - k - 1]]
    factors = javascript(*calls)
    close([math.prod(list_) for list_ in factors], expected)
    assert [len(list_) for list_ in factors] == [s - k + at_w for *_, s, k, at_w in calls]


@pytest.mark.parametrize("complex_pair", [True, False])
def test_matrix_has_the_eigenvalues_and_the_departure_from_normality(complex_pair):
    rng = np.random.default_rng(7)
    cases = [([a, abs(b) if complex_pair else b], c) for a, b, c in rng.uniform(-1.5, 1.5, (50, 3))]
    cases = [(pair, abs(c)) for pair, c in cases] + [([0.5, 0.3], 0), ([-1.2, 1.5], 3)]
    calls = (["schur", {"complex": complex_pair, "pair": pair, "c": c}] for pair, c in cases)
    for (pair, c), W in zip(cases, javascript(*calls), strict=True):
        W, (a, b) = np.array(W), pair
        wanted = np.array([a - 1j * b, a + 1j * b] if complex_pair else sorted(pair))
        close(np.poly(W), np.poly(wanted).real)
        assert_allclose(np.sort_complex(np.linalg.eigvals(W)), wanted, atol=1e-7)
        assert_allclose((W**2).sum() - (abs(wanted) ** 2).sum(), c**2, rtol=1e-12, atol=1e-12)


def test_vectors_are_products_of_the_jacobians_of_the_run():
    rng = np.random.default_rng(8)
    cases = [(rng.uniform(-1, 1, (2, 2)), g, rng.standard_normal(2)) for g in (0, 0.3, 1, 1.5) * 5]
    inputs = javascript(*(["inputs", g, 12] for _, g, _ in cases))
    calls = (
        ["vectors", W.tolist(), x, v.tolist()] for (W, _, v), x in zip(cases, inputs, strict=True)
    )
    for (W, g, v), x, found in zip(cases, inputs, javascript(*calls), strict=True):
        assert_allclose(np.linalg.norm(x, axis=1), g, rtol=1e-14)
        unrolled = unroll(ELMAN, Params(W, np.eye(2), np.zeros(2)), np.array(x, float)[:, None])
        expected = [v]
        for J in jacobians(unrolled)[:, 0]:
            expected.append(J @ expected[-1])
        assert_allclose(found["dh"], expected, rtol=1e-12, atol=1e-12)
        close(found["D"][1:], 1 - unrolled.h[1:, 0] ** 2)


def balancing(plus, steps):
    """Influence balancing as a run of the package, and v: the input 1 has the weights theta v."""
    v = np.where(np.arange(23) < plus, 1.0, -1.0)
    params = Params(0.5 * (np.eye(23) + np.eye(23, k=1)), v[:, None], np.zeros(23))
    dh = np.zeros((steps, 1, 23))
    dh[-1, 0, 0] = 1
    return unroll(Identity(), params, np.ones((steps, 1, 1))), dh, v


@pytest.mark.parametrize("plus", [0, 3, 10, 12, 23])
def test_what_windows_and_segments_keep_of_influence_balancing(plus):
    terms = javascript(["influence", plus, 60])[0]
    window, segments = javascript(["kept", terms, False], ["kept", terms, True])
    run, dh, v = balancing(plus, 60)
    close(terms, summands(run, dh).U[:, :, 0] @ v)
    truth = [truncated(run, dh, K).U[:, 0] @ v for K in range(1, 61)]
    assert_allclose(window, truth, rtol=0, atol=1e-12)
    assert_allclose(segments, [np.mean(truth[:K]) for K in range(1, 61)], rtol=0, atol=1e-12)
    for K in (1, 7, 60):
        for values, cut in ((window, False), (segments, True)):
            shares = javascript(*(["share", lag, K, cut] for lag in range(60)))
            assert_allclose(np.dot(shares, terms), values[K - 1], rtol=0, atol=1e-12)


def test_the_sum_that_changes_its_sign():
    # Tallec and Ollivier 2017, with numbers of the chapter
    terms = javascript(["influence", 10, 200])[0]
    window, segments = map(np.array, javascript(["kept", terms, False], ["kept", terms, True]))
    assert (round(window[18], 2), window.max()) == (16.48, window[18])
    assert np.flatnonzero(window < 0)[0] + 1 == 41
    assert_allclose(window[-1], -6, rtol=0, atol=1e-12)
    assert [round(segments[K - 1], 2) for K in (100, 200)] == [0.58, -2.71]
    assert segments[109] < 0 < segments[99]


def two_units(seed, size):
    """A contracting network of two units, where it may rest, and inputs of this size."""
    rng = np.random.default_rng([seed, round(10 * size)])
    W, rest = rng.uniform(-0.6, 0.6, (2, 2)), rng.uniform(-0.9, 0.9, 2)
    x = size * rng.standard_normal((40, 2))
    return W, rest, x


@pytest.mark.parametrize("size", [0, 0.5, 2])
def test_two_units_have_the_slopes_the_gradient_and_the_exponent_of_the_package(size):
    for W, rest, x in (two_units(seed, size) for seed in range(5)):
        D = javascript(["slopes", W.tolist(), rest.tolist(), x.tolist()])[0]
        norms, rate = javascript(["reach", W.tolist(), D, 30], ["growth", W.tolist(), D])
        params = Params(W, np.eye(2), np.arctanh(rest) - W @ rest)
        J = jacobians(unroll(ELMAN, params, x[:, None], rest[None]))[:, 0]
        close(scaled := np.array(D)[:, :, None] * W, J)
        assert scaled.shape == (40, 2, 2)
        product, expected = np.eye(2), [1.0]
        for Jacobian in J[:9:-1]:
            product = product @ Jacobian
            expected.append(np.linalg.norm(product, 2))
        assert_allclose(norms, expected, rtol=1e-12)
        whole = np.linalg.multi_dot([*J[::-1], np.sqrt([0.5, 0.5])])
        assert_allclose(rate, np.linalg.norm(whole) ** (1 / 40), rtol=1e-12)


def test_singular_value_and_spectral_radius():
    rng = np.random.default_rng(9)
    matrices = rng.uniform(-3, 3, (200, 2, 2))
    stretches = javascript(*(["stretch", W.tolist()] for W in matrices))
    assert_allclose(stretches, np.linalg.norm(matrices, 2, axis=(1, 2)), rtol=1e-12)
    radii = javascript(*(["radius", W.tolist()] for W in matrices))
    # by the characteristic polynomial, for eigenvalues near a double one lose half their digits
    sizes = [abs(np.roots([1, -np.trace(W), np.linalg.det(W)])).max() for W in matrices]
    assert_allclose(radii, sizes, rtol=1e-9)
    bump = [[8, 8], [-8, -8]]
    assert javascript(["radius", bump], ["stretch", bump]) == [0, 16]


def test_gradients_double_where_all_eigenvalues_are_zero():
    D = javascript(["slopes", [[8, 8], [-8, -8]], [0, 0.5], [[0, 0]] * 30])[0]
    norms = javascript(["reach", [[8, 8], [-8, -8]], D, 30])[0]
    J = np.array([[8.0, 8.0], [-6.0, -6.0]])
    close(norms[1:], np.linalg.norm(J, 2) * 2.0 ** np.arange(30))


ASSIGNED = {"": (), "W": ("given",), "h": ("tanh",), "W h": ("given", "tanh")}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("places", ASSIGNED)
def test_what_a_tape_keeps_where_it_assigns(places, late):
    for T in (1, 2, 6):
        run, g = example(ELMAN, T, 1, 2, 2, seed=T)
        given = {"W": run.params.W.tolist(), "h0": run.s[0, 0].tolist(), "g": g[:, 0].tolist()}
        x = (run.x @ run.params.U.T + run.params.b)[:, 0].tolist()
        found = javascript(["swept", {**given, "x": x, "assign": places.split(), "late": late}])[0]
        for one in found:  # each is the summand of its pair
            dh = np.where(np.arange(1, T + 1)[:, None, None] == one["t"], g, 0)
            close(one["term"], summands(run, dh).W[one["t"] - one["k"]].ravel())
        program = TAPE["late" if late else "loss"]
        left = TAPE["gradients"](run, g, program, ASSIGNED[places])[0]
        close(np.sum([one["term"] for one in found], axis=0), left.ravel())
        assert len({(one["t"], one["k"]) for one in found}) == len(found)
        kept = {"": T * (T + 1) // 2, "W": T, "h": T, "W h": 1}
        assert len(found) == kept[places]


def gated(w, chosen):
    """The package's run of one LSTM unit whose gates are put by its inputs; w has i, f, g, o."""
    i, f, g, o = np.transpose(chosen)
    wanted = np.transpose([*np.log([i / (1 - i), f / (1 - f)]), np.arctanh(g), np.log(o / (1 - o))])
    params, state, x = Params(np.reshape(w, (4, 1)), np.eye(4), np.zeros(4)), np.zeros((1, 2)), []
    for a in wanted:
        x.append((a - np.array(w) * state[0, 0])[None])
        state = unroll(LSTM, params, np.array(x[-1:]), state).s[-1]
    return unroll(LSTM, params, np.array(x))


@pytest.mark.parametrize("T", [2, 3, 10])
def test_paths_through_the_gates_of_an_lstm(T):
    rng = np.random.default_rng(T)
    for _ in range(5):
        w = rng.uniform(-2, 2, 4)
        chosen = rng.uniform(0.05, 0.95, (T, 4)) * [1, 1, rng.choice([-1, 1]), 1]
        found = javascript(["carousel", {"w": w.tolist(), "gates": chosen.tolist()}])[0]
        run = gated(w, chosen)
        assert_allclose(np.transpose([found["h"], found["c"]]), run.s[:, 0], rtol=1e-12, atol=1e-14)
        # with one weight alone, and inputs that make up for it, the Jacobians differ by its gate
        alone = [gated(np.where(np.arange(4) == k, w, 0), chosen) for k in range(4)]
        J, direct = jacobians(run)[:, 0], jacobians(gated(0 * w, chosen))[:, 0]
        by = [direct, *(jacobians(one)[:, 0] - direct for one in alone)]
        into = [np.array([chosen[0, 3] * (1 - np.tanh(run.s[1, 0, 1]) ** 2), 1])]
        for Jacobian in J[1:]:
            into.append(Jacobian @ into[-1])
        out, plain = np.array([1.0, 0.0]), np.array([1.0, 0.0])
        parts, flows = np.zeros(5), {}
        for t in range(T, 1, -1):
            flows[t] = [out @ part[t - 1] @ into[t - 2] for part in by]
            parts[1:] += [plain @ part[t - 1] @ into[t - 2] for part in by[1:]]
            out, plain = out @ J[t - 1], plain @ direct[t - 1]
        parts[0] = plain @ into[0]
        paths = javascript(["paths", found])[0]
        for t, flow in flows.items():
            assert_allclose(paths["flows"][t], flow, rtol=1e-12, atol=1e-14)
            assert_allclose(sum(flow), paths["whole"], rtol=1e-12, atol=1e-14)
        assert_allclose(paths["parts"], parts, rtol=1e-12, atol=1e-14)
        assert_allclose(paths["whole"], into[-1][0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("T", range(1, 18))
def test_the_tree_of_a_scan_has_the_states_and_the_adjoints_of_the_package(T):
    rng = np.random.default_rng(T)
    a, h0 = rng.uniform(-1.1, 1.1, 2)
    b, dh = rng.standard_normal((2, T))
    ways = [[a] * T, b.tolist()], [[0, *[a] * (T - 1)], dh[::-1].tolist()]
    forward, back = javascript(*(["scanRounds", *way] for way in ways))
    params = Params(np.array([[a]]), np.ones((1, 1)), np.zeros(1))
    run = unroll(CELLS["identity"], params, b[:, None, None], np.array([[h0]]))
    close(np.array(forward[-1]["a"]) * h0 + forward[-1]["b"], run.h[1:, 0, 0])
    close(back[-1]["b"][::-1], backward(run, dh[:, None, None]).x[:, 0, 0])
    for before, now in itertools.pairwise(forward):
        used = [place for join in now["joins"] for place in join]
        assert len(used) == len({*used}), "what a round joins is independent"
        for start, end in now["joins"]:
            assert before["first"][end] == start + 1, "a pair begins where the one before it ends"
    assert forward[-1]["first"] == [0] * T
    power = T.bit_length() - 1
    if 2**power == T:
        joins = sum(len(now["joins"]) for now in forward)
        assert (len(forward) - 1, joins) == (max(2 * power - 1, 0), 2 * T - 2 - power)


class Leaky(ElmanCell):
    """Units that move a part a of the way to their new value."""

    direct, kept = 1, 1

    def __init__(self, a):
        self.a = a

    def step(self, before, p, q, s, kept):
        np.tanh(p + q, out=kept)
        s[...] = (1 - self.a) * before + self.a * kept

    def partials(self, before, s, kept):
        return Partials.of([[self.a * (1 - kept[0] ** 2), 1 - self.a]])


@pytest.mark.parametrize("a", [0.05, 0.3, 1])
def test_what_online_rules_keep_of_leaky_units(a):
    networks = javascript(["drawn", 3, 4, 12])[0]
    for network in networks:
        W, u, x, g = (np.array(network[name]) for name in "Wuxg")
        params = Params(W, u[:, None], np.zeros(4))
        run, dh = unroll(Leaky(a), params, x[:, None, None]), np.zeros((12, 1, 4))
        dh[-1] = g
        whole = summands(run, dh).W
        for S, window in ((W, 12), (np.diag(np.diag(W)), 12), (0 * W, 12), (W, 5)):
            kept = summands(run._replace(params=params._replace(W=S)), dh).W
            kept[window:] = 0
            found = javascript(["online", network, a, S.tolist(), window])[0]
            for lag, one in enumerate(found["lags"][:-1]):  # the last meets h_0 = 0
                lengths = np.linalg.norm(whole[lag]), np.linalg.norm(kept[lag])
                close([one["whole"], one["kept"]], lengths)
                turn = (whole[lag] * kept[lag]).sum() / (np.prod(lengths) or 1)
                assert_allclose(one["cosine"], turn, rtol=1e-12, atol=1e-12)
            sums = whole.sum(axis=0), kept.sum(axis=0)
            turn = (sums[0] * sums[1]).sum() / np.linalg.norm(sums[0]) / np.linalg.norm(sums[1])
            assert_allclose(found["cosine"], turn, rtol=1e-12)


def test_draws_of_the_online_rules_have_mean_0_and_variance_1():
    (network,) = javascript(["drawn", 1, 60, 4000])[0]
    for name, scale in (("W", 60**0.5), ("x", 1)):
        values = scale * np.array(network[name]).ravel()
        assert_allclose([values.mean(), values.var()], [0, 1], atol=0.08)
    assert javascript(["median", [3, 1, 2]], ["median", [4, 1, 2, 3]]) == [2, 2.5]


def test_numbers_go_to_the_page_in_digits():
    shares = np.append(np.random.default_rng(0).uniform(0, 1, 50), [0, 1])
    for width in (1, 2):
        text = digits(shares, width)
        assert {*text} <= {*DIGITS}
        found = javascript(*(["digits", text, width, k] for k in range(52)))
        assert_allclose(found, shares, rtol=0, atol=0.5000001 / (64**width - 1))
    with pytest.raises(ValueError, match=r"shares: got .* to 1.5, needs 0 to 1"):
        digits([0.2, 1.5], 2)


def readers():
    """Networks of every cell, and a text of seven characters for them."""
    rng = np.random.default_rng(4)
    for cell in (ELMAN, LSTM, GRU):
        network = init_network(cell, 7, 6, 7, rng=rng)
        yield cell, network._replace(W=2 * network.W, V=3 * network.V), rng.integers(0, 7, 60)


def by_whole_sweeps(cell, network, code, t):
    """Of the prediction of character t, the gradient by lag and the probabilities."""
    run = unroll(cell, Params(*network[:3]), np.eye(7)[code[:t]][:, None])
    z = run.h[-1] @ network.V.T + network.c
    dh = np.zeros_like(run.h[1:])
    dh[-1] = cross_entropy(z, code[t : t + 1])[1] @ network.V
    return np.linalg.norm(backward(run, dh).x[::-1, 0], axis=1), softmax(z[0])


def test_what_a_prediction_uses():
    for cell, network, code in readers():
        found = use(cell, network, code, 50, lags=20)
        for n, t in enumerate(range(50, 60)):
            by_lag, y = by_whole_sweeps(cell, network, code, t)
            assert_allclose(found.by_lag[:, n], by_lag[:20], rtol=1e-12, atol=1e-15)
            assert_allclose(found.y[n], y, rtol=1e-12)
        with pytest.raises(ValueError, match="first: got 19, needs 20 or more"):
            use(cell, network, code, 19, lags=20)


def test_the_page_has_what_the_package_finds_to_half_a_digit():
    for cell, network, code in readers():
        passage = Passage("ab c\nde", code, 5, 50, {"one": (cell, network)})
        (one,), first = passage.data["networks"], passage.data["first"]
        assert passage.data["text"] == "".join("ab c\nde"[c] for c in code[5:])
        kinds = (("used", 1, LAGS), ("chances", 2, 5), ("bits", 2, 1))
        asked = [
            ["digits", one[key], width, k] for key, width, many in kinds for k in range(10 * many)
        ]
        told = np.split(javascript(*asked), np.cumsum([10 * many for _, _, many in kinds])[:-1])
        all_roots, all_chances, all_bits = (part.reshape(10, -1) for part in told)
        for n, t in enumerate(range(50, 60)):
            assert passage.data["text"][first + n] == "ab c\nde"[code[t]]
            by_lag, y = by_whole_sweeps(cell, network, code, t)
            roots, chances, bits = all_roots[n], all_chances[n], all_bits[n]
            assert_allclose(roots, np.sqrt(by_lag[:LAGS] / by_lag.max()), atol=0.5001 / 63, rtol=0)
            assert_allclose(chances, np.sort(y)[:1:-1], atol=0.5001 / 4095, rtol=0)
            assert_allclose(MOST * bits[0], -np.log2(y[code[t]]), atol=0.5001 * MOST / 4095, rtol=0)
            letters = one["guesses"][5 * n : 5 * n + 5]
            assert_allclose([y["ab c\nde".index(letter)] for letter in letters], np.sort(y)[:1:-1])


def test_data_leave_the_page_for_a_script_of_their_own(tmp_path):
    cell, network, text = next(readers())
    passage = Passage("ab<\ncde", text, 5, 50, {"one": (cell, network)})
    assert "<" not in passage._repr_html_()[1:].split("</script>")[0].split(">", 1)[1]
    raw = nodes.container("", nodes.raw("", passage._repr_html_() + "\n", format="html"))
    bundle = nodes.container("", nodes.container("", nodes.Text(repr(passage))), raw)
    output = nodes.container("", bundle, nb_element="cell_code_output")
    code, figure = nodes.container(), nodes.container(classes=["tag_explorable-reading"])
    tree = nodes.section("", nodes.container("", code, output), figure)
    explorables.take_data(SimpleNamespace(), tree)
    assert tree[0].children == [code]
    (tmp_path / "_static").mkdir()
    names = {"common.js": "common.0.js", "reading.js": "reading.0.js", "explorables.css": "e.css"}
    app = SimpleNamespace(config=SimpleNamespace(bundles=names), outdir=tmp_path)
    context = {"styles": [], "scripts": []}
    explorables.load(app, "page", "page.html", context, tree)
    common, data, own = context["scripts"]
    assert (common, own) == ("common.0.js", "reading.0.js")
    script = (tmp_path / "_static" / data).read_text(encoding="utf-8")
    found = json.loads(script.removeprefix("explorables.data=").removesuffix(";\n"))
    assert found == passage.data


def test_the_places_that_buttons_lead_to_are_in_the_passage():
    chapter = (ROOT / "book" / "reading.md").read_text(encoding="utf-8")
    text = reading.corpus().text(reading.corpus().held_out)
    shown, end = (text.index(words) for words in re.findall(r'held\.index\("(.*?)"\)', chapter))
    script = (explorables.FOLDER / "reading.mjs").read_text(encoding="utf-8")
    places = re.findall(r'after\("(.*?)"\)', script)
    assert len(places) == 3
    passage = text[shown:end]
    assert min(passage.index(words) + len(words) for words in places) >= 40


def test_numbers_are_shown_to_three_digits_or_as_a_power_of_ten():
    shown = {0: "0", -0.5: "−0.5", 2 / 3: "0.667", 0.00123456: "0.00123", 9876: "9880"}
    shown |= {-0.000123: "−1.2×10⁻⁴", 1.06e7: "1.1×10⁷", -4e-12: "−4×10⁻¹²"}
    assert javascript(*(["show", value] for value in shown)) == list(shown.values())


def test_scales_hold_what_they_are_made_for():
    values = np.geomspace(1e-9, 1e9, 97)
    for value, top in zip(values, javascript(*(["nice", v] for v in values)), strict=True):
        assert value * (1 - 1e-8) <= top <= 2.5 * value


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """The explorables as they are bundled: name and text."""
    folder = tmp_path_factory.mktemp("bundles")
    names = bundle.run(ROOT, explorables.entries(), {}, folder)
    return {name: (folder / hashed).read_text(encoding="utf-8") for name, hashed in names.items()}


def test_scripts_are_small_and_stand_alone(bundles):
    assert {*bundles} == {"explorables.css", "common.js", *(f"{n}.js" for n in explorables.NAMES)}
    scripts = [text for name, text in bundles.items() if name.endswith(".js")]
    sizes = [len(gzip.compress(script.encode(), 9)) for script in scripts]
    assert max(sizes) < 6_000  # a page loads one, and common.js
    assert sum(sizes) < 36_000
    for script in scripts:
        assert not re.search(
            r"\b(import|export|eval)\b|innerHTML|https?://(?!www\.w3\.org)", script
        )


def test_what_is_shared_is_there_once(bundles):
    words = "Reset"  # of shared.mjs
    assert [name for name, text in bundles.items() if words in text] == ["common.js"]


@pytest.mark.parametrize("name", explorables.NAMES)
def test_scripts_run_as_classic_scripts(bundles, name):
    # a page without explorables, of which the scripts need no more than this
    page = "const matchMedia = () => ({}), document = { querySelectorAll: (s) => (asked = s, []) };"
    page += "class IntersectionObserver {} let asked;"
    text = f"{page}\n{bundles['common.js']}\n{bundles[f'{name}.js']}\nconsole.log(asked);"
    run = subprocess.run([str(node()), "-"], input=text, capture_output=True, encoding="utf-8")
    assert (run.stdout, run.stderr) == (f".tag_explorable-{name} figure\n", "")


def test_pages_load_what_they_show_and_no_more():
    names = {f"{name}.js": f"{name}.0.js" for name in ("common", *explorables.NAMES)}
    config = SimpleNamespace(bundles={**names, "explorables.css": "explorables.0.css"})

    def loaded(*cells):
        tree = nodes.section("", *(nodes.container(classes=classes) for classes in cells))
        context = {"styles": ["book.css"], "scripts": ["book.js"]}
        app = SimpleNamespace(config=config, outdir="")
        explorables.load(app, "page", "page.html", context, tree)
        return context["styles"][1:] + context["scripts"][1:]

    assert loaded(["cell", "tag_explorables"], ["explorable-matrix"]) == []
    assert loaded(
        ["cell", "tag_explorable-matrix"], ["cell", "tag_hide", "tag_explorable-summands"]
    ) == [
        "explorables.0.css",
        "common.0.js",
        "matrix.0.js",
        "summands.0.js",
    ]


def test_chapters_ask_only_for_explorables_that_exist():
    asked = {
        name
        for chapter in (ROOT / "book").glob("*.md")
        for name in re.findall(r"\bexplorable-(\w+)", chapter.read_text())
    }
    assert asked <= {*explorables.NAMES}
