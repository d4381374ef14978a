"""Training: what it does at each update, and runs that are killed and go on."""

import functools
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

import bptt
from bptt import Batch, Descent, Fit, History, Moments, OutOfRange

# fit


def changes(rng, T=6, B=4):
    """Says whether the last two bits differ."""
    bits = rng.integers(0, 2, (T, B))
    counts = np.zeros((T, B), bool)
    counts[1:] = rng.random((T - 1, B)) < 0.8
    counts[-1] = True
    return Batch(bits[..., None].astype(float), bits ^ np.roll(bits, 1, axis=0), counts)


def training(seed=0, cell=bptt.GRU, dtype=np.float64, **others):
    """The arguments of a small training; ``others`` change them."""
    rng = np.random.default_rng(seed)
    network = bptt.init_network(cell, 1, 4, 2, rng=rng, dtype=dtype)
    return {
        **{"cell": cell, "network": network, "sample": changes, "loss": bptt.cross_entropy},
        **{"optimiser": bptt.adam(0.02), "steps": 25, "rng": rng, "every": 10, "clip": 0.2},
        **{"progress": False, **others},
    }


def same(a, b):
    """Whether two Fits are equal to the last bit, whatever that bit means."""
    assert type(a) is type(b) is Fit
    assert type(a.history) is type(b.history) is History
    assert type(a.moments) is type(b.moments) is Moments
    assert [type(value) for value in a.history] == [type(value) for value in b.history]
    return pickle.dumps(plain(a)) == pickle.dumps(plain(b))


def same_network(a, b):
    return pickle.dumps(plain((a.network, a.moments))) == pickle.dumps(
        plain((b.network, b.moments))
    )


def plain(value):
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    return value


@pytest.mark.parametrize("clip", [None, "clip", "clip_value"])
@pytest.mark.parametrize("window", [None, 2])
@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("carry", [False, True])
def test_fit_is_its_updates_one_by_one(clip, window, batches, carry):
    sample = [changes(np.random.default_rng(9 + k)) for k in range(3)] if batches else changes
    limits = {"clip": None} | ({clip: 0.05} if clip else {})
    arguments = training(sample=sample, window=window, carry=carry, **limits)
    found = bptt.fit(**arguments)

    again = training()
    cell, network, optimiser = (again[key] for key in ("cell", "network", "optimiser"))
    moments, state, losses, norms = optimiser.start(network), None, [], []
    for step in range(25):
        batch = sample[step % 3] if batches else sample(again["rng"])
        if not carry or (batches and step % 3 == 0):
            state = None
        loss, gradients, state, *_ = bptt.loss_and_gradients(
            cell, network, batch, bptt.cross_entropy, state, window=window
        )
        losses.append(loss)
        norms.append(np.sqrt(sum((g * g).sum() for g in gradients)))
        if clip:
            by = {"clip": bptt.clip_by_norm, "clip_value": bptt.clip_by_value}[clip]
            gradients = by(gradients, 0.05)
        network, moments = optimiser.step(network, gradients, moments)
    history = found.history
    assert_array_equal(history.losses, losses)
    assert_allclose(history.norms, norms, rtol=1e-13)
    assert history.norms.max() > 0.05
    assert history[2:] == (100, False, False)
    assert history.updates == found.moments.updates == 25
    for a, b in zip(found.network, network, strict=True):
        assert_allclose(a, b, rtol=1e-12)
    assert_allclose(found.state, state, rtol=1e-12)
    assert arguments["rng"].random() == again["rng"].random()


def test_fit_learns():
    found = bptt.fit(**training(steps=400))
    rng = np.random.default_rng(123)
    x, target, counts = changes(rng, B=50)
    z = bptt.predict(bptt.GRU, found.network, x)
    assert (z.argmax(-1) == target)[counts].all()
    assert found.history.losses[:5].mean() == pytest.approx(np.log(2), abs=0.1)


def test_fit_brings_numbers_to_the_precision_of_the_network():
    def numbers(rng):
        x = rng.random((3, 2, 1))
        return Batch(x, x * 2, np.ones((3, 2), bool))

    for dtype in (np.float32, np.float64):
        arguments = training(dtype=dtype, sample=numbers, loss=bptt.mean_squared_error)
        arguments["network"] = arguments["network"]._replace(
            V=np.ones((1, 4), dtype), c=np.ones(1, dtype)
        )
        found = bptt.fit(**arguments)
        assert {a.dtype for a in (*found.network, found.state)} == {np.dtype(dtype)}
        assert found.history.losses.dtype == np.float64
    lists = [Batch(*(a.tolist() for a in changes(np.random.default_rng(0))))]
    arrays = [changes(np.random.default_rng(0))]
    assert same(bptt.fit(**training(sample=lists)), bptt.fit(**training(sample=arrays)))


@pytest.mark.parametrize("dtype", [int, np.uint8, bool])
def test_fit_takes_whole_numbers_for_numbers(dtype):
    """But leaves the labels of a loss of one's own, also where they have an axis."""
    batch = changes(np.random.default_rng(0))
    whole = batch._replace(target=np.stack([batch.target, 1 - batch.target], axis=-1).astype(dtype))
    others = {"loss": bptt.mean_squared_error, "dtype": np.float32}
    found = bptt.fit(**training(sample=[whole], **others))
    real = whole._replace(target=whole.target.astype(float))
    assert same(found, bptt.fit(**training(sample=[real], **others)))

    def first(z, labels):
        return bptt.cross_entropy(z, labels[:, 0])

    labels = np.repeat(batch.target[..., None], 3, axis=-1)
    found = bptt.fit(**training(sample=[batch._replace(target=labels)], loss=first))
    assert same(found, bptt.fit(**training(sample=[batch])))


def test_a_network_may_be_of_a_class_of_ones_own():
    class Mine(bptt.Network):
        pass

    found = bptt.fit(**training(network=Mine(*training()["network"])))
    assert type(found.network) is type(found.moments.sums[0]) is Mine
    assert same(found, bptt.fit(**training()))


def test_the_criterion_stops_it():
    asked = []

    def criterion(network):
        asked.append(network)
        return np.bool_(len(asked) == 2)

    found = bptt.fit(**training(criterion=criterion))
    assert found.history[2:] == (80, True, False)
    assert found.history.solved is True
    assert found.history.updates == len(found.history.norms) == 20
    assert asked[-1] is found.network
    assert same_network(found, bptt.fit(**training(steps=20)))


def test_the_criterion_is_asked_at_the_end_too():
    asked = []

    def criterion(network):
        asked.append(network)
        return False

    found = bptt.fit(**training(criterion=criterion))
    assert len(asked) == 3
    assert asked[-1] is found.network
    assert found.history.solved is False
    assert bptt.fit(**training(steps=20, criterion=criterion)).history.solved is False
    assert len(asked) == 5


def exploding(rng):
    """Targets that no linear read-out reaches at this rate."""
    return Batch(np.ones((3, 2, 1)), 1e3 * np.ones((3, 2, 2)), np.ones((3, 2), bool))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_divergence_is_told_not_raised(dtype):
    arguments = training(
        dtype=dtype,
        sample=exploding,
        loss=bptt.mean_squared_error,
        optimiser=bptt.sgd(1e4),
        clip=None,
        steps=1000,
        criterion=lambda network: False,
        every=1000,
    )
    found = bptt.fit(**arguments)
    updates = found.history.updates
    assert found.history[3:] == (False, True)
    assert 2 < updates < 1000
    assert found.history.sequences == 2 * updates
    assert np.isfinite(found.history.losses[:-1]).all()
    assert all(np.isfinite(a).all() for a in (*found.network, found.state))
    assert found.moments.updates == updates - 1
    before = bptt.fit(**{**arguments, "steps": updates - 1, "rng": training()["rng"]})
    assert same_network(found, before)
    assert_array_equal(found.state, before.state)


