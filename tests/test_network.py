"""Networks: outputs, the loss and its gradients, and what a loss of one's own may return."""

import pickle

import autograd
import autograd.numpy as anp
import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import bptt
from bptt import Batch, Descent, Network, OutOfRange
from bptt.examples import along

CELLS = pytest.mark.parametrize("name", list(oracle.CELLS))
LOSSES = {"labels": bptt.cross_entropy, "numbers": bptt.mean_squared_error}


class Case:
    """A cell, a network and a batch in which sequences end early and one has no target at all."""

    def __init__(self, name, kind="labels", T=6, B=4, d=2, n=3, m=5, seed=0):
        rng = np.random.default_rng(seed)
        self.problem = oracle.problem(name, T, B, d, n, seed)
        self.cell, self.s0, self.loss = self.problem.cell, self.problem.s0, LOSSES[kind]
        self.network = Network(
            *self.problem.params, rng.uniform(-1, 1, (m, n)), rng.uniform(-1, 1, m)
        )
        counts = rng.random((T, B)) < 0.7
        counts[:, 1], counts[-1, 0] = False, True
        target = rng.integers(0, m, (T, B)) if kind == "labels" else rng.normal(size=(T, B, m))
        self.batch = Batch(self.problem.x, target, counts)

    def descent(self, **others):
        return bptt.loss_and_gradients(
            self.cell, self.network, self.batch, self.loss, self.s0, **others
        )

    def oracle(self, W, U, b, V, c):
        """The loss, from the textbook's cells, one row at a time."""
        x, target, counts = self.batch
        T = len(x)
        s = oracle.states(self.problem.name, [W] * T, [U] * T, [b] * T, x, self.s0)
        total = 0.0
        for t, r in np.argwhere(counts):
            z = anp.dot(V, s[t + 1][r, : W.shape[1]]) + c
            if self.loss is bptt.cross_entropy:
                total = total + anp.log(anp.sum(anp.exp(z))) - z[target[t, r]]
            else:
                total = total + anp.mean((z - target[t, r]) ** 2)
        return total / counts.sum()


# Networks and their gradients


@CELLS
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("sizes", [{}, {"T": 1, "B": 2, "d": 1, "n": 1, "m": 2}])
def test_loss_and_gradients(name, kind, sizes):
    case = Case(name, kind, **sizes)
    found = case.descent()
    assert type(found) is Descent
    assert type(found.gradients) is Network
    assert found.loss == pytest.approx(case.oracle(*case.network), rel=1e-13)
    reference = autograd.grad(case.oracle, argnum=(0, 1, 2, 3, 4))(*case.network)
    for ours, right in zip(found.gradients, reference, strict=True):
        assert oracle.difference(ours, right) < 1e-13
    run = bptt.unroll(case.cell, case.problem.params, case.batch.x, case.s0)
    assert_array_equal(found.state, run.s[-1])
    assert found.state.base is None  # the whole run would live on as long as it


@CELLS
def test_loss_and_gradients_from_zeros_and_by_the_complex_step(name):
    case = Case(name)
    found = bptt.loss_and_gradients(case.cell, case.network, case.batch, case.loss)
    case.s0 = np.zeros_like(case.s0)
    assert found.loss == case.descent().loss
    for field, gradient in found.gradients._asdict().items():

        def f(a, field=field):
            network = case.network._replace(**{field: a})
            return bptt.loss_and_gradients(case.cell, network, case.batch, case.loss).loss

        assert (
            oracle.difference(gradient, bptt.complex_step(f, getattr(case.network, field))) < 1e-14
        )


@CELLS
@pytest.mark.parametrize("kind", LOSSES)
def test_the_complex_step_through_the_gradients_is_the_hessian_times_a_direction(name, kind):
    case, rng = Case(name, kind), np.random.default_rng(1)
    way = Network(*(rng.standard_normal(a.shape) for a in case.network))
    sizes = np.cumsum([a.size for a in case.network])[:-1]

    def gradients(network):
        found = bptt.loss_and_gradients(case.cell, network, case.batch, case.loss, case.s0)
        return found.gradients

    def loss(row):
        parts = zip(np.split(row, sizes), case.network, strict=True)
        return case.oracle(*(part.reshape(a.shape) for part, a in parts))

    rows = (np.concatenate([a.ravel() for a in network]) for network in (case.network, way))
    right = autograd.hessian_vector_product(loss)(*rows)
    product = along(gradients, case.network, way)
    assert oracle.difference(np.concatenate([a.ravel() for a in product]), right) < 1e-13


