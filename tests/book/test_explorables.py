"""The explorables: their arithmetic against the package, their scripts, and which pages load them.

Node runs the arithmetic; the package, which knows nothing of it, gives the other side. What the
reader's hands do with them is tested in a browser, with the site.
"""

import gzip
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

from booktools import bundle, explorables
from booktools.mathematics import node
from bptt import ELMAN, Params, backward, jacobians, summands, unroll
from bptt.cells import ElmanCell, Partials

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
    """The derivative by the last state of a run, and by no other."""
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
            for k in range(s):  # restart from h_k and differentiate by this first state
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
    assert sum(len(gzip.compress(script.encode(), 9)) for script in scripts) < 14_000
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
        explorables.load(SimpleNamespace(config=config), "page", "page.html", context, tree)
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