@pytest.mark.parametrize(
    ("value", "slope"), [(np.nan, 1.0), (np.inf, 1.0), (1.0, 1e300), (1.0, -np.inf)]
)
def test_divergence_of_each_number(value, slope):
    """The loss, the parameters, and the gradients of the outputs."""
    asked = []

    def loss(z, target):
        return value, np.full(z.shape, slope)

    optimiser, criterion = bptt.sgd(1e300), asked.append
    found = bptt.fit(
        **training(loss=loss, optimiser=optimiser, criterion=criterion, every=1, clip=None)
    )
    assert found.history.diverged
    assert found.history.updates == 1
    assert not asked
    assert found.moments.updates == 0
    for a, b in zip(found.network, training()["network"], strict=True):
        assert_array_equal(a, b)
    assert_array_equal(found.history.losses, [value])
    assert np.isnan(found.history.norms).all() == np.isinf(slope)


def test_the_loss_of_an_update_that_explodes():
    """Through time: the states are finite, the gradients are not."""
    arguments = training(cell=bptt.ELMAN, sample=lambda rng: changes(rng, T=70))
    network = arguments["network"]
    arguments["network"] = network._replace(W=1e9 * np.eye(4), U=0 * network.U, b=0 * network.b)
    found = bptt.fit(**arguments)
    assert found.history.diverged
    z = np.tile(network.c, (3, 1))
    at_rest = [bptt.cross_entropy(z, np.full(3, label))[0] for label in (0, 1)]
    assert min(at_rest) < found.history.losses[0] < max(at_rest)

    def twice(network, batch, state):
        """A loss of which what overflows is but a part."""
        given = bptt.ELMAN, network, batch, bptt.cross_entropy
        return sum(bptt.loss_and_gradients(*given).loss for _ in range(2)), network

    arguments.update(function=twice, parameters=arguments["network"])
    for name in ("cell", "network", "loss"):
        del arguments[name]
    assert np.isnan(bptt.descend(**arguments).history.losses).all()


def test_a_bound_on_the_updates_takes_no_memory():
    """No run that ends earlier pays for it; what is longer than the room at first is kept, too."""
    whole = bptt.fit(**training(steps=250))
    for steps in (250, 10**15):
        others = {"criterion": lambda network: True, "every": 250, "steps": steps}
        found = bptt.fit(**training(**others))
        assert_array_equal(found.history.losses, whole.history.losses)
        assert_array_equal(found.history.norms, whole.history.norms)
        assert same_network(found, whole)


def test_networks_in_the_other_byte_order():
    expected = bptt.fit(**training())
    network = [a.astype(a.dtype.newbyteorder("S")) for a in training()["network"]]
    found = bptt.fit(**training(network=bptt.Network(*network)))
    assert same(found, expected)


def test_inputs_that_the_precision_does_not_hold():
    def large(rng):
        batch = changes(rng)
        return batch._replace(x=np.where(batch.x == 1, 1e300, 0))

    with pytest.raises(ValueError, match=r"^x: got 1e\+300, needs numbers that float32 holds$"):
        bptt.fit(**training(dtype=np.float32, sample=large))


def test_divergence_of_the_norm():
    """Of gradients that are finite, each by itself."""

    def loss(z, target):
        return 1.0, np.full(z.shape, 1.5e308 / len(z))

    for clip in (None, 1.0):
        found = bptt.fit(**training(loss=loss, clip=clip, optimiser=bptt.sgd(1e-308)))
        assert found.history[2:] == (4, False, True)
        assert_array_equal(found.history.norms, [np.inf])