@CELLS
def test_window(name):
    case, h0 = Case(name), None
    run = bptt.unroll(case.cell, case.problem.params, case.batch.x, case.s0)
    h0 = run.h[1:][case.batch.counts]
    _, dz = case.loss(h0 @ case.network.V.T + case.network.c, case.batch.target[case.batch.counts])
    dh = np.zeros(run.h[1:].shape)
    dh[case.batch.counts] = dz @ case.network.V
    whole = case.descent()
    for window in (1, 2, 5):
        found, right = (
            case.descent(window=window),
            oracle.first_lags(case.problem._replace(dh=dh), window),
        )
        for ours, reference in zip(found.gradients[:3], right[:3], strict=True):
            assert oracle.difference(ours, reference) < 1e-13
        assert found.loss == whole.loss
        for a, b in zip(found.gradients[3:], whole.gradients[3:], strict=True):
            assert_array_equal(a, b)
    assert oracle.difference(case.descent(window=1).gradients.W, whole.gradients.W) > 1e-3


@CELLS
def test_single_precision(name):
    case = Case(name)
    case.network = Network(*(a.astype(np.float32) for a in case.network))
    case.batch, case.s0 = (
        case.batch._replace(x=case.batch.x.astype(np.float32)),
        case.s0.astype(np.float32),
    )
    found = case.descent()
    assert {a.dtype.name for a in (*found.gradients, found.state, found.loss)} == {"float32"}
    for ours, right in zip(found.gradients, Case(name).descent().gradients, strict=True):
        assert oracle.difference(ours, right) < 1e-5


@CELLS
def test_predict(name):
    case = Case(name)
    W, U, b, V, c = case.network
    T = len(case.batch.x)
    for s0 in (case.s0, None):
        start = np.zeros_like(case.s0) if s0 is None else s0
        states = oracle.states(name, [W] * T, [U] * T, [b] * T, case.batch.x, start)
        right = np.stack([s[:, : W.shape[1]] for s in states[1:]]) @ V.T + c
        assert_allclose(bptt.predict(case.cell, case.network, case.batch.x, s0), right, rtol=1e-13)


@CELLS
def test_a_new_network(name):
    cell = oracle.CELLS[name]
    network = bptt.init_network(cell, 2, 9, 400, rng=np.random.default_rng(5))
    rng = np.random.default_rng(5)
    for ours, right in zip(network, bptt.init(cell, 2, 9, rng=rng), strict=False):
        assert_array_equal(ours, right)
    assert network.V.shape == (400, 9)
    assert network.c.shape == (400,)
    for a in network[3:]:
        assert -1 / 3 <= a.min() < -0.31
        assert 0.31 < a.max() <= 1 / 3
    assert_array_equal(network.V, rng.uniform(-1 / 3, 1 / 3, (400, 9)))
    half = bptt.init_network(cell, 2, 9, 400, rng=np.random.default_rng(5), dtype=np.float32)
    for a, b in zip(network, half, strict=True):
        assert b.dtype == np.float32
        assert_array_equal(a.astype(np.float32), b)


def test_outputs_beyond_the_precision():
    """Without a warning, whatever NumPy is told to do about them."""
    case = Case("ELMAN", "numbers")
    huge = case.network._replace(c=np.full(5, 1e308), V=np.full((5, 3), 1e308))
    with pytest.raises(OutOfRange, match=r"^z: got numbers too large for float64$"):
        bptt.predict(case.cell, huge, case.batch.x, 20 * case.s0)
    case.network = huge._replace(W=5 * huge.W)
    with pytest.raises(OutOfRange, match=r"^z: got numbers too large for float64$"):
        case.descent()

    def steep(z, target):
        return 1.0, np.full(z.shape, 1e308)

    case.network = case.network._replace(V=np.full((5, 3), 10.0))
    case.loss = steep
    for then in ("raise", "warn", "ignore"):
        message = r"^dh: got numbers too large for float64$"
        with np.errstate(all=then), pytest.raises(OutOfRange, match=message):
            case.descent()


