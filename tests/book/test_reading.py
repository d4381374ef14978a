"""The n-gram baselines against counting by hand, and the text and its batches."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bptt import GRU, Batch, cross_entropy, predict
from experiments import reading
from experiments.ngrams import kneser_ney


def text(m, length, seed=0):
    """Numbers below m, some more frequent, with repetitions."""
    rng = np.random.default_rng(seed)
    code = rng.integers(0, m, length) * rng.integers(0, 2, length)
    return np.concatenate([code, code[: length // 2], rng.integers(0, m, length // 4)])


def by_hand(code, m, k):
    """P(w, context), from the definition, with dictionaries of tuples."""
    code = tuple(code.tolist())
    grams = {
        length: Counter(code[i : i + length] for i in range(len(code) - length + 1))
        for length in range(1, k + 2)
    }

    def count(gram):
        if len(gram) == k + 1:
            return grams[k + 1][gram]
        before = sum((a, *gram) in grams[len(gram) + 1] for a in range(m))
        context = gram[:-1]
        preceded = any((a, *context, w) in grams[len(gram) + 1] for a in range(m) for w in range(m))
        return before if preceded else grams[len(gram)][gram]

    discounts = []
    for length in range(1, k + 2):
        sizes = Counter(map(count, grams[length]))
        discounts.append(sizes[1] / (sizes[1] + 2 * sizes[2]) if sizes[1] else 0.5)

    def probability(w, context):
        numbers = [count((*context, v)) for v in range(m)]
        shorter = probability(w, context[1:]) if context else 1 / m
        if not any(numbers):
            return shorter
        discount = discounts[len(context)]
        kept = max(numbers[w] - discount, 0)
        spread = sum(min(number, discount) for number in numbers)
        return (kept + spread * shorter) / sum(numbers)

    return probability


@pytest.mark.parametrize("k", [0, 1, 2, 3])
@pytest.mark.parametrize(("m", "length"), [(2, 5), (4, 40), (7, 60)])
def test_kneser_ney(k, m, length):
    learned, other = text(m, length), text(m, length, seed=1)
    model, right = kneser_ney(learned, m, k), by_hand(learned, m, k)
    found = model.probabilities(other, k)
    assert found.shape == (len(other) - k,)
    expected = [
        right(w, tuple(other[t : t + k].tolist())) for t, w in enumerate(other[k:].tolist())
    ]
    assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("k", [0, 1, 2, 4])
def test_probabilities_sum_to_one(k):
    for m, length in ((2, 30), (9, 200)):
        model = kneser_ney(text(m, length), m, k)
        assert [len(seen) for seen in model.seen] == [len(table) for table in model.tables]
        for table in model.tables:
            assert table.shape[1] == m
            assert (table > 0).all()
            assert_allclose(table.sum(axis=1), 1, rtol=1e-12)


def test_the_text_is_what_its_note_says():
    corpus = reading.corpus()
    whole = corpus.text(np.concatenate([corpus.learned, corpus.held_out]))
    note = reading.TEXT.with_name("README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(whole.encode()).hexdigest() in note
    assert f"{len(whole):,} characters" in note
    assert len(whole) < 300_000
    assert len(corpus.held_out) == pytest.approx(len(whole) / 10, abs=1)
    assert whole.startswith("In the beginning God created the heaven and the earth.\n")
    assert whole.endswith("and he was put in a coffin in Egypt.\n")


def test_streams_go_through_the_text_in_order():
    code = np.arange(103) % 11
    streams = reading.Streams(code, 11, streams=4, steps=5)
    assert len(streams) == 5
    batches = [streams[k] for k in range(len(streams))]
    for batch in batches:
        assert type(batch) is Batch
        assert batch.x.shape == (5, 4, 11)
        assert batch.x.dtype == np.float32
        assert batch.counts.all()
    read = np.concatenate([batch.x.argmax(-1) for batch in batches])
    targets = np.concatenate([batch.target for batch in batches])
    for stream in range(4):
        assert_array_equal(read[:, stream], code[25 * stream :][:25])
        assert_array_equal(targets[:, stream], code[25 * stream + 1 :][:25])


def test_surprise():
    network, code = reading.start(3, 5), text(5, 20)
    network = network._replace(c=np.linspace(-1, 1, 5, dtype=np.float32))
    z = predict(GRU, network, reading.one_hot(code, 5)[:, None])[:, 0]
    loss = [cross_entropy(z[t], code[t + 1])[0] for t in range(len(code) - 1)]
    assert_allclose(reading.surprise(network, code), np.array(loss) / np.log(2), rtol=1e-5)


def test_a_network_is_packed_in_half_precision():
    network = reading.start(0, 4)
    again = reading.unpack_network(reading.pack(*network), reading.start(1, 4))
    for a, b in zip(network, again, strict=True):
        assert b.dtype == np.float32
        assert_array_equal(a.astype(np.float16), b)


def test_training_learns_and_says_so(monkeypatch):
    corpus = reading.corpus()
    small = corpus._replace(learned=corpus.learned[:20_000], held_out=corpus.held_out[:3_500])
    monkeypatch.setattr(reading, "corpus", lambda: small)
    monkeypatch.setattr(reading, "UNITS", 16)
    monkeypatch.setattr(reading, "EVERY", 20)
    found = reading.train(0, 40)
    assert found["curve"][1] < found["curve"][0]
    assert found["passes"] == pytest.approx(40 / 39)
    assert len(found["first"]) == 20
    network = reading.unpack_network(found["network"], reading.start(0, len(small.letters)))
    bits = reading.surprise(network, small.held_out)
    assert bits.mean() == pytest.approx(found["bits"], abs=1e-2)
    assert_allclose(reading.unpack(found["each"]), bits, rtol=2e-2)
    assert "network" not in reading.train(1, 20)
    assert isinstance(found["solved"], bool)