# Checkpoints


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimiser", [bptt.sgd(0.1, 0.9), bptt.adam(0.02, until=30)])
@pytest.mark.parametrize("generator", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_a_resumed_run_equals_one_that_was_not(tmp_path, dtype, optimiser, generator):
    def arguments(**others):
        rng = np.random.Generator(getattr(np.random, generator)(3))
        rng.random(dtype=np.float32)  # leaves half a number behind
        return training(dtype=dtype, optimiser=optimiser, carry=True, **{"rng": rng, **others})

    whole = arguments()
    expected = bptt.fit(**whole)
    file = tmp_path / "run.npz"
    bptt.fit(**arguments(steps=10, checkpoint=str(file)))
    for steps in (17, 25):
        last = arguments(steps=steps, checkpoint=file, resume=True)
        found = bptt.fit(**last)
    assert same(found, expected)
    assert last["rng"].random() == whole["rng"].random()
    assert os.listdir(tmp_path) == ["run.npz"]
    again = arguments(checkpoint=file, resume=True, steps=3)
    assert same(bptt.fit(**again), expected)  # already there: nothing is done or lost
    assert again["rng"].random() != whole["rng"].random()


def spawning(rng):
    return changes(rng.spawn(2)[1])


def test_what_a_generator_has_spawned_is_resumed(tmp_path):
    file = tmp_path / "run.npz"
    expected = bptt.fit(**training(sample=spawning))
    bptt.fit(**training(sample=spawning, steps=10, checkpoint=file))
    last = training(sample=spawning, checkpoint=file, resume=True)
    assert same(bptt.fit(**last), expected)
    last["rng"].spawn(1)
    with pytest.raises(ValueError, match=r"^rng: got one that has spawned 1 too many, needs "):
        bptt.fit(**last)


def test_a_checkpoint_from_before_spawning_was_counted_is_resumed(tmp_path):
    file = tmp_path / "run.npz"
    bptt.fit(**training(steps=10, checkpoint=file))
    file.write_bytes(altered(file, rng=without(file, "n_children_spawned")))
    assert same(bptt.fit(**training(checkpoint=file, resume=True)), bptt.fit(**training()))


class Seeds(np.random.bit_generator.ISeedSequence):
    """Seeds of one's own, which spawn nothing."""

    def generate_state(self, n_words, dtype=np.uint32):
        return np.arange(1, 1 + n_words, dtype=dtype)


def test_a_generator_with_seeds_of_ones_own_is_resumed(tmp_path):
    file = tmp_path / "run.npz"

    def arguments(**others):
        return training(rng=np.random.Generator(np.random.PCG64(Seeds())), **others)

    bptt.fit(**arguments(steps=10, checkpoint=file))
    assert same(bptt.fit(**arguments(checkpoint=file, resume=True)), bptt.fit(**arguments()))


def test_a_rule_that_counts_without_a_sign_is_resumed(tmp_path):
    def halves(pair, gradients, at):
        return Pair(pair.a / 2, pair.b / 2), Moments(np.uint64(at.updates + 1), at.sums)

    file = tmp_path / "run.npz"
    bptt.descend(**to_pair(steps=3, checkpoint=file, **of_rule(halves)))
    found = bptt.descend(**to_pair(checkpoint=file, resume=True, **of_rule(halves)))
    assert (found.network.b, found.moments.updates) == (3 / 32, 5)


def test_a_checkpoint_is_saved_where_its_link_leads(tmp_path):
    (tmp_path / "large").mkdir()
    file, link = tmp_path / "large" / "run.npz", tmp_path / "run.npz"
    link.symlink_to(file)
    bptt.fit(**training(steps=10, checkpoint=link))
    assert same(bptt.fit(**training(checkpoint=file, resume=True)), bptt.fit(**training()))
    assert (link.is_symlink(), os.listdir(tmp_path / "large")) == (True, ["run.npz"])


def test_numpys_integers_are_integers(tmp_path):
    file, numbers = tmp_path / "run.npz", {"every": 5, "window": 2}
    expected = bptt.fit(**training(**numbers))
    small = {name: np.uint8(value) for name, value in numbers.items()}
    bptt.fit(**training(steps=10, checkpoint=file, **small))
    assert same(bptt.fit(**training(checkpoint=file, resume=True, **numbers)), expected)
    W = bptt.init(bptt.LSTM, 3, np.uint8(100), rng=np.random.default_rng(0)).W
    assert W.shape == (400, 100)


def test_batches_go_on_where_they_were(tmp_path):
    sample = [changes(np.random.default_rng(k)) for k in range(4)]
    others = {"sample": sample, "carry": True, "every": 3}
    file = tmp_path / "run.npz"
    bptt.fit(**training(steps=6, checkpoint=file, **others))
    found = bptt.fit(**training(checkpoint=file, resume=True, **others))
    assert same(found, bptt.fit(**training(**others)))


def never(*_):
    raise AssertionError


@pytest.mark.parametrize("end", ["solved", "diverged"])
def test_what_has_ended_stays_so(tmp_path, end):
    file = tmp_path / "run.npz"
    others = {
        "solved": {"criterion": lambda network: True},
        "diverged": {
            **{"sample": exploding, "loss": bptt.mean_squared_error, "steps": 999, "clip": None}
        },
    }[end]
    others["optimiser"] = bptt.sgd(1e4)
    found = bptt.fit(**training(checkpoint=file, **others))
    assert getattr(found.history, end)
    others |= {"sample": never, "steps": 2000, "criterion": others.get("criterion", never)}
    assert same(bptt.fit(**training(checkpoint=file, resume=True, **others)), found)


@pytest.mark.parametrize("criterion", [None, lambda network: False])
def test_what_was_solved_goes_on_by_another_criterion(tmp_path, criterion):
    file = tmp_path / "run.npz"
    assert bptt.fit(**training(checkpoint=file, criterion=lambda network: True)).history.solved
    found = bptt.fit(**training(checkpoint=file, resume=True, criterion=criterion))
    assert same(found, bptt.fit(**training(criterion=criterion)))


def test_a_run_without_steps_left_is_asked(tmp_path):
    file = tmp_path / "run.npz"
    bptt.fit(**training(checkpoint=file))
    others = {"checkpoint": file, "resume": True, "sample": never}
    found = bptt.fit(**training(criterion=lambda network: True, **others))
    assert found.history[2:] == (100, True, False)
    assert found.history.updates == 25

    def stops(network):
        raise KeyboardInterrupt

    with pytest.raises(bptt.Interrupted):
        bptt.fit(**training(criterion=stops, **others))
    assert not bptt.fit(**training(**others)).history.solved


def test_nothing_is_resumed_without_a_checkpoint():
    with pytest.raises(ValueError, match=r"^checkpoint, resume: got resume alone, needs both$"):
        bptt.fit(**training(resume=True))


def test_saved_every_so_often_and_at_the_end(tmp_path, monkeypatch):
    file, seen = tmp_path / "run.npz", []

    def sample(rng):
        if file.exists():
            with np.load(file) as saved:
                seen.append(int(saved["counts"][0]))
        else:
            seen.append(None)
        return changes(rng)

    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    bptt.fit(**training(sample=sample, checkpoint=file))
    assert seen == [None] * 10 + [10] * 10 + [20] * 5
    assert len(synced) == 3
    with np.load(file) as saved:
        assert saved["counts"].tolist() == [25, 100, 0, 0]
    seen.clear()  # without resume it begins anew
    bptt.fit(**training(sample=sample, checkpoint=file, steps=2))
    assert seen == [25, 25]


KILLED = """
    import sys, time
    import numpy as np
    sys.path.insert(0, {tests!r})
    import bptt
    from test_training import changes, training

    def slowly(rng):
        time.sleep(0.002)
        return changes(rng)

    slowly.__name__ = "changes"
    bptt.fit(**training(sample=slowly, steps=100_000, checkpoint={file!r}, every=3, carry=True))
"""


def test_a_run_that_is_killed(tmp_path):
    """By the operating system, wherever it is; what is left goes on as if nothing had happened."""
    file = tmp_path / "run.npz"
    code = textwrap.dedent(KILLED.format(tests=str(Path(__file__).parent), file=str(file)))
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        while not file.exists():
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    with np.load(file) as saved:
        done = int(saved["counts"][0])
    others = {"steps": done + 20, "every": 3, "carry": True}
    found = bptt.fit(**training(checkpoint=file, resume=True, **others))
    assert same(found, bptt.fit(**training(**others)))


def test_a_write_that_is_cut_off_leaves_the_file_before_it(tmp_path, monkeypatch):
    file = tmp_path / "run.npz"
    bptt.fit(**training(steps=10, checkpoint=file))
    before = file.read_bytes()

    def torn(handle, **arrays):
        handle.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", torn)
    with pytest.raises(KeyboardInterrupt):
        bptt.fit(**training(checkpoint=file, resume=True))
    assert file.read_bytes() == before
    monkeypatch.undo()
    found = bptt.fit(**training(checkpoint=file, resume=True))
    assert same(found, bptt.fit(**training()))


class Bomb:
    def __reduce__(self):
        return os._exit, (1,)


def altered(file, **changed):
    """The bytes of the checkpoint with some arrays replaced, or left out if None."""
    with np.load(file) as saved:
        arrays = {**saved, **changed}
    out = io.BytesIO()
    np.savez(out, **{name: a for name, a in arrays.items() if a is not None})
    return out.getvalue()


def bytes_of(save, *arguments, **arrays):
    out = io.BytesIO()
    save(out, *arguments, **arrays)
    return out.getvalue()


def without(file, name):
    """The words on the generator, but for those of this name."""
    with np.load(file) as saved:
        words = json.loads(str(saved["rng"]))
    return json.dumps({key: value for key, value in words.items() if key != name})


def one_bit_changed(data):
    at = data.index(b"NUMPY") + 200  # among the numbers of the first array
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


UNREADABLE = {
    "empty": lambda file: b"",
    "text": lambda file: b"text",
    "cut": lambda file: file.read_bytes()[:-100],
    "cut early": lambda file: file.read_bytes()[:1000],
    "one bit changed": lambda file: one_bit_changed(file.read_bytes()),
    "pickle": lambda file: pickle.dumps(Bomb()),
    "pickled array": lambda file: bytes_of(np.save, np.array(Bomb(), dtype=object)),
    "pickle inside": lambda file: altered(file, training=np.array(Bomb(), dtype=object)),
    "pickle among the arrays": lambda file: altered(file, losses=np.array([Bomb()])),
    "one array": lambda file: bytes_of(np.save, np.zeros(3)),
    "arrays": lambda file: bytes_of(np.savez, np.zeros(3), W=np.zeros(2)),
    "zip": lambda file: bytes_of(lambda out: zipfile.ZipFile(out, "w").close()),
    "no words": lambda file: altered(file, training=None),
    "no generator": lambda file: altered(file, rng=None),
    "no JSON": lambda file: altered(file, training="{"),
    "a list": lambda file: altered(file, training="[]"),
    "a generator without its state": lambda file: altered(file, rng=without(file, "state")),
    "half a generator": lambda file: altered(file, rng=without(file, "uinteger")),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_files_that_are_no_checkpoints(tmp_path, kind):
    file = tmp_path / "run.npz"
    bptt.fit(**training(steps=10, checkpoint=file))
    file.write_bytes(UNREADABLE[kind](file))
    refused(file, "which cannot be read")


def refused(file, but, **others):
    arguments = training(checkpoint=file, resume=True, **others)
    state = json.dumps(arguments["rng"].bit_generator.state, default=str)
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"^checkpoint: ") as raised:
        bptt.fit(**arguments)
    assert str(raised.value) == (
        f"checkpoint: got {file}{', ' if but.startswith('which') else ' with '}{but}, "
        "needs a checkpoint of this training"
    )
    assert json.dumps(arguments["rng"].bit_generator.state, default=str) == state
    assert file.read_bytes() == before


def small(rng):
    return bptt.init_network(bptt.GRU, 1, 3, 2, rng=rng)


OF_GRU = r"GRU of bptt\.cells\.GRUCell"
OF_ANOTHER = {
    "cell": (
        {"cell": bptt.LSTM},
        rf"cell {OF_GRU} for LSTM of bptt\.cells\.LSTMCell, network \[.*\] for \[.*\]",
    ),
    "size": (
        {"network": small(np.random.default_rng(0))},
        r"network \['float64\(12, 4\)', .*\] for \['float64\(9, 3\)', .*\]",
    ),
    "precision": ({"dtype": np.float32}, r"network \['float64.*\] for \['float32.*\]"),
    "optimiser": (
        {"optimiser": bptt.adam(0.01)},
        r"optimiser adam\(0.02, .*\) for adam\(0.01, .*\)",
    ),
    "cell of the same name": (
        {"cell": type("GRUCell", (type(bptt.GRU),), {"__module__": "mine"})()},
        rf"cell {OF_GRU} for GRU of mine\.GRUCell",
    ),
    "loss": (
        {"loss": bptt.mean_squared_error},
        r"loss bptt\.readout\.cross_entropy for bptt\.readout\.mean_squared_error",
    ),
    "loss of the same name": (
        {"loss": type("cross_entropy", (), {"__module__": "mine", "__call__": lambda *_: ()})()},
        r"loss bptt\.readout\.cross_entropy for mine\.cross_entropy",
    ),
    "loss within a partial": (
        {"loss": functools.partial(bptt.mean_squared_error)},
        r"loss bptt\.readout\.cross_entropy for bptt\.readout\.mean_squared_error",
    ),
    "clip": ({"clip": None}, "clip 0.2 for None"),
    "clip value": ({"clip": 1}, "clip 0.2 for 1.0"),
    "clip by value": (
        {"clip": None, "clip_value": 0.2},
        "clip 0.2 for None, clip_value None for 0.2",
    ),
    "window": ({"window": 3}, "window None for 3"),
    "every": ({"every": 5}, "every 10 for 5"),
    "carry": ({"carry": True}, "carry False for True"),
    "batches": ({"sample": [changes(np.random.default_rng(0))]}, "batches 0 for 1"),
    "generator": (
        {"rng": np.random.Generator(np.random.SFC64(0))},
        "generator PCG64 for SFC64",
    ),
}


@pytest.mark.parametrize("kind", OF_ANOTHER)
def test_checkpoints_of_another_training(tmp_path, kind):
    file = tmp_path / "run.npz"
    others, but = OF_ANOTHER[kind]
    bptt.fit(**training(steps=10, checkpoint=file))
    arguments = training(checkpoint=file, resume=True, **others)
    with pytest.raises(ValueError, match=r"^checkpoint") as raised:
        bptt.fit(**arguments)
    needs = "needs a checkpoint of this training"
    assert re.fullmatch(
        f"checkpoint: got {re.escape(str(file))} with {but}, {needs}", str(raised.value)
    )


def test_checkpoints_of_another_format(tmp_path):
    file = tmp_path / "run.npz"
    bptt.fit(**training(steps=10, checkpoint=file))
    with np.load(file) as saved:
        words = json.loads(str(saved["training"]))
    assert words["format"] == "bptt.fit 2"
    file.write_bytes(altered(file, training=json.dumps({**words, "format": "bptt.fit 3"})))
    refused(file, "format bptt.fit 3 for bptt.fit 2")
    del words["format"]
    file.write_bytes(altered(file, training=json.dumps(words)))
    refused(file, "format None for bptt.fit 2")


@pytest.mark.parametrize(
    "changed",
    [
        {"0 W": np.zeros((3, 3))},
        {"0 W": np.zeros((12, 4), np.float32)},
        {"2 c": np.zeros(3)},
        {"losses": np.zeros((10, 1))},
        {"norms": np.zeros(10, np.float32)},
        {"state": None},
        {"counts": np.zeros(3, np.int64)},
        {"counts": np.zeros(4)},
        {"1 V": None},
        {"3 W": np.zeros((12, 4))},
    ],
)
def test_checkpoints_with_other_arrays(tmp_path, changed):
    file = tmp_path / "run.npz"
    bptt.fit(**training(steps=10, checkpoint=file))
    file.write_bytes(altered(file, **changed))
    refused(file, "other arrays")


@pytest.mark.parametrize(
    ("names", "change"),
    [
        (["losses"], lambda a: a[:5]),
        (["norms"], lambda a: a[:5]),
        (["losses", "norms"], lambda a: a[:5]),
        (["counts"], lambda a: a - 50),
        (["0 W"], lambda a: a * np.nan),
        (["2 c"], lambda a: a + np.inf),
    ],
)
def test_checkpoints_with_numbers_of_no_training(tmp_path, names, change):
    file = tmp_path / "run.npz"
    bptt.fit(**training(steps=10, checkpoint=file))
    with np.load(file) as saved:
        changed = {part: change(saved[part]) for part in names}
    file.write_bytes(altered(file, **changed))
    refused(file, "numbers that no training leaves")


def test_a_loss_without_a_name(tmp_path):
    class Squares:
        def __call__(self, z, target):
            return bptt.cross_entropy(z, target)

    file = tmp_path / "run.npz"
    bptt.fit(**training(steps=10, loss=Squares(), checkpoint=file))
    found = bptt.fit(**training(loss=Squares(), checkpoint=file, resume=True))
    assert same(found, bptt.fit(**training()))


# Any parameters


class Stack(NamedTuple):
    """Two layers, the second of which reads the states of the first, and an output layer."""

    layers: tuple[bptt.Params, ...]
    V: np.ndarray
    c: np.ndarray


def stacked(stack, batch, state):
    """The loss of a stack of GRUs and its gradients; its state is those of both, side by side."""
    starts, runs, x = (None, None) if state is None else np.hsplit(state, 2), [], batch.x
    for params, s0 in zip(stack.layers, starts, strict=True):
        runs.append(bptt.unroll(bptt.GRU, params, x.astype(params.W.dtype), s0))
        x = runs[-1].h[1:]
    rows = x[batch.counts]
    loss, dz = bptt.cross_entropy(rows @ stack.V.T + stack.c, batch.target[batch.counts])
    dh = np.zeros_like(x)
    dh[batch.counts] = dz @ stack.V
    layers = []
    for run in reversed(runs):
        by = bptt.backward(run, dh)
        dh = by.x
        layers.insert(0, bptt.Params(*by[:3]))
    gradients = Stack(tuple(layers), dz.T @ rows, dz.sum(axis=0))
    return Descent(loss, gradients, np.hstack([run.s[-1] for run in runs]))


def descent(seed=0, dtype=np.float64, **others):
    """The arguments of a small training of a stack; ``others`` change them."""
    rng = np.random.default_rng(seed)
    layers = tuple(bptt.init(bptt.GRU, d, 4, rng=rng, dtype=dtype) for d in (1, 4))
    stack = Stack(layers, rng.normal(size=(2, 4)).astype(dtype), np.zeros(2, dtype))
    return {
        **{"function": stacked, "parameters": stack, "sample": changes, "rng": rng},
        **{"optimiser": bptt.adam(0.02), "steps": 25, "every": 10, "clip": 0.2},
        **{"progress": False, **others},
    }


class Pair(NamedTuple):
    a: np.ndarray
    b: np.ndarray


def distance(pair, batch, state):
    """Half the squared distance from a batch of two numbers."""
    gap = pair.a - batch[0], pair.b - batch[1]
    return 0.5 * sum((g * g).sum() for g in gap), Pair(*gap)


def to_pair(**others):
    pair = Pair(np.array([1.0, 2.0]), np.array(3.0))
    return {
        **{"function": distance, "parameters": pair, "sample": [(0, 0), (1, -1)]},
        **{"optimiser": bptt.sgd(0.5), "steps": 5, "rng": np.random.default_rng(0)},
        **{"progress": False, **others},
    }


def in_place(parameters, gradients, moments):
    for a, g in zip(parameters, gradients, strict=True):
        a -= g
    return parameters, moments


def sums_in_place(parameters, gradients, moments):
    moments.sums[0].a[:] = 1
    return parameters, moments


def drifting(pair, batch, state):
    pair.a[:] = 0
    return distance(pair, batch, state)


@pytest.mark.parametrize(
    "others",
    [
        {"optimiser": bptt.Optimiser("own", 0, in_place)},
        {"optimiser": bptt.Optimiser("own", 1, sums_in_place)},
        {"function": drifting},
    ],
)
def test_who_changes_parameters_or_sums_in_place_is_stopped(others):
    """The parameters of the update before would be lost, and those that were given."""
    arguments = to_pair(**others)
    with pytest.raises(ValueError, match="read-only"):
        bptt.descend(**arguments)
    assert arguments["parameters"].a.tolist() == [1, 2]


def test_a_rule_counts_its_updates_one_by_one():
    def twice(parameters, gradients, moments):
        return parameters, moments._replace(updates=moments.updates + 2)

    with pytest.raises(
        ValueError, match=r"^optimiser: got 2 updates after 0, needs one more each "
    ):
        bptt.descend(**to_pair(optimiser=bptt.Optimiser("twice", 0, twice)))


def test_descend_goes_down_any_function():
    found = bptt.descend(**to_pair())
    a, b, losses = np.array([1.0, 2.0]), 3.0, []
    for step in range(5):
        to = [(0, 0), (1, -1)][step % 2]
        losses.append(0.5 * (((a - to[0]) ** 2).sum() + (b - to[1]) ** 2))
        a, b = a - 0.5 * (a - to[0]), b - 0.5 * (b - to[1])
    assert type(found.network) is Pair
    assert_array_equal(found.network.a, a)
    assert found.network.b == b
    assert_allclose(found.history.losses, losses, rtol=1e-15)
    assert_allclose(found.history.norms, np.sqrt(2 * np.array(losses)), rtol=1e-15)
    assert found.history[2:] == (5, False, False)  # each batch counts as one sequence
    assert found.state.size == 0


@pytest.mark.parametrize(("x", "sequences"), [(1.0, 1), (np.ones(3), 1), (np.ones((3, 2)), 2)])
def test_batches_for_a_function_of_ones_own(x, sequences):
    """Have as many sequences as x has on its second axis, one if it has none."""

    def still(pair, batch, state):
        return 0.5, pair

    found = bptt.descend(**to_pair(function=still, sample=[Batch(x, 1, True)], steps=3))
    assert found.history.sequences == 3 * sequences


def test_fit_is_a_case_of_descend():
    def whole(network, batch, state):
        return bptt.loss_and_gradients(bptt.GRU, network, batch, bptt.cross_entropy, state)

    given = training(carry=True)
    others = {k: v for k, v in given.items() if k not in ("cell", "network", "loss")}
    others["rng"] = training()["rng"]
    assert same(bptt.descend(whole, given["network"], **others), bptt.fit(**given))


def test_descend_learns_with_two_layers():
    found = bptt.descend(**descent(steps=300, optimiser=bptt.rmsprop(0.01), clip=1.0))
    assert found.history.losses[-20:].mean() < 0.1 < found.history.losses[:5].mean()
    assert found.history.sequences == 1200


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", [bptt.sgd, bptt.adagrad, bptt.rmsprop, bptt.adam])
def test_a_resumed_descent_equals_one_that_was_not(tmp_path, dtype, rule):
    others = {"carry": True, "optimiser": rule(0.02), "dtype": dtype, "clip": None}
    others["clip_value"] = 0.05
    expected = bptt.descend(**descent(**others))
    file = tmp_path / "run.npz"
    bptt.descend(**descent(steps=10, checkpoint=file, **others))
    found = bptt.descend(**descent(checkpoint=file, resume=True, **others))
    assert same(found, expected)
    assert type(found.network) is type(found.moments.sums[0]) is Stack
    assert [type(layer) for layer in found.network.layers] == [bptt.Params] * 2
    assert {a.dtype for layer in found.network.layers for a in layer} == {np.dtype(dtype)}


def test_a_resumed_descent_without_a_state(tmp_path):
    file = tmp_path / "run.npz"
    bptt.descend(**to_pair(steps=3, checkpoint=file))
    found = bptt.descend(**to_pair(checkpoint=file, resume=True))
    assert same(found, bptt.descend(**to_pair()))
    assert type(found.network) is Pair
    assert same(bptt.descend(**to_pair(checkpoint=file, resume=True)), found)  # already there


class Distance:
    def __call__(self, pair, batch, state):
        return distance(pair, batch, state)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda *given: distance(*given), f"{__name__}.<lambda>"),
        (Distance(), f"{__name__}.Distance"),
        (functools.partial(distance), f"{__name__}.distance"),
        (Distance().__call__, f"{__name__}.Distance.__call__"),
    ],
)
def test_checkpoints_tell_functions_apart(tmp_path, function, name):
    file = tmp_path / "run.npz"
    bptt.descend(**to_pair(steps=3, function=function, checkpoint=file))
    found = bptt.descend(**to_pair(function=function, checkpoint=file, resume=True))
    assert same(found, bptt.descend(**to_pair()))
    with np.load(file) as saved:
        assert json.loads(str(saved["training"]))["function"] == name
    with pytest.raises(ValueError, match=r"^checkpoint: ") as raised:
        bptt.descend(**to_pair(function=stacked, checkpoint=file, resume=True))
    assert str(raised.value) == (
        f"checkpoint: got {file} with function {name} for {__name__}.stacked, "
        "needs a checkpoint of this training"
    )