@pytest.mark.parametrize(("name", "states"), [("V", 1.0), ("c", 1e-9)])
def test_a_gradient_of_the_output_layer_beyond_the_precision(name, states):
    case = Case("ELMAN", "numbers")
    W, U, b, V, c = case.network
    case.network = Network(W, U * states, b * states, V * 1e-300, c)
    case.s0 = case.s0 * states
    case.loss = lambda z, target: (1.0, np.full(z.shape, 1e308))
    with pytest.raises(
        OutOfRange, match=f"^gradient with respect to {name}: got numbers too large"
    ):
        case.descent()


def test_a_derivative_that_is_no_number():
    case = Case("ELMAN")
    case.loss = lambda z, target: (1.0, np.full(z.shape, np.nan))
    with pytest.raises(OutOfRange, match=r"^dh: got nan$"):
        case.descent()


@CELLS
def test_underflow_is_no_error(name):
    case = Case(name)
    case.network = Network(*(1e-200 * a for a in case.network))
    quiet = case.descent()
    with np.errstate(all="raise"):
        loud = case.descent()
        z = bptt.predict(case.cell, case.network, case.batch.x, case.s0)
    assert pickle.dumps(tuple(quiet.gradients)) == pickle.dumps(tuple(loud.gradients))
    assert_array_equal(z, bptt.predict(case.cell, case.network, case.batch.x, case.s0))


def test_the_loss_runs_under_its_callers_settings():
    case, seen = Case("GRU"), []

    def loss(z, target):
        seen.append(np.geterr())
        return bptt.cross_entropy(z, target)

    case.loss = loss
    for settings in ({"over": "call", "under": "log"}, {"all": "raise"}):
        with np.errstate(**settings):
            case.descent()
            assert seen.pop() == np.geterr()


def test_an_error_of_the_loss_comes_through():
    case = Case("GRU")
    for error in (FloatingPointError("mine"), KeyError("mine")):

        def loss(z, target, error=error):
            raise error

        case.loss = loss
        with pytest.raises(type(error)) as raised:
            case.descent()
        assert raised.value is error


def test_nothing_given_is_modified():
    case = Case("LSTM")
    before = pickle.dumps((case.network, case.batch, case.s0))
    case.descent()
    assert pickle.dumps((case.network, case.batch, case.s0)) == before


@CELLS
@pytest.mark.parametrize("field", "WVc")
def test_all_parameters_have_one_precision(name, field):
    case = Case(name)
    other = {field: getattr(case.network, field).astype(np.float32)}
    network = case.network._replace(**other)
    if field == "W":
        network = case.network._replace(V=case.network.V.astype(np.float32))
    with pytest.raises(TypeError, match=r"^W, V, c: got .*, needs one precision for all$"):
        bptt.predict(case.cell, network, case.batch.x, case.s0)
    with pytest.raises(TypeError, match=r"^W, V, c: got .*, needs one precision for all$"):
        bptt.loss_and_gradients(case.cell, network, case.batch, case.loss, case.s0)


@CELLS
@pytest.mark.parametrize("window", [None, 2])
def test_gradients_with_respect_to_the_inputs_and_the_initial_state(name, window):
    case = Case(name)
    found = case.descent(window=window)
    assert found._fields == ("loss", "gradients", "state", "x", "s0")
    if window is None:

        def loss(x, s0):
            case.batch, case.s0 = case.batch._replace(x=x), s0
            return case.oracle(*case.network)

        x, s0 = case.batch.x, case.s0
        right = autograd.grad(loss, argnum=(0, 1))(x, s0)
    else:
        run = bptt.unroll(case.cell, case.problem.params, case.batch.x, case.s0)
        counts = case.batch.counts
        z = run.h[1:][counts] @ case.network.V.T + case.network.c
        dh = np.zeros(run.h[1:].shape)
        dh[counts] = case.loss(z, case.batch.target[counts])[1] @ case.network.V
        right = oracle_window(case, run, dh, window)
    for ours, reference in zip(found[3:], right, strict=True):
        assert oracle.difference(ours, reference) < 1e-13