def test_checkpoints_tell_fits_from_descents(tmp_path):
    file = tmp_path / "run.npz"
    bptt.fit(**training(steps=10, checkpoint=file))
    with pytest.raises(ValueError, match=r" with function None for .*stacked, network \["):
        bptt.descend(**descent(checkpoint=file, resume=True))


def test_checkpoints_tell_names_of_parameters_apart(tmp_path):
    class Other(NamedTuple):
        a: np.ndarray
        c: np.ndarray

    file = tmp_path / "run.npz"
    bptt.descend(**to_pair(steps=3, checkpoint=file))
    other = Other(*to_pair()["parameters"])
    with pytest.raises(ValueError, match=r" with other arrays, needs a checkpoint of this"):
        bptt.descend(**to_pair(parameters=other, checkpoint=file, resume=True))


class Scaled(type(bptt.ELMAN)):
    by = 0.25


@dataclass
class Table(type(bptt.ELMAN)):
    table: np.ndarray


def test_checkpoints_tell_parameters_of_cells_apart(tmp_path):
    class Leaky(type(bptt.ELMAN)):
        def __init__(self, leak):
            self.leak = leak

        def __repr__(self):
            return f"Leaky({self.leak})"

    file = tmp_path / "run.npz"
    bptt.fit(**training(cell=Leaky(0.9), steps=10, checkpoint=file))
    bptt.fit(**training(cell=Leaky(0.9), checkpoint=file, resume=True))
    other = Scaled()
    other.by = 0.9
    table = {name: np.linspace(0, 1, 2000) for name in ("one", "two")}
    table["two"][1000] += 1e-9
    cells = [(Scaled(), other), (Table(table["one"]), Table(table["two"]))]
    for one, two in cells:
        bptt.fit(**training(cell=one, steps=10, checkpoint=tmp_path / "other.npz"))
        with pytest.raises(ValueError, match=r"^checkpoint: got .* with cell "):
            bptt.fit(**training(cell=two, checkpoint=tmp_path / "other.npz", resume=True))
    with pytest.raises(
        ValueError, match=r" with cell LEAKY\(leak=0.9\) of .* for LEAKY\(leak=0.2\) of .*, needs "
    ):
        bptt.fit(**training(cell=Leaky(0.2), checkpoint=file, resume=True))


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (0.5, TypeError, "function: got float, needs a loss and its gradients"),
        (None, TypeError, "function: got NoneType, needs a loss and its gradients"),
        ({}, TypeError, "function: got dict, needs a loss and its gradients"),
        ((0.5,), TypeError, "function: got tuple, needs a loss and its gradients"),
        ((0.5,) * 6, TypeError, "function: got tuple, needs a loss and its gradients"),
        ((0.5, {}), TypeError, "gradients of function: got dict, needs Pair"),
        ((0.5, None), TypeError, "gradients of function: got NoneType, needs Pair"),
        (
            (0.5, bptt.Params(*np.ones((3, 1)))),
            TypeError,
            "gradients of function: got Params, needs Pair",
        ),
        *[
            (
                (0.5, Pair(*pair)),
                ValueError,
                f"gradients of function: got {got}, needs a float64(2,), b float64()",
            )
            for pair, got in (
                ((np.ones(2), np.ones(1)), "a float64(2,), b float64(1,)"),
                ((np.ones(2, np.float32), 1.0), "a float32(2,), b float64()"),
                ((np.ones(2), 1), "a float64(2,), b int64()"),
                ((np.ones(2), None), "a float64(2,), b object()"),
                (((1.0, 2.0), 3.0), "a 0 float64(), a 1 float64(), b float64()"),
            )
        ],
        *[
            (
                (loss, Pair(np.ones(2), 1.0)),
                TypeError,
                f"loss of function: got dtype {got}, needs one number",
            )
            for loss, got in (
                (np.ones(3), "float64 and shape (3,)"),
                (1j, "complex128 and shape ()"),
                (None, "object and shape ()"),
                (True, "bool and shape ()"),
            )
        ],
        (
            (0.5, Pair(np.ones(2), 1.0), None),
            TypeError,
            "state of function: got NoneType, needs ndarray",
        ),
        (
            (0.5, Pair(np.ones(2), 1.0), np.array([np.ones(2), None], object)),
            TypeError,
            "state of function: got dtype object, needs plain numbers",
        ),
        (
            (0.5, Pair(np.ones(2), 1.0), np.ma.masked_array([1.0, 2.0], [True, False])),
            TypeError,
            "state of function: got a masked array, needs one without a mask: .filled(...)",
        ),
    ],
)
def test_what_a_function_may_not_return(found, error, message):
    with pytest.raises(error) as raised:
        bptt.descend(**to_pair(function=lambda *_: found))
    assert str(raised.value) == message


def test_gradients_may_be_numbers_and_lists():
    for found in ((1, Pair([1.0, 2.0], 3.0)), Descent(1, Pair(np.array([1.0, 2.0]), 3.0))):
        after = bptt.descend(**to_pair(function=lambda *_, found=found: found, steps=1)).network
        assert_array_equal(after.a, [0.5, 1.0])
        assert after.b == 1.5


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        (np.ones(3), TypeError, "parameters: got ndarray, needs a NamedTuple of arrays"),
        ((np.ones(3),), TypeError, "parameters: got tuple, needs a NamedTuple of arrays"),
        ({}, TypeError, "parameters: got dict, needs a NamedTuple of arrays"),
        (Pair, TypeError, "parameters: got type, needs a NamedTuple of arrays"),
        (Pair((), ()), ValueError, "parameters: got no array, needs one at least"),
        (Pair(1.0, 1), TypeError, "b: got dtype int64, needs float32 or float64"),
        (Pair(1.0, 1j), TypeError, "b: got dtype complex128, needs float32 or float64"),
        (Pair(1.0, None), TypeError, "b: got dtype object, needs float32 or float64"),
        (Pair((1.0, np.nan), 1.0), ValueError, "a 1: got nan at (), needs finite numbers"),
        (
            Pair(np.float32(1), 1.0),
            TypeError,
            "a, b: got a float32, b float64, needs one precision for all",
        ),
    ],
)
def test_parameters(parameters, error, message):
    with pytest.raises(error) as raised:
        bptt.descend(**to_pair(parameters=parameters))
    assert str(raised.value) == message