def oracle_window(case, run, dh, window):
    """Each loss alone, of a run that begins ``window`` steps before it."""
    x, s0 = np.zeros(run.x.shape), np.zeros(run.s[0].shape)
    for t in range(len(dh)):
        begin = max(0, t + 1 - window)
        part = bptt.unroll(run.cell, run.params, run.x[begin : t + 1], run.s[begin])
        only = np.zeros(dh[begin : t + 1].shape)
        only[-1] = dh[t]
        by = bptt.backward(part, only)
        x[begin : t + 1] += by.x
        s0 += by.s0 if begin == 0 else 0
    return x, s0


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (lambda z: 0.5, TypeError, "got float, needs a value and its derivative"),
        (lambda z: z, TypeError, "got ndarray, needs a value and its derivative"),
        (lambda z: {"loss": 1, "dz": z}, TypeError, "got dict, needs a value and its derivative"),
        (lambda z: (0.5, z, z), TypeError, "got tuple, needs a value and its derivative"),
        (lambda z: (z[:, 0], z), TypeError, "got dtype float64 and shape (15,), needs one number"),
        (lambda z: (None, z), TypeError, "got dtype object and shape (), needs one number"),
        (lambda z: (True, z), TypeError, "got dtype bool and shape (), needs one number"),
        *[
            (
                lambda z, masked=masked: masked(z),
                TypeError,
                "got a masked array, needs one without a mask: .filled(...)",
            )
            for masked in (
                lambda z: (0.5, np.ma.masked_greater(z, 0)),
                lambda z: (0.5, [*np.ma.masked_greater(z, 0)]),
                lambda z: (np.ma.masked_less(0.5, 1), z),
            )
        ],
        *[
            (
                lambda z, dz=dz: (0.5, dz(z)),
                ValueError,
                f"got a derivative in {got}, needs float64 of shape (15, 5)",
            )
            for dz, got in (
                (lambda z: 1.0, "float64 of shape ()"),
                (lambda z: z[0], "float64 of shape (5,)"),
                (lambda z: z[:1], "float64 of shape (1, 5)"),
                (lambda z: z > 0, "bool of shape (15, 5)"),
                (lambda z: np.sign(z).astype(int), "int64 of shape (15, 5)"),
                (lambda z: z.astype(np.float32), "float32 of shape (15, 5)"),
                (lambda z: None, "object of shape ()"),
            )
        ],
    ],
)
def test_what_a_loss_may_not_return(found, error, message):
    case = Case("GRU")
    case.loss = lambda z, target: found(z)
    assert case.batch.counts.sum() == 15
    with pytest.raises(error) as raised:
        case.descent()
    assert str(raised.value) == f"loss: {message}"


def test_a_loss_may_return_a_list():
    case = Case("GRU")
    right = case.descent()
    case.loss = lambda z, target: [*bptt.cross_entropy(z, target)]
    assert case.descent().loss == right.loss
    case.loss = lambda z, target: (1, np.zeros(z.shape).tolist())
    assert case.descent().loss == 1
    assert not case.descent().gradients.W.any()


# Sequences of different lengths


@CELLS
def test_the_last_state_of_each_sequence(name):
    p = oracle.problem(name, 6, 4, 2, 3)
    run, lengths = p.run(), [6, 1, 0, 4]
    found = bptt.last(run, lengths)
    assert found.shape == p.s0.shape
    for b, length in enumerate(lengths):
        alone = p.s0[b : b + 1]
        if length:
            alone = bptt.unroll(p.cell, p.params, p.x[:length, b : b + 1], alone).s[-1]
        assert oracle.difference(found[b], alone[0]) < 1e-15
    assert_array_equal(bptt.last(run, np.full(4, 6, np.uint8)), run.s[-1])
    found[:] = 7
    assert (run.s != 7).all()


@CELLS
def test_padding_has_no_effect_on_any_gradient(name):
    case = Case(name)
    lengths = np.array([6, 2, 5, 3])
    counts = np.arange(6)[:, None] < lengths
    case.batch = case.batch._replace(counts=counts)
    found = case.descent()
    x = case.batch.x.copy()
    x[~counts] = 1e3
    case.batch = case.batch._replace(x=x)
    again = case.descent()
    assert found.loss == again.loss
    for a, b in zip(found.gradients, again.gradients, strict=True):
        assert oracle.difference(a, b) < 1e-13
    assert not found.x[~counts].any()
    assert (found.state != again.state).any()  # which is why there is ``last``