def test_nothing_is_carried_that_a_function_does_not_return():
    with pytest.raises(
        ValueError, match=r"^carry: got a function that returns no state, needs one$"
    ):
        bptt.descend(**to_pair(carry=True))


@pytest.mark.parametrize("start", [training, descent])
def test_one_way_of_clipping(start):
    run = bptt.fit if start is training else bptt.descend
    with pytest.raises(ValueError, match=r"^clip, clip_value: got both, needs one of them$"):
        run(**start(clip=0, clip_value=0))
    still = run(**start(clip=None, clip_value=0, optimiser=bptt.sgd(1.0)))
    assert same_network(still, run(**start(clip=0, optimiser=bptt.sgd(1.0))))


# What a training program gets wrong


@pytest.mark.parametrize(
    ("others", "error", "message"),
    [
        (
            {"sample": changes(np.random.default_rng(0))},
            TypeError,
            "sample: got one Batch, needs a list of them",
        ),
        ({"sample": lambda rng: tuple(changes(rng))}, TypeError, "sample: got tuple, needs Batch"),
        ({"sample": lambda rng: changes(rng).x}, TypeError, "sample: got ndarray, needs Batch"),
        (
            {"loss": lambda z, target: bptt.cross_entropy(z, target)[0]},
            TypeError,
            "loss: got float64, needs a value and its derivative",
        ),
        (
            {"loss": lambda z, target: {"loss": 1.0}},
            TypeError,
            "loss: got dict, needs a value and its derivative",
        ),
        *[
            (
                {"criterion": lambda network, answer=answer: answer, "every": 1},
                TypeError,
                f"criterion: got dtype {got}, needs True or False",
            )
            for answer, got in (
                (np.ones(3, bool), "bool and shape (3,)"),
                (np.ones(1, bool), "bool and shape (1,)"),
                (0.95, "float64 and shape ()"),
                (None, "object and shape ()"),
            )
        ],
        (
            {"criterion": lambda network: bptt.Reber().learned(None, None), "every": 1},
            TypeError,
            "outputs: got NoneType, needs Callable",
        ),
        ({"optimiser": bptt.adam}, TypeError, "optimiser: got the function adam, needs Optimiser"),
        (
            {"optimiser": bptt.Optimiser},
            TypeError,
            "optimiser: got the class Optimiser, needs Optimiser",
        ),
    ],
)
def test_callbacks_that_are_mixed_up(others, error, message):
    with pytest.raises(error) as raised:
        bptt.fit(**training(**others))
    assert str(raised.value) == message


def test_a_state_is_not_carried_to_a_batch_of_another_size():
    sizes = iter([4, 3])

    def sample(rng):
        B = next(sizes)
        return bptt.Batch(*(a[:, :B] for a in changes(rng)))

    with pytest.raises(ValueError, match=r"^carry: got a batch of 3 sequences after one of 4, "):
        bptt.fit(**training(sample=sample, carry=True))


@pytest.mark.parametrize("batches", [False, True])
def test_a_state_is_not_carried_over_padding(batches):
    def padded(rng):
        batch = changes(rng)
        counts = batch.counts.copy()
        counts[4:, 2] = counts[5:, 3] = False
        return batch._replace(counts=counts)

    sample = [padded(np.random.default_rng(0))] if batches else padded
    assert bptt.fit(**training(sample=sample)).history.updates == 25
    with pytest.raises(ValueError, match=r"^counts: ") as raised:
        bptt.fit(**training(sample=sample, carry=True))
    assert str(raised.value) == (
        "counts: got False at the last step of sequence 2, needs True where the state is carried; "
        "or use descend with a function that returns last(run, lengths) as its state"
    )


@pytest.mark.parametrize("rule", [bptt.adagrad, bptt.rmsprop, bptt.adam])
def test_moments_out_of_range_are_divergence(rule):
    """Gradients of 1e25 have squares that float32 does not hold: nothing would move any more."""

    def steep(z, target):
        return 1.0, np.full(z.shape, 1e25, z.dtype)

    others = {"dtype": np.float32, "loss": steep, "optimiser": rule(0.1), "clip": None}
    found = bptt.fit(**training(**others))
    assert found.history.diverged
    assert found.history.updates == 1
    assert found.history.losses[0] == 1
    assert np.isfinite(found.history.norms).all()
    assert found.moments.updates == 0
    assert not bptt.fit(**training(**others | {"clip": 1.0})).history.diverged


def of_rule(step):
    return {"optimiser": bptt.Optimiser("mine", 1, step)}


@pytest.mark.parametrize(
    ("step", "got"),
    [
        (lambda p, g, at: (Pair(p.a.astype("f4"), p.b), at), "0 a float32(2,), 0 b float64()"),
        (lambda p, g, at: (Pair(p.b, p.b), at), "0 a float64(), 0 b float64()"),
        (lambda p, g, at: (tuple(p), at), "0 0 float64(2,), 0 1 float64()"),
        (lambda p, g, at: (p, at._replace(sums=())), "0 a float64(2,), 0 b float64()"),
    ],
)
def test_a_rule_of_ones_own_keeps_the_forms(step, got):
    with pytest.raises(ValueError, match=r"^optimiser: got ") as raised:
        bptt.descend(**to_pair(**of_rule(step)))
    assert str(raised.value).startswith(f"optimiser: got {got}")
    needs = ", ".join(f"{k} a float64(2,), {k} b float64()" for k in ("0", "1 0"))
    assert str(raised.value).endswith(f", needs {needs}")


@pytest.mark.parametrize(
    ("step", "got"),
    [
        (lambda p, g, at: None, "NoneType"),
        (lambda p, g, at: p, "Pair"),
        (lambda p, g, at: (p, None), "tuple"),
        (lambda p, g, at: (p, at, at), "tuple"),
        (lambda p, g, at: (p, Moments(0.5, at.sums)), "tuple"),
    ],
)
def test_a_rule_of_ones_own_returns_parameters_and_moments(step, got):
    with pytest.raises(TypeError) as raised:
        bptt.descend(**to_pair(**of_rule(step)))
    assert str(raised.value) == f"optimiser: got {got}, needs parameters and Moments"


def test_a_rule_of_ones_own_may_return_a_list():
    def halves(pair, gradients, at):
        return [Pair(pair.a / 2, pair.b / 2), Moments(np.int64(at.updates + 1), at.sums)]

    found = bptt.descend(**to_pair(**of_rule(halves)))
    assert (found.network.b, found.moments.updates) == (3 / 32, 5)


def test_gradients_with_a_mask():
    def masked(pair, batch, state):
        return 0.5, Pair(np.ma.masked_array([1.0, 1e30], [False, True]), 1.0)

    with pytest.raises(TypeError, match=r"^gradients of function: got a masked array, needs one"):
        bptt.descend(**to_pair(function=masked))


def test_an_epsilon_of_zero():
    with pytest.raises(
        ValueError, match=r"^epsilon: got 1e-46, needs 1.08\d*e-19 or more in float32$"
    ):
        bptt.fit(**training(dtype=np.float32, optimiser=bptt.adam(epsilon=1e-46)))


# What is divergence, and what is not


def test_underflow_is_no_error():
    """Gradients so small that their squares vanish, whatever NumPy is told to do about it."""

    def flat(z, target):
        with np.errstate(all="ignore"):
            loss, dz = bptt.cross_entropy(z, target)
            return loss, dz * 1e-200

    for others in ({"loss": flat}, {"loss": flat, "clip": None, "clip_value": 1e-205}):
        expected = bptt.fit(**training(**others))
        with np.errstate(all="raise"):
            assert same(bptt.fit(**training(**others)), expected)

    def faint(rng):
        x = np.full((3, 2, 1), 1e-300)
        return Batch(x, np.tile(x, 2), np.ones((3, 2), bool))

    others = {"sample": faint, "loss": bptt.mean_squared_error, "dtype": np.float32}
    expected = bptt.fit(**training(**others))
    with np.errstate(all="raise"):
        assert same(bptt.fit(**training(**others)), expected)
    network = training()["network"]
    others = {"network": network._replace(V=1e5 * network.V)}  # probabilities of e^-10,000
    expected = bptt.fit(**training(**others))
    with np.errstate(all="raise"):
        assert same(bptt.fit(**training(**others)), expected)
    assert not expected.history.diverged


@pytest.mark.parametrize("where", ["sample", "loss", "criterion"])
def test_errors_of_ones_own_come_through(where):
    mine = FloatingPointError("mine")

    def fails(*_):
        raise mine

    with pytest.raises(FloatingPointError) as raised:
        bptt.fit(**training(**{where: fails}))
    assert raised.value is mine


@pytest.mark.parametrize("where", ["sample", "loss", "criterion"])
def test_ones_own_code_runs_under_ones_own_settings(where):
    seen = []
    own = {
        "sample": changes,
        "loss": bptt.cross_entropy,
        "criterion": lambda network: False,
    }[where]

    def watched(*given):
        seen.append(np.geterr())
        return own(*given)

    for settings in ({"all": "raise"}, {"over": "ignore", "under": "warn"}):
        with np.errstate(**settings):
            bptt.fit(**training(**{where: watched}))
            assert seen
            assert all(kept == np.geterr() for kept in seen)
        seen.clear()

    def divides(*given):
        np.ones(1) / np.zeros(1)
        return own(*given)

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
        bptt.fit(**training(**{where: divides}))


def test_only_what_the_package_cannot_hold_is_divergence():
    """Also within a loss or a function of one's own that calls the package."""
    error = OutOfRange("z: got numbers too large for float64")

    def fails(*_):
        raise error

    for found in (bptt.fit(**training(loss=fails)), bptt.descend(**to_pair(function=fails))):
        assert found.history.diverged
        assert np.isnan([found.history.losses, found.history.norms]).all()
    for where in ("sample", "criterion"):
        with pytest.raises(OutOfRange):
            bptt.fit(**training(**{where: fails}))


# Interrupted from the keyboard


INTERRUPTED = {
    "in the first sample": ("sample", 1, 0),
    "in a sample": ("sample", 14, 13),
    "in the loss": ("loss", 14, 13),
    "in the criterion": ("criterion", 2, 19),
    "while saving": ("savez", 2, 19),
}


@pytest.mark.parametrize("kind", INTERRUPTED)
@pytest.mark.parametrize("saved", [True, False])
def test_an_interrupted_run(tmp_path, monkeypatch, kind, saved):
    """By Ctrl-C; what had been done is there, and goes on as if nothing had happened."""
    where, call, done = INTERRUPTED[kind]
    calls = []

    def interrupted(function):
        @functools.wraps(function)
        def wrapped(*given, **named):
            calls.append(None)
            if len(calls) == call:
                if where == "sample":
                    given[0].random(7)
                signal.default_int_handler(signal.SIGINT, None)  # jobs in the background ignore it
            return function(*given, **named)

        return wrapped

    def unsolved(network):
        return False

    file = tmp_path / "run.npz"
    checkpoint = {"checkpoint": file} if saved or where == "savez" else {}
    others = {"criterion": unsolved, "carry": True}
    own = {"sample": changes, "loss": bptt.cross_entropy, "criterion": unsolved}
    if where == "savez":
        monkeypatch.setattr(np, "savez", interrupted(np.savez))
        arguments = training(**others, **checkpoint)
    else:
        arguments = training(**{**others, **checkpoint, where: interrupted(own[where])})
    with pytest.raises(bptt.Interrupted) as raised:
        bptt.fit(**arguments)
    assert isinstance(raised.value, KeyboardInterrupt)
    assert str(raised.value) == f"after {done} updates, which .fit holds"
    found = raised.value.fit
    assert found.history.updates == done
    if done:
        before = training(**others, steps=done)
        assert same(found, bptt.fit(**before))
        assert arguments["rng"].random() == before["rng"].random()
    if checkpoint:
        assert os.listdir(tmp_path) == ["run.npz"]
        resumed = bptt.fit(**training(**others, checkpoint=file, resume=True))
        assert same(resumed, bptt.fit(**training(**others)))
    again = pickle.loads(pickle.dumps(raised.value))
    assert same(again.fit, found)


@pytest.mark.parametrize("kept", [False, True])
def test_interrupted_where_a_state_is_changed_in_place(tmp_path, kept):
    """That which was handed over, or that which was returned and kept."""
    mine, file = np.zeros(1), tmp_path / "run.npz"

    def counts(pair, batch, state):
        state = mine if kept or state is None else state
        state += 1
        if state == 4 and not file.exists():
            raise KeyboardInterrupt
        return float(state.item()), pair, state

    others = {"function": counts, "sample": lambda rng: None, "carry": True, "every": 9}
    with pytest.raises(bptt.Interrupted) as raised:
        bptt.descend(**to_pair(checkpoint=file, **others))
    assert raised.value.fit.state == raised.value.fit.history.updates == 3
    if not kept:
        found = bptt.descend(**to_pair(checkpoint=file, resume=True, **others))
        assert_array_equal(found.history.losses, [1, 2, 3, 4, 5])


def test_interrupted_where_nothing_can_be_saved(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("the disk is full")

    def sample(rng):
        monkeypatch.setattr(np, "savez", full)
        raise KeyboardInterrupt

    with pytest.raises(bptt.Interrupted) as raised:
        bptt.fit(**training(sample=sample, checkpoint=tmp_path / "run.npz"))
    assert raised.value.fit.history.updates == 0
    assert str(raised.value.__context__) == "the disk is full"


@pytest.mark.parametrize(
    "name",
    ["a" * 300, "a" * 252, "nul\0", "no/file"],
    ids=["long", "long with .part", "nul", "no folder"],
)
def test_a_checkpoint_that_cannot_be_written(tmp_path, name):
    """Is refused before anything is drawn, and leaves nothing behind."""
    called = []
    with pytest.raises(ValueError, match=r"^checkpoint: ") as raised:
        bptt.fit(**training(sample=called.append, checkpoint=tmp_path / name))
    needs = "a file in a folder that exists" if "/" in name else "a file that can be written"
    assert str(raised.value) == f"checkpoint: got {tmp_path / name}, needs {needs}"
    assert not called
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError("read-only")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(ValueError, match=r"^checkpoint: got .*, needs a file that can be written$"):
        bptt.fit(**training(checkpoint=tmp_path / "run.npz"))


def test_a_file_of_ones_own_beside_a_checkpoint_is_kept(tmp_path):
    (tmp_path / "run.npz.part").write_text("mine")
    bptt.fit(**training(steps=10, checkpoint=tmp_path / "run.npz"))
    assert (tmp_path / "run.npz.part").read_text() == "mine"


def test_looking_whether_a_checkpoint_can_be_written_leaves_it(tmp_path):
    file = tmp_path / "run.npz"
    bptt.fit(**training(steps=10, checkpoint=file))
    before = file.read_bytes()

    def stops(rng):
        assert os.listdir(tmp_path) == ["run.npz"]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bptt.fit(**training(sample=stops, checkpoint=file))
    assert file.read_bytes() == before


# The bar and the picture


def test_the_bar(capfd, tmp_path):
    expected = bptt.fit(**training())
    assert capfd.readouterr() == ("", "")
    others = {"checkpoint": tmp_path / "run.npz", "progress": True}
    bptt.fit(**training(steps=10, **others))
    assert same(bptt.fit(**training(resume=True, **others)), expected)
    out, err = capfd.readouterr()
    assert err == ""
    assert "10/10 [" in out
    assert "25/25 [" in out
    assert " 0/25 [" not in out
    assert f"loss={expected.history.losses[-1]:.4g}" in out
    assert "update/s" in out


def test_progress_is_shown_if_nothing_is_said(capfd):
    arguments = training()
    del arguments["progress"]
    bptt.fit(**arguments)
    assert "25/25" in capfd.readouterr().out


def test_without_tqdm_there_is_no_bar(capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    expected = bptt.fit(**training())
    assert capfd.readouterr() == ("", "")
    assert same(bptt.fit(**training(progress=True)), expected)
    assert capfd.readouterr() == ("No bar without tqdm, which the extra `training` brings\n", "")


def test_importing_the_package_imports_no_bar():
    code = "import sys, bptt; print('tqdm' in sys.modules or 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("updates", [1, 49, 50, 230])
def test_the_history_draws_itself(updates):
    ax = Figure().subplots()
    losses = np.linspace(1, 2, updates) ** 2
    History(losses, losses, 5, False, False).plot(ax)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("update", "loss", "log")
    each, mean = ax.lines
    assert_array_equal(each.get_xydata(), np.transpose([np.arange(1, updates + 1), losses]))
    width = {1: 1, 49: 1, 50: 2, 230: 5}[updates]
    right = [losses[k - width : k].mean() for k in range(width, updates + 1)]
    assert_array_equal(mean.get_xdata(), np.arange(width, updates + 1))
    assert_allclose(mean.get_ydata(), right, rtol=1e-13)
    assert mean.get_color() == each.get_color()
    assert (each.get_linewidth(), each.get_alpha()) == (0.5, 0.5)
    assert not ax.texts


def test_no_update_draws_no_line():
    ax = Figure().subplots()
    History(np.empty(0), np.empty(0), 0, False, False).plot(ax)
    assert (ax.get_xlabel(), ax.get_yscale()) == ("update", "log")
    assert not ax.lines


@pytest.mark.parametrize("least", [0, -3])
def test_losses_that_have_no_logarithm_are_drawn(least):
    ax = Figure().subplots()
    losses = np.array([1.0, least])
    History(losses, losses, 5, False, False).plot(ax)
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize("word", ["solved", "diverged"])
def test_the_history_says_why_it_ends(word):
    ax = Figure().subplots()
    losses = np.array([3.0, 2.0, np.inf if word == "diverged" else 1.0])
    History(losses, losses, 5, word == "solved", word == "diverged").plot(ax)
    (text,) = ax.texts
    assert text.get_text().strip() == word
    assert (text.get_position(), text.get_ha(), text.get_va()) == ((3, 1), "right", "top")
    assert text.get_transform() == ax.get_xaxis_transform()
    line = ax.lines[-1]
    assert_array_equal(line.get_xdata(), [3, 3])
    assert line.get_color() == ax.lines[0].get_color()
    assert (line.get_linestyle(), line.get_linewidth()) == (":", 1)
    ax.figure.savefig(io.BytesIO())
